//! One event, held through every cut while the site's own player plays past each of them and the checker
//! watches; then played as a film, and as the page's plain MP4.

use serde_json::{Value, json};
use tests::{Browser, Observer, Signal, Stack, Watching, decode};

use crate::live::{Broadcast, holding};

/// The site's own player on the event's page.
pub(crate) struct Player {
    browser: Browser,
    /// How it was when it was looked at last.
    last: Value,
}

impl Player {
    pub(crate) fn start(stack: &Stack, event: &Broadcast) -> Self {
        let viewer = ["--viewer", "eva:contraseña de eva"];
        let page = ["--base", &stack.url(""), "--video", &event.id];
        let browser = Browser::start("live.js", &[&page[..], &viewer].concat());
        let last = browser.ask(&json!({ "play": true }));
        Self { browser, last }
    }

    /// Waits until pictures with this corner move, in the player and on the page that there were from
    /// the beginning.
    pub(crate) async fn plays_on(&mut self, corner: &str) {
        let look = json!({ "look": true });
        let (before, browser) = (&self.last, &self.browser);
        let seen = browser.until(corner, &look, |now| now["colour"] == corner).await;
        let has_moved = |now: &Value| {
            let more = |key: &str, least: f64| now[key].as_f64() > seen[key].as_f64().map(|was| was + least);
            now["colour"] == corner && more("time", 3.0) && more("frames", 40.0)
        };
        let now = browser.until("pictures that move", &look, has_moved).await;
        assert_eq!((&now["failure"], &now["isSame"]), (&Value::Null, &json!(true)), "{corner}: {now:#}");
        // Every fatal error of hls.js opens another source, or ends in the panel that `failure` is.
        assert_eq!(now["sources"], before["sources"], "{corner}: {before:#} {now:#}");
        assert!(now["time"].as_f64() > before["time"].as_f64(), "{corner}: {before:#} {now:#}");
        self.last = now;
    }

    /// Waits until the picture has so many lines: nothing but the player chooses them.
    async fn comes_to_show(&self, lines: u64) {
        let look = json!({ "look": true });
        self.browser.until("the publisher's own picture", &look, |now| now["height"] == lines).await;
    }

    fn ask(&self, command: &str) -> Value {
        self.browser.ask(&json!({ command: true }))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_event_is_held_through_every_cut_while_its_player_plays_on() {
    let mut stack = Stack::start().await;
    let mut event = Broadcast::create(&stack, 0).await;
    stack.person("eva", "viewer", 0).await;
    let large = Signal { corner: "red", ..Signal::default() };
    let encoder = event.start(large);
    event.until_on_air().await;
    let viewer = Watching::start(&stack, &event.ana, &event.id).await;
    let renditions = event.until_encoded(&viewer).await;
    let observer = Observer::start(&viewer, renditions.clone());
    let mut player = Player::start(&stack, &event);
    player.plays_on("red").await;
    // There is room on this line for the best of them, now and behind an outage.
    player.comes_to_show(360).await;

    // The encoder is gone, and back as it was.
    encoder.kill();
    observer.until_more(40).await;
    let encoder = event.start(Signal { corner: "green", ..large });
    player.plays_on("green").await;
    player.comes_to_show(360).await;

    // It is gone, and back with a smaller picture.
    encoder.kill();
    observer.until_more(40).await;
    let small = Signal { size: "426x240", corner: "blue", ..large };
    let encoder = event.start(small);
    player.plays_on("blue").await;
    let missed = observer.missed();
    assert!(missed.is_empty(), "the server was there all the time: {missed:#?}");

    // The server is killed, and the encoder comes back to the next one, some seconds later.
    let log = stack.log();
    stack.kill_server();
    drop(encoder);
    observer.until_missed(renditions.len() * 15).await;
    stack.start_server().await;
    event.is_at(stack.live_url());
    let encoder = event.start(Signal { corner: "red", ..small });
    player.plays_on("red").await;

    event.end().await;
    let notes = observer.ended().await;
    drop(encoder);
    notes.check();
    for rendition in &renditions {
        let text = notes.last(rendition);
        assert_eq!(text.matches("#EXT-X-DISCONTINUITY\n").count(), 1, "{rendition}: {text}");
    }
    assert!(notes.last("360p").contains("init-1.mp4"), "{}", notes.last("360p"));

    event.ana.until_ready(&event.id).await;
    let film = player.ask("film");
    assert_eq!((&film["failure"], &film["colour"]), (&Value::Null, &json!("red")), "{film:#}");
    let file = player.ask("file");
    assert_eq!((&file["failure"], &file["colour"]), (&Value::Null, &json!("red")), "{file:#}");
    assert!(file["source"].as_str().is_some_and(|source| source.ends_with(".mp4")), "{file:#}");
    let told = player.ask("close");
    assert_eq!((&told["complaints"], &told["strangers"]), (&json!([]), &json!([])), "{told:#}");
    let film = Watching::start(&stack, &event.ana, &event.id).await;
    // Both sizes are in it; ffmpeg's HLS knows one for each playlist, so it reads what has one.
    let own = film.get("360p/playlist.m3u8").await.expect(200).text();
    assert!(own.contains("#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init-1.mp4\""), "{own}");
    let whole = decode(&film.url("144p/playlist.m3u8"));
    assert_eq!(whole.complaints, "");
    let seconds = file["duration"].as_f64().expect("a file has an end");
    assert!((whole.seconds - seconds).abs() < 0.5 && seconds > 12.0, "{whole:?} {file:#}");

    // The key is nowhere in all that was written, said or shown.
    let page = event.ana.get(&format!("/my/events/{}", event.id)).await.text();
    let metrics = stack.metrics().await;
    for text in [log, stack.log(), page, metrics, notes.text(), event.event().await.to_string()] {
        assert!(!text.contains(event.key()), "the key is in {text}");
    }
    assert_eq!(holding(&stack.data(), event.key()), Vec::<std::path::PathBuf>::new());
}
