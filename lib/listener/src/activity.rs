//! What goes on on an HTTP/2 connection, where many requests share one client.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

use crate::body::{Body, BoxError};
use crate::pace::Floor;

/// Counts the requests of one connection and what its client takes of the answers.
///
/// The client's windows are looked at as a whole: one answer that it leaves lying while it takes
/// others holds no more than [`PIECE`] and whatever its body holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Activity(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    begun: u64,
    open: usize,
    taken_bytes: u64,
    /// Answers of which the client has yet to take a piece, and since when there was always one.
    awaiting_client: usize,
    awaiting_since: Option<Instant>,
}

/// At most this much of an answer is given to HTTP/2 at a time, so that a client with closed
/// windows is seen, and keeps no memory beyond it.
const PIECE: usize = 64 << 10;

impl Activity {
    /// A request has come; it is open until what this returns is dropped.
    pub(crate) fn begin(&self) -> Open {
        let mut counts = self.counts();
        counts.begun += 1;
        counts.open += 1;
        Open { activity: self.clone(), awaits_client: false }
    }

    /// Waits until no request has been open for `timeout`, or a little longer.
    pub(crate) async fn idles(&self, timeout: Duration) {
        let mut begun = None;
        loop {
            tokio::time::sleep(timeout).await;
            let counts = self.counts();
            if counts.open == 0 && begun == Some(counts.begun) {
                return;
            }
            // A connection on which nothing ever came is idle from its beginning.
            begun = (counts.open == 0).then_some(counts.begun);
            if counts.begun == 0 {
                return;
            }
        }
    }

    /// Waits until the client takes less of its answers than `floor` asks for.
    pub(crate) async fn sticks(&self, floor: Floor) {
        if floor.bytes_per_s == 0 {
            return std::future::pending().await;
        }
        let mut taken_bytes = 0;
        loop {
            tokio::time::sleep(floor.window).await;
            let counts = self.counts();
            let waited = counts.awaiting_since.map_or(Duration::ZERO, |since| since.elapsed());
            if waited >= floor.window && counts.taken_bytes - taken_bytes < floor.bytes_in(floor.window) {
                return;
            }
            taken_bytes = counts.taken_bytes;
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that has no whole answer yet.
#[derive(Debug)]
pub(crate) struct Open {
    activity: Activity,
    awaits_client: bool,
}

impl Open {
    /// The client has a piece to take.
    fn give(&mut self, len: usize) {
        let mut counts = self.activity.counts();
        counts.taken_bytes += len as u64;
        counts.awaiting_client += 1;
        if counts.awaiting_client == 1 {
            counts.awaiting_since = Some(Instant::now());
        }
        self.awaits_client = true;
    }

    /// The client asks for more.
    fn taken(&mut self) {
        if std::mem::take(&mut self.awaits_client) {
            let mut counts = self.activity.counts();
            counts.awaiting_client -= 1;
            if counts.awaiting_client == 0 {
                counts.awaiting_since = None;
            }
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.taken();
        self.activity.counts().open -= 1;
    }
}

/// The body of an HTTP/2 answer, piece by piece.
pub(crate) struct Pieces {
    body: Body,
    rest: Bytes,
    open: Open,
}

impl Pieces {
    pub(crate) fn new(body: Body, open: Open) -> Self {
        Self { body, rest: Bytes::new(), open }
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        this.open.taken();
        if this.rest.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        let piece = this.rest.split_to(this.rest.len().min(PIECE));
        this.open.give(piece.len());
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.body.size_hint().exact() {
            Some(len) => SizeHint::with_exact(len + self.rest.len() as u64),
            None => SizeHint::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;
    use http_body_util::BodyExt;

    use super::*;
    use crate::body::full;

    const FLOOR: Floor = Floor { bytes_per_s: 1000, window: Duration::from_secs(10) };

    async fn seconds(wait: impl Future<Output = ()>) -> Option<u64> {
        let began = Instant::now();
        tokio::time::timeout(Duration::from_secs(1000), wait).await.ok().map(|()| began.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_idles_when_it_has_no_request() {
        let timeout = Duration::from_secs(10);
        assert_eq!(seconds(Activity::default().idles(timeout)).await, Some(10));
        let activity = Activity::default();
        let open = activity.begin();
        assert_eq!(seconds(activity.idles(timeout)).await, None);
        drop(open);
        assert_eq!(seconds(activity.idles(timeout)).await, Some(20));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_sticks_when_it_leaves_an_answer_lying() {
        let activity = Activity::default();
        // Held, with no answer yet: the client is not waited for.
        let held = activity.begin();
        assert_eq!(seconds(activity.sticks(FLOOR)).await, None);

        let mut body = Pieces::new(full(vec![0; 200_000]), activity.begin());
        let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!((piece.len(), body.size_hint().exact()), (PIECE, Some(200_000 - PIECE as u64)));
        assert_eq!(seconds(activity.sticks(FLOOR)).await, Some(20));
        // It goes on taking what there is.
        let read = async {
            while let Some(frame) = body.frame().await {
                frame.unwrap();
                tokio::time::sleep(Duration::from_secs(9)).await;
            }
        };
        tokio::select! {
            () = read => {}
            () = activity.sticks(FLOOR) => panic!("let go although it reads"),
        }
        drop((body, held));
        assert_eq!(activity.counts().open, 0);
    }
}
