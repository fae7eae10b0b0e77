//! What an operator sees of what is served: the access log, the metrics, and what SIGHUP changes.

use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nix::sys::signal::{Signal, kill};
use serde_json::Value;
use tests::{Certified, Clip, Engines, Person, Stack, plainly, until};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const DEADLINE: Duration = Duration::from_secs(15);

/// A film for tier 1, a subscriber's grant for it, and `/v/{video}/{version}`.
async fn a_gated_film(stack: &Stack) -> (Person, String, String) {
    let creator = stack.person("ana", "creator", 0).await;
    let video = creator.upload("Para abonados", Clip::Short.file()).await;
    let ready = creator.until_ready(&video).await;
    creator.publish(&video, 1).await;
    let base = format!("/v/{video}/{}", ready["version"].as_str().expect("a version"));
    let subscriber = stack.person("luis", "viewer", 1).await;
    let playback = subscriber.playback(&video).await.expect(200).json();
    (subscriber, playback["token"].as_str().expect("a token").to_owned(), base)
}

async fn logged(file: &Path, path: &str) -> Value {
    until("the access log to tell of it", DEADLINE, || async {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"));
        lines.into_iter().rfind(|line| line["path"] == path).ok_or(text.clone())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_has_a_line_and_no_line_a_token() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("access.log");
    let section = format!("[access_log]\nfile = \"{}\"\nformat = \"json\"\n", file.display());
    let stack = Stack::start_with(Engines::Embedded, &section).await;
    let (subscriber, grant, base) = a_gated_film(&stack).await;
    let segment = format!("{base}/144p/0.m4s");

    let whole = subscriber.fetch(&format!("{segment}?CMCD=br%3D44%2Cot%3Dv"), Some(&grant)).await.expect(200);
    let line = logged(&file, &segment).await;
    for (key, expected) in [
        ("status", Value::from(200)),
        ("bytes", whole.body.len().into()),
        ("route", "segment".into()),
        ("audience", "tier1".into()),
        ("cache", "store".into()),
        ("peer", "127.0.0.1".into()),
    ] {
        assert_eq!(line[key], expected, "{line:#}");
    }
    assert_eq!((&line["cmcd"]["br"], &line["cmcd"]["ot"]), (&44.into(), &"v".into()), "{line:#}");

    let stranger = stack.stranger();
    stranger.get(&format!("/t/{grant}{segment}")).await.expect(200);
    let line = logged(&file, &format!("/t/-{segment}")).await;
    assert_eq!(line["cache"], "memory", "{line:#}");
    stranger.get(&format!("{base}/multivariant.m3u8?token={grant}")).await.expect(302);
    stranger.get(&format!("/t/{grant}x{segment}")).await.expect(401);
    stranger.get(&format!("/t/{grant}/nowhere")).await.expect(404);
    let line = logged(&file, "/t/-/nowhere").await;
    assert_eq!((&line["audience"], &line["cache"]), (&"none".into(), &"none".into()), "{line:#}");

    // What is refused for what it says of its host, too.
    let two = "GET /two-hosts HTTP/1.1\r\nhost: x\r\nhost: y\r\nconnection: close\r\n\r\n";
    assert!(plainly(stack.address(), two.as_bytes()).await.starts_with("HTTP/1.1 400 "));
    let line = logged(&file, "/two-hosts").await;
    assert_eq!((&line["status"], &line["route"]), (&400.into(), &"none".into()), "{line:#}");

    // Whoever rotates logs moves the file away and asks for a new one.
    let old = folder.path().join("access.log.1");
    std::fs::rename(&file, &old).expect("move the log away");
    kill(stack.pid(), Signal::SIGHUP).expect("the server runs");
    until("the new file", DEADLINE, || async {
        stranger.get("/health-of-nobody").await;
        if file.exists() { Ok(()) } else { Err(stack.log()) }
    })
    .await;

    let told = [old, file].map(|file| std::fs::read_to_string(file).expect("read the log")).concat();
    let session = subscriber.token().expect("signed in").to_owned();
    for secret in grant.split('.').chain([session.as_str()]) {
        assert!(!told.contains(secret), "a secret is in {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_forged_tokens_is_counted_limited_and_felt_by_nobody() {
    let section = "[edge]\nunknown_tokens_per_s = 1\nunknown_tokens_burst = 20\n";
    let stack = Stack::start_with(Engines::Embedded, section).await;
    let (subscriber, grant, base) = a_gated_film(&stack).await;
    let segment = format!("{base}/144p/0.m4s");
    let seen = || subscriber.fetch(&segment, Some(&grant));
    seen().await.expect(200);

    let (payload, signature) = grant.rsplit_once('.').expect("a JWT has a signature");
    let forged = |n: u64| {
        let mut bytes = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
        bytes[..8].copy_from_slice(&n.to_le_bytes());
        format!("{payload}.{}", URL_SAFE_NO_PAD.encode(bytes))
    };
    let mut refused = [0; 2];
    for n in 0..60 {
        let answer = stack.stranger().fetch(&segment, Some(&forged(n))).await;
        match answer.status.as_u16() {
            401 => refused[0] += 1,
            429 => {
                assert_eq!(answer.header("retry-after"), "1");
                assert_eq!(answer.json()["code"], "too_many_tokens");
                refused[1] += 1;
            }
            status => panic!("{status}"),
        }
        // From the same address, and neither refused nor verified again.
        seen().await.expect(200);
    }
    assert!(refused[0] >= 15 && refused[1] >= 15, "401 and 429: {refused:?}");

    let told = stack.metrics().await;
    let count = |name: &str| -> u64 {
        let line = told.lines().find_map(|line| line.strip_prefix(name));
        line.map_or(0, |value| value.trim().parse().expect("a number"))
    };
    assert_eq!(count(r#"cocuyo_edge_tokens_total{outcome="forged"}"#), refused[0], "{told}");
    assert_eq!(count(r#"cocuyo_edge_tokens_total{outcome="unheard"}"#), refused[1], "{told}");
    let memory =
        r#"cocuyo_edge_requests_total{route="segment",status="2xx",audience="tier1",cache="memory"}"#;
    assert_eq!(count(memory), 60, "{told}");
    assert!(count(r#"cocuyo_edge_sent_bytes_total{audience="tier1"}"#) > 0, "{told}");
    assert!(count(r#"cocuyo_requests_total{door="edge",status="4xx"}"#) >= 60, "{told}");
    assert!(told.ends_with("# EOF\n"), "{told}");

    // A mistake in the file changes nothing; a good file holds at once.
    let config = stack.config_file();
    let text = std::fs::read_to_string(&config).expect("read the configuration");
    let hang_up = || kill(stack.pid(), Signal::SIGHUP).expect("the server runs");
    std::fs::write(&config, format!("{text}\nnonsense = 1\n")).expect("write the configuration");
    hang_up();
    until("the mistake to be told", DEADLINE, || async {
        let log = stack.log();
        if log.contains("unknown field `nonsense`") { Ok(()) } else { Err(log) }
    })
    .await;
    stack.stranger().fetch(&segment, Some(&forged(1000))).await.expect(429);
    let exempt = text.replace("unknown_tokens_burst = 20", "exempt_networks = [\"127.0.0.0/8\"]");
    std::fs::write(&config, exempt).expect("write the configuration");
    hang_up();
    until("the network to be exempt", DEADLINE, || async {
        let status = stack.stranger().fetch(&segment, Some(&forged(1001))).await.status;
        if status == 401 { Ok(()) } else { Err(status) }
    })
    .await;
    for n in 2000..2050 {
        stack.stranger().fetch(&segment, Some(&forged(n))).await.expect(401);
    }
    seen().await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_counted_by_what_they_speak() {
    let (certified, https) = Certified::make();
    let stack = Stack::start_with(Engines::Embedded, &certified.configuration()).await;
    let plain = TcpStream::connect(stack.address()).await.expect("a seat");
    let tls = https.connect(stack.https_address()).await.expect("a handshake");
    let mut rubbish = TcpStream::connect(stack.https_address()).await.expect("a seat");
    rubbish.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("send");
    let counted = async |what: &str, expected: [u64; 3]| {
        until(what, DEADLINE, || async {
            let seen = [
                stack.metric(r#"cocuyo_connections{kind="plain"}"#).await,
                stack.metric(r#"cocuyo_connections{kind="tls"}"#).await,
                stack.metric(r#"cocuyo_connections_refused_total{stage="handshake"}"#).await,
            ];
            if seen == expected { Ok(()) } else { Err(seen) }
        })
        .await;
    };
    counted("both to be open, and the third refused", [1, 1, 1]).await;
    drop((plain, tls));
    counted("both to be gone", [0, 0, 1]).await;
}
