use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::Stream;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;

/// What goes wrong while a body is sent; the client sees a cut connection.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Bytes in memory that are given to the connection at a time: the greatest number by which what is
/// counted may be more than what was sent when a client goes away, and few enough calls.
const PIECE: usize = 256 << 10;

/// The body of every response.
#[derive(Default)]
pub struct Body {
    content: Content,
    is_begun: bool,
    tally: Option<Arc<dyn Tally>>,
    watch: Option<Watch>,
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

    /// Whether all of it goes out in one piece.
    pub fn is_one_piece(&self) -> bool {
        match &self.content {
            Content::Nothing => true,
            Content::Memory(bytes) => bytes.len() <= PIECE,
            Content::Stream(_) => false,
        }
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
        match &mut self.content {
            Content::Nothing => Poll::Ready(None),
            Content::Memory(bytes) if bytes.len() > PIECE => {
                Poll::Ready(Some(Ok(Frame::data(bytes.split_to(PIECE)))))
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
        let next = ready!(self.next(context));
        if let Some(bytes) = next.as_ref().and_then(|next| next.as_ref().ok()?.data_ref()) {
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
