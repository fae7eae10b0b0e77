//! What becomes of a broadcast: clips while it goes on, and then chapters, other ends and the
//! renditions that it lacks.

use std::time::Duration;

use serde_json::{Value, json};
use tests::{Engines, Person, Signal, Stack, Watching, decode, until};

use crate::live::{Broadcast, PATIENCE};

/// Nothing is made of the film that its owner did not ask for.
const NO_LADDER: &str = "[packager]\nlive_ladder = false\n";

/// Waits until so many seconds of an event are there.
async fn until_lasting(event: &Broadcast, viewer: &Watching, seconds: usize) {
    until("some more of the event", PATIENCE, async || {
        let listed = viewer.get("360p/playlist.m3u8").await.expect(200).text();
        let closed = listed.lines().filter(|line| line.starts_with("#EXTINF")).count();
        if closed * 2 >= seconds { Ok(()) } else { Err((listed, event.log())) }
    })
    .await;
}

/// A film that was an event of about so many seconds.
async fn shelved(stack: &Stack, seconds: usize) -> Broadcast {
    let event = Broadcast::create(stack, 0).await;
    let publisher = event.start(Signal::default());
    event.until_on_air().await;
    let viewer = Watching::start(stack, &event.ana, &event.id).await;
    until_lasting(&event, &viewer, seconds).await;
    event.end().await;
    event.ana.until_ready(&event.id).await;
    publisher.kill();
    event
}

async fn index(stack: &Stack, video: &Value) -> Value {
    let (id, version) = (video["id"].as_str().expect("an id"), video["version"].as_str().expect("a version"));
    let key = format!("videos/{id}/{version}/index.json").parse().expect("a key");
    serde_json::from_slice(&stack.bucket().get(&key).await.expect("an index")).expect("it is JSON")
}

/// The hash of the initialisation segment of the publisher's own picture.
fn init_of<'a>(index: &'a Value, name: &str) -> &'a Value {
    let all = index["renditions"].as_array().expect("a list");
    &all.iter().find(|rendition| rendition["name"] == name).expect("the rendition")["init_hash"]
}

/// Waits until another version than `old` plays; the video is ready all the time.
async fn until_another(person: &Person, video: &str, old: &Value) -> Value {
    until("another version", Duration::from_secs(60), async || {
        let shown = person.video(video).await;
        assert_eq!((&shown["state"], &shown["plays"]), (&json!("ready"), &json!(true)), "{shown:#}");
        if shown["version"] == *old { Err(shown) } else { Ok(shown) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clip_is_a_film_while_its_event_goes_on() {
    let stack = Stack::start_with(Engines::Embedded, NO_LADDER).await;
    let event = Broadcast::create(&stack, 1).await;
    let publisher = event.start(Signal { b_frames: 2, ..Signal::default() });
    let clips = format!("/api/v1/events/{}/clips", event.id);
    let order = json!({ "title": "El mejor momento", "last_s": 4 });
    assert_eq!(event.ana.post(&clips, order.clone()).await.expect(409).json()["code"], "not_on_air");
    event.until_on_air().await;
    let viewer = Watching::start(&stack, &event.ana, &event.id).await;
    until_lasting(&event, &viewer, 8).await;
    let path = format!("/api/v1/videos/{}", event.id);
    let chapters = json!([{ "start_ms": 0, "title": "Saludo" }, { "start_ms": 4000, "title": "Lo demás" }]);
    let shown = event.ana.patch(&path, json!({ "chapters": chapters })).await.expect(200).json();
    assert_eq!(shown["chapters"], chapters, "the event is on air");

    let clip = event.ana.post(&clips, order.clone()).await.expect(201).json();
    assert_eq!((&clip["state"], &clip["min_tier"]), (&json!("ready"), &json!(1)), "{clip:#}");
    assert_eq!((&clip["visibility"], &clip["owner"]), (&json!("public"), &json!("ana")), "{clip:#}");
    let from = json!({ "title": "Otro", "from_s": 2, "to_s": 4, "visibility": "unlisted", "min_tier": 0 });
    let other = event.ana.post(&clips, from).await.expect(201).json();
    assert_eq!((&other["visibility"], &other["min_tier"]), (&json!("unlisted"), &json!(0)), "{other:#}");
    // Its sound may end a packet of sound before its picture.
    for (clip, least, most) in [(&clip, 3.97, 8.5), (&other, 1.97, 6.5)] {
        let id = clip["id"].as_str().expect("an id");
        let film = Watching::start(&stack, &event.ana, id).await;
        for what in ["multivariant.m3u8", "360p.mp4"] {
            let decoded = decode(&film.url(what));
            assert_eq!(decoded.complaints, "", "{what}");
            assert!((least..most).contains(&decoded.seconds), "{what}: {decoded:?}");
            // Of the playlists it counts the pictures of 144p.
            let rate = if what == "360p.mp4" { 29.0 } else { 14.0 };
            assert!(decoded.frames as f64 > decoded.seconds * rate, "{what}: {decoded:?}");
        }
        film.get("poster.jpg").await.expect(200);
        stack.stranger().get(&format!("/watch/{id}")).await.expect(200);
    }

    for (wrong, status, code) in [
        (json!({ "title": "x", "last_s": 800 }), 400, "clip_not_there"),
        (json!({ "title": "x", "from_s": 500, "to_s": 510 }), 400, "clip_not_there"),
        (json!({ "title": "x", "last_s": 901 }), 400, "invalid_clip"),
        (json!({ "title": "x", "from_s": 5, "to_s": 2 }), 400, "invalid_clip"),
        (json!({ "title": "x" }), 400, "invalid_clip"),
        (json!({ "title": "", "last_s": 4 }), 400, "invalid_title"),
        (json!({ "title": "x", "last_s": "4" }), 400, "invalid_body"),
    ] {
        assert_eq!(event.ana.post(&clips, wrong).await.expect(status).json()["code"], code);
    }
    let luis = stack.person("luis", "creator", 1).await;
    luis.post(&clips, order.clone()).await.expect(403);
    assert_eq!(event.event().await["on_air"], true, "the event goes on");

    event.end().await;
    let film = event.ana.until_ready(&event.id).await;
    publisher.kill();
    assert_eq!(film["chapters"], chapters);
    assert_eq!(event.ana.post(&clips, order).await.expect(409).json()["code"], "not_on_air");
    // The publisher's own pictures, in both.
    let (whole, clip) = (index(&stack, &film).await, index(&stack, &clip).await);
    assert_eq!(init_of(&clip, "360p"), init_of(&whole, "360p"));
    assert_eq!(stack.cocuyo(&["doctor"]).trim(), "everything is in order");
}

async fn ends_are_trimmed_under_the_eyes_of_viewers(engines: Engines) {
    let stack = Stack::start_with(engines, NO_LADDER).await;
    let event = shelved(&stack, 12).await;
    let (ana, path) = (&event.ana, format!("/api/v1/videos/{}", event.id));
    let before = ana.video(&event.id).await;
    let chapters = json!([
        { "start_ms": 0, "title": "Prueba de sonido" },
        { "start_ms": 3000, "title": "Empieza" },
        { "start_ms": 7000, "title": "Sigue" },
        { "start_ms": 11_000, "title": "Se acabó" },
    ]);
    ana.patch(&path, json!({ "chapters": chapters })).await.expect(200);
    let watching = Watching::start(&stack, ana, &event.id).await;
    let free = stack.stranger().playback(&event.id).await.expect(200).json();
    let free = free["url"].as_str().expect("a url").trim_end_matches("multivariant.m3u8").to_owned();
    for wrong in
        [json!({}), json!({ "from_s": 9, "to_s": 3 }), json!({ "from_s": 9000 }), json!({ "from_s": 0.5 })]
    {
        assert_eq!(ana.post(&format!("{path}/trim"), wrong).await.expect(400).json()["code"], "invalid_trim");
    }
    assert_eq!(ana.delete(&format!("{path}/trim")).await.expect(409).json()["code"], "nothing_to_undo");

    // What is taken lies outside of what is asked for.
    let order = json!({ "from_s": 5, "to_s": 7.5 });
    let told = ana.post(&format!("{path}/trim"), order).await.expect(202).json();
    let ms = |key: &str| told["trim"][key].as_u64().expect("milliseconds");
    let (from, to) = (ms("from_ms"), ms("to_ms"));
    assert!((2900..=5000).contains(&from) && (7500..=10_100).contains(&to), "{told:#}");
    assert_eq!((&told["version"], &told["trim"]["under_way"]), (&before["version"], &json!(true)));
    let after = until_another(ana, &event.id, &before["version"]).await;
    assert_eq!(after["trim"]["under_way"], false, "{after:#}");
    assert!(after["trim"]["undo_until"].is_i64(), "{after:#}");
    let length = after["duration_ms"].as_u64().expect("a length");
    assert!(length.abs_diff(to - from) < 100, "{from} {to} {after:#}");
    let titles: Vec<_> =
        after["chapters"].as_array().expect("a list").iter().map(|it| &it["title"]).collect();
    assert_eq!(titles, ["Empieza", "Sigue"], "{after:#}");
    assert_eq!(after["chapters"][0]["start_ms"], 0);
    assert_eq!(after["chapters"][1]["start_ms"], 7000 - from);

    // Who began goes on; who begins now sees what is left.
    let last = before["duration_ms"].as_u64().expect("a length") / 2000 - 1;
    watching.get(&format!("360p/{last}.m4s")).await.expect(200);
    stack.stranger().get(&format!("{free}144p/{last}.m4s")).await.expect(200);
    let film = Watching::start(&stack, ana, &event.id).await;
    for what in ["multivariant.m3u8", "360p.mp4", "144p.mp4"] {
        let decoded = decode(&film.url(what));
        assert_eq!(decoded.complaints, "", "{what}");
        assert!((decoded.seconds * 1000.0 - length as f64).abs() < 150.0, "{what}: {decoded:?} {length}");
    }
    film.get("poster.jpg").await.expect(200);
    let (whole, left) = (index(&stack, &before).await, index(&stack, &after).await);
    assert_eq!(init_of(&left, "360p"), init_of(&whole, "360p"), "no picture was encoded");
    assert_eq!(stack.cocuyo(&["doctor"]).trim(), "everything is in order");

    // Undone, it is as it was.
    let undone = ana.delete(&format!("{path}/trim")).await.expect(200).json();
    for key in ["version", "duration_ms"] {
        assert_eq!(undone[key], before[key], "{key}");
    }
    assert_eq!((&undone["chapters"], &undone["trim"]), (&chapters, &Value::Null));
    film.get("360p/0.m4s").await.expect(200);
    stack.cocuyo(&["sweep", "--in", "25h"]);
    assert_eq!(stack.cocuyo(&["doctor"]).trim(), "everything is in order");
    assert_eq!(decode(&watching.url("360p.mp4")).complaints, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_are_trimmed_under_the_eyes_of_viewers_on_a_folder_and_sqlite() {
    ends_are_trimmed_under_the_eyes_of_viewers(Engines::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_are_trimmed_under_the_eyes_of_viewers_on_s3_and_postgresql() {
    ends_are_trimmed_under_the_eyes_of_viewers(Engines::Servers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_that_was_an_event_gets_the_renditions_that_it_lacks() {
    let stack = Stack::start().await;
    let event = shelved(&stack, 6).await;
    let names = |video: &Value| -> Vec<String> {
        let all = video["renditions"].as_array().expect("a list").iter();
        all.map(|rendition| rendition["name"].as_str().expect("a name").to_owned()).collect()
    };
    let before = event.ana.video(&event.id).await;
    let watching = Watching::start(&stack, &event.ana, &event.id).await;
    assert!(!names(&before).contains(&"240p".to_owned()), "{before:#}");
    let after = until_another(&event.ana, &event.id, &before["version"]).await;
    for name in ["a32", "a64", "144p", "240p", "360p"] {
        assert!(names(&after).contains(&name.to_owned()), "{name}: {after:#}");
    }
    assert_eq!(after["reencode"], Value::Null);
    watching.get("360p/0.m4s").await.expect(200);
    let film = Watching::start(&stack, &event.ana, &event.id).await;
    for what in ["multivariant.m3u8", "240p.mp4", "360p.mp4"] {
        let decoded = decode(&film.url(what));
        assert_eq!(decoded.complaints, "", "{what}");
        assert!(decoded.seconds > 5.0, "{what}: {decoded:?}");
    }
    stack.cocuyo(&["sweep", "--in", "25h"]);
    assert_eq!(stack.cocuyo(&["doctor"]).trim(), "everything is in order");
}
