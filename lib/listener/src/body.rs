use std::fmt;
use std::future::Future;
use std::num::NonZeroU64;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use tokio::time::{Instant, Sleep};

/// What goes wrong while a body is sent; the client sees a cut connection.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Bytes in memory that are given to the connection at a time: the greatest number by which what is
/// counted may be more than what was sent when a client goes away, and few enough calls.
const PIECE: usize = 256 << 10;

/// Bytes of a body that needs nobody to look after it.
const SHORT: usize = 64 << 10;

/// The body of every response.
#[derive(Default)]
pub struct Body {
    content: Content,
    is_begun: bool,
    tally: Option<Arc<dyn Tally>>,
    watch: Option<Watch>,
    pace: Option<Pace>,
    until_sent: Option<UntilSent>,
}

/// Tells when it is dropped, with the body.
struct UntilSent {
    sent: u64,
    told: Box<dyn Sent>,
}

/// Counts what is sent.
pub trait Tally: Send + Sync + 'static {
    /// So many bytes more have been given to a connection.
    fn add(&self, bytes: u64);
}

/// Learns at a body's end how much of it was sent.
pub(crate) trait Sent: Send + 'static {
    fn ended(&mut self, bytes: u64);
}

/// How fast a body may go out.
struct Pace {
    bytes_per_s: NonZeroU64,
    /// When what went out until now may all have gone.
    due: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Pace {
    /// Pieces a second.
    const PIECES: u64 = 4;

    fn new(bytes_per_s: NonZeroU64) -> Self {
        let due = Instant::now();
        Self { bytes_per_s, due, timer: Box::pin(tokio::time::sleep_until(due)) }
    }

    fn piece(&self) -> usize {
        usize::try_from((self.bytes_per_s.get() / Self::PIECES).max(1)).unwrap_or(usize::MAX)
    }

    fn poll_due(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.due <= Instant::now() {
            return Poll::Ready(());
        }
        if self.timer.deadline() != self.due {
            self.timer.as_mut().reset(self.due);
        }
        self.timer.as_mut().poll(context)
    }

    fn sent(&mut self, bytes: usize) {
        // A client that was slower meanwhile gets nothing back for it.
        let time = Duration::from_secs_f64(bytes as f64 / self.bytes_per_s.get() as f64);
        self.due = self.due.max(Instant::now()) + time;
    }
}

type Watch = Box<dyn FnMut() -> Result<(), BoxError> + Send>;

#[derive(Default)]
enum Content {
    #[default]
    Nothing,
    Memory(Bytes),
    Stream(UnsyncBoxBody<Bytes, BoxError>),
}

/// A body that is in memory.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    let bytes = bytes.into();
    let content = if bytes.is_empty() { Content::Nothing } else { Content::Memory(bytes) };
    Body { content, ..Body::default() }
}

/// No body.
pub fn empty() -> Body {
    Body::default()
}

/// A body of exactly `len` bytes that come piece by piece.
///
/// The length is promised in the head, so a stream that ends early or runs over is an error and
/// cuts the connection: a client never takes a part for the whole.
pub fn sized(len: u64, pieces: impl Stream<Item = Result<Bytes, BoxError>> + Send + 'static) -> Body {
    Body::of(Promised { remaining: len, pieces: Box::pin(pieces) })
}

impl Body {
    /// A body that comes from elsewhere.
    pub fn of(body: impl http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static) -> Self {
        Self { content: Content::Stream(body.map_err(Into::into).boxed_unsync()), ..Self::default() }
    }

    /// The same, counted by `tally` as it is sent.
    #[must_use]
    pub fn tallied(self, tally: Arc<dyn Tally>) -> Self {
        Self { tally: Some(tally), ..self }
    }

    /// The same; before each piece but the first `watch` says whether it may go on. An error cuts
    /// the connection.
    #[must_use]
    pub fn watched(self, watch: impl FnMut() -> Result<(), BoxError> + Send + 'static) -> Self {
        Self { watch: Some(Box::new(watch)), ..self }
    }

    /// The same, not faster than that. A body that comes from elsewhere has pieces as they come.
    #[must_use]
    pub fn paced(self, bytes_per_s: NonZeroU64) -> Self {
        Self { pace: Some(Pace::new(bytes_per_s)), ..self }
    }

    /// Whether it is so short that also a line of 90 kbit/s has taken it within six seconds.
    pub fn is_short(&self) -> bool {
        match &self.content {
            Content::Nothing => true,
            Content::Memory(bytes) => bytes.len() <= SHORT,
            Content::Stream(_) => false,
        }
    }

    pub(crate) const fn is_watched(&self) -> bool {
        self.watch.is_some()
    }

    pub(crate) fn tell_at_its_end(&mut self, sent: impl Sent) {
        self.until_sent = Some(UntilSent { sent: 0, told: Box::new(sent) });
    }

    /// Asks whether a body that has begun may go on.
    pub(crate) fn look_after(&mut self) -> Result<(), BoxError> {
        match &mut self.watch {
            Some(watch) if self.is_begun => watch().inspect_err(|_| self.content = Content::Nothing),
            _ => Ok(()),
        }
    }

    fn next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let piece = self.pace.as_ref().map_or(PIECE, |pace| pace.piece().min(PIECE));
        match &mut self.content {
            Content::Nothing => Poll::Ready(None),
            Content::Memory(bytes) if bytes.len() > piece => {
                Poll::Ready(Some(Ok(Frame::data(bytes.split_to(piece)))))
            }
            Content::Memory(bytes) => {
                let last = std::mem::take(bytes);
                self.content = Content::Nothing;
                Poll::Ready(Some(Ok(Frame::data(last))))
            }
            Content::Stream(body) => Pin::new(body).poll_frame(context),
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Err(error) = self.look_after() {
            return Poll::Ready(Some(Err(error)));
        }
        if let Some(pace) = &mut self.pace {
            ready!(pace.poll_due(context));
        }
        let next = ready!(self.next(context));
        if let Some(bytes) = next.as_ref().and_then(|next| next.as_ref().ok()?.data_ref()) {
            if let Some(pace) = &mut self.pace {
                pace.sent(bytes.len());
            }
            let bytes = bytes.len() as u64;
            self.is_begun = true;
            if let Some(until_sent) = &mut self.until_sent {
                until_sent.sent += bytes;
            }
            if let Some(tally) = &self.tally {
                tally.add(bytes);
            }
        }
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Nothing => true,
            Content::Memory(_) => false,
            Content::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Nothing => SizeHint::with_exact(0),
            Content::Memory(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Stream(body) => body.size_hint(),
        }
    }
}

impl Drop for UntilSent {
    fn drop(&mut self) {
        self.told.ended(self.sent);
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").finish_non_exhaustive()
    }
}

struct Promised<S> {
    remaining: u64,
    pieces: Pin<Box<S>>,
}

#[derive(Debug, thiserror::Error)]
enum PromiseError {
    #[error("body ends {missing} bytes early")]
    Short { missing: u64 },
    #[error("body runs over its length")]
    Long,
}

impl<S: Stream<Item = Result<Bytes, BoxError>>> http_body::Body for Promised<S> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.remaining == 0 {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(match ready!(self.pieces.as_mut().poll_next(context)) {
            Some(Ok(piece)) => match self.remaining.checked_sub(piece.len() as u64) {
                Some(rest) => {
                    self.remaining = rest;
                    Ok(Frame::data(piece))
                }
                None => Err(PromiseError::Long.into()),
            },
            Some(Err(error)) => Err(error),
            None => Err(PromiseError::Short { missing: self.remaining }.into()),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[derive(Default)]
    struct Sum(AtomicU64);

    impl Tally for Sum {
        fn add(&self, bytes: u64) {
            self.0.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    impl Sent for Arc<Sum> {
        fn ended(&mut self, bytes: u64) {
            self.0.store(bytes, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn a_body_counts_what_was_taken_of_it_and_tells_it_at_its_end() {
        let (sum, end) = (Arc::new(Sum::default()), Arc::new(Sum::default()));
        let mut body = full(vec![7; 3 * PIECE]).tallied(Arc::clone(&sum) as Arc<dyn Tally>);
        body.tell_at_its_end(Arc::clone(&end));
        assert_eq!(body.size_hint().exact(), Some(3 * PIECE as u64));
        for _ in 0..2 {
            body.frame().await.unwrap().unwrap();
        }
        assert_eq!((sum.0.load(Ordering::Relaxed), end.0.load(Ordering::Relaxed)), (2 * PIECE as u64, 0));
        drop(body);
        assert_eq!(end.0.load(Ordering::Relaxed), 2 * PIECE as u64);
    }

    #[tokio::test]
    async fn a_body_whose_right_is_gone_ends_with_an_error() {
        let mut looks = 0;
        let body = full(vec![7; 3 * PIECE]).watched(move || {
            looks += 1;
            if looks < 2 { Ok(()) } else { Err("gone".into()) }
        });
        assert!(!body.is_short());
        assert_eq!(body.collect().await.unwrap_err().to_string(), "gone");
        assert!(full(vec![7; SHORT]).is_short());
        let mut short = full(vec![7; PIECE]).watched(|| Err("gone".into()));
        assert_eq!(short.frame().await.unwrap().unwrap().into_data().unwrap().len(), PIECE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_goes_out_at_its_pace() {
        let began = Instant::now();
        let rate = NonZeroU64::new(100_000).unwrap();
        let whole = full(vec![7; 1_000_000]).paced(rate).collect().await.unwrap().to_bytes();
        assert_eq!(whole.len(), 1_000_000);
        let took = began.elapsed().as_secs_f64();
        // The first piece goes at once.
        assert!((9.7..=10.1).contains(&took), "{took}");
    }
}
