//! Clients that speak HTTP/1 as nobody should, on both ports; honest ones are served meanwhile.

use std::net::SocketAddr;
use std::time::Duration;

use tests::{Certified, Clip, Engines, Https, Stack, plainly, until};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn status(answer: &str) -> &str {
    answer.strip_prefix("HTTP/1.1 ").map_or(answer, |rest| &rest[..3])
}

/// What stands behind each request, for a server that takes it for a part of the body or, which is
/// the attack, for a request of its own.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n";

fn odd_requests() -> Vec<(&'static str, String, &'static str)> {
    let post = |headers: &str, body: &str| {
        format!("POST /api/v1/session HTTP/1.1\r\nhost: x\r\n{headers}\r\n{body}")
    };
    let get =
        |target: &str, headers: &str| format!("GET {target} HTTP/1.1\r\n{headers}connection: close\r\n\r\n");
    let many: String = (0..100_000).map(|number| format!("x-{number}: y\r\n")).collect();
    let chunked = format!("0\r\n\r\n{SMUGGLED}");
    vec![
        ("two lengths", post("content-length: 0\r\ncontent-length: 38\r\n", SMUGGLED), "400"),
        ("two lengths in one", post("content-length: 0, 38\r\n", SMUGGLED), "400"),
        ("a length with a sign", post("content-length: +0\r\n", SMUGGLED), "400"),
        ("a negative length", post("content-length: -1\r\n", SMUGGLED), "400"),
        ("a length with a space", post("content-length: 0 0\r\n", SMUGGLED), "400"),
        ("a length beyond all", post("content-length: 18446744073709551616\r\n", SMUGGLED), "400"),
        ("a length in hex", post("content-length: 0x0\r\n", SMUGGLED), "400"),
        ("chunked and something else", post("transfer-encoding: chunked, x\r\n", &chunked), "400"),
        ("an unknown encoding", post("transfer-encoding: xchunked\r\n", &chunked), "400"),
        ("a space before the colon", post("transfer-encoding : chunked\r\n", &chunked), "400"),
        ("a folded line", post("x-a: b\r\n transfer-encoding: chunked\r\n", &chunked), "400"),
        ("a bare CR", post("x-a: b\rtransfer-encoding: chunked\r\n", &chunked), "400"),
        ("a NUL", post("x-a: b\0c\r\n", ""), "400"),
        ("a name with a space", post("x a: b\r\n", ""), "400"),
        (
            "a chunk that is no number",
            post("transfer-encoding: chunked\r\nconnection: close\r\n", "zz\r\n"),
            "400",
        ),
        (
            "chunked in HTTP/1.0",
            "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
            "400",
        ),
        ("no host", get("/", ""), "400"),
        ("two hosts", get("/", "host: x\r\nhost: y\r\n"), "400"),
        ("a host with a path", get("/", "host: x/y\r\n"), "400"),
        ("a version of the future", "GET / HTTP/3.7\r\nhost: x\r\n\r\n".to_owned(), "400"),
        ("no version", "GET /\r\nhost: x\r\n\r\n".to_owned(), "400"),
        ("rubbish", "\u{1}\u{2}\u{3}\r\n\r\n".to_owned(), "400"),
        ("a PROXY header", format!("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n{}", get("/", "host: x\r\n")), "400"),
        ("HTTP/2 in the open", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), ""),
        ("a header of a megabyte", get("/", &format!("host: x\r\nx-a: {}\r\n", "a".repeat(1 << 20))), "431"),
        ("100,000 headers", get("/", &format!("host: x\r\n{many}")), "431"),
        ("101 headers", get("/", &format!("host: x\r\n{}", &many[..900])), "431"),
        ("a URL of 100 KB", get(&format!("/{}", "a".repeat(100_000)), "host: x\r\n"), "431"),
        ("absolute form", get("http://x/", "host: x\r\n"), "200"),
        ("absolute form of something else", get("ftp://x/nowhere", "host: x\r\n"), "404"),
        ("asterisk form", "OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_owned(), "404"),
        ("a tunnel", "CONNECT y:443 HTTP/1.1\r\nhost: y:443\r\nconnection: close\r\n\r\n".to_owned(), "404"),
        (
            "a body that is too large",
            post(
                "content-type: application/json\r\ncontent-length: 4194304\r\nconnection: close\r\n",
                &"a".repeat(4 << 20),
            ),
            "413",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_is_refused_and_nothing_is_smuggled() {
    let (certified, https) = Certified::make();
    let stack = Stack::start_with(Engines::Embedded, &certified.configuration()).await;
    let mut wrong = Vec::new();
    for (what, bytes, expected) in odd_requests() {
        let plain = plainly(stack.address(), bytes.as_bytes()).await;
        let encrypted = https.exchange(stack.https_address(), bytes.as_bytes()).await.unwrap_or_default();
        for (port, answer) in [("http", &plain), ("https", &encrypted)] {
            // What comes is cut off where the client is still sending: an answer may then be lost.
            let lost = answer.is_empty() && bytes.len() > 60_000;
            if !lost && status(answer) != expected || answer.matches("HTTP/1.1 ").count() > 1 {
                wrong.push(format!("{what} ({port}): {answer:.200}"));
            }
        }
        stack.stranger().get("/").await.expect(200);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn both_a_length_and_chunks_are_chunks_and_the_end_of_the_connection() {
    let stack = Stack::start().await;
    for lengths in [
        "content-length: 5\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
    ] {
        let bytes = format!("POST /nowhere HTTP/1.1\r\nhost: x\r\n{lengths}\r\n0\r\n\r\n{SMUGGLED}");
        let answer = plainly(stack.address(), bytes.as_bytes()).await;
        // RFC 9112, section 6.1: one answer, whatever it is, and no second one.
        assert!(status(&answer).starts_with('4') && answer.matches("HTTP/1.1 ").count() == 1, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_their_time_is_let_go_while_others_are_served() {
    let (certified, https) = Certified::make();
    let limits = "[http]\nheader_timeout_s = 1\nstall_timeout_s = 1\nmax_connections = 100\n";
    let stack = Stack::start_with(Engines::Embedded, &format!("{limits}{}", certified.configuration())).await;
    let (plain, encrypted) = (stack.address(), stack.https_address());
    let body = "POST /api/v1/session HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n";
    let slow: Vec<_> = (0..90)
        .map(|number| {
            let https = https.clone();
            tokio::spawn(async move {
                match number % 6 {
                    0 => {
                        trickle(TcpStream::connect(plain).await, "GET / HTTP/1.1\r\nhost: x\r\nx-slow: ")
                            .await
                    }
                    1 => trickle(TcpStream::connect(plain).await, body).await,
                    2 => trickle(TcpStream::connect(plain).await, "").await,
                    3 => {
                        trickle(https.connect(encrypted).await, "GET / HTTP/1.1\r\nhost: x\r\nx-slow: ").await
                    }
                    4 => trickle(https.connect(encrypted).await, body).await,
                    _ => trickle(https.connect(encrypted).await, "").await,
                }
            })
        })
        .collect();
    let client = stack.stranger();
    let mut served = 0;
    until("the slow ones to be let go", Duration::from_secs(60), || {
        let (client, left) = (client.clone(), slow.iter().filter(|task| !task.is_finished()).count());
        served += 1;
        async move {
            client.get("/").await.expect(200);
            if left == 0 { Ok(()) } else { Err(left) }
        }
    })
    .await;
    assert!(served > 1, "all were let go at once");
    for task in slow {
        let answer = task.await.expect("no panic");
        assert!(answer.is_empty() || status(&answer).starts_with('4'), "{answer}");
    }
}

/// Sends a byte now and then until the server closes; what it said meanwhile.
async fn trickle<S>(stream: std::io::Result<S>, first: &str) -> String
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let Ok(mut stream) = stream else { return String::new() };
    let _closed_early = stream.write_all(first.as_bytes()).await;
    let (mut reader, mut writer) = tokio::io::split(&mut stream);
    let mut answer = Vec::new();
    let sending = async {
        loop {
            if !first.is_empty() {
                let _closed = writer.write_all(b"y").await;
                let _closed = writer.flush().await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        _ = reader.read_to_end(&mut answer) => {}
        () = sending => {}
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_idle_connections_leave_room_for_one_more() {
    const IDLE: usize = 10_000;
    let (certified, https) = Certified::make();
    let limits = "[http]\nheader_timeout_s = 600\nmax_connections = 12000\n";
    let stack = Stack::start_with(Engines::Embedded, &format!("{limits}{}", certified.configuration())).await;
    let (_, hard) =
        nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).expect("a limit");
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, hard, hard).expect("raise it");
    if hard < IDLE as u64 + 1_000 {
        println!("skipped: {hard} descriptors are too few");
        return;
    }
    let mut idle = Vec::with_capacity(IDLE);
    for number in 0..IDLE {
        let mut stream = TcpStream::connect(stack.address()).await.expect("a seat");
        // Some have asked for something, as players between two segments.
        if number % 10 == 0 {
            stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("send");
        }
        idle.push(stream);
    }
    stack.stranger().get("/").await.expect(200);
    home(&https, stack.https_address()).await;
    let mut byte = [0];
    for stream in idle.iter_mut().step_by(10) {
        stream.read_exact(&mut byte).await.expect("those that asked were answered");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_stalled_handshakes_are_cut_and_hold_nobody_up() {
    let (certified, https) = Certified::make();
    let stack = Stack::start_with(Engines::Embedded, &certified.configuration()).await;
    let mut stalled = Vec::with_capacity(1000);
    for number in 0..1000 {
        let mut stream = TcpStream::connect(stack.https_address()).await.expect("a seat");
        // Half of them begin one: the head of a record whose rest never comes.
        if number % 2 == 0 {
            stream.write_all(b"\x16\x03\x01\x02\0\x01").await.expect("send");
        }
        stalled.push(stream);
    }
    home(&https, stack.https_address()).await;
    let cut = async {
        for stream in &mut stalled {
            let mut rest = Vec::new();
            let _cut_or_reset = stream.read_to_end(&mut rest).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(40), cut).await.expect("they keep their seats");
    home(&https, stack.https_address()).await;
}

async fn home(https: &Https, address: SocketAddr) {
    let request = b"GET / HTTP/1.1\r\nhost: video.example\r\nconnection: close\r\n\r\n";
    let page = https.exchange(address, request).await.expect("a page");
    assert_eq!(status(&page), "200");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_requests_in_a_row_are_answered_in_theirs() {
    const REQUESTS: usize = 100_000;
    let stack = Stack::start().await;
    let nothing = model::VideoId::from_bits(0);
    // One that is there to be asked about, two that are not.
    let expected = |number: usize| if number.is_multiple_of(3) { "204" } else { "404" };
    let row: String = (0..REQUESTS)
        .map(|number| match expected(number) {
            "204" => format!("OPTIONS /v/{nothing}/{nothing}/poster.jpg HTTP/1.1\r\nhost: x\r\n\r\n"),
            _ => "HEAD /v/x HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        })
        .collect();
    stack.stranger().get("/").await.expect(200);
    let before = stack.memory();
    let mut stream = TcpStream::connect(stack.address()).await.expect("a seat");
    let (reader, mut writer) = stream.split();
    let send = async { writer.write_all(row.as_bytes()).await.expect("send") };
    let receive = async {
        let mut lines = tokio::io::BufReader::new(reader).lines();
        for number in 0..REQUESTS {
            let line = loop {
                let line = lines.next_line().await.expect("an answer").expect("all are answered");
                if line.starts_with("HTTP/1.1 ") {
                    break line;
                }
            };
            assert_eq!(status(&line), expected(number), "answer {number}");
        }
    };
    let both = async { tokio::join!(send, receive) };
    tokio::time::timeout(Duration::from_secs(120), both).await.expect("all in two minutes");
    let grown = stack.peak_memory().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more");
    stack.stranger().get("/").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_descriptors_those_inside_are_served_and_those_outside_wait() {
    let limits = "[http]\nheader_timeout_s = 600\n";
    let stack = Stack::start_with(Engines::Embedded, limits).await;
    let inside = stack.stranger();
    inside.get("/sign-in").await.expect(200);
    let open = std::fs::read_dir(format!("/proc/{}/fd", stack.pid())).expect("it runs").count();
    stack.limit_descriptors(u32::try_from(open).expect("it fits") + 40);
    let mut crowd = Vec::new();
    for _ in 0..100 {
        crowd.push(TcpStream::connect(stack.address()).await.expect("the kernel queues it"));
    }
    until("the server to run out of descriptors", Duration::from_secs(20), || async {
        let log = stack.log();
        if log.contains("no descriptor or memory left") { Ok(()) } else { Err(log) }
    })
    .await;
    for _ in 0..20 {
        inside.get("/sign-in").await.expect(200);
    }
    let outside = stack.stranger();
    let waiting = tokio::spawn(async move { outside.get("/sign-in").await });
    // Some of the crowd leave, and their seats are taken.
    crowd.truncate(10);
    let served = tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("a seat came free");
    served.expect("no panic").expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_nothing_is_let_go() {
    let (certified, https) = Certified::make();
    let limits = "[http]\nstall_timeout_s = 1\n";
    let stack = Stack::start_with(Engines::Embedded, &format!("{limits}{}", certified.configuration())).await;
    let creator = stack.person("ana", "creator", 0).await;
    let video = creator.upload("Para todos", Clip::Short.file()).await;
    let version = creator.until_ready(&video).await["version"].as_str().expect("a version").to_owned();
    creator.publish(&video, 0).await;
    // More than all buffers between here and there hold.
    let row = format!("GET /v/{video}/{version}/360p/0.m4s HTTP/1.1\r\nhost: x\r\n\r\n").repeat(500);
    let open = async |kind: &str| stack.metric(&format!(r#"cocuyo_connections{{kind="{kind}"}}"#)).await;
    let before = stack.memory();
    let mut plain = TcpStream::connect(stack.address()).await.expect("a seat");
    plain.write_all(row.as_bytes()).await.expect("send");
    let mut encrypted = https.connect(stack.https_address()).await.expect("a handshake");
    encrypted.write_all(row.as_bytes()).await.expect("send");
    encrypted.flush().await.expect("send");
    assert_eq!(open("tls").await, 1);
    until("the slow ones to be let go", Duration::from_secs(60), || async {
        // Others are served meanwhile, each on a connection that it closes.
        let answer =
            plainly(stack.address(), b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        assert_eq!(status(&answer), "200");
        let seen = open("tls").await;
        if seen == 0 { Ok(()) } else { Err(seen) }
    })
    .await;
    let mut rest = Vec::new();
    let taken = plain.read_to_end(&mut rest);
    let _cut_or_ended =
        tokio::time::timeout(Duration::from_secs(30), taken).await.expect("it was let go, too");
    let all = rest.windows(16).filter(|window| window.starts_with(b"HTTP/1.1 200 OK")).count();
    assert!(all < 500, "everything was sent");
    let grown = stack.peak_memory().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more");
}
