//! A listener with a door that behaves as its paths say, and helpers for clients.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use listener::{Body, Config, Departure, Door, Doors, Drained, Listener, ListenerError, Peer, full, sized};
use prometheus_client::registry::Registry;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// As long as a segment of 1080p.
pub(crate) const LARGE: usize = 2 << 20;

/// Behaves as its path says.
pub(crate) struct Fixture {
    /// Lets `/slow` send its second half.
    go_on: Arc<Semaphore>,
    /// What `/upload` saw of its body.
    uploads: mpsc::UnboundedSender<(String, Result<usize, String>)>,
}

impl Door for Fixture {
    fn name(&self) -> &'static str {
        "fixture"
    }

    fn takes(&self, _: &Method, path: &str) -> bool {
        path != "/nobody"
    }

    fn serve(&self, request: Request<Incoming>) -> BoxFuture<'static, Response<Body>> {
        let go_on = Arc::clone(&self.go_on);
        let uploads = self.uploads.clone();
        match request.uri().path() {
            "/panic" => panic!("as asked"),
            "/panic-later" => async { panic!("as asked") }.boxed(),
            "/slow" => {
                let halves = futures::stream::iter(0..2).then(move |half| {
                    let go_on = Arc::clone(&go_on);
                    async move {
                        if half == 1 {
                            go_on.acquire().await.unwrap().forget();
                        }
                        Ok(Bytes::from_static(b"half "))
                    }
                });
                async { Response::new(sized(10, halves)) }.boxed()
            }
            "/held" => async move {
                uploads.send(("held".to_owned(), Ok(0))).unwrap();
                let _tells_when_let_go = Ended(uploads);
                let departure = async {
                    match request.extensions().get::<Departure>() {
                        Some(departure) => departure.happens().await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = departure => Response::new(full("departed")),
                    permit = go_on.acquire() => {
                        permit.unwrap().forget();
                        Response::new(full("came"))
                    }
                }
            }
            .boxed(),
            "/peer" => {
                let Peer(peer) = *request.extensions().get().unwrap();
                async move { Response::new(full(peer.to_string())) }.boxed()
            }
            "/host" => {
                let host =
                    request.headers().get("host").map_or("none", |host| host.to_str().unwrap()).to_owned();
                async move { Response::new(full(host)) }.boxed()
            }
            "/large" => async { Response::new(full(vec![7; LARGE])) }.boxed(),
            "/endless" => {
                let ended = Ended(uploads);
                let pieces = futures::stream::repeat_with(move || {
                    let _lives_as_long_as_the_body = &ended;
                    Ok(Bytes::from_static(&[0; 65536]))
                });
                async { Response::new(sized(1 << 60, pieces)) }.boxed()
            }
            "/short" => {
                let piece = futures::stream::iter([Ok(Bytes::from_static(b"half "))]);
                async { Response::new(sized(10, piece)) }.boxed()
            }
            "/upload" => async move {
                let thread = std::thread::current().name().unwrap_or_default().to_owned();
                let body = request.into_body().collect().await;
                let seen = body.map(|body| body.to_bytes().len()).map_err(|error| error.to_string());
                uploads.send((thread, seen)).unwrap();
                Response::new(full("stored"))
            }
            .boxed(),
            _ => async { Response::new(full("hello")) }.boxed(),
        }
    }
}

/// Tells when it is dropped.
struct Ended(mpsc::UnboundedSender<(String, Result<usize, String>)>);

impl Drop for Ended {
    fn drop(&mut self) {
        // The test may be over.
        let _told_or_over = self.0.send(("ended".to_owned(), Ok(0)));
    }
}

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) https: Option<SocketAddr>,
    pub(crate) stop: CancellationToken,
    pub(crate) go_on: Arc<Semaphore>,
    pub(crate) uploads: mpsc::UnboundedReceiver<(String, Result<usize, String>)>,
    pub(crate) run: JoinHandle<Result<Drained, ListenerError>>,
    metrics: Registry,
}

pub(crate) fn start(change: impl FnOnce(&mut Config)) -> Running {
    start_with(change, |door| Arc::new(door))
}

pub(crate) fn start_with(
    change: impl FnOnce(&mut Config),
    wrap: impl FnOnce(Fixture) -> Arc<dyn Door>,
) -> Running {
    start_on(change, wrap, |listener| listener)
}

pub(crate) fn start_on(
    change: impl FnOnce(&mut Config),
    wrap: impl FnOnce(Fixture) -> Arc<dyn Door>,
    more: impl FnOnce(Listener) -> Listener,
) -> Running {
    let mut config = Config { listen: ([127, 0, 0, 1], 0).into(), ..Config::default() };
    change(&mut config);
    let (sender, uploads) = mpsc::unbounded_channel();
    let go_on = Arc::new(Semaphore::new(0));
    let door = wrap(Fixture { go_on: Arc::clone(&go_on), uploads: sender });
    let listener = more(Listener::bind(&config).unwrap());
    let (address, https) = (listener.address(), listener.https_address());
    let stop = CancellationToken::new();
    let (doors, mut metrics) = (Doors::new([door]), Registry::default());
    doors.register(&mut metrics);
    let run = TaskTracker::new().spawn(listener.run(doors, stop.clone()));
    Running { address, https, stop, go_on, uploads, run, metrics }
}

impl Running {
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// The value of this metric, which has a line once something was counted.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.metrics).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.map_or(0, |value| value.trim().parse().unwrap())
    }
}

pub(crate) async fn send(stream: &mut (impl AsyncWrite + Unpin), text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

/// Everything until the server closes; a reset counts as the end.
pub(crate) async fn read_to_end(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut bytes)).await;
    assert!(read.is_ok(), "still open; read {:?}", String::from_utf8_lossy(&bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

pub(crate) async fn read_until(stream: &mut (impl AsyncRead + Unpin), end: &str) -> String {
    let mut text = String::new();
    let read = async {
        while !text.ends_with(end) {
            text.push(char::from(stream.read_u8().await.unwrap()));
        }
    };
    let read = tokio::time::timeout(DEADLINE, read).await;
    assert!(read.is_ok(), "no {end:?} in {text:?}");
    text
}

pub(crate) const CLOSE: &str = "host: x\r\nconnection: close\r\n\r\n";

impl Running {
    /// Waits for the next word of a door, and expects this one.
    pub(crate) async fn told(&mut self, expected: &str) {
        let told = tokio::time::timeout(DEADLINE, self.uploads.recv()).await;
        assert_eq!(told.unwrap_or_else(|_| panic!("not {expected}")).unwrap().0, expected);
    }
}
