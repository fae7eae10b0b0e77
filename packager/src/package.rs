//! One attempt at packaging a video: load, probe, plan, encode, store, index, publish.
//!
//! ```text
//! original → probe (cell) → plan → encode (cell) → inits, chunks, pictures → index → publish
//! ```
//!
//! Every attempt writes under a version of its own, so that the objects of two attempts never
//! meet, and the index is stored last: what no index and no row names does not exist. What was
//! stored for a version that is not published is removed again, and what a killed worker could
//! not remove is the sweeper's.
//!
//! # Consistency
//!
//! The row is the commit: [`catalog::Catalog::publish`] refuses an attempt that lost its lease.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use catalog::{Catalog, Job, NewVersion, RenditionSummary};
use cmaf::{RenditionIndex, RenditionKind, VersionIndex};
use model::cell::{EncodePlan, Probe, Reply, Request, Source};
use model::{Clock, ErrorKind, FailureReason, ObjectKey, VersionId};
use storage::{ObjectStore, StorageError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cell::{Cell, Ending, Media, Said, Start};
use crate::output::Output;
use crate::progress::Estimator;
use crate::rendition::Fault;
use crate::scratch::Scratch;
use crate::storing::{Content, Object, Storing};
use crate::{Config, PackagerError, plan};

/// Why an attempt ended without a version.
#[derive(Debug)]
pub(crate) enum Halt {
    /// The file is at fault; its owner reads the reason.
    Failed {
        /// Why, for the owner.
        reason: FailureReason,
        /// Why, for the log.
        detail: String,
    },
    /// The cell crashed of it, which may happen to a good file.
    Crashed {
        /// How, for the log.
        how: String,
    },
    /// Something around it failed; the file is worth another try.
    Later(PackagerError),
    /// The process stops.
    Stopped,
    /// The lease is lost, or the video is gone: nothing of this attempt is wanted.
    Lost,
}

impl From<PackagerError> for Halt {
    fn from(error: PackagerError) -> Self {
        Self::Later(error)
    }
}

impl From<StorageError> for Halt {
    fn from(error: StorageError) -> Self {
        Self::Later(error.into())
    }
}

impl From<Ending> for Halt {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Refused { reason, detail } => Self::Failed { reason, detail },
            Ending::Crashed { how } => Self::Crashed { how },
            Ending::TimedOut => {
                Self::Failed { reason: FailureReason::TimedOut, detail: "out of patience".to_owned() }
            }
            Ending::Stopped => Self::Stopped,
            Ending::Starved(error) => error.into(),
            Ending::Unread => Self::Later(PackagerError::Unread),
            Ending::Finished { .. } => Self::Crashed { how: "ended before its answer".to_owned() },
        }
    }
}

/// What an attempt works with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt<'a> {
    pub(crate) config: &'a Config,
    pub(crate) catalog: &'a Catalog,
    pub(crate) store: &'a Arc<dyn ObjectStore>,
    pub(crate) clock: &'a Arc<dyn Clock>,
    pub(crate) tasks: &'a TaskTracker,
    /// Ends it: the process stops, or the lease is lost.
    pub(crate) stop: &'a CancellationToken,
    pub(crate) job: Job,
    /// The version that it makes, its own.
    pub(crate) version: VersionId,
    pub(crate) progress: &'a Mutex<Option<Estimator>>,
}

impl Attempt<'_> {
    /// Packages and publishes; or says why not, with nothing left behind.
    pub(crate) async fn run(self) -> Result<(), Halt> {
        let mut storing = Storing::new(self.store.clone());
        let published = match self.package(&mut storing).await {
            Ok(index) => self.publish(&index).await,
            Err(halt) => Err(Unpublished { halt, is_certain: true }),
        };
        let Err(Unpublished { halt, is_certain }) = published else { return Ok(()) };
        // After an unanswered commit the version may be the one that plays.
        if is_certain {
            storing.remove().await;
        }
        Err(halt)
    }

    async fn package(&self, storing: &mut Storing) -> Result<VersionIndex, Halt> {
        let scratch =
            Scratch::create(&self.config.scratch(), self.version).map_err(PackagerError::Scratch)?;
        let probe = self.probe(&scratch).await?;
        let plan = plan(&probe, &self.config.limits)
            .map_err(|reason| Halt::Failed { reason, detail: format!("no plan for {probe:?}") })?;
        tracing::info!(expected_ms = plan.expected_ms, "encoding video `{}`", self.job.video);
        self.observe(|progress| *progress = Some(Estimator::new(plan.expected_ms, self.clock.now())));

        let index = self.encode(plan, &scratch, storing).await?;
        // Behind everything that it names.
        let key = ObjectKey::Index { video: self.job.video, version: self.version };
        storing.begin(Object { key, content: Content::Bytes(index.to_json()) });
        self.until_stored(storing).await?;
        Ok(index)
    }

    async fn probe(&self, scratch: &Scratch) -> Result<Probe, Halt> {
        let media = self.media().await?;
        if media.size_bytes() == 0 {
            return Err(Halt::Failed { reason: FailureReason::Empty, detail: "no bytes".to_owned() });
        }
        let mut cell = self.start(media, &scratch.cell(), |source| Request::Probe { source }).await?;
        let mut found = None;
        loop {
            match cell.next().await {
                Said::Message { reply: Reply::Probed { probe }, .. } => found = Some(probe),
                Said::Message { reply, .. } => {
                    return Err(cell.condemn(format!("answered a probe with {reply:?}")).await.into());
                }
                Said::Ended(Ending::Finished { duration_ms, damaged }) => {
                    return found.ok_or_else(|| Ending::Finished { duration_ms, damaged }.into());
                }
                Said::Ended(ending) => return Err(ending.into()),
            }
        }
    }

    async fn encode(
        &self,
        plan: EncodePlan,
        scratch: &Scratch,
        storing: &mut Storing,
    ) -> Result<VersionIndex, Halt> {
        let mut output = Output::new(self.job.video, self.version, &plan, scratch.folder());
        let request = |source| Request::Encode { source, plan };
        let mut cell = self.start(self.media().await?, &scratch.cell(), request).await?;
        let decoded = self.follow(&mut cell, &mut output, storing).await;
        if decoded.is_err() {
            cell.halt().await;
        }
        let decoded = decoded?;
        for object in output.finish().await.map_err(PackagerError::Scratch)? {
            storing.begin(object);
        }
        self.until_stored(storing).await?;
        output.index(decoded).map_err(|breach| Halt::Crashed { how: breach.to_string() })
    }

    /// Takes and stores what the cell sends until it is done; gives the media time it decoded.
    async fn follow(
        &self,
        cell: &mut Cell,
        output: &mut Output,
        storing: &mut Storing,
    ) -> Result<Duration, Halt> {
        let mut position = Duration::ZERO;
        loop {
            if storing.is_full() {
                // Nobody listens to the cell meanwhile, and its pipe fills: it waits with us.
                let since = Instant::now();
                tokio::select! {
                    biased;
                    () = self.stop.cancelled() => return Err(Halt::Stopped),
                    stored = storing.one() => stored?,
                }
                cell.forgive(since);
                continue;
            }
            let said = tokio::select! {
                biased;
                stored = storing.one(), if !storing.is_idle() => {
                    stored?;
                    continue;
                }
                said = cell.next() => said,
            };
            let taken = match said {
                Said::Message { reply: Reply::Progress { position_ms }, .. } => {
                    let now = self.clock.now();
                    self.observe(|progress| {
                        if let Some(progress) = progress {
                            progress.reached(position_ms, now);
                        }
                    });
                    continue;
                }
                Said::Message { reply, payload } => output.take(reply, payload).await,
                Said::Ended(Ending::Finished { duration_ms, damaged }) => {
                    if damaged > 0 {
                        tracing::info!(damaged, "video `{}` has damaged frames", self.job.video);
                    }
                    return Ok(Duration::from_millis(duration_ms));
                }
                Said::Ended(ending) => return Err(ending.into()),
            };
            match taken {
                Ok(object) => object.into_iter().for_each(|object| storing.begin(object)),
                Err(Fault::Breach(breach)) => return Err(cell.condemn(breach.to_string()).await.into()),
                Err(Fault::Scratch(error)) => return Err(PackagerError::Scratch(error).into()),
            }
            let reached = output.furthest();
            cell.extend(reached.saturating_sub(position));
            position = reached;
        }
    }

    async fn until_stored(&self, storing: &mut Storing) -> Result<(), Halt> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Halt::Stopped),
            stored = storing.all() => Ok(stored?),
        }
    }

    async fn publish(&self, index: &VersionIndex) -> Result<(), Unpublished> {
        let new = NewVersion {
            version: self.version,
            duration_ms: index.duration_ms,
            renditions: index.renditions.iter().map(summary).collect(),
        };
        let mut is_certain = true;
        let mut waits = [200, 1000, 3000].into_iter().map(Duration::from_millis);
        loop {
            let error =
                match self.catalog.publish(self.job.id, self.job.attempt, &new, self.clock.now()).await {
                    Ok(()) => return Ok(()),
                    Err(error) if error.kind() == ErrorKind::Conflict => {
                        return Err(Unpublished { halt: Halt::Lost, is_certain });
                    }
                    Err(error) => error,
                };
            // The commit may have arrived and its answer not.
            is_certain = false;
            match waits.next().filter(|_| error.kind() == ErrorKind::Unavailable) {
                Some(wait) => {
                    tracing::warn!(%error, "could not publish video `{}`, trying again", self.job.video);
                    tokio::time::sleep(wait).await;
                }
                None => return Err(Unpublished { halt: Halt::Later(error.into()), is_certain }),
            }
        }
    }

    async fn media(&self) -> Result<Media, Halt> {
        let key = ObjectKey::Original { video: self.job.video };
        Media::find(self.store, key).await?.ok_or_else(|| PackagerError::Missing(key).into())
    }

    async fn start(
        &self,
        media: Media,
        folder: &Path,
        request: impl FnOnce(Source) -> Request,
    ) -> Result<Cell, Halt> {
        let start = Start {
            program: &self.config.transcoder(),
            scratch: folder,
            patience: self.config.patience,
            niceness: 5,
            tasks: self.tasks,
            stop: self.stop,
        };
        Ok(Cell::start(start, media, request).await.map_err(PackagerError::Start)?)
    }

    fn observe(&self, change: impl FnOnce(&mut Option<Estimator>)) {
        change(&mut self.progress.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// An attempt that published nothing, or does not know.
struct Unpublished {
    halt: Halt,
    is_certain: bool,
}

fn summary(rendition: &RenditionIndex) -> RenditionSummary {
    let (width, height) = match rendition.kind {
        RenditionKind::Video { width, height, .. } => (Some(width.into()), Some(height.into())),
        RenditionKind::Audio { .. } => (None, None),
    };
    RenditionSummary {
        name: rendition.name,
        width,
        height,
        bandwidth_bps: rendition.bandwidth.peak_bps,
        average_bandwidth_bps: rendition.bandwidth.average_bps,
        size_bytes: rendition.size_bytes(),
    }
}
