//! One at a time for each upload, and the newest wins.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::UploadId;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio_util::sync::CancellationToken;

/// Hands out turns: whoever takes one asks the one before to end, and waits for it.
///
/// A client that was cut off comes back while the server still holds its dead connection; with
/// plain locks it would be locked out by itself until that connection times out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turns(Arc<Mutex<HashMap<UploadId, Queue>>>);

#[derive(Debug, Default)]
struct Queue {
    lock: Arc<AsyncMutex<()>>,
    /// Tells the newest one that it is so no more.
    newest: CancellationToken,
}

/// The right to change an upload, until dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    id: UploadId,
    overtaken: CancellationToken,
    guard: Option<OwnedMutexGuard<()>>,
    turns: Turns,
}

impl Turns {
    /// Waits for the turn; `None` if somebody newer came meanwhile.
    pub(crate) async fn take(&self, id: UploadId) -> Option<Turn> {
        let mut turn = Turn { id, overtaken: CancellationToken::new(), guard: None, turns: self.clone() };
        let lock = {
            let mut queues = self.queues();
            let queue = queues.entry(id).or_default();
            std::mem::replace(&mut queue.newest, turn.overtaken.clone()).cancel();
            queue.lock.clone()
        };
        let guard = tokio::select! {
            biased;
            () = turn.overtaken.cancelled() => None,
            guard = lock.lock_owned() => Some(guard),
        };
        turn.guard = Some(guard?);
        Some(turn)
    }

    /// The turn, if nobody has it or waits for it.
    pub(crate) fn try_take(&self, id: UploadId) -> Option<Turn> {
        let mut queues = self.queues();
        let queue = queues.entry(id).or_default();
        let guard = queue.lock.clone().try_lock_owned().ok()?;
        let overtaken = CancellationToken::new();
        queue.newest = overtaken.clone();
        Some(Turn { id, overtaken, guard: Some(guard), turns: self.clone() })
    }

    /// Whether somebody has the turn.
    pub(crate) fn is_taken(&self, id: UploadId) -> bool {
        self.queues().get(&id).is_some_and(|queue| queue.lock.try_lock().is_err())
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<UploadId, Queue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Waits until somebody newer wants the turn.
    pub(crate) async fn overtaken(&self) {
        self.overtaken.cancelled().await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut queues = self.turns.queues();
        self.guard = None;
        // Whoever has or awaits the turn holds a clone of its lock, made under this very mutex.
        if queues.get(&self.id).is_some_and(|queue| Arc::strong_count(&queue.lock) == 1) {
            queues.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    const ID: UploadId = UploadId::from_bits(1);

    #[tokio::test]
    async fn the_newest_overtakes_all_before_it() {
        let turns = Turns::default();
        let first = turns.take(ID).await.unwrap();
        assert!(!first.overtaken.is_cancelled() && turns.try_take(ID).is_none());
        let mut second = Box::pin(turns.take(ID));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(first.overtaken.is_cancelled());
        first.overtaken().await;
        let mut third = Box::pin(turns.take(ID));
        assert!(third.as_mut().now_or_never().is_none());
        assert!(second.await.is_none(), "it was overtaken while it waited");
        assert!(third.as_mut().now_or_never().is_none(), "the first one is still at work");
        drop(first);
        let third = third.await.unwrap();
        assert!(!third.overtaken.is_cancelled());
        assert!(turns.take(UploadId::from_bits(2)).await.is_some(), "other uploads do not wait");
        drop(third);
        assert!(turns.queues().is_empty());
    }

    #[tokio::test]
    async fn one_who_gives_up_waiting_lets_nobody_in() {
        let turns = Turns::default();
        let first = turns.take(ID).await.unwrap();
        let mut second = Box::pin(turns.take(ID));
        assert!(second.as_mut().now_or_never().is_none());
        drop(second);
        assert!(turns.try_take(ID).is_none());
        drop(first);
        assert!(turns.queues().is_empty());
        drop(turns.try_take(ID).unwrap());
        assert!(turns.queues().is_empty());
    }
}
