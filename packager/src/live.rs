//! Live events: what publishers send becomes segments and parts in memory and on the disk, and at
//! the end a version on the shelf.
//!
//! ```text
//! ingest ─socket→ door → event: timeline ─┬──→ cutter → lanes ─┬→ broadcast → LiveSource → edges
//!                                         └→ cell ─┘           └→ spool → archive → store, catalog
//! ```
//!
//! # Consistency
//!
//! * A closed segment is on the disk, and the line that says so, before any playlist lists it as
//!   closed; a part is in a file before it is listed. So a process that was killed goes on where viewers
//!   have seen it, and takes nothing back.
//! * An event has one task, and everything of it happens there in order.
//! * The event outlives its publishers: while nobody publishes there are gaps, for as long as its
//!   grace lasts.
//!
//! # Cancellation
//!
//! On its token every event closes what it has and ends; the next process goes on with a gap. So does the
//! next task of an event whose task panicked.

mod archive;
mod backlog;
mod broadcast;
mod cadence;
mod cell;
mod clip;
mod cutter;
mod door;
mod event;
mod feed;
mod footage;
mod format;
mod going;
mod grown;
mod health;
pub mod ladder;
mod lane;
mod rungs;
mod shown;
mod sound;
mod spool;
mod stills;
#[cfg(test)]
mod testing;
mod timeline;
mod verify;

use std::collections::{HashMap, HashSet};
use std::fs::{File, TryLockError};
use std::io;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use catalog::{Catalog, CatalogError};
use cmaf::CmafError;
use futures::FutureExt;
use live::{Event, Failure, LiveSource, Piece, Position, Update};
use model::feed::InvalidFrame;
use model::{Clock, Health, RenditionName, VersionId, VideoId};
use storage::{ObjectStore, StorageError};

use crate::Config;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use backlog::BacklogLimits;
pub use cell::{LiveCell, LiveEnding, LiveEvent, LiveStart, restart_after};
use event::{Driver, Input};
use format::FormatError;
use going::OnAir;
use spool::{Spool, SpoolError};

/// The live events of a packager.
#[derive(Debug, Clone)]
pub struct Live {
    shared: Arc<Shared>,
    events: Arc<Mutex<HashMap<VideoId, Known>>>,
}

/// How live events are kept.
#[derive(Debug, Clone)]
pub struct LiveSettings {
    /// The folder of the spool; each event has one in it.
    pub folder: PathBuf,
    /// Where ingest brings feeds.
    pub socket: PathBuf,
    /// How long an event waits for a publisher who is gone.
    pub grace: Duration,
    /// The program `cocuyo-transcoder`; if absent, the one beside the running program.
    pub transcoder: Option<PathBuf>,
    /// Cores for the lower rungs; 0 for none of these.
    pub cores: usize,
}

/// What all events of a packager have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    catalog: Catalog,
    store: Arc<dyn ObjectStore>,
    clock: Arc<dyn Clock>,
    folder: PathBuf,
    socket: PathBuf,
    grace: Duration,
    /// How long a finished event's playlists are served.
    linger: Duration,
    /// Chunks that are put together at once.
    seals: Arc<Semaphore>,
    /// The same for clips, whose makers wait.
    clips: Arc<Semaphore>,
    tracker: TaskTracker,
    /// The program of cells.
    transcoder: PathBuf,
    /// Cores that an event may take its share of.
    cores: usize,
    /// Stops cells.
    stop: CancellationToken,
    /// Whether the events from before this process are known.
    is_restored: watch::Sender<bool>,
    /// Held while an event is begun or gone on with: a spool has one that writes.
    beginning: tokio::sync::Mutex<()>,
    /// Events of the spool that cannot be gone on with yet.
    stuck: Mutex<HashSet<VideoId>>,
}

/// An event that has a task.
#[derive(Debug)]
struct Known {
    version: VersionId,
    inputs: mpsc::Sender<Input>,
    on_air: watch::Receiver<Option<Arc<OnAir>>>,
    health: watch::Receiver<Option<Health>>,
}

/// An event, and what its task is reached by.
struct Carried {
    driver: Driver,
    known: Known,
    receiver: mpsc::Receiver<Input>,
}

/// Messages of a feed that wait for their event; ingest keeps what is behind them.
const INPUTS: usize = 64;
/// Before an event whose task panicked has another one, which may panic as well.
const BREATH: Duration = Duration::from_secs(1);
/// Between two looks whether the process that had the events of this machine is gone.
const LOCKED: Duration = Duration::from_secs(1);
/// A chunk is in memory while it is put together: at most so many are.
const SEALS: usize = 2;
const CLIPS: usize = 1;
/// A player asks again after a target duration; a few of these are enough to see the end.
const LINGER: Duration = Duration::from_secs(120);

/// Why a live event could not go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LiveError {
    /// The publisher sends what is not packaged.
    #[error("package a feed")]
    Format(#[from] FormatError),
    /// A value does not fit its box.
    #[error("write a segment")]
    Cmaf(#[from] CmafError),
    /// The disk failed.
    #[error("use the spool")]
    Spool(#[from] SpoolError),
    /// The object store failed.
    #[error("reach the object store")]
    Storage(#[from] StorageError),
    /// The rows failed.
    #[error("reach the catalog")]
    Catalog(#[from] CatalogError),
    /// A frame of a feed is none.
    #[error("read a feed")]
    Frame(#[from] InvalidFrame),
    /// A feed is none.
    #[error("read a feed: {0}")]
    Feed(&'static str),
    /// The socket failed.
    #[error("use the socket of feeds")]
    Socket(#[source] io::Error),
    /// A segment that was written down is gone.
    #[error("find segment {msn} of {rendition}")]
    Lost { rendition: RenditionName, msn: u32 },
    /// The transcoder's program could not be started.
    #[error("start the transcoder")]
    Start(#[source] io::Error),
    /// The transcoder gave no stills.
    #[error("make stills: {0}")]
    Stills(String),
    /// A task of ours ended in a panic.
    #[error("keep a live event running")]
    Task(#[source] tokio::task::JoinError),
}

impl Live {
    /// The live events of this process; nothing happens before [`run`](Self::run).
    pub fn new(
        settings: LiveSettings,
        catalog: Catalog,
        store: Arc<dyn ObjectStore>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let shared = Shared {
            catalog,
            store,
            clock,
            folder: settings.folder,
            socket: settings.socket,
            grace: settings.grace,
            linger: LINGER,
            seals: Arc::new(Semaphore::new(SEALS)),
            clips: Arc::new(Semaphore::new(CLIPS)),
            tracker: TaskTracker::new(),
            transcoder: Config { transcoder: settings.transcoder, ..Config::default() }.transcoder(),
            cores: settings.cores,
            stop: CancellationToken::new(),
            is_restored: watch::Sender::new(false),
            beginning: tokio::sync::Mutex::default(),
            stuck: Mutex::default(),
        };
        Self { shared: Arc::new(shared), events: Arc::default() }
    }

    /// Goes on with the events that the spool knows, and takes feeds until `stop`. One process of a
    /// machine does, and when it is gone, another that runs there.
    ///
    /// # Errors
    ///
    /// When the socket or the spool's folder cannot be used.
    pub async fn run(&self, stop: CancellationToken) -> io::Result<()> {
        std::fs::create_dir_all(&self.shared.folder)?;
        let lock = File::create(self.shared.folder.join("lock"))?;
        while let Err(error) = lock.try_lock() {
            match error {
                TryLockError::WouldBlock => {}
                TryLockError::Error(error) => return Err(error),
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(LOCKED) => {}
            }
        }
        let listener = door::open(&self.shared.socket)?;
        self.restore(&stop)?;
        self.shared.is_restored.send_replace(true);
        door::accept(self, listener, &stop).await;
        self.tracker().close();
        self.tracker().wait().await;
        lock.unlock()
    }

    /// Goes on with what is in the spool.
    fn restore(&self, stop: &CancellationToken) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.shared.folder)? {
            let folder = entry?.path();
            let name = folder.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
            let Some(video) = name else { continue };
            match self.resumed(video) {
                Ok(Some(resumed)) => drop(self.spawn(resumed, stop)),
                Ok(None) => {}
                Err(error) => self.resume_later(video, &error, stop),
            }
        }
        Ok(())
    }

    /// Where the messages of an event go; `None` when the rows know no such event, or it is over.
    pub(crate) async fn inputs(
        &self,
        video: VideoId,
        version: VersionId,
        stop: &CancellationToken,
    ) -> Result<Option<mpsc::Sender<Input>>, LiveError> {
        if let Some(inputs) = self.known(video) {
            return Ok(Some(inputs));
        }
        match self.shared.catalog.event(video).await? {
            Some((_, event)) if event.version == version && !event.state.is_ended() => {}
            _ => return Ok(None),
        }
        self.go_on(video, Some(version), stop).await
    }

    /// Where the messages of an event go that has a task.
    fn known(&self, video: VideoId) -> Option<mpsc::Sender<Input>> {
        let inputs = self.events().get(&video).map(|known| known.inputs.clone());
        inputs.filter(|inputs| !inputs.is_closed())
    }

    /// Goes on with an event as the spool knows it, or begins it as a `new` one. Nothing, if it is neither.
    async fn go_on(
        &self,
        video: VideoId,
        new: Option<VersionId>,
        stop: &CancellationToken,
    ) -> Result<Option<mpsc::Sender<Input>>, LiveError> {
        let _only = self.shared.beginning.lock().await;
        if let Some(inputs) = self.known(video) {
            return Ok(Some(inputs));
        }
        let live = self.clone();
        let resumed = tokio::task::spawn_blocking(move || live.resumed(video));
        let resumed = resumed.await.map_err(LiveError::Task)??;
        let carried = resumed.or_else(|| new.map(|version| self.driver(video, version)));
        Ok(carried.map(|carried| self.spawn(carried, stop)))
    }

    /// Goes on with an event when the disk lets it; one whose spool says what cannot be is left alone.
    fn resume_later(&self, video: VideoId, why: &LiveError, stop: &CancellationToken) {
        tracing::error!(%video, error = why as &dyn std::error::Error, "go on with an event");
        if !matches!(why, LiveError::Spool(SpoolError::Io { .. })) {
            return;
        }
        self.stuck().insert(video);
        let (live, stop) = (self.clone(), stop.clone());
        self.tracker().spawn(async move {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(event::AGAIN) => {}
            }
            let resumed = live.go_on(video, None, &stop).await;
            live.stuck().remove(&video);
            if let Err(error) = resumed {
                live.resume_later(video, &error, &stop);
            }
        });
    }

    /// An event as the spool knows it, if it does.
    fn resumed(&self, video: VideoId) -> Result<Option<Carried>, LiveError> {
        let Some((spool, record)) = Spool::open(self.shared.folder_of(video))? else { return Ok(None) };
        let mut carried = self.driver(video, record.version);
        carried.driver.restore(spool, record)?;
        Ok(Some(carried))
    }

    fn driver(&self, video: VideoId, version: VersionId) -> Carried {
        let (on_air, watched) = watch::channel(None);
        let (health, felt) = watch::channel(None);
        let (inputs, receiver) = mpsc::channel(INPUTS);
        let driver = Driver::new(Arc::clone(&self.shared), video, version, on_air, health);
        Carried { driver, known: Known { version, inputs, on_air: watched, health: felt }, receiver }
    }

    /// Gives an event its task. One that panics is followed by another, which goes on with what is in the
    /// spool; until then what was on air is.
    fn spawn(&self, carried: Carried, stop: &CancellationToken) -> mpsc::Sender<Input> {
        let Carried { driver, known, receiver } = carried;
        let (video, inputs) = (driver.video, known.inputs.clone());
        self.events().insert(video, known);
        let (live, stop) = (self.clone(), stop.clone());
        self.tracker().spawn(async move {
            let run = AssertUnwindSafe(driver.run(receiver, stop.clone()));
            if run.catch_unwind().await.is_err() {
                tracing::error!(%video, "the task of a live event panicked; another one goes on");
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(BREATH) => {
                        if let Err(error) = live.go_on(video, None, &stop).await {
                            live.resume_later(video, &error, &stop);
                        }
                    }
                }
            }
            // Whoever has come in its place stays.
            live.events().retain(|known, event| *known != video || !event.inputs.is_closed());
        });
        inputs
    }

    /// How the feed of an event is, at most a second ago; `None` when none comes in here.
    pub fn health(&self, video: VideoId) -> Option<Health> {
        self.events().get(&video)?.health.borrow().clone()
    }

    pub(crate) fn tracker(&self) -> &TaskTracker {
        &self.shared.tracker
    }

    fn events(&self) -> std::sync::MutexGuard<'_, HashMap<VideoId, Known>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The events that the disk does not let go on.
    fn stuck(&self) -> std::sync::MutexGuard<'_, HashSet<VideoId>> {
        self.shared.stuck.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is on air of an event; an error while nobody knows.
    async fn on_air(&self, video: VideoId, version: VersionId) -> Result<Option<Arc<OnAir>>, Failure> {
        // Whoever is told that there is no such event does not ask again.
        let mut is_restored = self.shared.is_restored.subscribe();
        let known =
            tokio::time::timeout(broadcast::PATIENCE, is_restored.wait_for(|is_restored| *is_restored));
        known.await.map_err(|_| "the events from before are not known yet")??;
        let events = self.events();
        let known = events.get(&video).filter(|known| known.version == version);
        if known.is_none() && self.stuck().contains(&video) {
            return Err("the event cannot be gone on with yet".into());
        }
        Ok(known.and_then(|known| known.on_air.borrow().clone()))
    }
}

impl Shared {
    pub(crate) fn folder_of(&self, video: VideoId) -> PathBuf {
        self.folder.join(video.to_string())
    }
}

#[async_trait]
impl LiveSource for Live {
    async fn event(
        &self,
        video: VideoId,
        version: VersionId,
        newer_than: Option<u64>,
    ) -> Result<Option<Arc<Event>>, Failure> {
        let Some(on_air) = self.on_air(video, version).await? else { return Ok(None) };
        Ok(Some(match newer_than {
            None => on_air.broadcast.event(),
            known => on_air.broadcast.news_of_event(known).await,
        }))
    }

    async fn news(
        &self,
        video: VideoId,
        version: VersionId,
        rendition: RenditionName,
        after: Position,
    ) -> Result<Option<Update>, Failure> {
        let Some(on_air) = self.on_air(video, version).await? else { return Ok(None) };
        Ok(on_air.broadcast.news(rendition, after).await)
    }

    async fn bytes(
        &self,
        video: VideoId,
        version: VersionId,
        rendition: RenditionName,
        piece: Piece,
    ) -> Result<Option<Bytes>, Failure> {
        let Some(on_air) = self.on_air(video, version).await? else { return Ok(None) };
        Ok(match piece {
            Piece::Init(number) => on_air.broadcast.init(rendition, number),
            Piece::Part(msn, part) => on_air.broadcast.part(rendition, msn, part),
            Piece::Segment(msn) => match on_air.broadcast.segment(rendition, msn) {
                Some(bytes) => Some(bytes),
                None => on_air.archive.segment(rendition, msn).await?,
            },
        })
    }
}
