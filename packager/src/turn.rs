//! When a worker turns to its next job, though the one that it has goes on.

use tokio_util::sync::{CancellationToken, DropGuard};

/// One job's turn with its worker.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    over: CancellationToken,
    /// Whether the worker is kept for beginnings.
    is_express: bool,
}

impl Turn {
    pub(crate) fn new(is_express: bool) -> Self {
        Self { over: CancellationToken::new(), is_express }
    }

    /// A film can begin with what there is of its sound: a worker that is kept for beginnings is
    /// needed no longer.
    pub(crate) fn has_begun(&self) {
        if self.is_express {
            self.over.cancel();
        }
    }

    /// All of it is made; what is left is to store it.
    pub(crate) fn is_made(&self) {
        self.over.cancel();
    }

    /// However the job ends, its turn does.
    pub(crate) fn end_when_dropped(&self) -> DropGuard {
        self.over.clone().drop_guard()
    }

    /// Waits until it is over.
    pub(crate) async fn over(&self) {
        self.over.cancelled().await;
    }
}
