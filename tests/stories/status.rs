//! What a creator is told while a film waits and is made, and what they can do about it.

use std::cell::RefCell;
use std::time::Duration;

use serde_json::{Value, json};
use tests::{Cells, Engines, Kind, Person, Stack, TINY, Watching, film, until};

/// The clip with some bytes behind it that no player reads: films of unlike sizes.
fn padded(by: u32) -> Vec<u8> {
    let mut bytes = TINY.bytes();
    bytes.extend((8 + by).to_be_bytes());
    bytes.extend(b"free");
    bytes.extend(vec![0; by as usize]);
    bytes
}

async fn until_stage(person: &Person, video: &str, stage: &str) -> Value {
    until("the stage", Duration::from_secs(60), || async {
        let seen = person.video(video).await;
        if seen["stage"] == stage { Ok(seen) } else { Err(seen) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_is_told_and_a_moderator_changes_it() {
    let cells = Cells::new();
    let probes = cells.hold(Kind::Probe);
    let stack = Stack::start_with(Engines::Embedded, &cells.configuration("slots = 1")).await;
    let creator = stack.person("ana", "creator", 0).await;
    // One slot and two express workers look into a film each; the others wait.
    let mut videos = Vec::new();
    for n in 0..6 {
        videos.push(creator.upload_bytes(&format!("Película {n}"), padded(n)).await);
        if n < 3 {
            until_stage(&creator, &videos[n as usize], "probing").await;
        }
    }
    let place = async |n: usize| creator.video(&videos[n]).await["queue_place"].as_u64();
    let all = async || [place(0).await, place(3).await, place(4).await, place(5).await];
    let [running, Some(first), Some(second), Some(third)] = all().await else { panic!("{:?}", all().await) };
    assert_eq!((running, second, third), (None, first + 1, first + 2));

    // The last shall be the first; who may not say so is refused.
    let path = format!("/api/v1/videos/{}", videos[5]);
    creator.patch(&path, json!({"priority": 5})).await.expect(403);
    let moderator = stack.person("jefa", "admin", 0).await;
    moderator.patch(&path, json!({"priority": 5})).await.expect(200);
    assert_eq!(all().await, [None, Some(second), Some(third), Some(first)]);

    // Cancelled, it is out of the queue, says why, and may try again behind the others.
    let cancelled =
        creator.post(&format!("/api/v1/videos/{}/cancel", videos[3]), json!({})).await.expect(200);
    assert_eq!(cancelled.json()["failure"]["code"], "cancelled");
    assert_eq!(all().await, [None, None, Some(second), Some(first)]);
    creator.post(&format!("/api/v1/videos/{}/cancel", videos[3]), json!({})).await.expect(409);
    creator.post(&format!("/api/v1/videos/{}/retry", videos[3]), json!({})).await.expect(200);
    assert_eq!(all().await, [None, Some(third), Some(second), Some(first)]);

    drop(probes);
    for video in &videos {
        creator.until_ready(video).await;
    }
    let probed = cells.started().into_iter().filter(|cell| cell.kind == Kind::Probe);
    let mut sizes: Vec<u64> = probed.map(|cell| cell.file_bytes - padded(0).len() as u64).collect();
    // Three workers take them at the same moment, and whose cell starts first is the machine's affair.
    sizes[3..].sort_unstable();
    assert_eq!(sizes[3..], [3, 4, 5], "each is looked into once more, and none again");
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_never_goes_back_and_survives_a_restart() {
    let cells = Cells::new();
    let held = [Kind::Rest, Kind::Stills].map(|kind| cells.hold(kind));
    let mut stack = Stack::start_with(Engines::Embedded, &cells.configuration("slots = 1")).await;
    let creator = stack.person("ana", "creator", 0).await;
    let video = creator.upload("Poco a poco", TINY.file()).await;
    let playable = until_stage(&creator, &video, "playable").await;
    let percent = |seen: &Value| seen["progress"].as_u64().expect("a number");
    assert!((1..100).contains(&percent(&playable)), "{playable:#}");
    let whole: Vec<_> = playable["renditions"].as_array().into_iter().flatten().collect();
    assert!(whole.iter().any(|rendition| rendition["whole"] == false), "{playable:#}");

    stack.stop_server().await;
    stack.start_server().await;
    let again = until_stage(&creator, &video, "playable").await;
    assert!(percent(&again) >= percent(&playable), "{again:#} after {playable:#}");

    drop(held);
    let sights = RefCell::new(vec![percent(&playable), percent(&again)]);
    let ready = until("the video to be ready", Duration::from_secs(120), || async {
        let seen = creator.video(&video).await;
        sights.borrow_mut().push(percent(&seen));
        if seen["state"] == "ready" { Ok(seen) } else { Err(seen) }
    })
    .await;
    let sights = sights.into_inner();
    assert!(sights.is_sorted() && sights.last() == Some(&100), "{sights:?}");
    assert_eq!((&ready["eta_s"], &ready["queue_place"]), (&Value::Null, &Value::Null), "{ready:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cancelled_while_it_plays_is_gone_and_can_be_made_again() {
    let cells = Cells::new();
    let rest = cells.hold(Kind::Rest);
    let stack = Stack::start_with(Engines::Embedded, &cells.configuration("slots = 1")).await;
    let creator = stack.person("ana", "creator", 0).await;
    let video = creator.upload("Mejor no", TINY.file()).await;
    creator.until_plays(&video).await;
    let watching = Watching::start(&stack, &creator, &video).await;
    watching.get("144p/0.m4s").await.expect(200);

    creator.post(&format!("/api/v1/videos/{video}/cancel"), json!({})).await.expect(200);
    creator.playback(&video).await.expect(409);
    until("its objects to go", Duration::from_secs(30), || async {
        let listing = stack.listing().await;
        if listing.len() == 1 { Ok(()) } else { Err(listing) }
    })
    .await;
    drop(rest);

    creator.post(&format!("/api/v1/videos/{video}/retry"), json!({})).await.expect(200);
    creator.until_ready(&video).await;
    let playlist = Watching::start(&stack, &creator, &video).await.url("144p/playlist.m3u8");
    let checked = tokio::task::spawn_blocking(move || film::assert_every_frame_once(&playlist, 500, 25.0, 2));
    checked.await.expect("every frame once");
}
