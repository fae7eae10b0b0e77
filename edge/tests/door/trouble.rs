//! A store that loses or spoils things, a client that is slow, an edge that is stopped.

use std::time::Duration;

use edge::Config;
use model::{ObjectKey, Revoked};
use storage::{Flaky, Memory, ObjectStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::film::{Film, VERSION, VIDEO};
use crate::origin::{ACCOUNT, NOW, grant, keeping};
use crate::serving::{Serving, path};

const DEADLINE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn spoilt_bytes_are_never_sent() {
    let serving = Serving::start().await;
    let bearer = serving.bearer(&keeping(1080));
    let (video, version) = (VIDEO, VERSION);
    serving.store.spoil(serving.film.chunk_key("360p", 0));
    serving.store.spoil(ObjectKey::Init { video, version, rendition: "1080p".parse().unwrap(), number: 0 });
    for part in ["360p/0.m4s", "360p/1.m4s", "1080p/init.mp4", "360p.mp4", "1080p.mp4"] {
        let answer = serving.get(&path(part), &[&bearer]).await;
        assert_eq!((answer.status, answer.header("cache-control")), (503, "no-store"), "{part}");
        assert_ne!(answer.header("retry-after"), "", "{part}");
    }
    // The other chunk of the same rendition is sound.
    assert_eq!(serving.get(&path("360p/2.m4s"), &[&bearer]).await.status, 200);
}

#[tokio::test]
async fn a_spoilt_index_is_not_believed() {
    let serving = Serving::start().await;
    serving.store.spoil(ObjectKey::Index { video: VIDEO, version: VERSION });
    let answer = serving.get(&path("multivariant.m3u8"), &[&serving.bearer(&grant(1080))]).await;
    assert_eq!(answer.status, 503);
}

#[tokio::test]
async fn an_index_in_anothers_place_is_not_believed() {
    let serving = Serving::start().await;
    let other = Film::of(VIDEO, model::VersionId::from_bits(99));
    let key = ObjectKey::Index { video: VIDEO, version: VERSION };
    serving.store.put(&key, other.index.to_json()).await.unwrap();
    let answer = serving.get(&path("multivariant.m3u8"), &[&serving.bearer(&grant(1080))]).await;
    assert_eq!(answer.status, 503);
}

#[tokio::test]
async fn a_lost_chunk_is_worth_another_try() {
    let serving = Serving::start().await;
    let bearer = serving.bearer(&grant(1080));
    let key = serving.film.chunk_key("a64", 1);
    serving.store.delete(&key).await.unwrap();
    assert_eq!(serving.get(&path("a64/2.m4s"), &[&bearer]).await.status, 503);
    // Mended from a backup, it plays: a failure is not kept.
    serving.store.put(&key, serving.film.object(key).clone()).await.unwrap();
    assert_eq!(serving.get(&path("a64/2.m4s"), &[&bearer]).await.status, 200);
}

#[tokio::test]
async fn a_store_that_errs_once_is_asked_again_by_the_next_request() {
    let store = Flaky::new(Memory::default(), 1);
    // The first put of every object fails, too.
    for (key, bytes) in &Film::new().objects {
        assert!(store.put(key, bytes.clone()).await.is_err());
    }
    let serving = Serving::over(store, Config::default()).await;
    let bearer = serving.bearer(&grant(1080));
    let mut statuses = Vec::new();
    while statuses.last() != Some(&200) && statuses.len() < 10 {
        statuses.push(serving.get(&path("360p/0.m4s"), &[&bearer]).await.status);
    }
    assert!(statuses.len() > 1 && statuses.ends_with(&[503, 200]), "{statuses:?}");
}

#[tokio::test]
async fn a_version_without_an_index_is_absent() {
    let serving = Serving::start().await;
    let elsewhere = model::Grant { version: model::VersionId::from_bits(5), ..grant(1080) };
    let bearer = serving.bearer(&elsewhere);
    let name = path("multivariant.m3u8").replace(&VERSION.to_string(), &elsewhere.version.to_string());
    assert_eq!(serving.get(&name, &[&bearer]).await.status, 404);
}

/// Begins to read a file whose last piece but one the store keeps back.
async fn begin(serving: &Serving) -> (TcpStream, usize) {
    begin_as(serving, "1080p", &serving.bearer(&keeping(1080))).await
}

async fn begin_as(serving: &Serving, picture: &str, header: &str) -> (TcpStream, usize) {
    let name = path(&format!("{picture}.mp4"));
    let head = serving.ask("HEAD", &name, &[header]).await;
    serving.store.hold(serving.film.chunk_key(picture, 1));
    let mut stream = TcpStream::connect(serving.address).await.unwrap();
    let request = format!("GET {name} HTTP/1.1\r\nhost: edge\r\nconnection: close\r\n{header}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head_of_get = Vec::new();
    while !head_of_get.ends_with(b"\r\n\r\n") {
        head_of_get.push(stream.read_u8().await.unwrap());
    }
    assert!(head_of_get.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head_of_get));
    tokio::time::timeout(DEADLINE, serving.store.is_wanted()).await.unwrap();
    (stream, head.header("content-length").parse().unwrap())
}

/// How many bytes still come; a reset counts as an end.
async fn rest(mut stream: TcpStream) -> usize {
    let mut body = Vec::new();
    let _cut_or_ended = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut body)).await.unwrap();
    body.len()
}

#[tokio::test]
async fn a_drain_finishes_the_body_under_way() {
    let serving = Serving::start().await;
    let (stream, len) = begin(&serving).await;
    serving.stop.cancel();
    serving.store.release();
    assert_eq!(rest(stream).await, len);
}

#[tokio::test]
async fn a_revocation_reaches_a_body_under_way() {
    for (revoked, seconds, cut) in [
        (Revoked::Account(ACCOUNT), 5, true),
        (Revoked::Version(VERSION), 5, true),
        (Revoked::Account(ACCOUNT), 4, false),
    ] {
        let serving = Serving::start().await;
        let (stream, len) = begin(&serving).await;
        serving.said.revoke(revoked, NOW);
        serving.edge.refresh().await.unwrap();
        serving.clock.advance(Duration::from_secs(seconds));
        serving.store.release();
        assert_eq!(rest(stream).await < len, cut, "{revoked:?} looked at after {seconds} s");
    }
}

#[tokio::test]
async fn what_was_free_is_withdrawn_though_the_policy_was_asked_for_before_the_body_began() {
    let serving = Serving::start().await;
    serving.said.policy(true, Some(360));
    assert_eq!(serving.get(&path("poster.jpg"), &[]).await.status, 200);
    // Withdrawn between the policy's answer, which is kept, and the body's beginning.
    serving.clock.advance(Duration::from_secs(2));
    serving.said.withdraw_policy();
    serving.said.revoke(Revoked::Version(VERSION), NOW + Duration::from_secs(1));
    let (stream, len) = begin_as(&serving, "360p", "x: y").await;
    assert_eq!(serving.said.policies_asked(), 1);
    serving.edge.refresh().await.unwrap();
    assert_eq!(serving.get(&path("poster.jpg"), &[]).await.status, 401);
    assert_eq!(serving.said.policies_asked(), 1, "the kept answer is not believed");
    serving.clock.advance(Duration::from_secs(5));
    serving.store.release();
    assert!(rest(stream).await < len, "the whole body was sent");
}

#[tokio::test]
async fn the_edge_follows_its_origin() {
    let serving = Serving::without_origin(Memory::default(), Config::default()).await;
    let bearer = serving.bearer(&grant(360));
    let edge = serving.edge.clone();
    let stop = serving.stop.clone();
    tokio_util::task::TaskTracker::new().spawn(async move { edge.follow(stop).await });
    until(&serving, &bearer, 200).await;
    serving.said.go_away(true);
    serving.said.revoke(Revoked::Account(ACCOUNT), NOW);
    assert_eq!(serving.get(&path("360p/0.m4s"), &[&bearer]).await.status, 200);
    serving.said.go_away(false);
    until(&serving, &bearer, 401).await;
}

async fn until(serving: &Serving, bearer: &str, status: u16) {
    let mut last = 0;
    let wait = async {
        while last != status {
            last = serving.get(&path("360p/0.m4s"), &[bearer]).await.status;
        }
    };
    let reached = tokio::time::timeout(DEADLINE, wait).await.is_ok();
    assert!(reached, "still {last} and not {status}");
}
