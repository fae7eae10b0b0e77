//! Publishers whose clocks go round, jump, and whose key frames do not come: the same event goes on, and
//! its owner is told why it stumbles.

use std::sync::Arc;

use serde_json::Value;
use tests::{Notes, Observer, Replayer, Stack, Tape, Watching, decode, until};

use crate::live::{Broadcast, PATIENCE};

/// Thirty-two bits of milliseconds go round after so many.
const RTMP_ROUND_MS: i64 = 1 << 32;
/// Thirty-three bits of ticks of 90 kHz.
const PTS_ROUND_MS: i64 = (1 << 33) / 90;

/// A tape that is published, and an event that is watched.
struct Scene {
    stack: Stack,
    event: Broadcast,
    tape: Arc<Tape>,
    observer: Observer,
}

impl Scene {
    /// An event whose publisher's first time is `first_ms`, once all renditions are offered.
    async fn begin(first_ms: i64) -> (Self, Replayer) {
        let stack = Stack::start().await;
        let event = Broadcast::create(&stack, 0).await;
        let tape = Arc::new(Tape::record());
        let publisher = Replayer::start(&event.url(), &tape, first_ms as u32).await;
        event.until_on_air().await;
        let viewer = Watching::start(&stack, &event.ana, &event.id).await;
        let observer = Observer::start(&viewer, event.until_encoded(&viewer).await);
        (Self { stack, event, tape, observer }, publisher)
    }

    /// Waits until the studio says this of the feed; in which words.
    async fn warned(&self, code: &str) -> String {
        until(code, PATIENCE, async || {
            let health = self.event.health().await;
            let mut warnings = health["feed"]["warnings"].as_array().into_iter().flatten();
            let text = warnings.find_map(|one| (one["code"] == code).then(|| one["text"].as_str())).flatten();
            text.map(str::to_owned).ok_or_else(|| health.clone())
        })
        .await
    }

    /// Ends the event, and judges all that was seen of it: no rule is broken and no request was refused.
    async fn end(self, publisher: Replayer) -> (Stack, Notes, f64) {
        self.event.end().await;
        let notes = self.observer.ended().await;
        drop(publisher);
        assert!(notes.missed.is_empty(), "{:#?}", notes.missed);
        notes.check();
        self.event.ana.until_ready(&self.event.id).await;
        let film = Watching::start(&self.stack, &self.event.ana, &self.event.id).await;
        let whole = decode(&film.url("360p.mp4"));
        assert_eq!(whole.complaints, "");
        assert!(whole.frames as f64 > whole.seconds * 29.0, "{whole:?}");
        (self.stack, notes, whole.seconds)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn times_that_go_round_are_no_news() {
    // RTMP's own clock goes round within seconds; then another publisher's reaches 33 bits of ticks.
    let (scene, first) = Scene::begin(RTMP_ROUND_MS - 9000).await;
    scene.observer.until_more(120).await;
    let publisher = Replayer::start(&scene.event.url(), &scene.tape, (PTS_ROUND_MS - 4000) as u32).await;
    first.let_go().await;
    scene.observer.until_more(160).await;
    let health = scene.event.health().await;
    assert_eq!(codes(&health), [] as [&str; 0], "{health:#}");
    let (_, notes, _) = scene.end(publisher).await;
    let text = notes.last("360p");
    assert!(!text.contains("#EXT-X-DISCONTINUITY\n"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn times_that_jump_are_a_feed_of_their_own() {
    let (scene, publisher) = Scene::begin(60_000).await;
    let before = scene.stack.memory();
    for ms in [10_500, -10_500, PTS_ROUND_MS, -PTS_ROUND_MS] {
        publisher.jump(ms);
        let text = scene.warned("times_jumped").await;
        assert!(text.contains("salto"), "{text}");
        scene.observer.until_more(100).await;
    }
    // The sound follows later than the picture, and the other way round.
    publisher.jump_pictures(-20_000);
    scene.observer.until_more(4).await;
    publisher.jump_sound(-20_000);
    scene.observer.until_more(100).await;
    publisher.jump_sound(1_000_000);
    scene.observer.until_more(4).await;
    publisher.jump_pictures(1_000_000);
    scene.observer.until_more(100).await;
    assert!(scene.event.event().await["on_air"] == true);
    let grown = scene.stack.memory().saturating_sub(before);
    assert!(grown < 100 << 20, "{grown} bytes more");
    let (_, notes, seconds) = scene.end(publisher).await;
    let text = notes.last("360p");
    assert!(!text.contains("#EXT-X-DISCONTINUITY\n"), "{text}");
    // Nothing of a jump is in the film.
    assert!((8.0..120.0).contains(&seconds), "{seconds}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_key_frames_an_event_goes_on_and_says_so() {
    let (scene, publisher) = Scene::begin(0).await;
    let before = scene.stack.memory();
    publisher.has_no_keys(true);
    let text = scene.warned("no_key_frame").await;
    assert!(!text.is_empty());
    scene.observer.until_more(60).await;
    publisher.has_no_keys(false);
    until("key frames again", PATIENCE, async || {
        let health = scene.event.health().await;
        if codes(&health).contains(&"no_key_frame") { Err(health) } else { Ok(()) }
    })
    .await;
    let grown = scene.stack.memory().saturating_sub(before);
    assert!(grown < 100 << 20, "{grown} bytes more");
    let (_, notes, _) = scene.end(publisher).await;
    assert!(notes.check().figures().dependent_segments > 2, "segments were cut without a key frame");
}

fn codes(health: &Value) -> Vec<&str> {
    let warnings = health["feed"]["warnings"].as_array().into_iter().flatten();
    warnings.filter_map(|warning| warning["code"].as_str()).collect()
}
