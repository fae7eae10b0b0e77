use std::sync::Arc;

use database::Database;
use sea_orm::{
    DatabaseConnection, DatabaseTransaction, IsolationLevel, TransactionOptions, TransactionTrait,
};
use tokio::sync::watch;

use crate::CatalogError;
use crate::error::Result;
use crate::migrations::Migrations;
use crate::news::{self, News};

/// The catalog of all media; clones share one database.
#[derive(Debug, Clone)]
pub struct Catalog {
    database: Database,
    news: Arc<News>,
}

impl Catalog {
    /// Opens the catalog in `database`, creating or migrating its tables.
    pub async fn open(database: Database) -> Result<Self> {
        database::migrate::<Migrations>(&database).await.map_err(CatalogError::Open)?;
        let news = Arc::<News>::default();
        news::follow(&news, &database);
        Ok(Self { database, news })
    }

    /// Opens a catalog whose tables are of this release already, and changes nothing: to copy it.
    pub async fn open_as_is(database: Database) -> Result<Self> {
        database::require::<Migrations>(&database).await.map_err(CatalogError::Open)?;
        Ok(Self { database, news: Arc::default() })
    }

    /// Waits until jobs were queued, by this process or by another one on the same PostgreSQL
    /// server; may be cut off at any time.
    ///
    /// It wakes whoever waits, so that an upload's packaging begins at once. Jobs whose time has
    /// come are found by claiming again after a second, and so are those of which no news came.
    pub async fn job_queued(&self) {
        self.news.job_queued().await;
    }

    /// Changes each time what there is of a version in the making has changed, or one was
    /// published or ended, by this process or by another one on the same PostgreSQL server; which
    /// one, [`Catalog::growing_revision`] tells. Ask that again after a while: news may get lost.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.news.changed()
    }

    pub(crate) fn announce_job(&self) {
        self.news.tell_of_job();
        news::tell_others(&self.database, news::JOBS);
    }

    pub(crate) fn announce_change(&self) {
        self.news.tell_of_change();
        news::tell_others(&self.database, news::CHANGES);
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    pub(crate) fn read(&self) -> &DatabaseConnection {
        self.database.read()
    }

    pub(crate) async fn begin(&self) -> Result<DatabaseTransaction> {
        Ok(self.database.begin_write().await?)
    }

    /// Begins a transaction that reads everything as of one moment.
    pub(crate) async fn snapshot(&self) -> Result<DatabaseTransaction> {
        // SQLite's readers always have one.
        let isolation_level =
            (self.database.engine() == database::Engine::Postgres).then_some(IsolationLevel::RepeatableRead);
        let options = TransactionOptions { isolation_level, ..TransactionOptions::default() };
        Ok(self.read().begin_with_options(options).await?)
    }
}
