use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use catalog::{Catalog, Upload};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use listener::{Body, Door};
use model::{Clock, Timestamp, UploadId};
use storage::ObjectStore;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accounts::{Accounts, Uploader};
use crate::ship::PARTS_AT_A_TIME;
use crate::spool::Spool;
use crate::turns::{Turn, Turns};
use crate::tus::Route;
use crate::{Config, IngestError};

/// How long a request waits for an older one of the same upload; only closing a large object
/// takes that long.
const TURN_TIMEOUT: Duration = Duration::from_secs(30);

/// Takes uploads in; the door at `/api/v1/uploads`.
#[derive(Debug, Clone)]
pub struct Ingest(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) catalog: Catalog,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) accounts: Arc<dyn Accounts>,
    pub(crate) spool: Spool,
    /// Of requests that change an upload.
    pub(crate) turns: Turns,
    /// Of those who bring its parts to the store.
    pub(crate) shipping: Turns,
    pub(crate) parts_at_a_time: Semaphore,
    /// Told whenever the store has one more part of any upload.
    pub(crate) part_arrived: Notify,
    pub(crate) tasks: TaskTracker,
    pub(crate) stopping: CancellationToken,
}

impl Ingest {
    /// Makes the folder `spool` if it is not there; it belongs on the file system of a folder
    /// store, so that finished uploads are renamed and not copied.
    ///
    /// # Errors
    ///
    /// [`IngestError::OpenSpool`] when the folder cannot be made.
    pub async fn open(
        config: Config,
        spool: PathBuf,
        catalog: Catalog,
        store: Arc<dyn ObjectStore>,
        clock: Arc<dyn Clock>,
        accounts: Arc<dyn Accounts>,
    ) -> Result<Self, IngestError> {
        let folder = spool.display().to_string();
        let spool = Spool::open(spool).await.map_err(|source| IngestError::OpenSpool { folder, source })?;
        Ok(Self(Arc::new(Inner {
            config,
            catalog,
            store,
            clock,
            accounts,
            spool,
            turns: Turns::default(),
            shipping: Turns::default(),
            parts_at_a_time: Semaphore::new(PARTS_AT_A_TIME),
            part_arrived: Notify::new(),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
        })))
    }

    /// Finishes uploads that are whole and were not closed, because the process died or the
    /// store was down, and removes bytes of uploads that are no more. Run it when the process
    /// starts, and every few minutes. Returns how many were finished.
    ///
    /// What fails is logged and left for the next time.
    ///
    /// # Errors
    ///
    /// When the spool cannot be read.
    pub async fn recover(&self) -> Result<usize, IngestError> {
        self.0.recover().await
    }

    /// Gives up unfinished uploads whose time is over at `now`, with their bytes and drafts, and
    /// forgets finished ones. Run it every few minutes. Returns how many were ended.
    ///
    /// What fails is logged and left for the next time.
    ///
    /// # Errors
    ///
    /// When the catalog, or the store's list of unfinished parts, cannot be read.
    pub async fn expire(&self, now: Timestamp) -> Result<usize, IngestError> {
        self.0.expire(now).await
    }

    /// Makes requests under way keep what they have and end, refuses new bytes, and waits for
    /// the work behind them.
    pub async fn close(&self) {
        self.0.stopping.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

impl Door for Ingest {
    fn name(&self) -> &'static str {
        "ingest"
    }

    fn takes(&self, _: &Method, path: &str) -> bool {
        Route::is_ours(path)
    }

    fn serve(&self, request: Request<Incoming>) -> BoxFuture<'static, Response<Body>> {
        let inner = self.0.clone();
        async move { inner.serve(request).await }.boxed()
    }
}

impl Inner {
    /// The upload, if it is this person's.
    pub(crate) async fn owned(&self, id: UploadId, uploader: &Uploader) -> Result<Upload, IngestError> {
        let upload = self.catalog.upload(id).await?;
        upload.filter(|upload| upload.owner == uploader.account).ok_or(IngestError::Absent(id))
    }

    /// The right to change an upload; whoever had it ends.
    pub(crate) async fn turn(&self, id: UploadId) -> Result<Turn, IngestError> {
        match tokio::time::timeout(TURN_TIMEOUT, self.turns.take(id)).await {
            Ok(Some(turn)) => Ok(turn),
            Ok(None) => Err(IngestError::Overtaken),
            Err(_) => Err(IngestError::Busy),
        }
    }

    /// How far the upload is, as far as this node can prove it. One that is whole is closed
    /// first if it was not. Called with the turn.
    pub(crate) async fn stand(&self, upload: &mut Upload) -> Result<u64, IngestError> {
        if !upload.finished && upload.offset_bytes == upload.size_bytes {
            match self.close(upload).await {
                // Its bytes lie on another node, or a disk lost them: they may come again.
                Err(error @ IngestError::Damaged { .. }) => {
                    tracing::warn!(upload.id = %upload.id, error = &error as &dyn std::error::Error,
                        "upload `{}` is whole and its bytes are not here", upload.id);
                }
                closed => closed?,
            }
        }
        if upload.finished {
            return Ok(upload.size_bytes);
        }
        self.proven(upload).await
    }

    /// How far the upload's bytes reach, here and in the store. Called with the turn.
    pub(crate) async fn proven(&self, upload: &Upload) -> Result<u64, IngestError> {
        let shipped = self.still_shipped(upload).await?;
        let here = self.spool_reach(upload.id, shipped).await?.min(upload.offset_bytes);
        Ok(here.max(shipped))
    }

    pub(crate) async fn spool_reach(&self, id: UploadId, shipped: u64) -> Result<u64, IngestError> {
        self.spool.reach(id, shipped).await.map_err(spool_error("look at", id))
    }

    pub(crate) fn expires_at(&self) -> Timestamp {
        self.clock.now() + self.config.expires_after()
    }
}

/// Turns a failure of the spool into an error, given what was being done.
pub(crate) fn spool_error(
    operation: &'static str,
    id: UploadId,
) -> impl FnOnce(std::io::Error) -> IngestError {
    move |source| IngestError::Spool { operation, id, source }
}
