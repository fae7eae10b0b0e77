use std::sync::Arc;

use database::Database;
use sea_orm::{
    DatabaseConnection, DatabaseTransaction, IsolationLevel, TransactionOptions, TransactionTrait,
};
use tokio::sync::{Notify, watch};

use crate::CatalogError;
use crate::error::Result;
use crate::migrations::Migrations;

/// The catalog of all media; clones share one database.
#[derive(Debug, Clone)]
pub struct Catalog {
    database: Database,
    queued: Arc<Notify>,
    /// Counts what this process has changed of versions in the making.
    changes: Arc<watch::Sender<u64>>,
}

impl Catalog {
    /// Opens the catalog in `database`, creating or migrating its tables.
    pub async fn open(database: Database) -> Result<Self> {
        database::migrate::<Migrations>(&database).await.map_err(CatalogError::Open)?;
        Ok(Self { database, queued: Arc::default(), changes: Arc::default() })
    }

    /// Opens a catalog whose tables are of this release already, and changes nothing: to copy it.
    pub async fn open_as_is(database: Database) -> Result<Self> {
        database::require::<Migrations>(&database).await.map_err(CatalogError::Open)?;
        Ok(Self { database, queued: Arc::default(), changes: Arc::default() })
    }

    /// Waits until this process has queued jobs; may be cut off at any time.
    ///
    /// It wakes whoever waits, so that an upload's packaging begins at once where both are in one
    /// process. Jobs of other processes, and those whose time has come, are found by claiming
    /// again after a second.
    pub async fn job_queued(&self) {
        self.queued.notified().await;
    }

    /// Changes each time this process has changed what there is of a version in the making, or
    /// has published or ended one; which one, [`Catalog::growing_revision`] tells. Changes that
    /// other processes make are found by asking again.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(crate) fn announce_job(&self) {
        self.queued.notify_waiters();
        // And one who is about to wait.
        self.queued.notify_one();
    }

    pub(crate) fn announce_change(&self) {
        self.changes.send_modify(|changes| *changes += 1);
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
