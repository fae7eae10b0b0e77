//! Raw bytes on plain connections.

use std::sync::Arc;
use std::time::Duration;

use listener::{Drained, OnRuntime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::fixture::{CLOSE, DEADLINE, read_to_end, read_until, send, start, start_with};

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
async fn a_client_that_takes_a_byte_now_and_then_is_let_go() {
    let mut running = start(|config| {
        config.stall_timeout_s = 1.try_into().unwrap();
        config.min_bytes_per_s = 1 << 20;
    });
    let mut client = running.connect().await;
    send(&mut client, "GET /endless HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut byte = [0; 4096];
    let slow = async {
        // Enough for TCP to see progress; an end or a reset comes when the server has closed.
        while client.read(&mut byte).await.is_ok_and(|len| len > 0) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = running.told("ended") => {}
        () = slow => {}
    }
}

#[tokio::test]
async fn a_request_without_a_host_or_with_two_is_refused() {
    let running = start(|_| ());
    for (head, status) in [
        ("GET / HTTP/1.1\r\n", "400"),
        ("GET / HTTP/1.1\r\nhost: x\r\nhost: x\r\n", "400"),
        ("GET / HTTP/1.1\r\nhost: a b\r\n", "400"),
        ("GET / HTTP/1.0\r\n", "200"),
        ("GET http://y/ HTTP/1.1\r\nhost: x\r\n", "200"),
    ] {
        let mut client = running.connect().await;
        send(&mut client, &format!("{head}connection: close\r\n\r\n")).await;
        let answer = read_to_end(&mut client).await;
        assert_eq!(answer.split(' ').nth(1), Some(status), "{head}: {answer}");
    }
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
