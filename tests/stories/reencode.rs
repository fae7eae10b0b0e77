//! A published film gets a better version while people watch the old one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tests::{Clip, End, Engines, Person, Setup, Stack, Watching, film, named_by, until};

/// Two pictures, 144p and 240p, of two chunks each.
const CLIP: Clip = Clip::Numbered { seconds: SECONDS, width: 428 };
const SECONDS: u32 = 20;
const SHORT_LEASE: &str = "[packager]\nslots = 1\nlease_s = 3\n";

fn version(video: &Value) -> String {
    video["version"].as_str().expect("a version").to_owned()
}

async fn object(stack: &Stack, name: &str) -> bytes::Bytes {
    stack.bucket().get(&name.parse().expect("a key")).await.unwrap_or_else(|error| panic!("{name}: {error}"))
}

async fn index(stack: &Stack, video: &str, version: &str) -> Value {
    let json = object(stack, &format!("videos/{video}/{version}/index.json")).await;
    serde_json::from_slice(&json).expect("it is JSON")
}

async fn listing(stack: &Stack) -> BTreeSet<String> {
    stack.listing().await.into_iter().collect()
}

/// Waits until another version than `old` plays; the video is ready all the time.
async fn until_replaced(person: &Person, video: &str, old: &str) -> String {
    until("the new version", Duration::from_secs(120), || async {
        let shown = person.video(video).await;
        assert_eq!((&shown["state"], &shown["plays"]), (&json!("ready"), &json!(true)), "{shown:#}");
        if version(&shown) == old { Err(shown) } else { Ok(version(&shown)) }
    })
    .await
}

/// Asserts that the version which plays is whole, in what was carried over and in what was not.
async fn assert_whole(stack: &Stack, person: &Person, video: &str) {
    film::assert_whole(stack, person, video, SECONDS).await;
    let picture = Watching::start(stack, person, video).await.url("240p/playlist.m3u8");
    let checked = tokio::task::spawn_blocking(move || {
        film::assert_every_frame_once(&picture, SECONDS * 25, 25.0, 1);
    });
    checked.await.expect("every frame once");
}

/// What a version consists of, by name: chunks and inits by their hashes.
fn renditions(index: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let all = index["renditions"].as_array().expect("a list");
    all.iter().map(|rendition| (rendition["name"].as_str().expect("a name"), rendition))
}

/// Every segment of the old version, over and over until told to end: how many there were, and
/// what went wrong.
async fn watch(watching: &Watching, free: &Person, old: &str, ends: &AtomicBool) -> usize {
    let mut seen = 0;
    while !ends.load(Ordering::Relaxed) {
        for (name, n) in [("144p", 0), ("240p", 1), ("a32", 2), ("240p", 4)] {
            let segment = format!("{name}/{n}.m4s");
            watching.get(&segment).await.expect(200);
            free.get(&format!("{old}{segment}")).await.expect(200);
            seen += 1;
        }
    }
    seen
}

async fn a_better_version_takes_the_place_of_the_one_that_is_watched(engines: Engines) {
    let stack = Stack::start_with(engines, SHORT_LEASE).await;
    let (creator, admin) = (stack.person("ana", "creator", 0).await, stack.person("jefa", "admin", 0).await);
    let video = creator.upload("Mejor", CLIP.file()).await;
    let old = version(&creator.until_ready(&video).await);
    creator.publish(&video, 0).await;
    let path = format!("/api/v1/videos/{video}");
    let order = json!({"renditions": ["240p"], "preset": "veryslow"});
    creator.post(&format!("{path}/reencode"), order.clone()).await.expect(403);

    // One with a grant, and one for whom it is free.
    let (viewer, stranger) = (stack.person("leo", "viewer", 1).await, stack.stranger());
    let watching = Watching::start(&stack, &viewer, &video).await;
    let free = stranger.playback(&video).await.expect(200).json();
    assert_eq!(free["token"], Value::Null);
    let folder = free["url"].as_str().expect("a url").trim_end_matches("multivariant.m3u8").to_owned();
    let ends = AtomicBool::new(false);
    let replacing = async {
        let shown = admin.post(&format!("{path}/reencode"), order.clone()).await.expect(202).json();
        assert_eq!((&shown["state"], &shown["version"]), (&json!("ready"), &json!(old)));
        assert_eq!(shown["reencode"], json!({"renditions": ["240p"], "preset": "veryslow", "progress": 0}));
        let twice = admin.post(&format!("{path}/reencode"), order).await.expect(409).json();
        assert_eq!(twice["code"], "reencode_under_way");
        let new = until_replaced(&admin, &video, &old).await;
        // The edge has an answer from before, of what is free.
        until("the new version to be everybody's", Duration::from_secs(5), || async {
            let first = stranger.get(&format!("/v/{video}/{new}/multivariant.m3u8")).await;
            if first.status == 200 { Ok(()) } else { Err(first) }
        })
        .await;
        ends.store(true, Ordering::Relaxed);
        new
    };
    let (seen, new) = tokio::join!(watch(&watching, &stranger, &folder, &ends), replacing);
    assert!(seen > 0);

    // Who began goes on, and may renew; who begins now gets the new version.
    for n in 0..SECONDS / 4 {
        watching.get(&format!("240p/{n}.m4s")).await.expect(200);
        stranger.get(&format!("{folder}240p/{n}.m4s")).await.expect(200);
    }
    let renewed = viewer.post(&format!("{path}/playback?version={old}"), json!({})).await.expect(200).json();
    assert_eq!(renewed["url"], format!("/v/{video}/{old}/multivariant.m3u8"));
    let segment = format!("/v/{video}/{old}/144p/3.m4s");
    viewer.fetch(&segment, renewed["token"].as_str()).await.expect(200);
    let begun = viewer.playback(&video).await.expect(200).json();
    assert_eq!(begun["url"], format!("/v/{video}/{new}/multivariant.m3u8"));
    assert_whole(&stack, &creator, &video).await;

    // Carried over to the byte, but for what was encoded anew.
    let (before, after) = (index(&stack, &video, &old).await, index(&stack, &video, &new).await);
    assert!(renditions(&before).map(|(name, _)| name).eq(renditions(&after).map(|(name, _)| name)));
    for ((name, was), (_, is)) in renditions(&before).zip(renditions(&after)) {
        assert_eq!(was == is, name != "240p", "{name}");
    }
    for name in named_by(&after).iter().filter(|name| !name.contains("/240p/")) {
        if name.ends_with("/index.json") || name.ends_with("/original") {
            continue;
        }
        assert_eq!(object(&stack, name).await, object(&stack, &name.replace(&new, &old)).await, "{name}");
    }

    // The old version stays for as long as somebody may have a grant for it.
    let both: BTreeSet<String> = named_by(&before).union(&named_by(&after)).cloned().collect();
    stack.cocuyo(&["sweep"]);
    assert_eq!(listing(&stack).await, both);
    assert_eq!(stack.cocuyo(&["doctor"]).trim(), "everything is in order");
    stack.cocuyo(&["sweep", "--in", "25h"]);
    assert_eq!(listing(&stack).await, named_by(&after));
    assert_eq!(stack.cocuyo(&["doctor"]).trim(), "everything is in order");
    let late = viewer.post(&format!("{path}/playback?version={old}"), json!({})).await.expect(200).json();
    assert_eq!(late["url"], begun["url"]);
    assert_whole(&stack, &creator, &video).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_better_version_takes_the_place_of_the_one_that_is_watched_on_a_folder_and_sqlite() {
    a_better_version_takes_the_place_of_the_one_that_is_watched(Engines::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_better_version_takes_the_place_of_the_one_that_is_watched_on_s3_and_postgresql() {
    a_better_version_takes_the_place_of_the_one_that_is_watched(Engines::Servers).await;
}

async fn a_worker_dies_over_it(stack: Arc<Stack>, failpoints: &str) {
    let creator = stack.person("ana", "creator", 0).await;
    let worker = stack.add_worker().await;
    let video = creator.upload(failpoints, CLIP.file()).await;
    let old = version(&creator.until_ready(&video).await);
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.ended().await, End::Code(0));

    stack.cocuyo(&["reencode", &video, "--renditions", "240p", "--preset", "slower"]);
    let worker = stack.add_worker_that_fails(failpoints);
    assert_eq!(worker.ended().await, End::Signal(Signal::SIGKILL as i32), "{failpoints} was not reached");
    let _worker = stack.add_worker().await;
    let new = until_replaced(&creator, &video, &old).await;
    assert_whole(&stack, &creator, &video).await;
    stack.cocuyo(&["sweep", "--in", "25h"]);
    assert_eq!(listing(&stack).await, named_by(&index(&stack, &video, &new).await), "{failpoints}");
    assert_eq!(stack.cocuyo(&["doctor"]).trim(), "everything is in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_over_it_leaves_one_new_version() {
    // Two renditions of sound and 144p are carried in six chunks, and that it is done is committed;
    // then come the two chunks of 240p.
    let points = [
        "packager::stored=3*off->return(kill)",
        "packager::committed=7*off->return(kill)",
        "packager::indexed=return(kill)",
        "packager::published=return(kill)",
    ];
    let stories = points.map(|point| async move {
        let configuration = SHORT_LEASE.to_owned();
        let setup = Setup { configuration, roles: "web,ingest,edge", ..Setup::default() };
        a_worker_dies_over_it(Arc::new(Stack::set_up(setup).await), point).await;
    });
    join_all(stories).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_that_were_copied_stay_the_sources_own() {
    let stack = Stack::start().await;
    let creator = stack.person("ana", "creator", 0).await;
    let video = creator.upload("Buena", Clip::Good { seconds: SECONDS, width: 854 }.file()).await;
    let old = version(&creator.until_ready(&video).await);
    let order = |renditions: &str| {
        stack.try_cocuyo(&["reencode", &video, "--renditions", renditions, "--preset", "slower"])
    };
    let refused = order("144p,480p");
    assert!(refused.stderr.contains("no encoded picture `480p`"), "{refused:?}");
    order("144p,360p").ok();
    let new = until_replaced(&creator, &video, &old).await;
    let (before, after) = (index(&stack, &video, &old).await, index(&stack, &video, &new).await);
    let changed = renditions(&before).zip(renditions(&after)).filter(|((_, was), (_, is))| was != is);
    assert_eq!(changed.map(|((name, _), _)| name).collect::<Vec<_>>(), ["144p", "360p"]);
    film::assert_whole(&stack, &creator, &video, SECONDS).await;
    assert_eq!(stack.cocuyo(&["doctor"]).trim(), "everything is in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_says_why_it_does_not() {
    let stack = Stack::start().await;
    let creator = stack.person("ana", "creator", 0).await;
    let video = creator.upload("Que no", Clip::Short.file()).await;
    creator.until_ready(&video).await;
    let said = |arguments: &[&str]| {
        let finished = stack.try_cocuyo(&[&["reencode"], arguments].concat());
        assert_ne!(finished.code, Some(0), "{finished:?}");
        finished.stderr
    };
    let with = |video: &str, renditions: &str, preset: &str| {
        said(&[video, "--renditions", renditions, "--preset", preset])
    };
    let other = model::VideoId::from_bits(7).to_string();
    assert!(with(&video, "1080p", "slower").contains("no encoded picture `1080p`"));
    assert!(with(&video, "240p,a32", "slower").contains("no encoded picture `a32`"));
    assert!(with(&video, "240p", "veryfast").contains("medium, slow, slower or veryslow"));
    assert!(with(&other, "240p", "slower").contains("re-encode video"));
    let original = format!("videos/{video}/original").parse().expect("a key");
    stack.bucket().delete(&original).await.expect("delete");
    assert!(with(&video, "240p", "slower").contains("is not in the bucket any more"));
}
