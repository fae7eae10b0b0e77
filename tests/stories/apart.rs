//! An event whose ingest, packager and edge are processes of their own, killed one after the other; and one
//! whose server gets a successor.

use tests::{Observer, Part, Setup, Signal, Stack, Watching, decode};

use crate::live::Broadcast;

#[tokio::test(flavor = "multi_thread")]
async fn an_event_goes_on_whichever_of_its_processes_is_killed() {
    let stack = Stack::set_up(Setup { roles: "web", ..Setup::default() }).await;
    let mut packager = Part::start(&stack, "packager").await;
    let mut ingest = Part::start(&stack, "ingest").await;
    let mut edge = stack.add_edge_with("habana", &packager.url(""), "").await;
    edge.until_ready().await;
    let event = Broadcast::create_at(&stack, ingest.live_url(), 0).await;
    let encoder = event.start(Signal::default());
    event.until_on_air().await;
    let viewer = Watching::start(&stack, &event.ana, &event.id).await.at(&edge.url(""));
    let renditions = event.until_encoded(&viewer).await;
    let observer = Observer::start(&viewer, renditions);
    observer.until_goes_on("360p").await;

    // An encoder comes back by itself; ffmpeg is started again.
    ingest.kill();
    drop(encoder);
    ingest.again(&stack).await;
    let encoder = event.start(Signal::default());
    observer.until_goes_on("360p").await;
    observer.until_goes_on("144p").await;

    // The encoder does not notice: ingest keeps what it sends.
    packager.kill();
    packager.again(&stack).await;
    observer.until_goes_on("360p").await;
    observer.until_goes_on("144p").await;
    packager.stop().await;
    packager.again(&stack).await;
    observer.until_goes_on("360p").await;
    let missed = observer.missed();
    assert!(missed.is_empty(), "the edge was there all the time: {missed:#?}");

    edge.kill();
    edge.start_server().await;
    observer.until_goes_on("360p").await;

    event.end().await;
    let notes = observer.ended().await;
    drop(encoder);
    notes.check();
    for rendition in ["360p", "144p"] {
        assert!(!notes.last(rendition).contains("#EXT-X-DISCONTINUITY\n"), "{}", notes.last(rendition));
    }
    event.ana.until_ready(&event.id).await;
    let film = Watching::start(&stack, &event.ana, &event.id).await.at(&edge.url(""));
    let whole = decode(&film.url("360p.mp4"));
    assert_eq!(whole.complaints, "");
    for log in [stack.log(), ingest.log(), packager.log(), edge.log()] {
        assert!(!log.contains(event.key()), "a log has the key: {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_gets_a_successor_in_the_middle_of_an_event() {
    let mut stack = Stack::start().await;
    let mut event = Broadcast::create(&stack, 0).await;
    let encoder = event.start(Signal::default());
    event.until_on_air().await;
    let viewer = Watching::start(&stack, &event.ana, &event.id).await;
    let observer = Observer::start(&viewer, event.until_encoded(&viewer).await);
    observer.until_goes_on("360p").await;
    assert_eq!(stack.stop_server().await, Some(0));
    drop(encoder);
    stack.start_server().await;
    event.is_at(stack.live_url());
    let encoder = event.start(Signal::default());
    observer.until_goes_on("360p").await;
    event.end().await;
    let notes = observer.ended().await;
    drop(encoder);
    notes.check();
    assert!(!notes.last("360p").contains("#EXT-X-DISCONTINUITY\n"), "{}", notes.last("360p"));
    event.ana.until_ready(&event.id).await;
}
