//! The listener from outside: real sockets, raw bytes.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use listener::{
    Body, Config, Departure, Door, Doors, Drained, Listener, ListenerError, OnRuntime, full, sized,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const DEADLINE: Duration = Duration::from_secs(10);

/// Behaves as its path says.
struct Fixture {
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
                let departure: &Departure = request.extensions().get().unwrap();
                tokio::select! {
                    () = departure.happens() => Response::new(full("departed")),
                    permit = go_on.acquire() => {
                        permit.unwrap().forget();
                        Response::new(full("came"))
                    }
                }
            }
            .boxed(),
            "/endless" => {
                let ended = Ended(uploads);
                let pieces = futures::stream::repeat_with(move || {
                    let _lives_as_long_as_the_body = &ended;
                    Ok(Bytes::from_static(&[0; 65536]))
                });
                async { Response::new(sized(u64::MAX, pieces)) }.boxed()
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

struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    go_on: Arc<Semaphore>,
    uploads: mpsc::UnboundedReceiver<(String, Result<usize, String>)>,
    run: JoinHandle<Result<Drained, ListenerError>>,
}

fn start(change: impl FnOnce(&mut Config)) -> Running {
    start_with(change, |door| Arc::new(door))
}

fn start_with(change: impl FnOnce(&mut Config), wrap: impl FnOnce(Fixture) -> Arc<dyn Door>) -> Running {
    let mut config = Config { listen: ([127, 0, 0, 1], 0).into(), ..Config::default() };
    change(&mut config);
    let (sender, uploads) = mpsc::unbounded_channel();
    let go_on = Arc::new(Semaphore::new(0));
    let door = wrap(Fixture { go_on: Arc::clone(&go_on), uploads: sender });
    let listener = Listener::bind(&config).unwrap();
    let address = listener.address();
    let stop = CancellationToken::new();
    let run = TaskTracker::new().spawn(listener.run(Doors::new([door]), stop.clone()));
    Running { address, stop, go_on, uploads, run }
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

async fn send(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

/// Everything until the server closes; a reset counts as the end.
async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut bytes)).await;
    assert!(read.is_ok(), "still open; read {:?}", String::from_utf8_lossy(&bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn read_until(stream: &mut TcpStream, end: &str) -> String {
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

const CLOSE: &str = "host: x\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn a_head_that_trickles_and_a_connection_that_idles_are_closed() {
    let running = start(|config| config.header_timeout_s = 1.try_into().unwrap());
    let mut slow = running.connect().await;
    send(&mut slow, "GET / HTTP/1.1\r\nhost: x\r\nx-slow: ").await;
    let mut idle = running.connect().await;
    send(&mut idle, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut silent = running.connect().await;
    let (slow, idle, silent) =
        tokio::join!(read_to_end(&mut slow), read_to_end(&mut idle), read_to_end(&mut silent));
    assert!(!slow.contains("200 OK"), "{slow}");
    assert!(idle.ends_with("hello"), "{idle}");
    assert_eq!(silent, "");
}

#[tokio::test]
async fn a_head_of_100_000_bytes_is_refused() {
    let running = start(|_| ());
    let mut client = running.connect().await;
    let head = format!("GET / HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "a".repeat(100_000));
    // The server may answer and close before it has read everything.
    let _refused_early = client.write_all(head.as_bytes()).await;
    let mut first = [0; 12];
    client.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 431");
}

#[tokio::test]
async fn a_panic_is_a_500_and_the_process_lives() {
    let running = start(|_| ());
    for path in ["/panic", "/panic-later"] {
        let mut client = running.connect().await;
        send(&mut client, &format!("GET {path} HTTP/1.1\r\n{CLOSE}")).await;
        let answer = read_to_end(&mut client).await;
        assert!(answer.starts_with("HTTP/1.1 500"), "{answer}");
        assert!(answer.contains("application/problem+json") && !answer.contains("as asked"), "{answer}");
    }
    let mut client = running.connect().await;
    send(&mut client, &format!("GET / HTTP/1.1\r\n{CLOSE}")).await;
    assert!(read_to_end(&mut client).await.ends_with("hello"));
}

#[tokio::test]
async fn what_no_door_takes_is_absent_and_every_answer_is_guarded() {
    let running = start(|_| ());
    let mut client = running.connect().await;
    send(&mut client, &format!("GET /nobody HTTP/1.1\r\naccept-language: en\r\n{CLOSE}")).await;
    let answer = read_to_end(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    for header in ["x-content-type-options: nosniff", "referrer-policy: same-origin", "content-language: en"]
    {
        assert!(answer.contains(header), "no {header} in {answer}");
    }
}

#[tokio::test]
async fn a_client_that_closed_its_half_still_reads_its_answer() {
    let running = start(|_| ());
    let mut client = running.connect().await;
    send(&mut client, "GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await;
    client.shutdown().await.unwrap();
    running.go_on.add_permits(1);
    assert!(read_to_end(&mut client).await.ends_with("half half "));
}

#[tokio::test]
async fn whoever_keeps_a_request_waiting_learns_that_its_client_hung_up() {
    let running = start(|_| ());
    let mut client = running.connect().await;
    send(&mut client, "GET /held HTTP/1.1\r\nhost: x\r\n\r\n").await;
    client.shutdown().await.unwrap();
    assert!(read_to_end(&mut client).await.ends_with("departed"));

    // Who has sent the next request already is still there.
    let mut client = running.connect().await;
    send(&mut client, "GET /held HTTP/1.1\r\nhost: x\r\n\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    running.go_on.add_permits(1);
    read_until(&mut client, "came").await;
    read_until(&mut client, "hello").await;
}

#[tokio::test]
async fn a_body_that_ends_early_cuts_the_connection() {
    let running = start(|_| ());
    let mut client = running.connect().await;
    send(&mut client, "GET /short HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let answer = read_to_end(&mut client).await;
    assert!(answer.is_empty() || answer.contains("content-length: 10"), "{answer}");
    assert!(!answer.ends_with("half half "), "{answer}");
}

#[tokio::test]
async fn a_drain_finishes_the_answer_under_way_and_takes_no_new_one() {
    let running = start(|_| ());
    let mut client = running.connect().await;
    send(&mut client, "GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await;
    read_until(&mut client, "half ").await;
    let mut idle = running.connect().await;
    send(&mut idle, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    read_until(&mut idle, "hello").await;

    running.stop.cancel();
    assert_eq!(read_to_end(&mut idle).await, "");
    let refused = async {
        while TcpStream::connect(running.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, refused).await.expect("the port is closed");
    running.go_on.add_permits(1);
    assert_eq!(read_to_end(&mut client).await, "half ");
    assert_eq!(running.run.await.unwrap().unwrap(), Drained { dropped: 0 });
}

#[tokio::test]
async fn a_drain_cuts_what_does_not_end_in_time() {
    let running = start(|config| config.drain_s = 0);
    let mut client = running.connect().await;
    send(&mut client, "GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await;
    read_until(&mut client, "half ").await;
    running.stop.cancel();
    assert_eq!(read_to_end(&mut client).await, "");
    assert_eq!(running.run.await.unwrap().unwrap(), Drained { dropped: 1 });
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_let_go() {
    let mut running = start(|config| config.stall_timeout_s = 1.try_into().unwrap());
    let mut client = running.connect().await;
    send(&mut client, "GET /endless HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let ended = tokio::time::timeout(DEADLINE, running.uploads.recv()).await;
    assert!(ended.is_ok(), "the body is still being sent");
}

#[tokio::test]
async fn over_the_limit_a_connection_waits_for_a_seat() {
    let running = start(|config| {
        config.max_connections = 1.try_into().unwrap();
        config.threads = Some(1.try_into().unwrap());
    });
    let mut first = running.connect().await;
    send(&mut first, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    read_until(&mut first, "hello").await;
    let mut second = running.connect().await;
    send(&mut second, &format!("GET / HTTP/1.1\r\n{CLOSE}")).await;
    let early = tokio::time::timeout(Duration::from_millis(100), second.read_u8()).await;
    assert!(early.is_err(), "answered although the only seat is taken");
    drop(first);
    assert!(read_to_end(&mut second).await.ends_with("hello"));
}

#[test]
fn behind_another_runtime_an_upload_is_read_to_its_end_even_if_its_client_goes() {
    let other =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("other").build().unwrap();
    let handle = other.handle().clone();
    let here = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    here.block_on(async {
        let mut running = start_with(|_| (), |door| Arc::new(OnRuntime::new(door, handle)));
        let mut client = running.connect().await;
        send(&mut client, &format!("POST /upload HTTP/1.1\r\ncontent-length: 4\r\n{CLOSE}body")).await;
        assert!(read_to_end(&mut client).await.ends_with("stored"));
        assert_eq!(running.uploads.recv().await, Some(("other".to_owned(), Ok(4))));

        let mut client = running.connect().await;
        send(&mut client, "POST /upload HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nbody").await;
        drop(client);
        let (thread, seen) =
            tokio::time::timeout(DEADLINE, running.uploads.recv()).await.expect("the handler ends").unwrap();
        assert_eq!(thread, "other");
        assert!(seen.is_err(), "a part was taken for the whole: {seen:?}");

        let mut client = running.connect().await;
        send(&mut client, &format!("GET /panic-later HTTP/1.1\r\n{CLOSE}")).await;
        assert!(read_to_end(&mut client).await.starts_with("HTTP/1.1 500"));
    });
}
