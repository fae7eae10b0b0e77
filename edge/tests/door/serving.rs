//! A running edge and a client that sends exactly what it is told.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use edge::{Config, Edge, LiveSource};
use listener::{Door, Doors, Listener};
use model::{Grant, ManualClock};
use storage::{Folder, Memory, ObjectStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::event::Stage;
use crate::film::{Film, VERSION, VIDEO};
use crate::origin::{NOW, Said, Signer};
use crate::watched::Watched;

const DEADLINE: Duration = Duration::from_secs(10);

pub(crate) struct Serving<S = Memory> {
    pub(crate) address: SocketAddr,
    pub(crate) edge: Edge,
    pub(crate) store: Arc<Watched<S>>,
    pub(crate) film: Film,
    pub(crate) signer: Signer,
    pub(crate) said: Said,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) stop: CancellationToken,
    _stopped_at_the_end: DropGuard,
}

impl Serving {
    /// The film, gated, out of memory.
    pub(crate) async fn start() -> Self {
        Self::over(Memory::default(), Config::default()).await
    }

    /// The same, and a live event.
    pub(crate) async fn with_event(stage: Arc<Stage>) -> Self {
        let this = Self::with(Memory::default(), Config::default(), Some(stage)).await;
        this.edge.refresh().await.unwrap();
        this
    }
}

impl Serving<Folder> {
    pub(crate) async fn start_in(folder: &std::path::Path) -> Self {
        Self::over(Folder::open(folder).await.unwrap(), Config::default()).await
    }
}

impl<S: ObjectStore> Serving<S> {
    pub(crate) async fn over(store: S, config: Config) -> Self {
        let this = Self::without_origin(store, config).await;
        this.edge.refresh().await.unwrap();
        this
    }

    /// An edge that has not yet heard from its origin.
    pub(crate) async fn without_origin(store: S, config: Config) -> Self {
        Self::with(store, config, None).await
    }

    async fn with(store: S, config: Config, stage: Option<Arc<Stage>>) -> Self {
        let film = Film::new();
        let store = Arc::new(Watched::new(store));
        film.store(&*store).await;
        let signer = Signer::new("k1");
        let said = Said::new(&[&signer]);
        let clock = Arc::new(ManualClock::at(NOW));
        let edge = Edge::new(
            config,
            Arc::clone(&store) as Arc<dyn ObjectStore>,
            Arc::new(said.clone()),
            stage.map(|stage| stage as Arc<dyn LiveSource>),
            Arc::clone(&clock) as Arc<dyn model::Clock>,
        );
        let listen = listener::Config { listen: ([127, 0, 0, 1], 0).into(), ..listener::Config::default() };
        let listener = Listener::bind(&listen).unwrap();
        let address = listener.address();
        let stop = CancellationToken::new();
        let doors = Doors::new([Arc::new(edge.clone()) as Arc<dyn Door>]);
        TaskTracker::new().spawn(listener.run(doors, stop.clone()));
        let guard = stop.clone().drop_guard();
        Self { address, edge, store, film, signer, said, clock, stop, _stopped_at_the_end: guard }
    }

    /// The header that carries this grant.
    pub(crate) fn bearer(&self, grant: &Grant) -> String {
        format!("authorization: Bearer {}", self.signer.token(grant))
    }

    pub(crate) async fn get(&self, path: &str, headers: &[&str]) -> Answer {
        self.ask("GET", path, headers).await
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &[&str]) -> Answer {
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: edge\r\nconnection: close\r\n");
        for header in headers {
            request.push_str(header);
            request.push_str("\r\n");
        }
        self.exchange(&(request + "\r\n")).await
    }

    /// Sends a request that ends its connection, as it is.
    pub(crate) async fn exchange(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // What is too long is refused while it is still being sent.
        let _refused_early = stream.write_all(request.as_bytes()).await;
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut bytes)).await;
        let read = read.unwrap_or_else(|_| panic!("{request:.200}: no end after {} bytes", bytes.len()));
        // A cut connection is a reset on some paths and an end on others.
        let _cut_or_ended = read;
        Answer::parse(&bytes)
    }
}

/// The path of a part of the film.
pub(crate) fn path(name: &str) -> String {
    format!("/v/{VIDEO}/{VERSION}/{name}")
}

#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or_else(|| {
            panic!("no head in {:?}", String::from_utf8_lossy(bytes));
        });
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = HashMap::new();
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            let twice = headers.insert(name.to_owned(), value.to_owned());
            assert_eq!(twice, None, "{name} stands twice");
        }
        Self { status, headers, body: bytes[end + 4..].to_vec() }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}
