use std::sync::{Arc, Mutex, PoisonError};

use catalog::Catalog;
use model::{Clock, Timestamp, VideoId};
use storage::ObjectStore;
use subscriptions::Subscriptions;

use crate::audience::Audience;
use crate::{Config, LiveClips, LiveHealth};

/// What handlers work with; clones share everything.
#[derive(Debug, Clone)]
pub struct State {
    /// Videos.
    pub catalog: Catalog,
    /// People.
    pub subscriptions: Subscriptions,
    /// Objects; only to delete them.
    pub store: Arc<dyn ObjectStore>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The `[web]` section.
    pub config: Arc<Config>,
    /// Who can tell how live feeds are; `None` where nobody in this process can.
    pub health: Option<Arc<dyn LiveHealth>>,
    /// Who can make clips of live events; `None` where nobody in this process can.
    pub clips: Option<Arc<dyn LiveClips>>,
    /// Bytes of all uploads and clips of one account together.
    pub max_total_bytes: u64,
    /// Where this process takes live streams by RTMP; `None` where it takes none.
    pub rtmp_port: Option<u16>,
    /// Who watches live events, as far as this process has heard.
    pub audience: Viewers,
}

/// Those who watch live events; clones share everything.
#[derive(Debug, Clone, Default)]
pub struct Viewers(Arc<Mutex<Audience>>);

impl Viewers {
    pub(crate) fn beat(&self, event: VideoId, player: VideoId, now: Timestamp) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).beat(event, player, now)
    }

    pub(crate) fn of(&self, event: VideoId, now: Timestamp) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).viewers(event, now)
    }
}

impl State {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
