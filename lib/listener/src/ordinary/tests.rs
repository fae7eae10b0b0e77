//! The loop over a pipe, with time that stands still while somebody works.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;
use http::Request;
use hyper::body::Incoming;
use tokio::io::DuplexStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::*;
use crate::body::{empty, full};
use crate::door::{Bodiless, Door, Doors};
use crate::pace::Floor;

/// Tells the path that was asked for; `/long` is two megabytes, which end when they are `withdrawn`;
/// `/never` has no answer.
#[derive(Clone, Default)]
struct Telling {
    withdrawn: Arc<AtomicBool>,
}

impl Door for Telling {
    fn name(&self) -> &'static str {
        "telling"
    }

    fn takes(&self, _: &Method, path: &str) -> bool {
        path != "/elsewhere"
    }

    fn serve(&self, _: Request<Incoming>) -> BoxFuture<'static, Response<Body>> {
        std::future::ready(Response::new(empty())).boxed()
    }

    fn without_body(&self) -> Option<&dyn Bodiless> {
        Some(self)
    }
}

impl Bodiless for Telling {
    fn answer(&self, request: Parts) -> BoxFuture<'static, Response<Body>> {
        let withdrawn = Arc::clone(&self.withdrawn);
        async move {
            let path = request.uri.path().to_owned();
            match path.as_str() {
                "/long" => Response::new(full(vec![b'x'; 2 << 20]).watched(move || {
                    if withdrawn.load(Ordering::Relaxed) { Err("withdrawn".into()) } else { Ok(()) }
                })),
                "/never" => std::future::pending().await,
                _ => Response::new(full(path)),
            }
        }
        .boxed()
    }
}

struct Served {
    client: DuplexStream,
    left: tokio::task::JoinHandle<String>,
    door: Telling,
    told: CancellationToken,
}

/// A connection on which a client that hangs up has gone.
fn serve() -> Served {
    let (client, server) = tokio::io::duplex(4096);
    let (door, told) = (Telling::default(), CancellationToken::new());
    let terms = Terms {
        doors: Doors::new([Arc::new(door.clone()) as Arc<dyn Door>]),
        header_timeout: Duration::from_secs(30),
        floor: Floor { bytes_per_s: 0, window: Duration::from_secs(120) },
        proxies: Vec::new(),
        told: told.clone(),
        dropped: CancellationToken::new(),
        tracker: TaskTracker::new(),
    };
    let left = async move {
        let peer = Peer(([192, 0, 2, 1], 1).into());
        match super::serve(server, peer, None, &terms).await {
            Left::Over => "over".to_owned(),
            Left::Dropped => "dropped".to_owned(),
            Left::Unusual(_, unread) => String::from_utf8_lossy(&unread).into_owned(),
        }
    };
    Served { client, left: TaskTracker::new().spawn(left), door, told }
}

impl Served {
    async fn ask(&mut self, text: &str) {
        self.client.write_all(text.as_bytes()).await.unwrap();
    }

    /// What comes until there is an answer that ends in `end`.
    async fn until(&mut self, end: &str) -> String {
        let mut told = String::new();
        while !told.ends_with(end) {
            let mut byte = [0];
            self.client.read_exact(&mut byte).await.unwrap();
            told.push(char::from(byte[0]));
        }
        told
    }

    /// Everything that still comes, and how it ended on the other side.
    async fn rest(mut self) -> (String, String) {
        let mut rest = Vec::new();
        self.client.read_to_end(&mut rest).await.unwrap();
        (String::from_utf8_lossy(&rest).into_owned(), self.left.await.unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn requests_are_answered_in_their_order() {
    let mut served = serve();
    served.ask("GET /a HTTP/1.1\r\nHost: h\r\n\r\nHEAD /bcd HTTP/1.1\r\nHost: h\r\n\r\nGET /e").await;
    let first = served.until("/a").await;
    assert!(first.starts_with("HTTP/1.1 200 OK\r\n") && first.contains("content-length: 2\r\n"), "{first}");
    let second = served.until("\r\n\r\n").await;
    assert!(second.contains("content-length: 4\r\n"), "{second}");
    served.ask(" HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(served.until("/e").await.contains("content-length: 2\r\n"));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_ordinary_is_handed_on_as_it_came() {
    let post = "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx";
    let mut served = serve();
    served.ask(&format!("GET /a HTTP/1.1\r\nHost: h\r\n\r\n{post}")).await;
    assert!(served.until("/a").await.contains("200 OK"));
    assert_eq!(served.left.await.unwrap(), post);
    let elsewhere = "GET /elsewhere HTTP/1.1\r\nHost: h\r\n\r\n";
    let mut served = serve();
    served.ask(elsewhere).await;
    assert_eq!(served.left.await.unwrap(), elsewhere, "no door takes it");
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_is_let_go_and_who_says_half_is_told() {
    let began = Instant::now();
    let (told, left) = serve().rest().await;
    assert_eq!((told.as_str(), left.as_str(), began.elapsed().as_secs()), ("", "over", 30));
    let mut served = serve();
    served.ask("GET /a HTTP/1.1\r\n").await;
    let (told, left) = served.rest().await;
    assert!(told.starts_with("HTTP/1.1 408 "), "{told}");
    assert_eq!(left, "over");
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_who_is_idle_and_answers_who_has_asked() {
    let served = serve();
    served.told.cancel();
    assert_eq!(served.rest().await, (String::new(), "over".to_owned()));
    let mut served = serve();
    served.ask("GET /a HTTP/1.1\r\nHost: h\r\n").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    served.told.cancel();
    served.ask("\r\n").await;
    let (told, _) = served.rest().await;
    assert!(told.contains("connection: close\r\n") && told.ends_with("/a"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn who_hangs_up_is_waited_for_no_longer() {
    let mut served = serve();
    served.ask("GET /never HTTP/1.1\r\nHost: h\r\n\r\n").await;
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert!(!served.left.is_finished());
    drop(served.client);
    assert_eq!(served.left.await.unwrap(), "over");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_nobody_takes_ends_when_its_right_does() {
    let mut served = serve();
    served.ask("GET /long HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let head = served.until("\r\n\r\n").await;
    assert!(head.contains("content-length: 2097152\r\n"), "{head}");
    // Five minutes without a byte taken; then the right goes.
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert!(!served.left.is_finished());
    served.door.withdrawn.store(true, Ordering::Relaxed);
    let began = Instant::now();
    assert_eq!((&mut served.left).await.unwrap(), "over");
    assert!(began.elapsed() <= RECHECK, "{:?}", began.elapsed());
}
