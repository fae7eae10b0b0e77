use model::RenditionName;

use super::*;
use crate::samples::{TIMING, closed, grown};

fn report(rendition: RenditionName, last_msn: u32, part: u32, last_closed: Option<u32>) -> Report {
    Report { rendition, last_msn, last_part: Some(part), last_closed }
}

const SHOWN: Shown = Shown { view: View::Low, window: Window::LIVE, delta: false };

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

fn count(text: &str, tag: &str) -> usize {
    text.lines().filter(|line| line.starts_with(tag)).count()
}

fn value<'a>(text: &'a str, tag: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix(tag));
    line.unwrap_or_else(|| panic!("no {tag} in {text}"))
}

#[test]
fn a_playlist_of_low_latency_reads_as_the_specification_has_it() {
    let reports = [
        report(RenditionName::Audio { kbps: 128 }, 4, 1, Some(3)),
        report(RenditionName::Video { height: 360 }, 4, 1, Some(3)),
    ];
    let text = media(&grown(8), &TIMING, SHOWN, &reports);
    let expected = [
        "#EXTM3U",
        "#EXT-X-VERSION:9",
        "#EXT-X-TARGETDURATION:2",
        "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.05,HOLD-BACK=6.0,CAN-SKIP-UNTIL=12.0",
        "#EXT-X-PART-INF:PART-TARGET=0.35",
        "#EXT-X-MEDIA-SEQUENCE:3",
        "#EXT-X-DISCONTINUITY-SEQUENCE:0",
        "#EXT-X-MAP:URI=\"init-0.mp4\"",
        "#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:20.000Z",
        "#EXT-X-PART:DURATION=0.33333,URI=\"3.0.m4s\",INDEPENDENT=YES",
        "#EXT-X-PART:DURATION=0.33333,URI=\"3.1.m4s\"",
        "#EXT-X-PART:DURATION=0.33333,URI=\"3.2.m4s\"",
        "#EXT-X-PART:DURATION=0.33333,URI=\"3.3.m4s\"",
        "#EXT-X-PART:DURATION=0.33333,URI=\"3.4.m4s\"",
        "#EXT-X-PART:DURATION=0.33333,URI=\"3.5.m4s\"",
        "#EXTINF:2.0,",
        "3.m4s",
        "#EXT-X-PART:DURATION=0.33333,URI=\"4.0.m4s\",INDEPENDENT=YES",
        "#EXT-X-PART:DURATION=0.33333,URI=\"4.1.m4s\"",
        "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"4.2.m4s\"",
        "#EXT-X-RENDITION-REPORT:URI=\"../a128/playlist.m3u8\",LAST-MSN=4,LAST-PART=1",
    ];
    assert_eq!(lines(&text), expected);
}

#[test]
fn a_delta_is_small_and_leaves_out_what_is_older_than_six_target_durations() {
    let rendition = grown(6 * 100 + 3);
    let full = media(&rendition, &TIMING, SHOWN, &[]);
    let delta = media(&rendition, &TIMING, Shown { delta: true, ..SHOWN }, &[]);
    let (listed, left) = (count(&full, "#EXTINF"), count(&delta, "#EXTINF"));
    let skipped: usize = value(&delta, "#EXT-X-SKIP:SKIPPED-SEGMENTS=").parse().unwrap();
    assert_eq!(listed, left + skipped);
    assert_eq!(value(&full, "#EXT-X-MEDIA-SEQUENCE:"), value(&delta, "#EXT-X-MEDIA-SEQUENCE:"));
    // Six target durations are twelve seconds: six segments, of which one is begun.
    assert_eq!(left, 6, "{delta}");
    assert!(delta.len() <= 2048, "{} bytes", delta.len());
    let order = |tag: &str| delta.find(tag).unwrap();
    assert!(order("#EXT-X-DISCONTINUITY-SEQUENCE") < order("#EXT-X-SKIP"));
    // A young event has nothing to leave out.
    let young = media(&grown(20), &TIMING, Shown { delta: true, ..SHOWN }, &[]);
    assert_eq!(young, media(&grown(20), &TIMING, SHOWN, &[]));
}

#[test]
fn the_window_moves_and_numbers_with_it() {
    let rendition = grown(6 * 100);
    let live = media(&rendition, &TIMING, SHOWN, &[]);
    assert_eq!((value(&live, "#EXT-X-MEDIA-SEQUENCE:"), count(&live, "#EXTINF")), ("73", 30));
    let rewind = media(&rendition, &TIMING, Shown { window: Window::back(Window::LONGEST_S), ..SHOWN }, &[]);
    assert_eq!((value(&rewind, "#EXT-X-MEDIA-SEQUENCE:"), count(&rewind, "#EXTINF")), ("3", 100));
    for text in [live, rewind] {
        // Parts only within three target durations from the end.
        assert!((18..=24).contains(&count(&text, "#EXT-X-PART:")), "{text}");
        assert_eq!(count(&text, "#EXT-X-PLAYLIST-TYPE"), 0);
    }
}

#[test]
fn breaks_are_counted_when_they_leave_and_gaps_are_marked() {
    let rendition = closed(100, &[97], &[10, 75, 98]);
    let text = media(&rendition, &TIMING, SHOWN, &[]);
    assert_eq!(value(&text, "#EXT-X-MEDIA-SEQUENCE:"), "70");
    assert_eq!(value(&text, "#EXT-X-DISCONTINUITY-SEQUENCE:"), "1");
    assert_eq!((count(&text, "#EXT-X-DISCONTINUITY\n"), count(&text, "#EXT-X-GAP")), (0, 1));
    let lines = lines(&text);
    let at = |text: &str| lines.iter().position(|line| *line == text).unwrap();
    assert_eq!(at("97.m4s"), at("#EXT-X-GAP") + 2);
    // The break, its format and its time precede the segment.
    assert_eq!(lines[at("98.m4s") - 4], "#EXT-X-DISCONTINUITY");
    assert_eq!(lines[at("98.m4s") - 3], "#EXT-X-MAP:URI=\"init-3.mp4\"");
    assert_eq!(lines[at("98.m4s") - 2], "#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:16:36.000Z");
    assert_eq!(lines[at("98.m4s") - 1], "#EXTINF:2.0,");
    assert!(lines.contains(&"#EXT-X-MAP:URI=\"init-1.mp4\""));
}

#[test]
fn without_parts_only_whole_segments_are_listed() {
    let reports = [
        report(RenditionName::Audio { kbps: 128 }, 5, 1, Some(4)),
        report(RenditionName::Video { height: 144 }, 4, 5, Some(4)),
        // Another that is ahead by a segment, and one that has not closed any.
        report(RenditionName::Video { height: 480 }, 6, 0, Some(5)),
        report(RenditionName::Video { height: 720 }, 5, 1, None),
    ];
    let text = media(&grown(15), &TIMING, Shown { view: View::Normal, ..SHOWN }, &reports);
    assert_eq!((count(&text, "#EXT-X-PART"), count(&text, "#EXT-X-PRELOAD-HINT")), (0, 0));
    assert!(text.contains("\n../../360p/4.m4s\n"), "{text}");
    assert!(text.contains("#EXT-X-MAP:URI=\"../../360p/init-0.mp4\""), "{text}");
    assert!(text.contains("../a128/playlist.m3u8\",LAST-MSN=4\n"), "{text}");
    assert!(text.contains("../144p/playlist.m3u8\",LAST-MSN=4\n"), "{text}");
    assert!(text.contains("../480p/playlist.m3u8\",LAST-MSN=5\n") && !text.contains("720p"), "{text}");
    let slow = Timing { part_target_ms: None, target_duration_s: 4, ..TIMING };
    let text = media(&grown(15), &slow, SHOWN, &[]);
    assert_eq!((count(&text, "#EXT-X-PART"), value(&text, "#EXT-X-TARGETDURATION:")), (0, "4"));
}

#[test]
fn the_saver_lists_three_segments_as_one_and_never_renames_them() {
    let shown = Shown { view: View::Saver, window: Window::back(Window::LONGEST_S), delta: false };
    let names = |segments, gaps: &[u32], breaks: &[u32]| {
        let text = media(&closed(segments, gaps, breaks), &TIMING, shown, &[]);
        assert_eq!(value(&text, "#EXT-X-TARGETDURATION:"), "6");
        let names = text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned);
        names.collect::<Vec<_>>()
    };
    assert_eq!(names(8, &[], &[]), ["0-2.m4s", "3-5.m4s"]);
    assert_eq!(names(9, &[], &[]), ["0-2.m4s", "3-5.m4s", "6-8.m4s"]);
    // A break and a gap stand at the border of an entry.
    assert_eq!(names(9, &[4], &[7]), ["0-2.m4s", "3-3.m4s", "4-4.m4s", "5-6.m4s"]);
    let all = names(60, &[4, 30, 31], &[7, 32]);
    for segments in 0..60 {
        let some = names(segments, &[4, 30, 31], &[7, 32]);
        assert_eq!(some[..], all[..some.len()], "{segments}");
    }
    let mut ended = closed(8, &[], &[]);
    ended.end();
    let text = media(&ended, &TIMING, shown, &[]);
    assert!(text.ends_with("6-7.m4s\n#EXT-X-ENDLIST\n"), "{text}");
}

#[test]
fn the_saver_leaves_out_what_is_older_than_six_of_its_own_target_durations() {
    let shown = |delta| Shown { view: View::Saver, window: Window::back(Window::LONGEST_S), delta };
    for segments in 60..70 {
        let rendition = closed(segments, &[], &[]);
        let delta = media(&rendition, &TIMING, shown(true), &[]);
        // Of what is listed: three segments make one, and what is not whole yet is not.
        assert_eq!(count(&delta, "#EXTINF"), 6, "{segments}: {delta}");
        assert_eq!(value(&delta, "#EXT-X-SKIP:SKIPPED-SEGMENTS="), (segments / 3 - 6).to_string());
    }
}

#[test]
fn the_saver_joins_only_so_many_however_short_they_are() {
    let mut rendition = Rendition::new(RenditionName::Video { height: 144 }, 90_000, 0);
    for msn in 0..20 {
        let begun = Begun { start: u64::from(msn) * 9_000, ..crate::samples::begun(msn, 0) };
        rendition.push(Segment { begun, duration: 9_000, size_bytes: 100, parts: Vec::new() });
    }
    let shown = Shown { view: View::Saver, window: Window::back(Window::LONGEST_S), delta: false };
    let text = media(&rendition, &TIMING, shown, &[]);
    assert!(text.ends_with("\n0-7.m4s\n#EXTINF:0.8,\n8-15.m4s\n"), "{text}");
}

#[test]
fn a_new_format_is_hinted_at_until_its_first_part_is_there() {
    let mut rendition = closed(8, &[7], &[]);
    let text = media(&rendition, &TIMING, SHOWN, &[]);
    assert_eq!(count(&text, "TYPE=MAP"), 0);
    let begun = Begun { init: 1, discontinuity: true, ..crate::samples::begun(8, 8 * 180_000) };
    rendition.begin(begun);
    for delta in [false, true] {
        let text = media(&rendition, &TIMING, Shown { delta, ..SHOWN }, &[]);
        let hints = "#EXT-X-PRELOAD-HINT:TYPE=MAP,URI=\"init-1.mp4\"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"8.0.m4s\"\n";
        assert!(text.contains(hints), "{text}");
        // A discontinuity never stands ahead of what it precedes.
        assert_eq!((count(&text, "#EXT-X-DISCONTINUITY\n"), count(&text, "#EXT-X-MAP")), (0, 1), "{text}");
    }
    let whole = media(&rendition, &TIMING, Shown { view: View::Normal, ..SHOWN }, &[]);
    assert_eq!(count(&whole, "#EXT-X-PRELOAD-HINT"), 0);
    rendition.add(Part { duration: 30_000, size_bytes: 100, independent: true });
    let text = media(&rendition, &TIMING, SHOWN, &[]);
    assert_eq!((count(&text, "TYPE=MAP"), count(&text, "#EXT-X-MAP:URI=\"init-1.mp4\"")), (0, 1), "{text}");
    // The next segment in the same format needs none.
    rendition.close(100);
    rendition.begin(Begun { init: 1, ..crate::samples::begun(9, 8 * 180_000 + 30_000) });
    assert_eq!(count(&media(&rendition, &TIMING, SHOWN, &[]), "TYPE=MAP"), 0);
}

#[test]
fn an_event_that_is_over_says_so_and_hints_at_nothing() {
    let mut rendition = grown(15);
    rendition.close(100);
    rendition.end();
    let text = media(&rendition, &TIMING, SHOWN, &[]);
    assert!(text.ends_with("5.m4s\n#EXT-X-ENDLIST\n"), "{text}");
    assert_eq!(count(&text, "#EXT-X-PRELOAD-HINT"), 0);
}

#[test]
fn seconds_are_rounded_from_whole_ticks() {
    let cases = [
        (0, 90_000, "0.0"),
        (180_000, 90_000, "2.0"),
        (30_000, 90_000, "0.33333"),
        (1024, 48_000, "0.02133"),
        (16 * 1024, 44_100, "0.37152"),
        (90_000 * 3601, 90_000, "3601.0"),
    ];
    for (ticks, timescale, expected) in cases {
        assert_eq!(Seconds::of(ticks, timescale).to_string(), expected);
    }
}

#[test]
fn only_sound_promises_independent_segments() {
    let mut rendition = grown(7);
    assert_eq!(count(&media(&rendition, &TIMING, SHOWN, &[]), "#EXT-X-INDEPENDENT-SEGMENTS"), 0);
    rendition.name = RenditionName::Audio { kbps: 128 };
    assert_eq!(count(&media(&rendition, &TIMING, SHOWN, &[]), "#EXT-X-INDEPENDENT-SEGMENTS"), 1);
}
