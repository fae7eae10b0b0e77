//! HTTP/2, which only TLS leads to.

use std::sync::Arc;

use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use tokio::task::JoinHandle;

use crate::encrypted::{Site, start_encrypted, try_connect};
use crate::fixture::{DEADLINE, LARGE, Running, read_to_end, send, start};

type Client = (SendRequest<Bytes>, JoinHandle<Result<(), h2::Error>>);

async fn client(running: &Running, site: &Site) -> Client {
    let stream = try_connect(running, &site.client(&[b"h2", b"http/1.1"])).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (sender, connection) = h2::client::Builder::new()
        .initial_window_size(4 << 20)
        .initial_connection_window_size(32 << 20)
        .handshake(stream)
        .await
        .unwrap();
    (sender, tokio::task::spawn_local(connection))
}

fn get(path: &str) -> Request<()> {
    Request::get(format!("https://video.example{path}")).body(()).unwrap()
}

async fn body_of(response: h2::client::ResponseFuture) -> Vec<u8> {
    let mut body = response.await.unwrap().into_body();
    let mut bytes = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece.unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        bytes.extend(piece);
    }
    bytes
}

/// What a client does on one thread, as its connection is not to be sent to another.
fn locally(story: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, story);
}

#[test]
fn many_requests_share_a_connection_and_large_bodies_arrive_whole() {
    locally(async {
        let site = Site::new();
        let (running, _) = start_encrypted(&site, |_| (), |door| Arc::new(door));
        let (sender, _connection) = client(&running, &site).await;
        let open = |kind: &str| running.metric(&format!(r#"cocuyo_connections{{kind="{kind}"}}"#));
        let mut answers = Vec::new();
        for _ in 0..8 {
            let (answer, _) =
                sender.clone().ready().await.unwrap().send_request(get("/large"), true).unwrap();
            answers.push(answer);
        }
        for answer in answers {
            let body = body_of(answer).await;
            assert_eq!(body.len(), LARGE);
            assert!(body.iter().all(|byte| *byte == 7));
        }
        // The host is where doors look for it.
        let (answer, _) = sender.ready().await.unwrap().send_request(get("/host"), true).unwrap();
        assert_eq!(body_of(answer).await, b"video.example");
        assert_eq!((open("h2"), open("tls"), open("plain")), (1, 0, 0));
    });
}

#[test]
fn a_held_request_is_let_go_when_it_is_taken_back_or_its_client_hangs_up() {
    locally(async {
        let site = Site::new();
        let (mut running, _) = start_encrypted(&site, |_| (), |door| Arc::new(door));
        let (sender, connection) = client(&running, &site).await;
        let (answer, mut stream) =
            sender.clone().ready().await.unwrap().send_request(get("/held"), true).unwrap();
        running.told("held").await;
        stream.send_reset(h2::Reason::CANCEL);
        drop(answer);
        running.told("ended").await;

        let (_answer, _stream) =
            sender.clone().ready().await.unwrap().send_request(get("/held"), true).unwrap();
        running.told("held").await;
        connection.abort();
        running.told("ended").await;
    });
}

#[test]
fn a_drain_finishes_the_answers_under_way_and_cuts_them_when_its_time_is_over() {
    for (drain_s, expected) in [(20, 0), (0, 1)] {
        locally(async move {
            let site = Site::new();
            let change = |config: &mut listener::Config| config.drain_s = drain_s;
            let (running, _) = start_encrypted(&site, change, |door| Arc::new(door));
            let (sender, _connection) = client(&running, &site).await;
            let (answer, _) = sender.ready().await.unwrap().send_request(get("/slow"), true).unwrap();
            let mut body = answer.await.unwrap().into_body();
            assert_eq!(body.data().await.unwrap().unwrap(), "half ");
            running.stop.cancel();
            if expected == 0 {
                running.go_on.add_permits(1);
                assert_eq!(body.data().await.unwrap().unwrap(), "half ");
            }
            let drained = tokio::time::timeout(DEADLINE, running.run).await.expect("the drain ends");
            assert_eq!(drained.unwrap().unwrap().dropped, expected);
        });
    }
}

#[test]
fn a_connection_that_asks_for_nothing_more_is_let_go() {
    locally(async {
        let site = Site::new();
        let change = |config: &mut listener::Config| config.header_timeout_s = 1.try_into().unwrap();
        let (running, _) = start_encrypted(&site, change, |door| Arc::new(door));
        let (sender, connection) = client(&running, &site).await;
        let (answer, _) = sender.clone().ready().await.unwrap().send_request(get("/"), true).unwrap();
        assert_eq!(body_of(answer).await, b"hello");
        let ended = tokio::time::timeout(DEADLINE, connection).await;
        assert!(ended.is_ok(), "an idle client keeps its seat");
        drop(sender);
    });
}

#[test]
fn a_client_that_opens_no_window_is_let_go() {
    locally(async {
        let site = Site::new();
        let change = |config: &mut listener::Config| config.stall_timeout_s = 1.try_into().unwrap();
        let (mut running, _) = start_encrypted(&site, change, |door| Arc::new(door));
        let (sender, _connection) = client(&running, &site).await;
        let (answer, _) = sender.ready().await.unwrap().send_request(get("/endless"), true).unwrap();
        // It holds the answer, takes no byte of it, and answers every ping.
        let _held = answer.await.unwrap();
        running.told("ended").await;
    });
}

#[tokio::test]
async fn on_the_plain_port_it_is_a_bad_request() {
    let running = start(|_| ());
    for request in ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/2.0\r\nhost: x\r\n\r\n"] {
        let mut client = running.connect().await;
        send(&mut client, request).await;
        let answer = read_to_end(&mut client).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    // An offer to change over is not taken.
    let mut client = running.connect().await;
    let upgrade = "GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade, http2-settings, close\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n";
    send(&mut client, upgrade).await;
    assert!(read_to_end(&mut client).await.ends_with("hello"));
}
