//! Connections that hyper serves, over a pipe, with time that stands still while somebody works.

use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;
use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::Instant;

use super::*;
use crate::body::full;
use crate::door::Door;
use crate::under_way::RECHECK;

/// `/long` is four megabytes, which end when they are withdrawn; everything else is short.
#[derive(Clone, Default)]
struct Withdrawing(Arc<AtomicBool>);

impl Door for Withdrawing {
    fn name(&self) -> &'static str {
        "withdrawing"
    }

    fn takes(&self, _: &Method, _: &str) -> bool {
        true
    }

    fn serve(&self, request: Request<Incoming>) -> BoxFuture<'static, Response<Body>> {
        let withdrawn = Arc::clone(&self.0);
        let watch = move || if withdrawn.load(Ordering::Relaxed) { Err("withdrawn".into()) } else { Ok(()) };
        let body = match request.uri().path() {
            "/long" => full(vec![7; 4 << 20]).watched(watch),
            _ => full("short").watched(watch),
        };
        std::future::ready(Response::new(body)).boxed()
    }
}

fn wire() -> (DuplexStream, DuplexStream, Withdrawing, Arc<Terms>) {
    let (client, server) = tokio::io::duplex(4096);
    let door = Withdrawing::default();
    let terms = Terms {
        doors: Doors::new([Arc::new(door.clone()) as Arc<dyn Door>]),
        header_timeout: Duration::from_secs(3600),
        floor: Floor { bytes_per_s: 0, window: Duration::from_secs(120) },
        proxies: Vec::new(),
        told: CancellationToken::new(),
        dropped: CancellationToken::new(),
        tracker: TaskTracker::new(),
    };
    (client, server, door, Arc::new(terms))
}

const PEER: Peer = Peer(SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1));

#[tokio::test(start_paused = true)]
async fn a_body_that_nobody_takes_ends_its_connection_when_its_right_does() {
    let (mut client, server, door, terms) = wire();
    let mut ended = TaskTracker::new().spawn(serve_by_hyper(server, PEER, None, terms));
    client.write_all(b"GET /long HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    client.read_exact(&mut [0; 1000]).await.unwrap();
    // Five minutes without a byte taken; then the right goes.
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert!(!ended.is_finished());
    door.0.store(true, Ordering::Relaxed);
    let began = Instant::now();
    assert_eq!((&mut ended).await.unwrap(), Ended::Finished);
    assert!(began.elapsed() <= RECHECK, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_nobody_takes_ends_alone_when_its_right_does() {
    let (client, server, door, terms) = wire();
    let tracker = TaskTracker::new();
    let connection = tracker.spawn(serve_http2(server, PEER, terms));
    // The stream's window will be shut, and not the connection's.
    let mut builder = h2::client::Builder::new();
    let (sender, driver) =
        builder.initial_connection_window_size(1 << 20).handshake::<_, Bytes>(client).await.unwrap();
    tracker.spawn(driver);
    let get = |path: &str| Request::get(format!("https://x{path}")).body(()).unwrap();
    let (answer, _) = sender.clone().ready().await.unwrap().send_request(get("/long"), true).unwrap();
    let mut body = answer.await.unwrap().into_body();
    // What the window lets through; then it stays shut.
    let mut taken = 0;
    while taken < 65_535 {
        taken += body.data().await.unwrap().unwrap().len();
    }
    tokio::time::sleep(Duration::from_secs(300)).await;
    door.0.store(true, Ordering::Relaxed);
    let began = Instant::now();
    let error = body.data().await.unwrap().unwrap_err();
    assert_eq!(error.reason(), Some(h2::Reason::CANCEL));
    assert!(began.elapsed() <= RECHECK, "{:?}", began.elapsed());

    // The others of the connection go on.
    door.0.store(false, Ordering::Relaxed);
    let (answer, _) = sender.clone().ready().await.unwrap().send_request(get("/short"), true).unwrap();
    let mut body = answer.await.unwrap().into_body();
    assert_eq!(body.data().await.unwrap().unwrap(), "short");
    assert!(!connection.is_finished());
}
