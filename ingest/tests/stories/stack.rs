//! A door on a loopback port, and a client that sends exactly the bytes that a test wants.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use catalog::{Catalog, UploadLimits};
use database::testing::TestDatabase;
use database::{Database, sqlite_url};
use http::request::Parts;
use ingest::{Accounts, Config, Ingest, IngestError, Uploader};
use listener::{Doors, Listener, OnRuntime};
use model::{AccountId, Clock, ManualClock, ObjectKey, Timestamp, UploadId, VideoId};
use storage::{Folder, ObjectStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) const DEADLINE: Duration = Duration::from_secs(20);
pub(crate) const START: Timestamp = Timestamp::from_seconds(1_800_000_000);

/// Whoever says who they are is believed.
#[derive(Debug)]
struct Names(UploadLimits);

#[async_trait]
impl Accounts for Names {
    async fn signed_in(&self, request: &Parts) -> Result<Option<Uploader>, IngestError> {
        let name = request.headers.get("authorization").and_then(|value| value.to_str().ok());
        Ok(name.and_then(|name| {
            let (account, may_upload) = match name {
                "ana" => (1, true),
                "ben" => (2, true),
                "viewer" => (3, false),
                _ => return None,
            };
            Some(Uploader { account: AccountId::from_bits(account), limits: may_upload.then_some(self.0) })
        }))
    }
}

pub(crate) struct Setup {
    /// Where spool and objects lie, instead of a temporary folder.
    pub(crate) disk: Option<PathBuf>,
    pub(crate) config: Config,
    pub(crate) limits: UploadLimits,
    pub(crate) store: Option<Arc<dyn ObjectStore>>,
    pub(crate) spool: Option<PathBuf>,
}

impl Default for Setup {
    fn default() -> Self {
        let limits = UploadLimits { max_size_bytes: 1 << 30, max_open: 1000, max_total_bytes: 1 << 40 };
        let config = Config { keep_free_bytes: 0, ..Config::default() };
        Self { disk: None, config, limits, store: None, spool: None }
    }
}

/// One process with its disk.
pub(crate) struct Stack {
    pub(crate) ingest: Ingest,
    pub(crate) catalog: Catalog,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) spool: PathBuf,
    pub(crate) address: SocketAddr,
    folder: Arc<TempDir>,
    /// Where the rows are: what a configuration would say.
    database: String,
    stop: CancellationToken,
}

impl Stack {
    pub(crate) async fn start(test: &TestDatabase) -> Self {
        Self::with(test, Setup::default()).await
    }

    pub(crate) async fn with(test: &TestDatabase, setup: Setup) -> Self {
        Self::on(Arc::new(tempfile::tempdir().unwrap()), test.url().to_owned(), setup).await
    }

    /// Everything on this disk, the rows too.
    pub(crate) async fn on_disk(disk: PathBuf) -> Self {
        let database = sqlite_url(&disk.join("cocuyo.db"));
        let setup = Setup { disk: Some(disk), ..Setup::default() };
        Self::on(Arc::new(tempfile::tempdir().unwrap()), database, setup).await
    }

    /// Another process on the same disk.
    pub(crate) async fn restart(self, setup: Setup) -> Self {
        self.stop.cancel();
        Self::on(self.folder.clone(), self.database.clone(), setup).await
    }

    async fn on(folder: Arc<TempDir>, database: String, setup: Setup) -> Self {
        let data = setup.disk.unwrap_or_else(|| folder.path().to_owned());
        let opened = Database::open(&database).await.unwrap();
        let catalog = Catalog::open(opened).await.unwrap();
        let store = match setup.store {
            Some(store) => store,
            None => Arc::new(Folder::open(data.join("objects")).await.unwrap()),
        };
        let clock = Arc::new(ManualClock::at(START));
        let spool = setup.spool.unwrap_or_else(|| data.join("spool"));
        let accounts = Arc::new(Names(setup.limits));
        let ingest = Ingest::open(
            setup.config,
            spool.clone(),
            catalog.clone(),
            store.clone(),
            clock.clone() as Arc<dyn Clock>,
            accounts,
        )
        .await
        .unwrap();
        let listen = listener::Config {
            listen: ([127, 0, 0, 1], 0).into(),
            threads: std::num::NonZeroUsize::new(1),
            ..listener::Config::default()
        };
        let listener = Listener::bind(&listen).unwrap();
        let address = listener.address();
        let stop = CancellationToken::new();
        let door = OnRuntime::new(ingest.clone(), tokio::runtime::Handle::current());
        TaskTracker::new().spawn(listener.run(Doors::new([Arc::new(door) as _]), stop.clone()));
        Self { ingest, catalog, store, clock, spool, address, folder, database, stop }
    }

    /// Sends one request and reads its answer.
    pub(crate) async fn send(&self, request: Request<'_>) -> Answer {
        let mut connection = self.open(&request).await;
        connection.answer().await
    }

    /// Sends a request and leaves the connection open.
    pub(crate) async fn open(&self, request: &Request<'_>) -> Connection {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.head().as_bytes()).await.unwrap();
        // A refusal may come, and the connection end, before all is written.
        let _ = stream.write_all(request.body).await;
        Connection { stream }
    }

    /// A new upload of `size` bytes by ana.
    pub(crate) async fn create(&self, size: u64) -> Created {
        let answer = self.send(post().with("Upload-Length", size)).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        Created::of(&answer)
    }

    pub(crate) async fn offset(&self, upload: &Created) -> u64 {
        let answer = self.send(head(&upload.path)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.field("cache-control"), "no-store");
        answer.offset()
    }

    /// The names of all objects.
    pub(crate) async fn objects(&self) -> Vec<String> {
        use futures::TryStreamExt;
        self.store.list("").map_ok(|listed| listed.name).try_collect().await.unwrap()
    }

    pub(crate) fn spooled(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.spool).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// Bytes of the upload that have reached the disk.
    pub(crate) fn spooled_bytes(&self, upload: &Created) -> u64 {
        std::fs::metadata(self.spool.join(upload.id.to_string())).map_or(0, |file| file.len())
    }

    pub(crate) async fn original(&self, upload: &Created) -> Vec<u8> {
        self.store.get(&upload.key()).await.unwrap().to_vec()
    }

    /// How much of the object is there, asked until the store answers.
    pub(crate) async fn original_if_there(&self, upload: &Created) -> u64 {
        self.store.size(&upload.key()).await.ok().flatten().unwrap_or(0)
    }

    pub(crate) async fn state(&self, upload: &Created) -> &'static str {
        self.catalog.video(upload.video).await.unwrap().map_or("absent", |video| video.state.as_str())
    }

    /// Waits until `seen` is as `wanted`.
    pub(crate) async fn until<T: PartialEq + std::fmt::Debug>(&self, wanted: T, seen: impl AsyncFn() -> T) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let last = seen().await;
            if last == wanted {
                return;
            }
            assert!(Instant::now() < deadline, "last seen {last:?}, wanted {wanted:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// An upload as its creation told of it.
#[derive(Debug, Clone)]
pub(crate) struct Created {
    pub(crate) path: String,
    pub(crate) id: UploadId,
    pub(crate) video: VideoId,
}

impl Created {
    pub(crate) fn of(answer: &Answer) -> Self {
        let path = answer.field("location").to_owned();
        let id = path.strip_prefix("/api/v1/uploads/").unwrap().parse().unwrap();
        Self { path, id, video: answer.field("cocuyo-video-id").parse().unwrap() }
    }

    pub(crate) fn key(&self) -> ObjectKey {
        ObjectKey::Original { video: self.video }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Request<'a> {
    method: &'static str,
    path: String,
    fields: Vec<(&'static str, String)>,
    /// `None` sends the body's own length.
    length: Option<Length>,
    body: &'a [u8],
}

#[derive(Debug, Clone, Copy)]
enum Length {
    Announced(usize),
    Chunked,
}

pub(crate) fn request(method: &'static str, path: &str) -> Request<'static> {
    Request { method, path: path.to_owned(), fields: Vec::new(), length: None, body: b"" }
        .with("Tus-Resumable", "1.0.0")
        .with("Authorization", "ana")
}

pub(crate) fn post() -> Request<'static> {
    request("POST", "/api/v1/uploads")
}

pub(crate) fn head(path: &str) -> Request<'static> {
    request("HEAD", path)
}

pub(crate) fn patch<'a>(path: &str, offset: u64, body: &'a [u8]) -> Request<'a> {
    request("PATCH", path)
        .with("Content-Type", "application/offset+octet-stream")
        .with("Upload-Offset", offset)
        .bytes(body)
}

impl<'a> Request<'a> {
    /// Sets a field; an earlier value goes.
    pub(crate) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self = self.without(name);
        self.fields.push((name, value.to_string()));
        self
    }

    pub(crate) fn without(mut self, name: &'static str) -> Self {
        self.fields.retain(|(known, _)| *known != name);
        self
    }

    pub(crate) fn by(self, name: &str) -> Self {
        self.with("Authorization", name)
    }

    pub(crate) fn bytes<'b>(self, body: &'b [u8]) -> Request<'b> {
        Request { method: self.method, path: self.path, fields: self.fields, length: self.length, body }
    }

    /// Says that the body has `length` bytes, whatever is sent.
    pub(crate) fn announcing(self, length: usize) -> Self {
        Self { length: Some(Length::Announced(length)), ..self }
    }

    /// Says nothing of the length; the body is framed already.
    pub(crate) fn chunked(self) -> Self {
        Self { length: Some(Length::Chunked), ..self }
    }

    pub(crate) fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    fn head(&self) -> String {
        let mut head =
            format!("{} {} HTTP/1.1\r\nHost: cocuyo.test\r\nConnection: close\r\n", self.method, self.path);
        for (name, value) in &self.fields {
            head += &format!("{name}: {value}\r\n");
        }
        match self.length {
            Some(Length::Chunked) => head += "Transfer-Encoding: chunked\r\n",
            Some(Length::Announced(length)) => head += &format!("Content-Length: {length}\r\n"),
            None => head += &format!("Content-Length: {}\r\n", self.body.len()),
        }
        head + "\r\n"
    }
}

/// `pieces` as chunks (RFC 9112 §7.1).
pub(crate) fn chunks(pieces: &[&[u8]]) -> Vec<u8> {
    let mut framed = Vec::new();
    for piece in pieces.iter().chain([&&b""[..]]) {
        framed.extend(format!("{:x}\r\n", piece.len()).bytes());
        framed.extend(*piece);
        framed.extend(b"\r\n");
    }
    framed
}

pub(crate) struct Connection {
    stream: TcpStream,
}

impl Connection {
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Reads the answer and the end of the connection.
    pub(crate) async fn answer(&mut self) -> Answer {
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(DEADLINE, self.stream.read_to_end(&mut bytes)).await;
        let text = String::from_utf8_lossy(&bytes);
        assert!(read.is_ok(), "no end of {text:?}");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer in {text:?}"));
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let fields = lines.filter_map(|line| line.split_once(": "));
        let fields = fields.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        Answer { status, fields, body: body.to_owned() }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    fields: HashMap<String, String>,
    pub(crate) body: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.get(name).unwrap_or_else(|| panic!("no `{name}` in {self:?}"))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    #[track_caller]
    pub(crate) fn offset(&self) -> u64 {
        self.field("upload-offset").parse().unwrap()
    }
}

/// Bytes of which no two stretches are alike.
pub(crate) fn media(size: usize) -> Vec<u8> {
    (0..size as u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}
