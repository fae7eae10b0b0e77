//! How publishers stand with whoever admitted them: asked of all at once, every few seconds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::{Clock, LetGo, VideoId};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{Admitted, Publishers};

/// How often it is asked whether those who publish still may: a replaced key ends a feed within this.
const ASKED_EVERY: Duration = Duration::from_secs(3);
/// How long whoever admits publishers may take to hear that one has gone; it finds out by itself.
const FAREWELL: Duration = Duration::from_secs(2);

/// Those who publish by this process.
#[derive(Debug, Clone)]
pub(crate) struct Standings {
    publishers: Arc<dyn Publishers>,
    clock: Arc<dyn Clock>,
    present: Arc<Mutex<HashMap<Turn, Present>>>,
}

/// An event and the turn of a publisher in it.
type Turn = (VideoId, u64);

#[derive(Debug)]
struct Present {
    admitted: Admitted,
    over: CancellationToken,
}

/// One of them, until dropped.
#[derive(Debug)]
pub(crate) struct Standing {
    admitted: Admitted,
    over: CancellationToken,
    all: Standings,
}

impl Standings {
    /// Nobody yet; `publishers` is asked about them.
    pub(crate) fn new(publishers: Arc<dyn Publishers>, clock: Arc<dyn Clock>) -> Self {
        Self { publishers, clock, present: Arc::default() }
    }

    /// Somebody who was admitted.
    pub(crate) fn enter(&self, admitted: Admitted) -> Standing {
        let over = CancellationToken::new();
        self.present().insert(turn(&admitted), Present { admitted, over: over.clone() });
        Standing { admitted, over, all: self.clone() }
    }

    /// Asks for ever whether they still may publish.
    pub(crate) async fn ask(&self) {
        loop {
            sleep(ASKED_EVERY).await;
            let all: Vec<Admitted> = self.present().values().map(|present| present.admitted).collect();
            if all.is_empty() {
                continue;
            }
            for gone in self.publishers.heard(&all, self.clock.now()).await {
                if let Some(present) = self.present().get(&turn(&gone)) {
                    present.over.cancel();
                }
            }
        }
    }

    fn present(&self) -> MutexGuard<'_, HashMap<Turn, Present>> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Standing {
    /// Who it is.
    pub(crate) const fn admitted(&self) -> &Admitted {
        &self.admitted
    }

    /// Cancelled when it may not publish any more.
    pub(crate) const fn over(&self) -> &CancellationToken {
        &self.over
    }

    /// Says that it has gone, and why if it was let go.
    pub(crate) async fn leave(self, why: Option<LetGo>) {
        let Standings { publishers, clock, .. } = &self.all;
        let _ = timeout(FAREWELL, publishers.left(&self.admitted, why, clock.now())).await;
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.all.present().remove(&turn(&self.admitted));
    }
}

const fn turn(admitted: &Admitted) -> Turn {
    (admitted.video, admitted.generation)
}
