//! Live events through sockets: to players, and from an origin on another machine.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use edge::link::{Enrolled, OriginDoor, RemoteOrigin};
use edge::{Config, Edge, LiveSource};
use futures::future::join_all;
use listener::{BoxError, Door, Doors, Listener};
use live::Piece;
use model::SystemClock;
use prometheus_client::registry::Registry;
use rand::SeedableRng;
use rand::rngs::StdRng;
use storage::Memory;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::runtime::Handle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::event::{Stage, TIMING, live_path};
use crate::origin::{Said, Signer, grant};
use crate::serving::{Answer, Serving};

const DEADLINE: Duration = Duration::from_secs(10);

/// Asks until the answer is as it should be.
async fn until(serving: &Serving, path: &str, headers: &[&str], is_good: impl Fn(&Answer) -> bool) -> Answer {
    let looked = tokio::time::timeout(DEADLINE, async {
        loop {
            let answer = serving.get(path, headers).await;
            if is_good(&answer) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    looked.await.unwrap_or_else(|_| panic!("{path} does not become what it should be"))
}

fn waiting(edge: &Edge) -> String {
    let mut registry = Registry::default();
    edge.register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    let lines = text.lines().filter(|line| line.starts_with("cocuyo_edge_live_"));
    let kept = lines.filter(|line| line.contains("_waiting ") || line.contains("_releases_total{"));
    kept.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn an_event_is_gated_as_a_film_is() {
    let stage = Stage::new(TIMING);
    stage.parts(8);
    let serving = Serving::with_event(Arc::clone(&stage)).await;
    let token = serving.signer.token(&grant(480));
    let multivariant = live_path("multivariant.m3u8");
    let answer = serving.get(&format!("{multivariant}?token={token}"), &[]).await;
    assert_eq!((answer.status, answer.header("location")), (302, &*format!("/t/{token}{multivariant}")));
    let playlist = live_path("480p/playlist.m3u8");
    let bearer = serving.bearer(&grant(480));
    let cookie = format!("cookie: cocuyo_grant={token}");
    for (path, header) in [
        (format!("/t/{token}{playlist}"), "x: y"),
        (playlist.clone(), &bearer),
        (playlist.clone(), &cookie),
        (format!("/t/{token}{}", live_path("480p/1.1.m4s")), "x: y"),
        (format!("/t/{token}{}", live_path("480p/init-0.mp4")), "x: y"),
    ] {
        let answer = serving.get(&path, &[header]).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, "*"), "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert!(!answer.body.windows(token.len()).any(|window| window == token.as_bytes()), "{path}");
        let preflight = serving.ask("OPTIONS", &path, &["origin: https://a.example"]).await;
        assert_eq!((preflight.status, preflight.header("cache-control")), (204, "no-store"), "{path}");
        assert_eq!(serving.ask("HEAD", &path, &[header]).await.status, 200, "{path}");
        assert_eq!(serving.ask("POST", &path, &[header]).await.status, 405, "{path}");
        let forged = path.replace(&token, "a.b.c");
        assert_eq!(serving.get(&forged, &["authorization: Bearer a.b.c"]).await.status, 401, "{path}");
    }
    // A film's grant opens nothing of another's event, and nothing says what exists.
    for path in ["/live/", "/live/x/y/multivariant.m3u8", &multivariant.replace("1/multi", "2/multi")] {
        assert_eq!(serving.get(path, &[&bearer]).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn who_hangs_up_waits_no_longer() {
    let stage = Stage::new(TIMING);
    stage.parts(8);
    let serving = Serving::with_event(Arc::clone(&stage)).await;
    let bearer = serving.bearer(&grant(480));
    let playlist = live_path("480p/playlist.m3u8");
    until(&serving, &playlist, &[&bearer], |answer| answer.text().contains("URI=\"1.2.m4s\"")).await;
    let mut stream = tokio::net::TcpStream::connect(serving.address).await.unwrap();
    let request = format!("GET {playlist}?_HLS_msn=1&_HLS_part=2 HTTP/1.1\r\nhost: edge\r\n{bearer}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let counted = async |line: &str| {
        let seen = async {
            while !waiting(&serving.edge).contains(line) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let seen = tokio::time::timeout(DEADLINE, seen).await;
        seen.unwrap_or_else(|_| panic!("no {line} in\n{}", waiting(&serving.edge)));
    };
    counted("cocuyo_edge_live_waiting 1").await;
    drop(stream);
    counted("cocuyo_edge_live_waiting 0").await;
    counted("releases_total{why=\"gone\"} 1").await;
}

/// Lets one credential in.
struct One;

#[async_trait]
impl Enrolled for One {
    async fn edge(&self, credential: &str) -> Result<Option<String>, BoxError> {
        Ok((credential == "fill_secret").then(|| "havana-1".to_owned()))
    }
}

/// An origin's door, and an edge that has nothing but that.
struct Linked {
    edge: Edge,
    signer: Signer,
    _folder: TempDir,
    _stopped_at_the_end: DropGuard,
}

async fn linked(stage: &Arc<Stage>, credential: &str) -> Linked {
    let signer = Signer::new("k1");
    let said = Arc::new(Said::new(&[&signer]));
    let stop = CancellationToken::new();
    let mut rng = StdRng::seed_from_u64(1);
    let events = Some(Arc::clone(stage) as Arc<dyn LiveSource>);
    let door = OriginDoor::new(said, Arc::new(One), events, &mut rng, stop.clone());
    let listen = listener::Config { listen: ([127, 0, 0, 1], 0).into(), ..listener::Config::default() };
    let listener = Listener::bind(&listen).unwrap();
    let address = format!("http://{}", listener.address()).parse().unwrap();
    TaskTracker::new().spawn(listener.run(Doors::new([Arc::new(door) as Arc<dyn Door>]), stop.clone()));

    let (folder, clock) = (TempDir::new().unwrap(), Arc::new(SystemClock));
    let credential = credential.parse().unwrap();
    let folder_of = folder.path().join("origin");
    let origin = RemoteOrigin::open(
        address,
        credential,
        folder_of,
        Arc::clone(&clock) as _,
        Handle::current(),
        &mut rng,
    )
    .unwrap();
    let events = Some(Arc::new(origin.clone()) as Arc<dyn LiveSource>);
    let believed = Arc::new(Said::new(&[&signer]));
    let store = Arc::new(Memory::default());
    let clock = Arc::new(model::ManualClock::at(crate::origin::NOW));
    let edge = Edge::new(Config::default(), store, believed, events, clock);
    edge.refresh().await.unwrap();
    Linked { edge, signer, _folder: folder, _stopped_at_the_end: stop.drop_guard() }
}

impl Linked {
    async fn get(&self, name: &str) -> Answer {
        crate::event::answer_of(
            &self.edge,
            "GET",
            name,
            &[("authorization", &format!("Bearer {}", self.signer.token(&grant(480))))],
        )
        .await
    }

    async fn until(&self, name: &str, text: &str) -> Answer {
        let looked = tokio::time::timeout(DEADLINE, async {
            loop {
                let answer = self.get(name).await;
                if answer.status == 200 && answer.text().contains(text) {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        looked.await.unwrap_or_else(|_| panic!("{name} does not come to have {text}"))
    }
}

#[tokio::test]
async fn an_edge_of_its_own_follows_an_event_over_the_link() {
    let stage = Stage::new(TIMING);
    stage.segments(10);
    stage.parts(2);
    let linked = linked(&stage, "fill_secret").await;
    assert!(linked.get("multivariant.m3u8").await.text().contains("\n480p/playlist.m3u8\n"));
    linked.until("480p/playlist.m3u8", "TYPE=PART,URI=\"10.2.m4s\"").await;
    stage.is_followed("480p").await;
    let asked = stage.news_asked();
    let reload = "480p/playlist.m3u8?_HLS_msn=10&_HLS_part=2";
    let all = join_all((0..50).map(|_| linked.get(reload)));
    let part = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        stage.part();
    };
    let (answers, ()) = tokio::join!(all, part);
    for answer in answers {
        assert!(answer.status == 200 && answer.text().contains("URI=\"10.3.m4s\""), "{}", answer.text());
        assert_eq!(answer.text().matches("#EXT-X-RENDITION-REPORT").count(), 4, "{}", answer.text());
    }
    assert!(stage.news_asked() <= asked + 3, "{asked} then {}", stage.news_asked());
    assert!(linked.get("480p/10.2.m4s").await.body == Stage::bytes_of("480p", Piece::Part(10, 2)));
    assert_eq!(stage.pieces_asked(), 0);
    assert!(linked.get("480p/2.m4s").await.body == Stage::bytes_of("480p", Piece::Segment(2)));
    assert!(linked.get("480p/init-0.mp4").await.body == Stage::bytes_of("480p", Piece::Init(0)));
    assert_eq!(linked.get("480p/99.m4s").await.status, 404);
    assert_eq!(stage.pieces_asked(), 2);
    stage.end();
    linked.until("480p/playlist.m3u8", "#EXT-X-ENDLIST").await;
}

#[tokio::test]
async fn without_a_good_credential_there_are_no_events() {
    let stage = Stage::new(TIMING);
    stage.parts(8);
    let linked = linked(&stage, "fill_other").await;
    for name in ["multivariant.m3u8", "480p/playlist.m3u8", "480p/1.0.m4s"] {
        assert_eq!(linked.get(name).await.status, 503, "{name}");
    }
    assert_eq!((stage.events_asked(), stage.news_asked(), stage.pieces_asked()), (0, 0, 0));
}
