//! A broadcast under the eyes of the playlist checker: every rendition, through a cut and a return.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tests::checker::{Checker, Look};
use tests::{Signal, Stack, Watching, until};
use tokio::task::JoinSet;

use crate::live::{Broadcast, PATIENCE};

/// A playlist as it was seen.
struct Seen {
    rendition: String,
    sent: Duration,
    at: Duration,
    until: Option<(u64, Option<u64>)>,
    text: String,
}

/// Asks for one rendition's playlist again and again, as players of low latency do: for what it does not
/// have yet. Ends with the event.
async fn observe(viewer: Watching, rendition: String, began: Instant, seen: Arc<Mutex<Vec<Seen>>>) {
    let mut wanted: Option<(u64, Option<u64>)> = None;
    loop {
        let query = wanted.map_or_else(String::new, |(msn, part)| {
            format!("?_HLS_msn={msn}{}", part.map_or_else(String::new, |part| format!("&_HLS_part={part}")))
        });
        let sent = began.elapsed();
        let answer = viewer.get(&format!("{rendition}/playlist.m3u8{query}")).await;
        assert_eq!(answer.status.as_u16(), 200, "{rendition} {query}: {}", answer.text());
        let text = answer.text();
        let is_over = text.contains("#EXT-X-ENDLIST");
        let hint = text.lines().find_map(|line| line.strip_prefix("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\""));
        let next = hint.and_then(|hint| hint.strip_suffix(".m4s\"")?.split_once('.'));
        let next = next.and_then(|(msn, part)| Some((msn.parse().ok()?, Some(part.parse().ok()?))));
        let at = began.elapsed();
        let look = Seen { rendition: rendition.clone(), sent, at, until: wanted, text };
        seen.lock().expect("nobody panics with it").push(look);
        if is_over {
            return;
        }
        wanted = next;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_playlist_keeps_the_rules_through_a_cut_and_to_the_end() {
    let stack = Stack::start().await;
    let event = Broadcast::create(&stack, 0).await;
    let first = event.start(Signal { sound: "anullsrc=r=48000", ..Signal::default() });
    event.until_on_air().await;
    let viewer = Watching::start(&stack, &event.ana, &event.id).await;
    let offered = until("all renditions", PATIENCE, async || {
        let text = viewer.get("multivariant.m3u8").await.expect(200).text();
        let names = text.lines().filter_map(|line| {
            let uri = line.strip_suffix("/playlist.m3u8\"").and_then(|line| line.split("URI=\"").nth(1));
            uri.or_else(|| line.strip_suffix("/playlist.m3u8")).map(str::to_owned)
        });
        let mut names: Vec<String> = names.collect();
        names.sort();
        names.dedup();
        if names.iter().any(|name| name == "144p") { Ok(names) } else { Err(text) }
    })
    .await;
    assert_eq!(offered.len(), 4, "{offered:?}");

    let (began, seen) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
    let mut observers = JoinSet::new();
    for rendition in offered {
        observers.spawn(observe(viewer.clone(), rendition, began, Arc::clone(&seen)));
    }
    let looks = || seen.lock().expect("nobody panics with it").len();
    let looked = async |count: usize| {
        until("looks", PATIENCE, async || if looks() >= count { Ok(()) } else { Err(looks()) }).await;
    };
    looked(100).await;
    first.kill();
    looked(180).await;
    let second = event.start(Signal { sound: "anullsrc=r=48000", ..Signal::default() });
    looked(looks() + 150).await;
    event.end().await;
    observers.join_all().await;
    drop(second);

    let mut seen = std::mem::take(&mut *seen.lock().expect("nobody panics with it"));
    seen.sort_by_key(|seen| seen.at);
    let mut checker = Checker::new();
    for Seen { rendition, sent, at, until, text } in &seen {
        checker.saw(Look { rendition, sent: *sent, at: *at, until: *until, text });
    }
    let violations: Vec<String> = checker.violations().iter().map(ToString::to_string).collect();
    let first = checker.violations().first();
    let text = first.and_then(|first| seen.iter().find(|seen| seen.at == first.at));
    assert!(violations.is_empty(), "{violations:#?}\n{}", text.map_or("", |seen| seen.text.as_str()));
    assert_eq!(checker.figures().dependent_segments, 0);
}
