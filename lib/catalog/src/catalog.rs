use std::sync::Arc;

use database::Database;
use sea_orm::{DatabaseConnection, DatabaseTransaction};
use tokio::sync::Notify;

use crate::CatalogError;
use crate::error::Result;
use crate::migrations::Migrations;

/// The catalog of all media; clones share one database.
#[derive(Debug, Clone)]
pub struct Catalog {
    database: Database,
    queued: Arc<Notify>,
}

impl Catalog {
    /// Opens the catalog in `database`, creating or migrating its tables.
    pub async fn open(database: Database) -> Result<Self> {
        database::migrate::<Migrations>(&database).await.map_err(CatalogError::Open)?;
        Ok(Self { database, queued: Arc::new(Notify::new()) })
    }

    /// Opens a catalog whose tables are of this release already, and changes nothing: to copy it.
    pub async fn open_as_is(database: Database) -> Result<Self> {
        database::require::<Migrations>(&database).await.map_err(CatalogError::Open)?;
        Ok(Self { database, queued: Arc::new(Notify::new()) })
    }

    /// Waits until this process has queued a job; may be cut off at any time.
    ///
    /// It wakes one waiter per job, so that an upload's packaging begins at once where both are
    /// in one process. Jobs of other processes, and those whose time has come, are found by
    /// claiming again after a second.
    pub async fn job_queued(&self) {
        self.queued.notified().await;
    }

    pub(crate) fn announce_job(&self) {
        self.queued.notify_one();
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
}
