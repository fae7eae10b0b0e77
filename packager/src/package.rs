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

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use catalog::{Catalog, Job, NewVersion, RenditionSummary};
use cmaf::{RenditionIndex, RenditionKind, VersionIndex};
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use model::cell::{EncodePlan, Picture, Probe, Reply, Request};
use model::{Clock, ErrorKind, FailureReason, ObjectKey, RenditionName, VersionId};
use storage::{ObjectStore, StorageError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cell::{Cell, Ending, Media, Said, Start};
use crate::progress::Estimator;
use crate::rendition::{Fault, RenditionWriter, StoredSoon};
use crate::scratch::Scratch;
use crate::verify::{self, Breach, Expected};
use crate::{Config, PackagerError, backoff, plan};

/// Objects on their way to the store at a time: enough to hide a far store's latency, few enough
/// that the scratch folder holds minutes of media and not hours.
const STORING: usize = 4;
/// The largest still picture that is taken from a cell.
const MAX_PICTURE: usize = 4 << 20;
/// How long the removal of an abandoned version's objects may keep a worker.
const TIDY: Duration = Duration::from_secs(10);

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
        let mut written = Written { store: self.store.clone(), keys: Vec::new() };
        let packaged = match self.package(&mut written).await {
            Ok(index) => self.publish(&index).await,
            Err(halt) => Err(halt.into()),
        };
        match packaged {
            Ok(()) => Ok(()),
            Err(Unpublished { halt, is_certain }) => {
                // After an unanswered commit the version may be the one that plays.
                if is_certain {
                    written.remove().await;
                }
                Err(halt)
            }
        }
    }

    async fn package(&self, written: &mut Written) -> Result<VersionIndex, Halt> {
        let scratch =
            Scratch::create(&self.config.scratch(), self.version).map_err(PackagerError::Scratch)?;
        let probe = self.probe(&scratch).await?;
        let plan = plan(&probe, &self.config.limits)
            .map_err(|reason| Halt::Failed { reason, detail: format!("no plan for {probe:?}") })?;
        tracing::info!(
            expected_ms = plan.expected_ms,
            renditions = plan.video.as_ref().map_or(0, |video| video.rungs.len())
                + plan.audio.as_ref().map_or(0, |audio| audio.rungs.len()),
            "encoding video `{}`",
            self.job.video,
        );
        self.observe(|progress| *progress = Some(Estimator::new(plan.expected_ms, self.clock.now())));
        let index = self.encode(plan, &scratch, written).await?;
        written.add(self.store_bytes(self.index_key(), index.to_json()).await?);
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
        written: &mut Written,
    ) -> Result<VersionIndex, Halt> {
        let mut output = Output::new(self, &plan, scratch.folder());
        let request = |source| Request::Encode { source, plan: plan.clone() };
        let mut cell = self.start(self.media().await?, &scratch.cell(), request).await?;
        let mut storing = FuturesUnordered::new();
        let mut position = Duration::ZERO;
        let decoded_ms = loop {
            while storing.len() >= STORING {
                let since = Instant::now();
                let stored = tokio::select! {
                    biased;
                    () = self.stop.cancelled() => None,
                    stored = storing.next() => stored,
                };
                match stored {
                    Some(stored) => written.add(self.or_halt(&mut cell, stored).await?),
                    None => {
                        cell.halt().await;
                        return Err(Halt::Stopped);
                    }
                }
                cell.forgive(since);
            }
            let said = tokio::select! {
                biased;
                Some(stored) = storing.next(), if !storing.is_empty() => {
                    written.add(self.or_halt(&mut cell, stored).await?);
                    continue;
                }
                said = cell.next() => said,
            };
            let taken = match said {
                Said::Message { reply: Reply::Progress { position_ms }, .. } => {
                    self.observe(|progress| {
                        if let Some(progress) = progress {
                            progress.reached(position_ms);
                        }
                    });
                    Ok(Vec::new())
                }
                Said::Message { reply, payload } => output.take(reply, payload).await,
                Said::Ended(Ending::Finished { duration_ms, damaged }) => {
                    if damaged > 0 {
                        tracing::info!(damaged, "video `{}` has damaged frames", self.job.video);
                    }
                    break duration_ms;
                }
                Said::Ended(ending) => return Err(ending.into()),
            };
            match taken {
                Ok(objects) => storing.extend(objects.into_iter().map(|object| self.store(object))),
                Err(Fault::Breach(breach)) => return Err(cell.condemn(breach.to_string()).await.into()),
                Err(Fault::Scratch(error)) => {
                    cell.halt().await;
                    return Err(PackagerError::Scratch(error).into());
                }
            }
            let reached = output.position();
            cell.extend(reached.saturating_sub(position));
            position = reached.max(position);
        };
        let rest = output.finish().await.map_err(PackagerError::Scratch)?;
        storing.extend(rest.into_iter().map(|object| self.store(object)));
        loop {
            let stored = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Err(Halt::Stopped),
                stored = storing.next() => stored,
            };
            match stored {
                Some(stored) => written.add(stored?),
                None => break,
            }
        }
        output.index(&plan, Duration::from_millis(decoded_ms))
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
        request: impl FnOnce(model::cell::Source) -> Request,
    ) -> Result<Cell, Halt> {
        let start = Start {
            program: &self.config.transcoder(),
            scratch: folder,
            patience: self.config.patience,
            tasks: self.tasks,
            stop: self.stop,
        };
        Ok(Cell::start(start, media, request).await.map_err(PackagerError::Start)?)
    }

    /// The key of what was stored; otherwise the cell works for nothing and ends.
    async fn or_halt(
        &self,
        cell: &mut Cell,
        stored: Result<ObjectKey, StorageError>,
    ) -> Result<ObjectKey, Halt> {
        if stored.is_err() {
            cell.halt().await;
        }
        Ok(stored?)
    }

    fn store(&self, object: Object) -> BoxFuture<'static, Result<ObjectKey, StorageError>> {
        let store = self.store.clone();
        Box::pin(async move {
            let Object { key, content } = object;
            match content {
                Content::Bytes(bytes) => {
                    backoff::insist(backoff::WRITE, || store.put(&key, bytes.clone())).await?;
                }
                Content::File { path, size_bytes } => {
                    backoff::insist(backoff::WRITE, || put_file(&*store, &key, &path, size_bytes)).await?;
                }
            }
            Ok(key)
        })
    }

    async fn store_bytes(&self, key: ObjectKey, bytes: Bytes) -> Result<ObjectKey, Halt> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Halt::Stopped),
            stored = self.store(Object { key, content: Content::Bytes(bytes) }) => Ok(stored?),
        }
    }

    fn index_key(&self) -> ObjectKey {
        ObjectKey::Index { video: self.job.video, version: self.version }
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

impl From<Halt> for Unpublished {
    fn from(halt: Halt) -> Self {
        Self { halt, is_certain: true }
    }
}

/// Something to be stored.
#[derive(Debug)]
struct Object {
    key: ObjectKey,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Bytes(Bytes),
    File { path: PathBuf, size_bytes: u64 },
}

/// Stores a file. A try whose answer was lost took the file over: then the object is there, and
/// its key, which holds its hash, says that it is the same.
async fn put_file(
    store: &dyn ObjectStore,
    key: &ObjectKey,
    path: &Path,
    size_bytes: u64,
) -> Result<(), StorageError> {
    match store.put_file(key, path).await {
        Err(error) => match store.size(key).await {
            Ok(Some(size)) if size == size_bytes => Ok(()),
            _ => Err(error),
        },
        stored => stored,
    }
}

/// The keys that an attempt has stored.
#[derive(Debug)]
struct Written {
    store: Arc<dyn ObjectStore>,
    keys: Vec<ObjectKey>,
}

impl Written {
    fn add(&mut self, key: ObjectKey) {
        self.keys.push(key);
    }

    /// Removes them as far as that goes quickly: a disk that an attempt filled must not stay full
    /// until the sweeper comes.
    async fn remove(self) {
        let Self { store, keys } = self;
        let removing = futures::stream::iter(&keys).for_each_concurrent(8, |key| {
            let store = &store;
            async move {
                if let Err(error) = store.delete(key).await {
                    tracing::debug!(%error, "left `{key}` to the sweeper");
                }
            }
        });
        _ = tokio::time::timeout(TIDY, removing).await;
    }
}

/// What the cell has sent so far.
struct Output {
    video: model::VideoId,
    version: VersionId,
    renditions: Vec<RenditionWriter>,
    has_poster: bool,
    has_thumbnail: bool,
}

impl Output {
    fn new(attempt: &Attempt<'_>, plan: &EncodePlan, folder: &Path) -> Self {
        let segment = segment_length(plan);
        let renditions = Expected::of(plan)
            .into_iter()
            .map(|expected| RenditionWriter::new(expected, segment, folder))
            .collect();
        Self {
            video: attempt.job.video,
            version: attempt.version,
            renditions,
            has_poster: false,
            has_thumbnail: false,
        }
    }

    /// Takes a message; gives what is to be stored now.
    async fn take(&mut self, reply: Reply, payload: Bytes) -> Result<Vec<Object>, Fault> {
        let (video, version) = (self.video, self.version);
        let object = |key, bytes| Ok(vec![Object { key, content: Content::Bytes(bytes) }]);
        match reply {
            Reply::Init { rendition } => {
                self.rendition(rendition)?.announce(&payload)?;
                object(ObjectKey::Init { video, version, rendition }, payload)
            }
            Reply::Segment { rendition, number } => {
                let chunk = self.rendition(rendition)?.push(number, &payload).await?;
                Ok(chunk.into_iter().map(|chunk| self.chunk(rendition, chunk)).collect())
            }
            Reply::Picture { picture } => {
                let (key, seen) = match picture {
                    Picture::Poster => (ObjectKey::Poster { video, version }, &mut self.has_poster),
                    Picture::Thumbnail => (ObjectKey::Thumbnail { video, version }, &mut self.has_thumbnail),
                };
                let is_jpeg = payload.starts_with(&[0xff, 0xd8, 0xff]) && payload.ends_with(&[0xff, 0xd9]);
                if !is_jpeg || payload.len() > MAX_PICTURE || std::mem::replace(seen, true) {
                    return Err(
                        Breach::new(format!("{picture:?} is not one JPEG of a picture's size")).into()
                    );
                }
                object(key, payload)
            }
            other => Err(Breach::new(format!("said {other:?} while encoding")).into()),
        }
    }

    /// The chunks that were being filled when the film ended.
    async fn finish(&mut self) -> std::io::Result<Vec<Object>> {
        let mut objects = Vec::new();
        for at in 0..self.renditions.len() {
            let rendition = self.renditions[at].name();
            if let Some(chunk) = self.renditions[at].finish().await? {
                objects.push(self.chunk(rendition, chunk));
            }
        }
        Ok(objects)
    }

    /// Media time that every rendition has behind it.
    fn position(&self) -> Duration {
        self.renditions.iter().map(RenditionWriter::position).min().unwrap_or_default()
    }

    /// The version's index, when all is in and fits together.
    fn index(&self, plan: &EncodePlan, decoded: Duration) -> Result<VersionIndex, Halt> {
        let crashed = |how: String| Halt::Crashed { how };
        let wholes: Vec<_> = self.renditions.iter().map(RenditionWriter::whole).collect();
        let max = Duration::from_millis(plan.max_ms);
        let duration =
            verify::check_whole(&wholes, decoded, max).map_err(|breach| crashed(breach.to_string()))?;
        if plan.video.is_some() && !(self.has_poster && self.has_thumbnail) {
            return Err(crashed("sent no poster or no thumbnail".to_owned()));
        }
        let renditions: Option<Vec<RenditionIndex>> =
            self.renditions.iter().map(RenditionWriter::index).collect();
        Ok(VersionIndex {
            format: VersionIndex::FORMAT,
            video: self.video,
            version: self.version,
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            renditions: renditions.ok_or_else(|| crashed("a rendition without init".to_owned()))?,
        })
    }

    fn rendition(&mut self, name: RenditionName) -> Result<&mut RenditionWriter, Breach> {
        let found = self.renditions.iter_mut().find(|rendition| rendition.name() == name);
        found.ok_or_else(|| Breach::new(format!("{name} was not asked for")))
    }

    fn chunk(&self, rendition: RenditionName, StoredSoon { chunk, file }: StoredSoon) -> Object {
        let (video, version) = (self.video, self.version);
        let key = ObjectKey::Chunk { video, version, rendition, number: chunk.number, hash: chunk.hash };
        Object { key, content: Content::File { path: file, size_bytes: chunk.size_bytes } }
    }
}

fn segment_length(plan: &EncodePlan) -> Duration {
    let video = plan.video.as_ref().map(|video| f64::from(video.segment_frames) / video.frame_rate.as_f64());
    let audio = plan.audio.as_ref().map(|audio| audio.segment.as_f64());
    Duration::from_secs_f64(video.or(audio).unwrap_or(4.0))
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
