//! A version that is still being made: the time is tokio's, and stands still until all wait.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use edge::{Config, Edge, Want};
use expect_test::expect;
use http::Request;
use http_body_util::BodyExt;
use model::{Grant, Lane, ManualClock, ObjectKey, RenditionName, VideoId};
use storage::{Memory, ObjectStore};

use crate::film::{Film, PICTURES, SOUNDS, VERSION, VIDEO};
use crate::origin::{NOW, Said, Signer, grant};
use crate::serving::{Answer, path};
use crate::watched::Watched;

/// All that plays from the beginning.
pub(crate) const FIRST: [(&str, usize); 4] = [("a32", 0), ("a64", 0), ("144p", 0), ("360p", 0)];

/// An edge without a socket, so that time can stand still.
pub(crate) struct Growing {
    pub(crate) edge: Edge,
    pub(crate) film: Film,
    pub(crate) said: Said,
    pub(crate) signer: Signer,
    pub(crate) store: Arc<Watched<Memory>>,
}

impl Growing {
    /// With the first chunks of lane A and the sound, and neither index nor pictures.
    pub(crate) async fn start() -> Self {
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
            None,
            Arc::new(ManualClock::at(NOW)),
        );
        edge.refresh().await.unwrap();
        Self { edge, film, said, signer, store }
    }

    pub(crate) async fn get(&self, name: &str) -> Answer {
        self.ask("GET", name, &grant(1080)).await
    }

    pub(crate) async fn ask(&self, method: &str, name: &str, grant: &Grant) -> Answer {
        self.ask_as("", method, name, grant).await
    }

    pub(crate) async fn ask_as(&self, agent: &str, method: &str, name: &str, grant: &Grant) -> Answer {
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
    pub(crate) async fn grows(&self, revision: u64, more: &[(&str, usize)]) {
        let asked = self.said.growing_asked();
        self.said.grow(Some(self.film.growing(revision, &[&FIRST[..], more].concat())));
        until(|| self.said.growing_asked() > asked).await;
    }

    /// The index object is put, and the rows are gone.
    pub(crate) async fn publish(&self) {
        let key = ObjectKey::Index { video: VIDEO, version: VERSION };
        self.store.put(&key, self.film.index.to_json()).await.unwrap();
        self.said.grow(None);
    }
}

pub(crate) fn want(name: &str, segment: u32) -> Want {
    let name: RenditionName = name.parse().unwrap();
    Want { video: VIDEO, version: VERSION, lane: name.is_video().then(|| Lane::of(name)), segment }
}

pub(crate) fn names() -> Vec<String> {
    let pictures = PICTURES.map(|height| format!("{height}p")).into_iter();
    pictures.chain(SOUNDS.map(|kbps| format!("a{kbps}"))).collect()
}

/// Lets others run until `condition` holds.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if condition() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it did not happen");
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
        let key =
            ObjectKey::Init { video: VIDEO, version: VERSION, rendition: name.parse().unwrap(), number: 0 };
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
        #EXT-X-STREAM-INF:BANDWIDTH=235244,AVERAGE-BANDWIDTH=181244,CODECS="avc1.4d401f,mp4a.40.2",RESOLUTION=256x144,FRAME-RATE=25,AUDIO="a32"
    "##]]
    .assert_eq(&(caps.text().lines().find(|line| line.contains("144")).unwrap().to_owned() + "\n"));

    growing.grows(2, &[("1080p", 1), ("1080p", 0)]).await;
    assert_eq!(offered("", 1080).await, "144p 360p 1080p a32 a64");
    assert_eq!(offered("", 720).await, "144p 360p a32 a64");
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
