use std::sync::Arc;

use catalog::Catalog;
use model::{Clock, Timestamp};
use storage::ObjectStore;
use subscriptions::Subscriptions;

use crate::Config;

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
}

impl State {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
