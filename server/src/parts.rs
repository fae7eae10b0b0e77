//! What most commands need: the rows, the people and the objects of an installation.

use std::sync::Arc;

use anyhow::Context;
use catalog::Catalog;
use database::Database;
use model::{Clock, SystemClock};
use storage::ObjectStore;
use subscriptions::Subscriptions;

use crate::config::Config;

/// The installation that a configuration describes, opened.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    pub(crate) catalog: Catalog,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Parts {
    /// Makes the data folder if it is not there, opens everything and brings tables up to date.
    pub(crate) async fn open(config: &Config) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&config.data)
            .with_context(|| format!("make the data folder `{}`", config.data.display()))?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let database = Database::open(&config.database_url()).await.context("open the database")?;
        let catalog = Catalog::open(database.clone()).await.context("open the catalog")?;
        let subscriptions = Subscriptions::open(database, config.subscriptions.clone()).await;
        let store = storage::open(&config.storage()).await.context("open the object store")?;
        Ok(Self { catalog, subscriptions: subscriptions.context("open the accounts")?, store, clock })
    }
}
