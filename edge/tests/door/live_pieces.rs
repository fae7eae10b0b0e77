//! Parts, segments and initialisation segments of a live event.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use futures::poll;
use live::Piece;
use model::Grant;
use tokio::time::Instant;

use crate::event::{Showing, Stage};
use crate::origin::grant;

#[tokio::test(start_paused = true)]
async fn a_part_that_is_hinted_is_held_until_it_is_whole() {
    let showing = Showing::start().await;
    showing.stage.parts(8);
    showing.fresh("480p/playlist.m3u8").await;
    let began = Instant::now();
    let mut waiting: Vec<_> = (0..50).map(|_| Box::pin(showing.get("480p/1.2.m4s"))).collect();
    for request in &mut waiting {
        assert!(poll!(request.as_mut()).is_pending());
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    showing.stage.part();
    for answer in join_all(waiting).await {
        assert!(answer.status == 200 && answer.body == Stage::bytes_of("480p", Piece::Part(1, 2)));
        assert_eq!(answer.header("cache-control"), "private, max-age=12");
        assert_eq!(answer.header("content-type"), "video/mp4");
        assert_eq!(answer.header("cocuyo-held"), "300");
    }
    assert_eq!(began.elapsed(), Duration::from_millis(300));
    // The bytes came with the news: nobody was asked for them.
    assert_eq!(showing.stage.pieces_asked(), 0);
    let answer = showing.ask("HEAD", "480p/1.2.m4s", &grant(480), &[]).await;
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert_eq!(showing.ask("HEAD", "480p/1.3.m4s", &grant(480), &[]).await.status, 503);
    let range = showing.ask("GET", "a32/0.1.m4s", &grant(480), &[("range", "bytes=0-3")]).await;
    assert_eq!((range.status, range.text(), range.header("content-type")), (206, "a32 ", "audio/mp4"));
}

#[tokio::test(start_paused = true)]
async fn a_hint_that_is_not_kept_and_a_part_that_nobody_knows_are_absent() {
    let showing = Showing::start().await;
    showing.stage.parts(8);
    showing.fresh("480p/playlist.m3u8").await;
    for name in
        ["480p/1.3.m4s", "480p/2.0.m4s", "480p/0.6.m4s", "480p/9.m4s", "480p/1.m4s", "480p/init-1.mp4"]
    {
        let answer = showing.get(name).await;
        assert_eq!((answer.status, answer.header("cache-control")), (404, "private, max-age=2"), "{name}");
    }
    let request = showing.get("480p/1.2.m4s");
    let mut request = std::pin::pin!(request);
    assert!(poll!(request.as_mut()).is_pending());
    // The publisher is gone: the segment is closed with two parts.
    showing.stage.cut();
    assert_eq!(request.await.status, 404);
    let began = Instant::now();
    let answer = showing.get("480p/2.0.m4s").await;
    assert_eq!((answer.status, began.elapsed()), (503, Duration::from_secs(6)));
}

#[tokio::test(start_paused = true)]
async fn what_is_closed_is_read_once_for_all() {
    let showing = Showing::start().await;
    showing.stage.segments(20);
    showing.fresh("480p/playlist.m3u8").await;
    let answers = join_all((0..100).map(|_| showing.get("480p/10.m4s"))).await;
    for answer in answers {
        assert!(answer.status == 200 && answer.body == Stage::bytes_of("480p", Piece::Segment(10)));
        assert_eq!(answer.header("cache-control"), "private, max-age=31536000, immutable");
    }
    assert_eq!(showing.stage.pieces_asked(), 1);
    for _ in 0..10 {
        assert_eq!(showing.get("480p/init-0.mp4").await.status, 200);
        assert_eq!(showing.get("480p/10.m4s").await.status, 200);
    }
    assert_eq!(showing.stage.pieces_asked(), 2);
    // What came as parts is not asked for again.
    let parts: Vec<_> = (0..6).map(|n| Stage::bytes_of("480p", Piece::Part(18, n))).collect();
    assert!(showing.get("480p/18.m4s").await.body == parts.concat());
    assert_eq!(showing.stage.pieces_asked(), 2);
    // A part whose bytes the packager no longer sent along is asked for, one that cannot be listed not.
    assert_eq!(showing.get("480p/13.2.m4s").await.status, 200);
    assert_eq!(showing.stage.pieces_asked(), 3);
    assert_eq!(showing.get("480p/3.2.m4s").await.status, 404);
    assert_eq!(showing.stage.pieces_asked(), 3);
    // One of the saver's costs what its segments cost.
    for _ in 0..5 {
        assert_eq!(showing.get("saver/480p/15-17.m4s").await.status, 200);
    }
    assert_eq!(showing.stage.pieces_asked(), 6);
}

#[tokio::test(start_paused = true)]
async fn there_is_nothing_in_a_gap_and_a_break_is_not_joined() {
    let showing = Showing::start().await;
    showing.stage.segments(3);
    showing.stage.gap_and_change();
    showing.stage.segments(3);
    let playlist = showing.fresh("480p/playlist.m3u8").await;
    let text = playlist.text();
    assert!(text.contains("#EXT-X-GAP\n#EXTINF:2.0,\n3.m4s\n#EXT-X-DISCONTINUITY\n"), "{text}");
    assert!(text.contains("#EXT-X-MAP:URI=\"init-1.mp4\""), "{text}");
    for (name, status) in [
        ("480p/2.m4s", 200),
        ("480p/3.m4s", 404),
        ("480p/3.0.m4s", 404),
        ("480p/4.m4s", 200),
        ("480p/init-1.mp4", 200),
        ("480p/init-2.mp4", 404),
        ("saver/480p/0-2.m4s", 200),
        ("saver/480p/2-3.m4s", 404),
        ("saver/480p/2-4.m4s", 404),
        ("saver/480p/4-6.m4s", 200),
        ("saver/480p/5-7.m4s", 404),
    ] {
        assert_eq!(showing.get(name).await.status, status, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_piece_of_a_picture_has_its_height() {
    let showing = Showing::start().await;
    showing.stage.segments(3);
    showing.stage.parts(2);
    showing.fresh("1080p/playlist.m3u8").await;
    for name in [
        "1080p/playlist.m3u8",
        "1080p/playlist.m3u8?_HLS_msn=3&_HLS_part=2",
        "normal/1080p/playlist.m3u8",
        "saver/1080p/playlist.m3u8",
        "1080p/init-0.mp4",
        "1080p/1.m4s",
        "1080p/3.0.m4s",
        "1080p/3.2.m4s",
        "saver/1080p/0-2.m4s",
    ] {
        let answer = showing.ask("GET", name, &grant(480), &[]).await;
        assert_eq!((answer.status, answer.header("cache-control")), (403, "no-store"), "{name}");
        let other = Grant { video: model::VideoId::from_bits(1), ..grant(1080) };
        assert_eq!(showing.ask("GET", name, &other, &[]).await.status, 404, "{name}");
        assert_eq!(showing.ask_as_nobody("GET", name, &[]).await.status, 401, "{name}");
    }
    assert_eq!(showing.ask("GET", "a128/playlist.m3u8", &grant(0), &[]).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn what_is_told_and_what_is_given_must_agree() {
    let stage = Stage::new(crate::event::TIMING);
    let showing = Showing::of(Arc::clone(&stage)).await;
    stage.segments(8);
    showing.fresh("480p/playlist.m3u8").await;
    stage.spoil();
    assert_eq!(showing.get("480p/1.m4s").await.status, 503);
}
