//! Behind a load balancer that speaks the PROXY protocol.

use tokio::io::AsyncWriteExt;

use crate::fixture::{CLOSE, read_to_end, send, start};

const LOOPBACK: &str = "127.0.0.0/8";

#[tokio::test]
async fn a_trusted_proxy_says_whom_it_speaks_for() {
    let running = start(|config| config.proxy_protocol_from = vec![LOOPBACK.parse().unwrap()]);
    let version_2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x07\x0a\0\0\x01\x30\x39\0\x50".to_vec();
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\0\0".to_vec();
    for (header, expected) in [
        (b"PROXY TCP4 203.0.113.7 10.0.0.1 12345 80\r\n".to_vec(), "203.0.113.7:12345"),
        (b"PROXY TCP6 ::ffff:203.0.113.7 ::1 12345 80\r\n".to_vec(), "203.0.113.7:12345"),
        (b"PROXY TCP6 2001:db8::7 ::1 12345 80\r\n".to_vec(), "[2001:db8::7]:12345"),
        (version_2, "203.0.113.7:12345"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1:"),
        (local, "127.0.0.1:"),
    ] {
        // In one write with the request, and in two.
        for at in [header.len(), 7] {
            let mut client = running.connect().await;
            client.write_all(&header[..at]).await.unwrap();
            client.write_all(&header[at..]).await.unwrap();
            send(&mut client, &format!("GET /peer HTTP/1.1\r\n{CLOSE}")).await;
            let answer = read_to_end(&mut client).await;
            let peer = answer.rsplit("\r\n").next().unwrap();
            assert!(peer.starts_with(expected), "{peer} for {header:?}");
        }
        let mut client = running.connect().await;
        let whole = [header.clone(), format!("GET /peer HTTP/1.1\r\n{CLOSE}").into_bytes()].concat();
        client.write_all(&whole).await.unwrap();
        assert!(read_to_end(&mut client).await.contains(expected), "{header:?}");
    }
}

#[tokio::test]
async fn a_trusted_proxy_that_says_nothing_or_rubbish_is_cut() {
    let running = start(|config| config.proxy_protocol_from = vec![LOOPBACK.parse().unwrap()]);
    for rubbish in ["GET / HTTP/1.1\r\nhost: x\r\n\r\n", "PROXY TCP4 x y 1 2\r\n", "PROXY TCP5 1 2 3 4\r\n"] {
        let mut client = running.connect().await;
        send(&mut client, rubbish).await;
        assert_eq!(read_to_end(&mut client).await, "", "{rubbish}");
    }
    // Longer than its five seconds: the deadline of `read_to_end` is beyond them.
    let mut silent = running.connect().await;
    assert_eq!(read_to_end(&mut silent).await, "");
    assert_eq!(running.metric(r#"cocuyo_connections_refused_total{stage="proxy_header"}"#), 4);
    assert_eq!(running.metric(r#"cocuyo_connections{kind="plain"}"#), 0);
}

#[tokio::test]
async fn nobody_else_is_believed() {
    let running = start(|config| config.proxy_protocol_from = vec!["10.0.0.0/8".parse().unwrap()]);
    let mut client = running.connect().await;
    send(&mut client, "PROXY TCP4 203.0.113.7 10.0.0.1 12345 80\r\n").await;
    send(&mut client, &format!("GET /peer HTTP/1.1\r\n{CLOSE}")).await;
    let answer = read_to_end(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let mut client = running.connect().await;
    send(&mut client, &format!("GET /peer HTTP/1.1\r\n{CLOSE}")).await;
    assert!(read_to_end(&mut client).await.contains("\r\n\r\n127.0.0.1:"));
}
