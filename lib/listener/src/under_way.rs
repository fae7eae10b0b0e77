//! Bodies that hyper sends. It asks for the next piece when it has room for one, and a client that takes
//! little leaves it without for minutes; so the clock, too, asks whether they may go on.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::AbortHandle;
use http_body::{Frame, SizeHint};
use tokio::sync::Notify;

use crate::body::{Body, BoxError};

/// How often a body is looked after while its client takes nothing of it. Its watch, which may ask
/// seldom itself, is heard within ten seconds.
pub(crate) const RECHECK: Duration = Duration::from_secs(2);

/// The watched bodies under way on one connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct UnderWay(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    bodies: Mutex<Vec<Sent>>,
    is_one_there: Notify,
}

#[derive(Debug)]
struct Sent {
    body: Weak<Mutex<Body>>,
    /// What ends it alone.
    stream: Option<AbortHandle>,
}

impl UnderWay {
    /// The same body, looked after if somebody watches it. When it may not go on its `stream` is
    /// aborted, or, if it has none of its own, [`UnderWay::loses_one`] is ready.
    pub(crate) fn look_after(&self, body: Body, stream: Option<AbortHandle>) -> Body {
        if !body.is_watched() {
            return body;
        }
        let shared = Arc::new(Mutex::new(body));
        lock(&self.0.bodies).push(Sent { body: Arc::downgrade(&shared), stream });
        self.0.is_one_there.notify_one();
        Body::of(Shared(shared))
    }

    /// Waits until the connection has a body that may not go on.
    pub(crate) async fn loses_one(&self) {
        loop {
            while lock(&self.0.bodies).is_empty() {
                self.0.is_one_there.notified().await;
            }
            tokio::time::sleep(RECHECK).await;
            if self.has_lost_one() {
                return;
            }
        }
    }

    fn has_lost_one(&self) -> bool {
        let mut is_lost = false;
        lock(&self.0.bodies).retain(|Sent { body, stream }| {
            let Some(body) = body.upgrade() else { return false };
            let goes_on = lock(&body).look_after().is_ok();
            match stream {
                _ if goes_on => {}
                Some(stream) => stream.abort(),
                None => is_lost = true,
            }
            goes_on
        });
        is_lost
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Shared(Arc<Mutex<Body>>);

impl http_body::Body for Shared {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut *lock(&self.0)).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        lock(&self.0).is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        lock(&self.0).size_hint()
    }
}
