//! The playlists of a live event, and who waits for them.

use std::time::Duration;

use futures::future::join_all;
use futures::poll;
use live::{Piece, Timing};
use model::{Revoked, Use, Uses};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::event::{NAMES, Showing, Stage, TIMING, rewinding};
use crate::origin::{ACCOUNT, NOW, grant};

const GZIP: (&str, &str) = ("accept-encoding", "gzip");

#[tokio::test(start_paused = true)]
async fn a_reload_waits_and_all_are_released_by_one_question() {
    let showing = Showing::start().await;
    showing.stage.parts(8);
    let first = showing.fresh("480p/playlist.m3u8").await;
    assert_eq!((first.status, first.header("cache-control")), (200, "private, max-age=1"));
    assert_eq!(first.header("content-type"), "application/vnd.apple.mpegurl");
    assert!(first.text().contains("TYPE=PART,URI=\"1.2.m4s\""), "{}", first.text());
    let asked = showing.stage.news_asked();
    let mut waiting: Vec<_> = (0..200)
        .map(|n| {
            let name =
                if n % 2 == 0 { "_HLS_msn=1&_HLS_part=2" } else { "_HLS_msn=1&_HLS_part=2&_HLS_skip=YES" };
            let showing = &showing;
            Box::pin(async move { showing.get(&format!("480p/playlist.m3u8?{name}")).await })
        })
        .collect();
    for request in &mut waiting {
        assert!(poll!(request.as_mut()).is_pending());
    }
    showing.stage.part();
    let answers = join_all(waiting).await;
    for answer in &answers {
        assert_eq!((answer.status, answer.header("cache-control")), (200, "private, max-age=12"));
        assert!(answer.text().contains("URI=\"1.2.m4s\""), "{}", answer.text());
        assert!(answer.text().contains("TYPE=PART,URI=\"1.3.m4s\""), "{}", answer.text());
    }
    // One that brought the part, and one that waits for the next.
    assert!(showing.stage.news_asked() <= asked + 1, "{} then {}", asked, showing.stage.news_asked());
    // Whoever asks for it now has it at once, and so has who asks for what is long there.
    for query in ["_HLS_msn=1&_HLS_part=2", "_HLS_msn=0", "_HLS_msn=0&_HLS_part=5", ""] {
        let answer = showing.get(&format!("480p/playlist.m3u8?{query}")).await;
        assert!(answer.text() == answers[0].text(), "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_beyond_the_last_is_the_first_of_the_next_segment() {
    let showing = Showing::start().await;
    showing.stage.parts(11);
    showing.fresh("a32/playlist.m3u8").await;
    let (beyond, first) =
        ("a32/playlist.m3u8?_HLS_msn=1&_HLS_part=6", "a32/playlist.m3u8?_HLS_msn=2&_HLS_part=0");
    let mut waiting = [beyond, first].map(|name| Box::pin(showing.get(name)));
    // The segment is closed with six parts; of the next there is none.
    showing.stage.part();
    showing.stage.is_followed("a32").await;
    for request in &mut waiting {
        assert!(poll!(request.as_mut()).is_pending());
    }
    showing.stage.part();
    for answer in join_all(waiting).await {
        assert!(answer.text().contains("URI=\"2.0.m4s\""), "{}", answer.text());
    }
}

#[tokio::test(start_paused = true)]
async fn what_makes_no_sense_or_is_too_far_is_refused() {
    let showing = Showing::start().await;
    showing.stage.parts(8);
    showing.fresh("480p/playlist.m3u8").await;
    for query in [
        "_HLS_part=0",
        "_HLS_msn=x",
        "_HLS_msn=1&_HLS_msn=1",
        "_HLS_skip=NO",
        "_HLS_msn=4",
        "_HLS_msn=1&_HLS_part=20",
        "_HLS_msn=4294967295&_HLS_part=4294967295",
    ] {
        let answer = showing.get(&format!("480p/playlist.m3u8?{query}")).await;
        assert_eq!((answer.status, answer.header("cache-control")), (400, "private, max-age=2"), "{query}");
    }
    for name in ["720p/playlist.m3u8", "a64/playlist.m3u8", "normal/720p/playlist.m3u8"] {
        let answer = showing.get(name).await;
        assert_eq!((answer.status, answer.header("cache-control")), (404, "private, max-age=2"), "{name}");
        let answer = showing.get(&format!("{name}?_HLS_msn=1")).await;
        assert_eq!((answer.status, answer.header("cache-control")), (404, "private, max-age=8"), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_three_target_durations_is_asked_to_come_again() {
    let showing = Showing::start().await;
    showing.stage.parts(8);
    showing.fresh("480p/playlist.m3u8").await;
    let began = Instant::now();
    let answer = showing.get("480p/playlist.m3u8?_HLS_msn=1&_HLS_part=2").await;
    assert_eq!(began.elapsed(), Duration::from_secs(6));
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
    assert_eq!(answer.header("cache-control"), "private, max-age=2");
    assert!(answer.text().contains("not_in_time"), "{}", answer.text());
    // A HEAD is not held.
    let answer = showing.ask("HEAD", "480p/playlist.m3u8?_HLS_msn=1&_HLS_part=2", &grant(480), &[]).await;
    assert_eq!((answer.status, began.elapsed()), (503, Duration::from_secs(6)));
    let answer = showing.ask("HEAD", "480p/playlist.m3u8", &grant(480), &[]).await;
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert!(answer.header("content-length").parse::<usize>().unwrap() > 500);
}

#[tokio::test(start_paused = true)]
async fn deltas_and_gzip_say_the_same_in_fewer_bytes() {
    let showing = Showing::start().await;
    showing.stage.segments(60);
    showing.stage.parts(2);
    let full = showing.fresh("480p/playlist.m3u8").await;
    let delta = showing.get("480p/playlist.m3u8?_HLS_skip=YES").await;
    assert!(delta.text().contains("#EXT-X-SKIP:SKIPPED-SEGMENTS="), "{}", delta.text());
    assert!(delta.body.len() <= 2048 && delta.body.len() < full.body.len(), "{}", delta.body.len());
    assert_eq!(full.header("vary"), "accept-encoding, authorization, cookie");
    let zipped = showing.ask("GET", "480p/playlist.m3u8", &grant(1080), &[GZIP]).await;
    assert_eq!(zipped.header("content-encoding"), "gzip");
    assert_eq!(unzipped(&zipped.body), full.text());
    // Nothing is sent to who has it.
    let tag = full.header("etag").to_owned();
    let same = showing.ask("GET", "480p/playlist.m3u8", &grant(1080), &[("if-none-match", &tag)]).await;
    assert_eq!((same.status, same.body.len()), (304, 0));
    showing.stage.part();
    showing.stage.is_followed("480p").await;
    let other = showing.ask("GET", "480p/playlist.m3u8", &grant(1080), &[("if-none-match", &tag)]).await;
    assert_eq!(other.status, 200);
}

fn unzipped(bytes: &[u8]) -> String {
    std::io::read_to_string(flate2::read::GzDecoder::new(bytes)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn reports_are_of_all_others_and_of_the_same_moment() {
    let showing = Showing::start().await;
    showing.stage.parts(8);
    for name in NAMES {
        let answer = showing.fresh(&format!("{name}/playlist.m3u8")).await;
        let reports: Vec<_> =
            answer.text().lines().filter_map(|line| line.strip_prefix("#EXT-X-RENDITION-REPORT:")).collect();
        assert_eq!(reports.len(), NAMES.len() - 1, "{name}: {}", answer.text());
        for report in reports {
            assert!(report.ends_with("/playlist.m3u8\",LAST-MSN=1,LAST-PART=1"), "{report}");
            assert!(!report.contains(&format!("/{name}/")), "{name}: {report}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn normal_waits_for_segments_and_the_saver_never_waits() {
    let showing = Showing::start().await;
    showing.stage.parts(8);
    let normal = showing.fresh("normal/480p/playlist.m3u8").await;
    assert!(!normal.text().contains("#EXT-X-PART"), "{}", normal.text());
    assert!(normal.text().contains("\n../../480p/0.m4s\n"), "{}", normal.text());
    for query in ["_HLS_msn=1", "_HLS_msn=1&_HLS_part=0"] {
        let name = format!("normal/480p/playlist.m3u8?{query}");
        let request = showing.get(&name);
        assert!(poll!(std::pin::pin!(request)).is_pending(), "{query}");
    }
    showing.stage.parts(4);
    let next = showing.get("normal/480p/playlist.m3u8?_HLS_msn=1").await;
    assert!(next.text().contains("\n../../480p/1.m4s\n"), "{}", next.text());
    // The saver has six seconds and offers no waiting; what asks for it is not understood.
    let saver = showing.fresh("saver/144p/playlist.m3u8?_HLS_msn=99").await;
    assert_eq!((saver.status, saver.header("cache-control")), (200, "private, max-age=3"));
    assert!(saver.text().contains("#EXT-X-TARGETDURATION:6"), "{}", saver.text());
    showing.stage.segments(4);
    let saver = showing.fresh("saver/144p/playlist.m3u8").await;
    let names: Vec<_> = saver.text().lines().filter(|line| line.ends_with(".m4s")).collect();
    assert_eq!(names, ["0-2.m4s", "3-5.m4s"]);
    let joined = showing.get("saver/144p/0-2.m4s").await;
    let parts: Vec<_> = (0..3).map(|msn| Stage::bytes_of("144p", Piece::Segment(msn))).collect();
    assert!(joined.status == 200 && joined.body == parts.concat());
    assert_eq!(joined.header("cache-control"), "private, max-age=31536000, immutable");
}

#[tokio::test(start_paused = true)]
async fn an_event_for_long_gops_has_no_parts() {
    let timing = Timing { target_duration_s: 4, part_target_ms: None, ..TIMING };
    let showing = Showing::of(Stage::new(timing)).await;
    showing.stage.parts(8);
    let low = showing.fresh("480p/playlist.m3u8").await;
    assert!(!low.text().contains("#EXT-X-PART"), "{}", low.text());
    let request = showing.get("480p/playlist.m3u8?_HLS_msn=1&_HLS_part=0");
    assert!(poll!(std::pin::pin!(request)).is_pending());
}

#[tokio::test(start_paused = true)]
async fn the_multivariant_is_cut_by_the_grant_and_asked_for_every_two_seconds() {
    let showing = Showing::start().await;
    showing.stage.parts(1);
    for _ in 0..5 {
        let answer = showing.ask("GET", "multivariant.m3u8", &grant(480), &[]).await;
        assert_eq!((answer.status, answer.header("cache-control")), (200, "private, max-age=1"));
        let text = answer.text();
        assert!(text.contains("\n480p/playlist.m3u8") && !text.contains("1080p"), "{text}");
    }
    assert_eq!(showing.stage.events_asked(), 1);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(showing.get("normal/multivariant.m3u8").await.text().contains("1080p/playlist.m3u8"));
    assert_eq!(showing.stage.events_asked(), 2);
    let saver = showing.get("saver/multivariant.m3u8").await;
    assert!(saver.text().contains("144p") && !saver.text().contains("480p"), "{}", saver.text());
}

#[tokio::test(start_paused = true)]
async fn who_may_rewind_sees_all_and_others_the_last_minute() {
    let showing = Showing::start().await;
    showing.stage.segments(100);
    let short = showing.fresh("480p/playlist.m3u8").await;
    assert!(short.text().contains("#EXT-X-MEDIA-SEQUENCE:70\n"), "{}", short.text());
    let long = showing.ask("GET", "480p/playlist.m3u8", &rewinding(480), &[]).await;
    assert!(long.text().contains("#EXT-X-MEDIA-SEQUENCE:0\n"), "{}", long.text());
    for (name, status) in
        [("480p/99.m4s", 200), ("480p/40.m4s", 200), ("480p/38.m4s", 403), ("480p/0.m4s", 403)]
    {
        assert_eq!(showing.get(name).await.status, status, "{name}");
        assert_eq!(showing.ask("GET", name, &rewinding(480), &[]).await.status, 200, "{name}");
    }
    assert_eq!(showing.get("saver/144p/0-2.m4s").await.status, 403);
    // A free event is for watching as it goes.
    showing.said.policy(true, Some(480));
    let free = showing.ask_as_nobody("GET", "480p/playlist.m3u8", &[]).await;
    assert_eq!((free.status, free.header("cache-control")), (200, "public, max-age=1"));
    assert_eq!(free.text(), short.text());
    assert_eq!(showing.ask_as_nobody("GET", "480p/0.m4s", &[]).await.status, 403);
    assert_eq!(showing.ask_as_nobody("GET", "1080p/playlist.m3u8", &[]).await.status, 401);
}

#[tokio::test(start_paused = true)]
async fn who_loses_the_right_while_waiting_is_told_within_seconds() {
    let showing = Showing::of(Stage::new(Timing { target_duration_s: 6, ..TIMING })).await;
    showing.stage.parts(8);
    showing.fresh("480p/playlist.m3u8").await;
    for name in ["480p/playlist.m3u8?_HLS_msn=1&_HLS_part=2", "480p/1.2.m4s"] {
        let began = Instant::now();
        let request = showing.get(name);
        let mut request = std::pin::pin!(request);
        assert!(poll!(request.as_mut()).is_pending(), "{name}");
        showing.said.revoke(Revoked::Account(ACCOUNT), NOW);
        showing.edge.refresh().await.unwrap();
        let answer = request.await;
        assert_eq!((answer.status, answer.header("cache-control")), (401, "no-store"), "{name}");
        assert!(began.elapsed() <= Duration::from_secs(10), "{name}: {:?}", began.elapsed());
        showing.said.forgive();
        showing.edge.refresh().await.unwrap();
    }
    // Also when what was waited for comes just then.
    let request = showing.get("480p/playlist.m3u8?_HLS_msn=1&_HLS_part=2");
    let mut request = std::pin::pin!(request);
    assert!(poll!(request.as_mut()).is_pending());
    showing.said.revoke(Revoked::Account(ACCOUNT), NOW);
    showing.edge.refresh().await.unwrap();
    showing.stage.part();
    assert_eq!(request.await.status, 401);
}

#[tokio::test(start_paused = true)]
async fn an_edge_that_stops_holds_nobody() {
    let showing = Showing::start().await;
    showing.stage.parts(8);
    showing.fresh("480p/playlist.m3u8").await;
    let stop = CancellationToken::new();
    let (edge, stopped) = (showing.edge.clone(), stop.clone());
    TaskTracker::new().spawn(async move { edge.follow(stopped).await });
    let began = Instant::now();
    let request = showing.get("480p/playlist.m3u8?_HLS_msn=1&_HLS_part=2");
    let mut request = std::pin::pin!(request);
    assert!(poll!(request.as_mut()).is_pending());
    stop.cancel();
    assert_eq!((request.await.status, began.elapsed()), (503, Duration::ZERO));
    assert_eq!(showing.get("480p/playlist.m3u8").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_follower_that_panics_is_asked_to_come_again() {
    let showing = Showing::start().await;
    showing.stage.parts(8);
    showing.fresh("480p/playlist.m3u8").await;
    let reload = "480p/playlist.m3u8?_HLS_msn=1&_HLS_part=2";
    let request = showing.get(reload);
    let mut request = std::pin::pin!(request);
    assert!(poll!(request.as_mut()).is_pending());
    showing.stage.curse();
    let answer = tokio::time::timeout(Duration::from_secs(60), request).await.expect("it waits for ever");
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
    // The rendition is there as before, for who asks again.
    showing.stage.part();
    let again = showing.get(reload).await;
    assert_eq!(again.status, 200);
    assert!(again.text().contains("TYPE=PART,URI=\"1.3.m4s\""), "{}", again.text());
}

#[tokio::test(start_paused = true)]
async fn nobody_is_followed_for_nobody() {
    let showing = Showing::start().await;
    showing.stage.parts(8);
    showing.fresh("480p/playlist.m3u8").await;
    let asked = showing.stage.news_asked();
    tokio::time::sleep(Duration::from_secs(50)).await;
    assert!(showing.stage.news_asked() >= asked + 20);
    tokio::time::sleep(Duration::from_secs(20)).await;
    let asked = showing.stage.news_asked();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(showing.stage.news_asked(), asked);
    showing.stage.parts(8);
    let again = showing.fresh("480p/playlist.m3u8").await;
    assert!(again.text().contains("TYPE=PART,URI=\"2.4.m4s\""), "{}", again.text());
}

#[tokio::test(start_paused = true)]
async fn a_source_that_fails_is_waited_for_and_its_last_word_holds() {
    let showing = Showing::start().await;
    showing.stage.segments(8);
    showing.stage.parts(2);
    let before = showing.fresh("480p/playlist.m3u8").await;
    showing.stage.go_away(true);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(showing.get("480p/playlist.m3u8").await.text(), before.text());
    assert_eq!(showing.get("multivariant.m3u8").await.status, 200);
    assert_eq!(showing.get("480p/8.1.m4s").await.status, 200);
    assert_eq!(showing.get("480p/7.m4s").await.status, 200);
    // What it has not given yet is not here.
    assert_eq!(showing.get("480p/0.m4s").await.status, 503);
    let request = showing.get("480p/playlist.m3u8?_HLS_msn=8&_HLS_part=2");
    let mut request = std::pin::pin!(request);
    assert!(poll!(request.as_mut()).is_pending());
    showing.stage.part();
    showing.stage.go_away(false);
    let answer = request.await;
    assert!(answer.text().contains("TYPE=PART,URI=\"8.3.m4s\""), "{}", answer.text());
    assert_eq!(showing.get("480p/0.m4s").await.status, 200);

    let other = Showing::start().await;
    other.stage.go_away(true);
    let answer = other.get("480p/playlist.m3u8").await;
    assert_eq!((answer.status, answer.header("cache-control")), (503, "no-store"));
}

#[tokio::test(start_paused = true)]
async fn an_event_that_ends_releases_everybody_and_is_there_for_a_while() {
    let showing = Showing::start().await;
    showing.stage.parts(8);
    showing.fresh("480p/playlist.m3u8").await;
    let request = showing.get("480p/playlist.m3u8?_HLS_msn=1&_HLS_part=2");
    let mut request = std::pin::pin!(request);
    assert!(poll!(request.as_mut()).is_pending());
    showing.stage.end();
    let last = request.await;
    assert!(last.text().ends_with("1.m4s\n#EXT-X-ENDLIST\n"), "{}", last.text());
    assert_eq!(showing.get("480p/1.m4s").await.status, 200);
    // The packager may forget it before everybody has seen its end.
    assert_eq!(showing.get("multivariant.m3u8").await.status, 200);
    showing.stage.forget();
    let asked = showing.stage.news_asked();
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_secs(60)).await;
        // Whatever is asked for is there already.
        let answer = showing.get("480p/playlist.m3u8?_HLS_msn=7").await;
        assert_eq!((answer.status, answer.text()), (200, last.text()));
        assert_eq!(showing.get("multivariant.m3u8").await.status, 200);
    }
    assert_eq!(showing.stage.news_asked(), asked);
    for name in ["480p/1.m4s", "480p/0.m4s", "480p/1.1.m4s", "saver/480p/0-1.m4s"] {
        assert_eq!(showing.get(name).await.status, 200, "{name}");
    }
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(showing.get("480p/playlist.m3u8").await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_event_is_absent_and_asked_about_seldom() {
    let showing = Showing::start().await;
    showing.stage.forget();
    for _ in 0..10 {
        assert_eq!(showing.get("multivariant.m3u8").await.status, 404);
        assert_eq!(showing.get("480p/playlist.m3u8").await.status, 404);
        assert_eq!(showing.get("480p/0.m4s").await.status, 404);
    }
    assert_eq!(showing.stage.events_asked(), 1);
    assert_eq!(showing.stage.news_asked(), 0);
    // Who has no right does not learn even that.
    assert_eq!(showing.ask_as_nobody("GET", "multivariant.m3u8", &[]).await.status, 401);
    let keeping = model::Grant { uses: Uses::default().with(Use::Download), ..grant(480) };
    assert_eq!(showing.ask("GET", "multivariant.m3u8", &keeping, &[]).await.status, 403);
}
