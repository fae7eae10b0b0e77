//! A broadcast under the eyes of the playlist checker: every rendition, through a cut and a return.

use tests::{Observer, Signal, Stack, Watching, decode, until};

use crate::live::{Broadcast, PATIENCE};

#[tokio::test(flavor = "multi_thread")]
async fn every_playlist_keeps_the_rules_through_a_cut_and_to_the_end() {
    let stack = Stack::start().await;
    let event = Broadcast::create(&stack, 0).await;
    let silent = Signal { sound: "anullsrc=r=48000", ..Signal::default() };
    let first = event.start(silent);
    event.until_on_air().await;
    let viewer = Watching::start(&stack, &event.ana, &event.id).await;
    let renditions = event.until_encoded(&viewer).await;
    assert_eq!(renditions.len(), 4, "{renditions:?}");
    let observer = Observer::start(&viewer, renditions);
    observer.until_more(100).await;
    first.kill();
    observer.until_more(80).await;
    let second = event.start(silent);
    observer.until_more(150).await;
    event.end().await;
    let notes = observer.ended().await;
    drop(second);
    assert!(notes.missed.is_empty(), "{:#?}", notes.missed);
    assert_eq!(notes.check().figures().dependent_segments, 0);
}

/// One kind of signal, through a cut and to the shelf: the frames of the film.
async fn kept(signal: Signal) -> u64 {
    let stack = Stack::start().await;
    let event = Broadcast::create(&stack, 0).await;
    let first = event.start(signal);
    event.until_on_air().await;
    let viewer = Watching::start(&stack, &event.ana, &event.id).await;
    let offered = until("renditions", PATIENCE, async || {
        let offered = event.offered(&viewer).await;
        if offered.is_empty() { Err(()) } else { Ok(offered) }
    })
    .await;
    let observer = Observer::start(&viewer, offered.clone());
    let leader = offered.last().expect("there is one").as_str();
    observer.until_goes_on(leader).await;
    first.kill();
    let second = event.start(signal);
    observer.until_goes_on(leader).await;
    event.end().await;
    let notes = observer.ended().await;
    drop(second);
    assert!(notes.missed.is_empty(), "{signal:?}: {:#?}", notes.missed);
    notes.check();
    assert!(!notes.last(leader).contains("#EXT-X-DISCONTINUITY\n"), "{}", notes.last(leader));
    event.ana.until_ready(&event.id).await;
    let film = Watching::start(&stack, &event.ana, &event.id).await;
    let whole = decode(&film.url("multivariant.m3u8"));
    assert_eq!(whole.complaints, "", "{signal:?}");
    assert!(whole.seconds > 5.0, "{signal:?}: {whole:?}");
    whole.frames
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_alone_keep_the_rules() {
    let picture = Signal { sound: "", b_frames: 3, ..Signal::default() };
    assert!(kept(picture).await > 60);
}
