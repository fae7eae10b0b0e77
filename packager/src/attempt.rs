//! One attempt at a job: what it works with, and what all kinds of jobs do alike.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use catalog::{Catalog, CatalogError, Job, Work};
use cmaf::{ChunkRef, GrowingIndex};
use model::cell::{Request, Source};
use model::{Clock, ErrorKind, ObjectKey, RenditionName, Timestamp, VersionId, VideoState};
use storage::ObjectStore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cell::{Cell, Media, RightOfWay, Start, Way};
use crate::halt::Halt;
use crate::scratch::Scratch;
use crate::turn::Turn;
use crate::{Config, PackagerError, backoff, faults, film};

/// Between two tries to tell the catalog something: often enough that a database which comes back
/// finds the lease still held.
const AGAIN: Duration = Duration::from_millis(500);
/// Between two looks for what another process announces.
const LOOK: Duration = Duration::from_millis(500);
/// How long chunks wait for their inits: far longer than a cell takes to open its encoders.
const ANNOUNCEMENT: Duration = Duration::from_secs(20);
/// A cell for whose output somebody may be waiting. The server itself, and so the edge, is at 0.
const URGENT: i32 = 5;
/// Any other cell: it takes what the urgent ones leave.
const BULK: i32 = 19;

/// What an attempt works with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt<'a> {
    pub(crate) config: &'a Config,
    pub(crate) catalog: &'a Catalog,
    pub(crate) store: &'a Arc<dyn ObjectStore>,
    pub(crate) clock: &'a Arc<dyn Clock>,
    pub(crate) tasks: &'a TaskTracker,
    pub(crate) right_of_way: &'a RightOfWay,
    /// Ends it: the process stops, or the lease is lost.
    pub(crate) stop: &'a CancellationToken,
    pub(crate) job: &'a Job,
    pub(crate) turn: &'a Turn,
    /// How much of its own stretch is done, in milliseconds of media, for the heartbeat.
    pub(crate) position_ms: &'a AtomicU64,
}

impl Attempt<'_> {
    /// A folder of its own.
    pub(crate) fn scratch(&self) -> Result<Scratch, Halt> {
        let Job { id, attempt, .. } = *self.job;
        Ok(Scratch::create(&self.config.scratch(), id, attempt).map_err(PackagerError::Scratch)?)
    }

    /// The uploaded file, or the film that was an event.
    pub(crate) async fn media(&self) -> Result<Media, Halt> {
        let key = ObjectKey::Original { video: self.job.video };
        match Media::find(self.store, key).await? {
            Some(media) => Ok(media),
            None => self.film().await?.ok_or_else(|| PackagerError::Missing(key).into()),
        }
    }

    /// Of a film that was an event, and so has no uploaded file: the film.
    async fn film(&self) -> Result<Option<Media>, Halt> {
        let video = self.job.video;
        let known = self.tell(|_| self.catalog.known_video(video)).await?.ok_or(Halt::Lost)?;
        let VideoState::Ready { version, .. } = known.state else { return Ok(None) };
        if known.event.is_none() {
            return Ok(None);
        }
        Ok(Some(film::whole(self.store, video, version).await?))
    }

    /// Starts a cell on the uploaded file.
    pub(crate) async fn start(
        &self,
        media: Media,
        folder: &Path,
        request: impl FnOnce(Source) -> Request,
    ) -> Result<Cell, Halt> {
        let is_urgent = self.job.is_urgent;
        let patience = self.config.patience;
        let start = Start {
            program: &self.config.transcoder(),
            scratch: folder,
            patience: if is_urgent { patience } else { patience.with_one_that_gives_way() },
            niceness: if is_urgent { URGENT } else { BULK },
            tasks: self.tasks,
            stop: self.stop,
        };
        let way = match self.job.work {
            Work::Pictures { ref segments, .. } if is_urgent && segments.start == 0 => {
                self.right_of_way.first()
            }
            _ if is_urgent => Way::Own,
            _ => self.right_of_way.gives(),
        };
        Ok(Cell::start(start, way, media, request).await.map_err(PackagerError::Start)?)
    }

    /// From now on `cell` is one whose work can wait.
    pub(crate) fn gives_way(&self, cell: &mut Cell) {
        cell.give_way(BULK, self.right_of_way.gives());
        if matches!(self.job.work, Work::Sound { .. }) {
            self.turn.has_begun();
        }
    }

    /// So much of the job's own stretch of media is done.
    pub(crate) fn has_done(&self, media: Duration) {
        let media_ms = u64::try_from(media.as_millis()).unwrap_or(u64::MAX);
        self.position_ms.store(media_ms, Ordering::Relaxed);
    }

    /// Stores a small object.
    pub(crate) async fn put(&self, key: ObjectKey, bytes: Bytes) -> Result<(), Halt> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Halt::Stopped),
            stored = backoff::insist(backoff::WRITE, || self.store.put(&key, bytes.clone())) => Ok(stored?),
        }
    }

    /// Tells the catalog something, for as long as it is away and the lease may hold: what is told
    /// has cost minutes of encoding.
    pub(crate) async fn tell<T, F>(&self, mut say: impl FnMut(Timestamp) -> F) -> Result<T, Halt>
    where
        F: Future<Output = Result<T, CatalogError>>,
    {
        loop {
            match say(self.clock.now()).await {
                Err(error) if error.kind() == ErrorKind::Unavailable => {
                    tracing::warn!(%error, "could not reach the catalog, trying again");
                    self.pause(AGAIN).await?;
                }
                told => return Ok(told?),
            }
        }
    }

    /// Commits chunks that are stored, or the end of the job, or both.
    pub(crate) async fn commit(
        &self,
        version: VersionId,
        chunks: &[(RenditionName, ChunkRef)],
        missing_ms: u64,
        is_done: bool,
    ) -> Result<(), Halt> {
        let Job { id, attempt, .. } = *self.job;
        let catalog = self.catalog;
        self.tell(|now| catalog.commit_chunks(id, attempt, version, chunks, missing_ms, is_done, now))
            .await?;
        faults::at(faults::COMMITTED);
        Ok(())
    }

    /// What is known of a version in the making.
    pub(crate) async fn growing(&self, version: VersionId) -> Result<GrowingIndex, Halt> {
        self.tell(|_| self.catalog.growing(version)).await?.ok_or(Halt::Lost)
    }

    /// The same, once all its renditions are announced: another worker does it at this moment.
    pub(crate) async fn announced(&self, version: VersionId) -> Result<GrowingIndex, Halt> {
        let until = Instant::now() + ANNOUNCEMENT;
        let mut changes = self.catalog.changed();
        loop {
            let growing = self.growing(version).await?;
            if growing.renditions().all(|name| growing.announced(name).is_some()) {
                return Ok(growing);
            }
            if Instant::now() >= until {
                return Err(PackagerError::Unannounced(version).into());
            }
            tokio::select! {
                // Its sender lives in the catalog.
                _ = changes.changed() => {}
                paused = self.pause(LOOK) => paused?,
            }
        }
    }

    async fn pause(&self, time: Duration) -> Result<(), Halt> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Halt::Stopped),
            () = tokio::time::sleep(time) => Ok(()),
        }
    }
}
