//! A version that is still being made: the time is tokio's, and stands still until all wait.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use edge::{Config, Edge, Want};
use expect_test::expect;
use http::Request;
use http_body_util::BodyExt;
use model::{Grant, Lane, ManualClock, ObjectKey, Revoked, SessionId, VideoId};
use storage::{Memory, ObjectStore};
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::film::{Film, PICTURES, SOUNDS, VERSION, VIDEO};
use crate::origin::{Heard, NOW, SESSION, Said, Signer, grant};
use crate::serving::{Answer, Serving, path};
use crate::watched::Watched;

/// All that plays from the beginning.
const FIRST: [(&str, usize); 4] = [("a32", 0), ("a64", 0), ("144p", 0), ("360p", 0)];

/// An edge without a socket, so that time can stand still.
struct Growing {
    edge: Edge,
    film: Film,
    said: Said,
    signer: Signer,
    store: Arc<Watched<Memory>>,
}

impl Growing {
    /// With the first chunks of lane A and the sound, and neither index nor pictures.
    async fn start() -> Self {
        let film = Film::new();
        let store = Arc::new(Watched::new(Memory::default()));
        for (key, bytes) in &film.objects {
            if matches!(key, ObjectKey::Init { .. } | ObjectKey::Chunk { .. }) {
                store.put(key, bytes.clone()).await.unwrap();
            }
        }
        let signer = Signer::new("k1");
        let said = Said::new(&[&signer]);
        said.grow(Some(film.growing(1, &FIRST)));
        let edge = Edge::new(
            Config::default(),
            Arc::clone(&store) as Arc<dyn ObjectStore>,
            Arc::new(said.clone()),
            Arc::new(ManualClock::at(NOW)),
        );
        edge.refresh().await.unwrap();
        Self { edge, film, said, signer, store }
    }

    async fn get(&self, name: &str) -> Answer {
        self.ask("GET", name, &grant(1080)).await
    }

    async fn ask(&self, method: &str, name: &str, grant: &Grant) -> Answer {
        self.ask_as("", method, name, grant).await
    }

    async fn ask_as(&self, agent: &str, method: &str, name: &str, grant: &Grant) -> Answer {
        let bearer = format!("Bearer {}", self.signer.token(grant));
        let request = Request::builder()
            .method(method)
            .uri(path(name))
            .header("authorization", bearer)
            .header("user-agent", agent);
        let (request, ()) = request.body(()).unwrap().into_parts();
        let response = self.edge.answer(&request).await;
        let (head, body) = response.into_parts();
        let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
        Answer {
            status: head.status.as_u16(),
            headers: head
                .headers
                .iter()
                .map(|(name, value)| (name.to_string(), text(value)))
                .collect::<HashMap<_, _>>(),
            body: body.collect().await.unwrap().to_bytes().to_vec(),
        }
    }

    /// These chunks have come as well, and the edge knows.
    async fn grows(&self, revision: u64, more: &[(&str, usize)]) {
        let asked = self.said.growing_asked();
        self.said.grow(Some(self.film.growing(revision, &[&FIRST[..], more].concat())));
        until(|| self.said.growing_asked() > asked).await;
    }

    /// The index object is put, and the rows are gone.
    async fn publish(&self) {
        let key = ObjectKey::Index { video: VIDEO, version: VERSION };
        self.store.put(&key, self.film.index.to_json()).await.unwrap();
        self.said.grow(None);
    }
}

fn want(name: &str, segment: u32) -> Want {
    Want { video: VIDEO, version: VERSION, rendition: name.parse().unwrap(), segment }
}

fn names() -> Vec<String> {
    let pictures = PICTURES.map(|height| format!("{height}p")).into_iter();
    pictures.chain(SOUNDS.map(|kbps| format!("a{kbps}"))).collect()
}

#[test]
fn the_film_is_what_its_plan_says() {
    let film = Film::new();
    let all: Vec<_> = names().into_iter().flat_map(|name| [(name.clone(), 0), (name, 1)]).collect();
    let all: Vec<_> = all.iter().map(|(name, place)| (name.as_str(), *place)).collect();
    assert_eq!(film.growing(9, &all).finish().unwrap(), film.index);
}

#[tokio::test(start_paused = true)]
async fn playlists_are_the_same_before_and_after() {
    let growing = Growing::start().await;
    let mut before = Vec::new();
    for name in names() {
        let name = format!("{name}/playlist.m3u8");
        let answer = growing.get(&name).await;
        assert_eq!(answer.status, 200, "{name}");
        assert!(answer.text().ends_with("2.m4s\n#EXT-X-ENDLIST\n"), "{}", answer.text());
        before.push((name, answer));
    }
    // Another edge has only seen the film when it was whole.
    let whole = Growing::start().await;
    whole.publish().await;
    for (name, before) in before {
        let after = whole.get(&name).await;
        assert_eq!(before.text(), after.text(), "{name}");
        for header in ["etag", "cache-control", "content-type"] {
            assert_eq!(before.header(header), after.header(header), "{name}: {header}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_there_is_served_at_once() {
    let growing = Growing::start().await;
    for (name, _) in FIRST {
        for n in [0, 1] {
            let answer = growing.get(&format!("{name}/{n}.m4s")).await;
            assert_eq!((answer.status, answer.header("cocuyo-held")), (200, ""), "{name}/{n}");
            assert!(answer.body == growing.film.segment(name, n), "{name}/{n}");
            assert_eq!(answer.header("cache-control"), "private, max-age=31536000, immutable");
        }
    }
    for name in names() {
        let key = ObjectKey::Init { video: VIDEO, version: VERSION, rendition: name.parse().unwrap() };
        assert!(growing.get(&format!("{name}/init.mp4")).await.body == *growing.film.object(key));
    }
    assert_eq!(growing.said.wants(), []);
}

#[tokio::test(start_paused = true)]
async fn the_multivariant_offers_what_plays_without_holes() {
    let growing = Growing::start().await;
    let offered = async |query: &str, height: u16| {
        let answer = growing.ask("GET", &format!("multivariant.m3u8{query}"), &grant(height)).await;
        assert_eq!((answer.status, answer.header("cache-control")), (200, "private, no-cache"));
        let variants = answer.text().lines().filter(|line| !line.starts_with('#'));
        variants.map(|uri| uri.split('/').next().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(offered("", 1080).await, "144p 360p a32 a64");
    assert_eq!(offered("?planned=1", 1080).await, "144p 360p 1080p a32 a64");
    assert_eq!(offered("?planned=1", 720).await, "144p 360p a32 a64");
    assert_eq!(offered("?planned=0", 1080).await, "144p 360p a32 a64");
    assert_eq!(offered("", 144).await, "144p a32 a64");

    let caps = growing.get("multivariant.m3u8?planned=1").await;
    expect![[r##"
        #EXT-X-STREAM-INF:BANDWIDTH=229844,AVERAGE-BANDWIDTH=181244,CODECS="avc1.4d401f,mp4a.40.2",RESOLUTION=256x144,FRAME-RATE=25,AUDIO="a32"
    "##]]
    .assert_eq(&(caps.text().lines().find(|line| line.contains("144")).unwrap().to_owned() + "\n"));

    growing.grows(2, &[("1080p", 1), ("1080p", 0)]).await;
    assert_eq!(offered("", 1080).await, "144p 360p 1080p a32 a64");
    assert_eq!(offered("", 720).await, "144p 360p a32 a64");
}

#[tokio::test(start_paused = true)]
async fn a_request_is_held_until_its_segment_is_there() {
    let growing = Growing::start().await;
    let came = async {
        growing.said.heard(1).await;
        tokio::time::advance(Duration::from_millis(3000)).await;
        growing.said.grow(Some(growing.film.growing(2, &[&FIRST[..], &[("144p", 1)]].concat())));
    };
    let (answer, ()) = tokio::join!(growing.get("144p/2.m4s"), came);
    assert_eq!(answer.status, 200);
    assert!(answer.body == growing.film.segment("144p", 2));
    assert_eq!(answer.header("cocuyo-held"), "3000");
    assert!(answer.header("access-control-expose-headers").contains("cocuyo-held"));
    growing.said.heard(2).await;
    let want = want("144p", 2);
    assert_eq!(growing.said.wants(), [Heard::Want(want), Heard::Unwant(want)]);
}

#[tokio::test(start_paused = true)]
async fn who_waited_eight_seconds_is_asked_to_come_again() {
    let growing = Growing::start().await;
    let began = Instant::now();
    let answer = growing.get("1080p/0.m4s").await;
    assert_eq!(began.elapsed().as_secs(), 8);
    assert_eq!(
        (answer.status, answer.header("retry-after"), answer.header("cache-control")),
        (503, "1", "no-store")
    );
    assert!(answer.text().contains(r#""code":"not_yet""#), "{}", answer.text());
    assert!(answer.header("cocuyo-held").starts_with("800"), "{}", answer.header("cocuyo-held"));
    // Told again after five seconds, and taken back as often.
    growing.said.heard(4).await;
    let (want, unwant) = (Heard::Want(want("1080p", 0)), Heard::Unwant(want("1080p", 0)));
    assert_eq!(growing.said.wants(), [want, want, unwant, unwant]);
}

#[tokio::test(start_paused = true)]
async fn a_player_that_a_refusal_would_end_waits_a_minute() {
    let growing = Growing::start().await;
    let began = Instant::now();
    let answer = growing.ask_as("VLC/3.0.24 LibVLC/3.0.24", "GET", "144p/2.m4s", &grant(1080)).await;
    assert_eq!((answer.status, began.elapsed().as_secs()), (503, 60));
    // Every five seconds anew, and taken back as often.
    growing.said.heard(24).await;
    let heard = growing.said.wants();
    let (wants, unwants) = heard.split_at(12);
    assert!(wants.iter().all(|heard| *heard == Heard::Want(want("144p", 2))), "{wants:?}");
    assert!(unwants.iter().all(|heard| *heard == Heard::Unwant(want("144p", 2))), "{unwants:?}");
}

#[tokio::test(start_paused = true)]
async fn a_head_is_not_held() {
    let growing = Growing::start().await;
    let began = Instant::now();
    let answer = growing.ask("HEAD", "144p/2.m4s", &grant(1080)).await;
    assert_eq!((answer.status, answer.header("retry-after"), answer.body.is_empty()), (503, "1", false));
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(growing.ask("HEAD", "144p/1.m4s", &grant(1080)).await.status, 200);
    assert_eq!(growing.said.wants(), []);
}

#[tokio::test(start_paused = true)]
async fn one_want_stands_for_all_who_wait_for_a_lane() {
    let growing = Growing::start().await;
    let first = growing.get("144p/2.m4s");
    let mut first = std::pin::pin!(first);
    assert!(futures::poll!(first.as_mut()).is_pending());
    growing.said.heard(1).await;
    {
        let (second, third) = (growing.get("360p/2.m4s"), growing.get("a32/2.m4s"));
        let (mut second, mut third) = (std::pin::pin!(second), std::pin::pin!(third));
        assert!(futures::poll!(second.as_mut()).is_pending() && futures::poll!(third.as_mut()).is_pending());
        growing.said.heard(2).await;
    }
    // The second and the third are gone: the sound is given back, the lane is still wanted.
    growing.said.heard(3).await;
    let (picture, sound) = (want("144p", 2), want("a32", 2));
    let so_far = [Heard::Want(picture), Heard::Want(sound), Heard::Unwant(sound)];
    assert_eq!(growing.said.wants(), so_far);
    growing.said.grow(Some(growing.film.growing(2, &[&FIRST[..], &[("144p", 1)]].concat())));
    assert_eq!(first.await.status, 200);
    growing.said.heard(4).await;
    assert_eq!(growing.said.wants(), [&so_far[..], &[Heard::Unwant(picture)]].concat());
}

#[tokio::test]
async fn a_player_that_hangs_up_gives_its_want_back() {
    let serving = Serving::start().await;
    serving.store.delete(&ObjectKey::Index { video: VIDEO, version: VERSION }).await.unwrap();
    serving.said.grow(Some(serving.film.growing(1, &FIRST)));
    let mut stream = tokio::net::TcpStream::connect(serving.address).await.unwrap();
    let request = format!(
        "GET {} HTTP/1.1\r\nhost: edge\r\n{}\r\n\r\n",
        path("360p/2.m4s"),
        serving.bearer(&grant(360))
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let deadline = Duration::from_secs(5);
    tokio::time::timeout(deadline, serving.said.heard(1)).await.unwrap();
    drop(stream);
    tokio::time::timeout(deadline, serving.said.heard(2)).await.unwrap();
    assert_eq!(serving.said.wants(), [Heard::Want(want("360p", 2)), Heard::Unwant(want("360p", 2))]);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_planned_is_absent() {
    let growing = Growing::start().await;
    for name in ["144p/3.m4s", "a32/3.m4s", "480p/0.m4s", "480p/init.mp4", "a128/playlist.m3u8", "240p.mp4"] {
        assert_eq!(growing.get(name).await.status, 404, "{name}");
    }
    assert_eq!(growing.said.wants(), []);
    growing.said.grow(None);
    let elsewhere = Growing::start().await;
    elsewhere.said.grow(None);
    assert_eq!(elsewhere.get("multivariant.m3u8").await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn a_file_is_there_when_its_two_tracks_are_and_stays_the_same() {
    let growing = Growing::start().await;
    let file = growing.get("360p.mp4").await;
    assert_eq!((file.status, file.header("retry-after"), file.header("cocuyo-held")), (503, "1", ""));
    // The picture is whole, its sound is not yet.
    growing.grows(2, &[("360p", 1)]).await;
    assert_eq!(growing.get("360p.mp4").await.status, 503);
    growing.grows(3, &[("360p", 1), ("a64", 1)]).await;
    let early = growing.get("360p.mp4").await;
    assert_eq!((early.status, growing.get("144p.mp4").await.status), (200, 503));

    let whole = Growing::start().await;
    whole.publish().await;
    let late = whole.get("360p.mp4").await;
    assert!(early.body == late.body, "other bytes");
    assert_eq!(early.header("etag"), late.header("etag"));
}

#[tokio::test(start_paused = true)]
async fn a_still_is_there_from_when_it_is_drawn() {
    let growing = Growing::start().await;
    let poster = growing.get("poster.jpg").await;
    assert_eq!((poster.status, poster.header("cache-control")), (404, "no-store"));
    let key = ObjectKey::Poster { video: VIDEO, version: VERSION };
    growing.store.put(&key, growing.film.object(key).clone()).await.unwrap();
    assert_eq!(growing.get("poster.jpg").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn publishing_answers_who_waits_and_changes_nothing_else() {
    let growing = Growing::start().await;
    let published = async {
        growing.said.heard(1).await;
        growing.publish().await;
    };
    let (answer, ()) = tokio::join!(growing.get("1080p/2.m4s"), published);
    assert_eq!(answer.status, 200);
    assert!(answer.body == growing.film.segment("1080p", 2));
    let asked = growing.said.growing_asked();
    for name in names() {
        for n in 0..3 {
            let answer = growing.get(&format!("{name}/{n}.m4s")).await;
            assert!(answer.status == 200 && answer.body == growing.film.segment(&name, n), "{name}/{n}");
        }
    }
    let whole = Growing::start().await;
    whole.publish().await;
    let multivariant = whole.get("multivariant.m3u8").await;
    assert_eq!(growing.get("multivariant.m3u8?planned=1").await.text(), multivariant.text());
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(growing.said.growing_asked(), asked, "nobody follows what is whole");
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_given_up_is_absent_for_who_waits() {
    let growing = Growing::start().await;
    let given_up = async {
        growing.said.heard(1).await;
        growing.said.grow(None);
    };
    let (answer, ()) = tokio::join!(growing.get("144p/2.m4s"), given_up);
    assert_eq!(answer.status, 404);
    assert_eq!(growing.get("144p/0.m4s").await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn who_loses_the_right_while_waiting_gets_nothing() {
    let growing = Growing::start().await;
    let revoked = async {
        growing.said.heard(1).await;
        growing.said.revoke(Revoked::Session(SESSION), NOW);
        growing.edge.refresh().await.unwrap();
        growing.said.grow(Some(growing.film.growing(2, &[&FIRST[..], &[("144p", 1)]].concat())));
    };
    let (answer, ()) = tokio::join!(growing.get("144p/2.m4s"), revoked);
    assert_eq!(answer.status, 401);
}

#[tokio::test(start_paused = true)]
async fn a_growing_version_is_looked_for_once() {
    let growing = Growing::start().await;
    growing.get("144p/0.m4s").await;
    let (reads, asked) = (growing.store.reads(), growing.said.growing_asked());
    for _ in 0..100 {
        assert_eq!(growing.get("144p/0.m4s").await.status, 200);
        assert_eq!(growing.get("144p/playlist.m3u8").await.status, 200);
    }
    assert_eq!((growing.store.reads(), growing.said.growing_asked()), (reads, asked));
}

#[tokio::test(start_paused = true)]
async fn nobody_follows_what_nobody_asks_for() {
    let growing = Growing::start().await;
    growing.get("144p/0.m4s").await;
    // A follower asks every two seconds, so time goes on only because of it.
    tokio::time::sleep(Duration::from_secs(40)).await;
    let asked = growing.said.growing_asked();
    assert!((14..20).contains(&asked), "{asked}");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(growing.said.growing_asked(), asked);
    growing.said.grow(Some(growing.film.growing(5, &[&FIRST[..], &[("144p", 1)]].concat())));
    assert_eq!(growing.get("144p/2.m4s").await.header("cocuyo-held"), "", "it is asked for anew");
}

#[tokio::test(start_paused = true)]
async fn waiting_is_bounded() {
    let growing = Growing::start().await;
    let mut plan = growing.film.plan();
    plan.grid.frames = 100_000;
    plan.video.as_mut().unwrap().frames = 100_000;
    let long = cmaf::GrowingIndex::new(2, VIDEO, VERSION, plan, Vec::new(), Vec::new());
    growing.said.grow(Some(long));
    let session = |n: u128| Grant { sid: SessionId::from_bits(n), ..grant(1080) };

    // Eight requests of one session wait, the ninth does not.
    let paths: Vec<_> = (0..80).map(|n| format!("144p/{n}.m4s")).collect();
    let grants: Vec<_> = (0..20).map(session).collect();
    let mut waiting: Vec<_> =
        (0..64).map(|n| Box::pin(growing.ask("GET", &paths[n], &grants[n / 8]))).collect();
    for request in &mut waiting {
        assert!(futures::poll!(request.as_mut()).is_pending());
    }
    growing.said.heard(64).await;
    let began = Instant::now();
    let refused = async |path: &str, grant: &Grant| {
        let answer = growing.ask("GET", path, grant).await;
        (answer.status, answer.header("retry-after").to_owned(), began.elapsed())
    };
    let at_once = (503, "1".to_owned(), Duration::ZERO);
    assert_eq!(refused(&paths[0], &grants[0]).await, at_once, "one session too often");
    assert_eq!(refused(&paths[64], &grants[19]).await, at_once, "one segment too many");
    // What is waited for already is no more work; nor has the other lane anything to do with it.
    for name in [&paths[0], "1080p/7.m4s"] {
        let more = growing.ask("GET", name, &grants[19]);
        assert!(futures::poll!(std::pin::pin!(more)).is_pending(), "{name}");
    }
    assert_eq!(Lane::of("1080p".parse().unwrap()), Lane::B);
    drop(waiting);
    growing.said.heard(128).await;
    let more = growing.ask("GET", &paths[70], &grants[0]);
    assert!(futures::poll!(std::pin::pin!(more)).is_pending(), "all were given back");
}

#[tokio::test(start_paused = true)]
async fn without_an_origin_the_last_word_holds() {
    let growing = Growing::start().await;
    growing.get("144p/0.m4s").await;
    growing.said.go_away(true);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(growing.get("144p/1.m4s").await.status, 200);
    assert_eq!(growing.get("multivariant.m3u8").await.status, 200);
    let back = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        growing.said.grow(Some(growing.film.growing(2, &[&FIRST[..], &[("144p", 1)]].concat())));
        growing.said.go_away(false);
    };
    let (answer, ()) = tokio::join!(growing.get("144p/2.m4s"), back);
    assert_eq!(answer.status, 200, "it is followed again");
    let other = Grant { video: VideoId::from_bits(7), ..grant(1080) };
    assert_eq!(growing.ask("GET", "144p/0.m4s", &other).await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn without_a_store_what_is_in_memory_plays_and_the_rest_later() {
    let growing = Growing::start().await;
    growing.get("144p/0.m4s").await;
    growing.store.go_away(true);
    for name in ["144p/0.m4s", "144p/1.m4s", "144p/playlist.m3u8", "multivariant.m3u8"] {
        assert_eq!(growing.get(name).await.status, 200, "{name}");
    }
    let came = async {
        growing.said.heard(1).await;
        growing.said.grow(Some(growing.film.growing(2, &[&FIRST[..], &[("360p", 1)]].concat())));
    };
    let (held, ()) = tokio::join!(growing.get("360p/2.m4s"), came);
    let other = growing.get("360p/0.m4s").await;
    for answer in [held, other] {
        assert_eq!((answer.status, answer.header("cache-control")), (503, "no-store"));
        assert_ne!(answer.header("retry-after"), "");
    }
    // Published meanwhile: the index cannot be read, and what grew is served until it can.
    growing.said.grow(None);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(growing.get("144p/1.m4s").await.status, 200);
    growing.store.go_away(false);
    growing.publish().await;
    assert_eq!(growing.get("1080p/2.m4s").await.status, 200);
    assert_eq!(growing.get("360p/0.m4s").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn an_edge_that_stops_holds_nobody() {
    let growing = Growing::start().await;
    let stop = CancellationToken::new();
    let (edge, stopped) = (growing.edge.clone(), stop.clone());
    TaskTracker::new().spawn(async move { edge.follow(stopped).await });
    let began = Instant::now();
    let stopping = async {
        growing.said.heard(1).await;
        stop.cancel();
    };
    let (answer, ()) = tokio::join!(growing.get("144p/2.m4s"), stopping);
    assert_eq!((answer.status, began.elapsed()), (503, Duration::ZERO));
    assert_eq!(growing.get("144p/1.m4s").await.status, 200);
}

/// Lets others run until `condition` holds.
async fn until(condition: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if condition() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it did not happen");
}
