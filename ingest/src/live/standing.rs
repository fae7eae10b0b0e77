use std::sync::Arc;
use std::time::Duration;

use model::Clock;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

use super::{Admitted, Publishers};

/// How often it is asked whether somebody still may publish: a replaced key ends a feed within this.
const ASKED_EVERY: Duration = Duration::from_secs(3);
/// How long whoever admits publishers may take to hear that one has gone; it finds out by itself.
const FAREWELL: Duration = Duration::from_secs(2);

/// How a publisher stands with whoever admitted it.
#[derive(Debug)]
pub(crate) struct Standing {
    publishers: Arc<dyn Publishers>,
    clock: Arc<dyn Clock>,
    admitted: Admitted,
    task: JoinHandle<()>,
}

impl Standing {
    /// Asks from now on whether somebody who was admitted still is.
    pub(crate) fn new(
        publishers: Arc<dyn Publishers>,
        clock: Arc<dyn Clock>,
        admitted: Admitted,
        tasks: &TaskTracker,
    ) -> Self {
        let (asked, time) = (Arc::clone(&publishers), Arc::clone(&clock));
        let task = tasks.spawn(async move {
            loop {
                sleep(ASKED_EVERY).await;
                if !asked.heard(&admitted, time.now()).await {
                    return;
                }
            }
        });
        Self { publishers, clock, admitted, task }
    }

    /// Who it is.
    pub(crate) const fn admitted(&self) -> &Admitted {
        &self.admitted
    }

    /// Waits until it may not publish any more; to be asked once.
    pub(crate) async fn is_over(&mut self) {
        let _ = (&mut self.task).await;
    }

    /// Says that it has gone.
    pub(crate) async fn leave(self) {
        self.task.abort();
        let _ = timeout(FAREWELL, self.publishers.left(&self.admitted, self.clock.now())).await;
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.task.abort();
    }
}
