//! A packager with everything around it: a catalog, a store, a clock, clips and transcoders.
#![expect(clippy::unwrap_used, reason = "test support, outside any test function")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog::{Catalog, NewUpload, UploadLimits, Video};
use cmaf::{GrowingIndex, VersionIndex};
use database::testing::TestDatabase;
use futures::TryStreamExt;
use model::{
    AccountId, Clock, FailureReason, ManualClock, ObjectKey, Timestamp, UploadId, VersionId, VideoId,
    VideoState,
};
use packager::{Config, Packager, PackagerError};
use storage::{Folder, Listed, Memory, ObjectStore};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// When every story begins.
pub(crate) const MORNING: Timestamp = Timestamp::from_seconds(1_800_000_000);
/// Longer than anything here takes, even when other builds run on the machine.
const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) struct House {
    pub(crate) catalog: Catalog,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) clock: Arc<ManualClock>,
    database: TestDatabase,
    folder: TempDir,
}

impl House {
    /// Objects in memory, so that cells read through sockets.
    pub(crate) async fn new() -> Self {
        Self::with(|clock| Arc::new(Memory::new(clock))).await
    }

    /// Objects in files, so that cells read descriptors.
    pub(crate) async fn with_folder() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Folder::open(&folder.path().join("objects")).await.unwrap();
        Self { folder, ..Self::with(|_| Arc::new(store)).await }
    }

    pub(crate) async fn with(store: impl FnOnce(Arc<dyn Clock>) -> Arc<dyn ObjectStore>) -> Self {
        let clock = Arc::new(ManualClock::at(MORNING));
        let store = store(clock.clone());
        Self::on(TestDatabase::sqlite().await, clock, store).await
    }

    /// With rows and objects somewhere else.
    pub(crate) async fn on(
        database: TestDatabase,
        clock: Arc<ManualClock>,
        store: Arc<dyn ObjectStore>,
    ) -> Self {
        // Shown with the story that fails.
        _ = tracing_subscriber::fmt().with_env_filter("packager=debug").with_test_writer().try_init();
        Self {
            catalog: Catalog::open(database.open().await).await.unwrap(),
            store,
            clock,
            database,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// Another process's view of the catalog.
    pub(crate) async fn another_catalog(&self) -> Catalog {
        Catalog::open(self.database.open().await).await.unwrap()
    }

    /// Keeps every writer out of the database until the value is dropped.
    pub(crate) async fn lock_database(&self) -> impl Sized {
        let database = self.database.open().await;
        let transaction = database.begin_write().await.unwrap();
        (transaction, database)
    }

    /// Uploads a file, to its last byte.
    pub(crate) async fn upload(&self, bytes: impl Into<bytes::Bytes>) -> VideoId {
        let (bytes, now) = (bytes.into(), self.clock.now());
        let (id, video) = (UploadId::generate(&mut rand::rng()), VideoId::generate(&mut rand::rng()));
        let new = NewUpload {
            id,
            video,
            owner: AccountId::from_bits(1),
            title: "A film".into(),
            filename: "film.mp4".into(),
            size_bytes: bytes.len() as u64,
            expires_at: now + Duration::from_secs(60),
        };
        let limits = UploadLimits { max_size_bytes: u64::MAX, max_open: u32::MAX, max_total_bytes: u64::MAX };
        let size_bytes = new.size_bytes;
        self.catalog.create_upload(new, &limits, now).await.unwrap();
        let original = ObjectKey::Original { video };
        // The store may stumble: ingest would insist.
        while self.store.put(&original, bytes.clone()).await.is_err() {}
        if size_bytes > 0 {
            self.catalog.advance_upload(id, 0, size_bytes, now + Duration::from_secs(60)).await.unwrap();
        }
        self.catalog.complete_upload(id, now).await.unwrap();
        video
    }

    pub(crate) fn config(&self, transcoder: PathBuf) -> Config {
        Config {
            transcoder: Some(transcoder),
            slots: Some(1.try_into().unwrap()),
            lease_s: 3,
            scratch: Some(self.scratch()),
            ..Config::default()
        }
    }

    /// With leases that time does not end, and workers that do not ask whether they still have theirs.
    pub(crate) fn patient(&self, transcoder: PathBuf) -> Config {
        Config { lease_s: 6000, heartbeat: Duration::MAX, ..self.config(transcoder) }
    }

    pub(crate) fn scratch(&self) -> PathBuf {
        self.folder.path().join("scratch")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts a packager, which stops with the value.
    pub(crate) fn start(&self, config: Config) -> Running {
        self.start_on(self.catalog.clone(), config)
    }

    /// Starts a packager with its own view of the catalog.
    pub(crate) fn start_on(&self, catalog: Catalog, config: Config) -> Running {
        let packager = Packager::new(config, catalog, self.store.clone(), self.clock.clone());
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(packager.run(stop.clone()));
        Running { stop, tasks }
    }

    /// Runs a packager until `mark` is there, and ends it as a kill does: nothing is dropped or
    /// reported, since its runtime goes away.
    pub(crate) async fn killed_when(&self, config: Config, mark: PathBuf) {
        let dying = std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
                    let catalog = runtime.block_on(self.another_catalog());
                    let packager = Packager::new(config, catalog, self.store.clone(), self.clock.clone());
                    std::mem::forget(runtime.spawn(packager.run(Default::default())));
                    runtime
                })
                .join()
                .unwrap()
        });
        self.until_file(&mark).await;
        dying.shutdown_background();
    }

    /// A transcoder that is a shell script; `$REAL` in it stands for the real one.
    pub(crate) fn script(&self, script: &str) -> PathBuf {
        let path = self.folder.path().join("fake-transcoder");
        let script = script.replace("$REAL", transcoder().to_str().unwrap());
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        path
    }

    /// A transcoder that does `action` when its request matches a shell `pattern`, which may
    /// change the file `request` in the meantime, and then what the real one does.
    pub(crate) fn when(&self, pattern: &str, action: &str) -> PathBuf {
        self.script(&format!(
            r"head -c 8 > head
set -- $(od -An -tu4 head)
head -c $1 > request
case $(cat request) in {pattern}) {action} ;; esac
{{ cat head request; exec cat; }} | exec $REAL"
        ))
    }

    /// A transcoder that leaves a mark and does nothing more when its request matches.
    pub(crate) fn stalling(&self, pattern: &str) -> PathBuf {
        self.when(pattern, &format!("touch {}; exec sleep 1000", self.mark().display()))
    }

    /// What [`House::stalling`] leaves.
    pub(crate) fn mark(&self) -> PathBuf {
        self.folder.path().join("mark")
    }

    /// Waits until there is such a file.
    pub(crate) async fn until_file(&self, path: &Path) {
        let deadline = Instant::now() + DEADLINE;
        while !path.exists() {
            assert!(Instant::now() < deadline, "no {}", path.display());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn video(&self, id: VideoId) -> Video {
        self.catalog.video(id).await.unwrap().unwrap()
    }

    /// Waits until the video satisfies `holds`.
    pub(crate) async fn until(&self, id: VideoId, holds: impl Fn(&Video) -> bool) -> Video {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let video = self.video(id).await;
            if holds(&video) {
                return video;
            }
            assert!(Instant::now() < deadline, "last seen: {video:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn until_ready(&self, id: VideoId) -> VersionId {
        let ended =
            |video: &Video| matches!(video.state, VideoState::Ready { .. } | VideoState::Failed { .. });
        let video = self.until(id, ended).await;
        video.version().unwrap_or_else(|| panic!("{video:?}"))
    }

    /// Waits until the beginning of a version in the making plays.
    pub(crate) async fn until_playing(&self, id: VideoId) -> VersionId {
        self.until(id, |video| video.state.plays().is_some()).await.state.plays().unwrap()
    }

    /// Waits until a version in the making satisfies `holds`.
    pub(crate) async fn until_growing(&self, version: VersionId, holds: impl Fn(&GrowingIndex) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !self.catalog.growing(version).await.unwrap().is_some_and(|growing| holds(&growing)) {
            assert!(Instant::now() < deadline, "{:?}", self.catalog.growing(version).await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn until_failed(&self, id: VideoId) -> FailureReason {
        let ended =
            |video: &Video| matches!(video.state, VideoState::Ready { .. } | VideoState::Failed { .. });
        match self.until(id, ended).await.state {
            VideoState::Failed { reason, .. } => reason,
            state => panic!("{state:?}"),
        }
    }

    /// The index of the version that plays.
    pub(crate) async fn index(&self, video: VideoId) -> VersionIndex {
        let version = self.video(video).await.version().unwrap();
        let bytes = self.store.get(&ObjectKey::Index { video, version }).await.unwrap();
        VersionIndex::from_json(&bytes).unwrap()
    }

    /// Waits until the names in the bucket satisfy `holds`.
    pub(crate) async fn until_bucket(&self, holds: impl Fn(&[String]) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let bucket = self.bucket().await;
            if holds(&bucket) {
                return;
            }
            assert!(Instant::now() < deadline, "last seen: {bucket:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A transcoder that does nothing, and the file that will hold its process's number.
    pub(crate) fn idle(&self) -> (PathBuf, PathBuf) {
        let number = self.folder.path().join("number");
        let path = number.display();
        (self.script(&format!("echo $$ > {path}.new; mv {path}.new {path}; exec sleep 1000")), number)
    }

    /// The names of all objects, sorted.
    pub(crate) async fn bucket(&self) -> Vec<String> {
        let mut listed: Vec<Listed> = self.store.list("").try_collect().await.unwrap();
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        listed.into_iter().map(|object| object.name).collect()
    }
}

/// A packager at work.
pub(crate) struct Running {
    stop: CancellationToken,
    tasks: JoinSet<Result<(), PackagerError>>,
}

impl Running {
    /// Stops it as SIGTERM would, and waits for it.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(DEADLINE, self.tasks.join_next()).await;
        ended.expect("it stops").unwrap().unwrap().unwrap();
    }
}

pub(crate) fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

/// The real transcoder, beside the test's own program; built when a test runs alone.
pub(crate) fn transcoder() -> PathBuf {
    let deps = std::env::current_exe().unwrap();
    let path = deps.parent().and_then(Path::parent).unwrap().join("cocuyo-transcoder");
    if !path.exists() {
        let built =
            Command::new(env!("CARGO")).args(["build", "--quiet", "-p", "transcoder"]).status().unwrap();
        assert!(built.success());
    }
    path
}

/// Bars and a tone of our own making, 320 × 240 at 25 frames per second.
pub(crate) fn clip(seconds: u32) -> Vec<u8> {
    film("testsrc2=size=320x240:rate=25", "sine=sample_rate=44100", seconds)
}

/// What no encoder can make small.
pub(crate) fn noise(seconds: u32) -> Vec<u8> {
    film("testsrc2=size=320x240:rate=30,noise=alls=80:allf=t", "anoisesrc=sample_rate=48000", seconds)
}

fn film(picture: &str, sound: &str, seconds: u32) -> Vec<u8> {
    let inputs = format!("-f lavfi -i {picture} -f lavfi -i {sound} -ac 2 -t {seconds} -pix_fmt yuv420p");
    made_by(&format!("{inputs} -c:v libx264 -preset ultrafast -c:a aac -movflags +faststart"), "mp4")
}

/// What ffmpeg makes of these words, in a container.
pub(crate) fn made_by(words: &str, container: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("clip").with_extension(container);
    let made =
        Command::new("ffmpeg").args(["-v", "error"]).args(words.split(' ')).arg(&file).status().unwrap();
    assert!(made.success(), "{words}");
    std::fs::read(file).unwrap()
}
