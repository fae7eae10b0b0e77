//! Broadcasts whose publisher is away for nearly as long as he is waited for, and one that goes on for hours.

use std::time::{Duration, Instant};

use tests::{Observer, Signal, Stack, Watching, decode, until};

use super::from_environment;
use crate::held::Player;
use crate::live::Broadcast;

/// A segment's length, in seconds.
const SEGMENT_S: u64 = 2;
/// A feed of the long broadcast, until its cable is pulled.
const FEED: Duration = Duration::from_secs(20 * 60);

const RED: Signal = Signal { size: "640x360", sound: "sine=440:r=48000", b_frames: 0, corner: "red" };

/// Waits until the playlist has gone on by so many seconds, of media or of gaps.
async fn passes(observer: &Observer, seconds: u64) {
    let before = observer.next_msn("360p");
    until("time to pass in a playlist", Duration::from_secs(seconds + 60), async || {
        let now = observer.next_msn("360p");
        if now >= before + seconds / SEGMENT_S { Ok(()) } else { Err((before, now)) }
    })
    .await;
}

/// He is waited for for 120 s: a minute and 110 s in turn.
#[ignore = "takes long: `make test-long`"]
#[tokio::test(flavor = "multi_thread")]
async fn who_is_away_for_nearly_two_minutes_comes_back_to_a_player_that_plays_on() {
    let pulls = from_environment("LONG_PULLS", 2);
    let stack = Stack::start().await;
    let event = Broadcast::create(&stack, 0).await;
    stack.person("eva", "viewer", 0).await;
    let mut encoder = event.start(RED);
    event.until_on_air().await;
    let viewer = Watching::start(&stack, &event.ana, &event.id).await;
    let renditions = event.until_encoded(&viewer).await;
    let observer = Observer::start_for_long(&viewer, renditions);
    let mut player = Player::start(&stack, &event);
    player.plays_on("red").await;
    for pull in 0..pulls {
        let (away_s, corner) = if pull % 2 == 0 { (60, "green") } else { (110, "blue") };
        encoder.kill();
        passes(&observer, away_s).await;
        encoder = event.start(Signal { corner, ..RED });
        player.plays_on(corner).await;
        eprintln!("pull {pull}: {away_s} s, plays on");
    }
    event.end().await;
    observer.ended().await.check();
    drop(encoder);
    event.ana.until_ready(&event.id).await;
}

#[ignore = "takes long: `make test-long`"]
#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast_of_hours_is_well_formed_and_whole_afterwards() {
    let length = Duration::from_secs(60 * u64::from(from_environment("LONG_BROADCAST_MINUTES", 10)));
    let stack = Stack::start().await;
    let event = Broadcast::create(&stack, 0).await;
    let mut encoder = event.start(RED);
    event.until_on_air().await;
    let viewer = Watching::start(&stack, &event.ana, &event.id).await;
    let renditions = event.until_encoded(&viewer).await;
    let observer = Observer::start_for_long(&viewer, renditions.clone());
    let (began, mut cuts) = (Instant::now(), 0);
    while began.elapsed() < length {
        passes(&observer, FEED.min(length / 2).as_secs()).await;
        encoder.kill();
        passes(&observer, 4).await;
        encoder = event.start(RED);
        observer.until_goes_on("360p").await;
        cuts += 1;
        eprintln!("{:?}, {cuts} cuts, {} MiB", began.elapsed(), stack.memory() >> 20);
    }
    event.end().await;
    let checker = observer.ended().await.check();
    drop(encoder);
    eprintln!("{:#?}", checker.figures());
    event.ana.until_ready(&event.id).await;
    let film = Watching::start(&stack, &event.ana, &event.id).await;
    for rendition in renditions {
        let whole = decode(&film.url(&format!("{rendition}/playlist.m3u8")));
        assert_eq!(whole.complaints, "", "{rendition}");
        // Nobody published for a few seconds of each cut.
        let least = began.elapsed().min(length).as_secs_f64() - f64::from(cuts) * 15.0;
        assert!(whole.seconds > least, "{rendition}: {whole:?}, {least} s at least");
    }
}
