//! The checker of live playlists is shown events that are as they should be, and then everything that
//! can be wrong with them.

#![expect(clippy::unwrap_used, reason = "a string takes every text")]

use std::fmt::Write;
use std::time::Duration;

use tests::checker::{Checker, Look, Rule};

const PICTURE: &str = "360p";
const SOUND: &str = "a128";
/// Parts of a segment.
const PARTS: u64 = 6;

/// A playlist that was polled.
#[derive(Debug, Clone)]
struct Seen {
    rendition: &'static str,
    sent: u64,
    at: u64,
    until: Option<(u64, Option<u64>)>,
    text: String,
}

/// How an event goes.
#[derive(Clone, Copy)]
struct Course {
    gaps: &'static [u64],
    breaks: &'static [u64],
    /// Segments that a playlist shows.
    window: u64,
    /// Parts after which it ends.
    ends: Option<u64>,
    /// Parts leave as soon as they are further than three segments from the end.
    tidy: bool,
}

const USUAL: Course = Course { gaps: &[], breaks: &[], window: 30, ends: None, tidy: false };

/// The playlist of a rendition that has so many parts, each a third of a second.
fn playlist(name: &str, parts: u64, course: Course, delta: bool) -> String {
    let (msn, open) = (parts / PARTS, parts % PARTS);
    let first = msn.saturating_sub(course.window);
    let is_over = course.ends == Some(parts);
    let skipped = if delta { (msn - first).saturating_sub(7) } else { 0 };
    let breaks = |msn: u64| course.breaks.iter().filter(|at| **at <= msn).count();
    let left = course.breaks.iter().filter(|at| **at < first).count();
    let mut text = format!(
        "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:2\n\
         #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.05,HOLD-BACK=6.0,CAN-SKIP-UNTIL=12.0\n\
         #EXT-X-PART-INF:PART-TARGET=0.35\n\
         #EXT-X-MEDIA-SEQUENCE:{first}\n#EXT-X-DISCONTINUITY-SEQUENCE:{left}\n"
    );
    if skipped > 0 {
        writeln!(text, "#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}").unwrap();
    }
    let mut map = None;
    let listed = first + skipped..=msn;
    for segment in listed.clone() {
        let of_it = if segment == msn { open } else { PARTS };
        if of_it == 0 || (segment == msn && is_over) {
            continue;
        }
        let is_gap = course.gaps.contains(&segment);
        if course.breaks.contains(&segment) {
            text.push_str("#EXT-X-DISCONTINUITY\n");
        }
        if map.replace(breaks(segment)) != Some(breaks(segment)) {
            writeln!(text, "#EXT-X-MAP:URI=\"init-{}.mp4\"", breaks(segment)).unwrap();
        }
        if segment == *listed.start() || segment % 16 == 0 {
            let seconds = segment * 2;
            let (minutes, seconds) = (seconds / 60, seconds % 60);
            writeln!(text, "#EXT-X-PROGRAM-DATE-TIME:2026-11-30T12:{minutes:02}:{seconds:02}.000Z").unwrap();
        }
        let is_far = course.tidy && segment + 3 == msn && open > 0;
        if segment + 4 > msn && !is_far {
            for part in 0..of_it {
                write!(text, "#EXT-X-PART:DURATION=0.33333,URI=\"{segment}.{part}.m4s\"").unwrap();
                text.push_str(match (is_gap, part == 0 || name == SOUND) {
                    (true, _) => ",GAP=YES\n",
                    (false, true) => ",INDEPENDENT=YES\n",
                    (false, false) => "\n",
                });
            }
        }
        if segment < msn {
            if is_gap {
                text.push_str("#EXT-X-GAP\n");
            }
            writeln!(text, "#EXTINF:2.0,\n{segment}.m4s").unwrap();
        }
    }
    if is_over {
        text.push_str("#EXT-X-ENDLIST\n");
        return text;
    }
    writeln!(text, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{msn}.{open}.m4s\"").unwrap();
    let other = if name == PICTURE { SOUND } else { PICTURE };
    let (last, part) = if open == 0 { (msn.wrapping_sub(1), PARTS - 1) } else { (msn, open - 1) };
    writeln!(
        text,
        "#EXT-X-RENDITION-REPORT:URI=\"../{other}/playlist.m3u8\",LAST-MSN={last},LAST-PART={part}"
    )
    .unwrap();
    text
}

/// What a poller sees that waits for each part of two renditions.
fn history(parts: std::ops::Range<u64>, course: Course) -> Vec<Seen> {
    let mut history = Vec::new();
    for parts in parts {
        for rendition in [PICTURE, SOUND] {
            let is_first = history.len() < 2;
            let (msn, part) = ((parts - 1) / PARTS, (parts - 1) % PARTS);
            let at = parts * 1000 / 3 + 40;
            let (sent, until) = if is_first { (at - 5, None) } else { (at - 300, Some((msn, Some(part)))) };
            let text = playlist(rendition, parts, course, !is_first);
            history.push(Seen { rendition, sent, at, until, text });
        }
    }
    history
}

fn checked(history: &[Seen]) -> Checker {
    let mut checker = Checker::new();
    for Seen { rendition, sent, at, until, text } in history {
        let (sent, at) = (Duration::from_millis(*sent), Duration::from_millis(*at));
        checker.saw(Look { rendition, sent, at, until: *until, text });
    }
    checker
}

fn rules(checker: &Checker) -> Vec<Rule> {
    let mut rules: Vec<_> = checker.violations().iter().map(|violation| violation.rule).collect();
    rules.sort();
    rules.dedup();
    rules
}

#[test]
fn an_event_as_it_should_be_breaks_no_rule() {
    let restless = Course { gaps: &[9, 10], breaks: &[11, 40], ..USUAL };
    let ending = Course { ends: Some(264), ..USUAL };
    for (name, parts, course) in [
        ("from its beginning", 1..400, USUAL),
        ("from its middle", 300..500, USUAL),
        ("with gaps and breaks", 1..500, restless),
        ("to its end", 200..265, ending),
        ("with parts that leave as soon as they may", 200..400, Course { tidy: true, ..USUAL }),
        ("with a window of a few segments", 1..200, Course { window: 8, ..USUAL }),
    ] {
        let checker = checked(&history(parts, course));
        let first: Vec<_> = checker.violations().iter().take(5).map(ToString::to_string).collect();
        assert!(first.is_empty(), "{name}: {first:#?}");
        let figures = checker.figures();
        assert!(figures.parts > 50 && figures.waits > 50, "{name}: {figures:?}");
        assert!(figures.part_lateness.2 <= Duration::from_millis(5), "{name}: {figures:?}");
        assert_eq!(figures.waited, (Duration::from_millis(300), Duration::from_millis(300)));
        assert_eq!(figures.dependent_segments, 0);
    }
}

/// Frames of sound do not last whole milliseconds, and what is cut off a sum of sixteen is a frame's worth.
#[test]
fn durations_are_summed_as_they_are_told() {
    let mut history = history(1..400, USUAL);
    for (n, seen) in history.iter_mut().enumerate() {
        let parts = 1 + n as u64 / 2;
        let mut msn = (parts / PARTS).saturating_sub(USUAL.window);
        let mut text = String::new();
        for line in playlist(seen.rendition, parts, USUAL, false).lines() {
            let (segment, part) = if msn % 4 == 3 { ("1.9991", "0.33318") } else { ("2.0003", "0.33338") };
            let line = line.replace("EXTINF:2.0,", &format!("EXTINF:{segment},")).replace("0.33333", part);
            writeln!(text, "{line}").unwrap();
            msn += u64::from(line.starts_with("#EXTINF:"));
        }
        seen.text = text;
    }
    let checker = checked(&history);
    assert!(checker.violations().is_empty(), "{}", checker.violations()[0]);
}

/// A change of one playlist out of a history that is right, and the rules that it breaks.
type Case = (&'static str, fn(&mut Seen), &'static [Rule]);

/// Replaces the first `from`, which must be there.
fn replace(seen: &mut Seen, from: &str, to: &str) {
    assert!(seen.text.contains(from), "no {from} in\n{}", seen.text);
    seen.text = seen.text.replacen(from, to, 1);
}

#[test]
fn each_rule_is_missed_when_it_is_broken() {
    // Of the picture, with two parts of segment 50, and as a delta.
    let cases: &[Case] = &[
        ("no playlist", |seen| seen.text = "<html>".to_owned(), &[Rule::Readable]),
        (
            "a tag twice",
            |seen| replace(seen, "#EXT-X-VERSION:9\n", "#EXT-X-VERSION:9\n#EXT-X-VERSION:9\n"),
            &[Rule::Readable],
        ),
        (
            "a tag that nobody knows",
            |seen| replace(seen, "#EXTINF", "#EXT-X-NEW:1\n#EXTINF"),
            &[Rule::Readable],
        ),
        (
            "a segment that is too long",
            |seen| replace(seen, "#EXTINF:2.0,\n49", "#EXTINF:2.6,\n49"),
            &[Rule::TargetDuration, Rule::PartsAreSegment, Rule::Stable],
        ),
        (
            "another target duration",
            |seen| replace(seen, "DURATION:2\n", "DURATION:3\n"),
            &[Rule::ServerControl, Rule::Constant],
        ),
        (
            "a hold-back that is too short",
            |seen| replace(seen, "HOLD-BACK=1.05", "HOLD-BACK=0.9"),
            &[Rule::ServerControl, Rule::Constant],
        ),
        (
            "no part target",
            |seen| replace(seen, "#EXT-X-PART-INF:PART-TARGET=0.35\n", ""),
            &[Rule::ServerControl, Rule::Constant],
        ),
        (
            "a part that is too long",
            |seen| replace(seen, "0.33333,URI=\"50.0", "0.36,URI=\"50.0"),
            &[Rule::PartDuration, Rule::Stable],
        ),
        (
            "a part that is too short",
            |seen| replace(seen, "0.33333,URI=\"49.2", "0.2,URI=\"49.2"),
            &[Rule::PartDuration, Rule::PartsAreSegment, Rule::Stable],
        ),
        (
            "a part too few",
            |seen| replace(seen, "#EXT-X-PART:DURATION=0.33333,URI=\"49.5.m4s\"\n", ""),
            &[Rule::PartsAreSegment, Rule::Stable],
        ),
        (
            "a map behind a part",
            |seen| replace(seen, "#EXTINF:2.0,\n49", "#EXT-X-MAP:URI=\"init-0.mp4\"\n#EXTINF:2.0,\n49"),
            &[Rule::Order],
        ),
        (
            "the discontinuity sequence behind what is skipped",
            |seen| {
                replace(seen, "#EXT-X-DISCONTINUITY-SEQUENCE:0\n", "");
                replace(seen, "#EXT-X-MAP", "#EXT-X-DISCONTINUITY-SEQUENCE:0\n#EXT-X-MAP");
            },
            &[Rule::Order],
        ),
        ("a hint at what is listed", |seen| replace(seen, "URI=\"50.2.m4s", "URI=\"50.1.m4s"), &[Rule::Hint]),
        (
            "no hint",
            |seen| replace(seen, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"50.2.m4s\"\n", ""),
            &[Rule::Hint],
        ),
        (
            "two hints",
            |seen| {
                replace(
                    seen,
                    "#EXT-X-PRELOAD-HINT",
                    "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"x\"\n#EXT-X-PRELOAD-HINT",
                )
            },
            &[Rule::Hint],
        ),
        ("no time of day", |seen| without(seen, "#EXT-X-PROGRAM-DATE-TIME"), &[Rule::Dated]),
        (
            "parts of long ago",
            |seen| {
                let part = "#EXT-X-PART:DURATION=0.33333,URI=\"44.0.m4s\",INDEPENDENT=YES\n";
                replace(seen, "#EXTINF:2.0,\n44", &format!("{part}#EXTINF:2.0,\n44"));
            },
            &[Rule::PartsAreSegment, Rule::PartsListed, Rule::Stable],
        ),
        (
            "parts that are gone too early",
            |seen| without(seen, "#EXT-X-PART:DURATION=0.33333,URI=\"49"),
            &[Rule::PartsListed],
        ),
        (
            "a type",
            |seen| replace(seen, "#EXT-X-MEDIA", "#EXT-X-PLAYLIST-TYPE:EVENT\n#EXT-X-MEDIA"),
            &[Rule::Window],
        ),
        (
            "a gap in what was none",
            |seen| replace(seen, "#EXTINF:2.0,\n49", "#EXT-X-GAP\n#EXTINF:2.0,\n49"),
            &[Rule::Gap, Rule::Stable],
        ),
        (
            "an older sequence",
            |seen| {
                replace(seen, "SEQUENCE:20\n", "SEQUENCE:19\n");
                replace(seen, "SKIPPED-SEGMENTS=23", "SKIPPED-SEGMENTS=24");
            },
            &[Rule::Monotonic],
        ),
        ("another name for a segment", |seen| replace(seen, "\n49.m4s", "\n49b.m4s"), &[Rule::Stable]),
        (
            "the name of another segment",
            |seen| replace(seen, "\n49.m4s", "\n48.m4s"),
            &[Rule::Stable, Rule::NamesOnce],
        ),
        (
            "another name for a part",
            |seen| replace(seen, "URI=\"50.0.m4s", "URI=\"50.0b.m4s"),
            &[Rule::Stable],
        ),
        ("another map", |seen| replace(seen, "init-0", "init-1"), &[Rule::Stable]),
        (
            "a break ahead of what is listed",
            |seen| {
                replace(
                    seen,
                    "#EXT-X-PART:DURATION=0.33333,URI=\"50.0",
                    "#EXT-X-DISCONTINUITY\n#EXT-X-PART:DURATION=0.33333,URI=\"50.0",
                )
            },
            &[Rule::Stable],
        ),
        (
            "a break that nobody saw",
            |seen| replace(seen, "DISCONTINUITY-SEQUENCE:0", "DISCONTINUITY-SEQUENCE:1"),
            &[Rule::Discontinuities],
        ),
        (
            "too much left out",
            |seen| {
                let (head, tail) = seen.text.split_once("#EXT-X-SKIP").unwrap();
                let (_, rest) = tail.split_once("48.m4s\n").unwrap();
                seen.text = format!(
                    "{head}#EXT-X-SKIP:SKIPPED-SEGMENTS=29\n#EXT-X-MAP:URI=\"init-0.mp4\"\n\
                     #EXT-X-PROGRAM-DATE-TIME:2026-11-30T12:01:38.000Z\n{rest}"
                );
            },
            &[Rule::Skip],
        ),
        ("another time of day", |seen| replace(seen, ":26.000Z", ":27.000Z"), &[Rule::Time]),
        (
            "a jump in the time of day",
            |seen| {
                replace(
                    seen,
                    "#EXT-X-PROGRAM-DATE-TIME:2026-11-30T12:01:36.000Z",
                    "#EXT-X-PROGRAM-DATE-TIME:2026-11-30T12:01:36.500Z",
                )
            },
            &[Rule::Time],
        ),
        ("not what was waited for", |seen| seen.until = Some((50, Some(2))), &[Rule::Waited]),
        ("no report", |seen| without(seen, "#EXT-X-RENDITION-REPORT"), &[Rule::Reports]),
        (
            "a report of what is not there",
            |seen| replace(seen, "LAST-MSN=50,", "LAST-MSN=51,"),
            &[Rule::Reports],
        ),
        ("an old report", |seen| replace(seen, "LAST-MSN=50,", "LAST-MSN=48,"), &[Rule::Reports]),
        ("a report of itself", |seen| replace(seen, "../a128/", "../360p/"), &[Rule::Reports]),
    ];
    let good = history(200..330, USUAL);
    let at =
        good.iter().position(|seen| seen.rendition == PICTURE && seen.text.contains("URI=\"50.2.")).unwrap();
    let mut missed = Vec::new();
    for (name, spoil, expected) in cases {
        let mut history = good.clone();
        spoil(&mut history[at]);
        let found = rules(&checked(&history));
        // Whatever else breaks by it must be explained by the same playlist, and little.
        if !expected.iter().all(|rule| found.contains(rule)) || found.len() > expected.len() + 2 {
            missed.push(format!("{name}: {expected:?}, found {found:?}"));
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

/// Removes lines that begin like this, of which there must be some.
fn without(seen: &mut Seen, begin: &str) {
    let kept: Vec<_> = seen.text.lines().filter(|line| !line.starts_with(begin)).collect();
    assert!(kept.len() < seen.text.lines().count(), "no {begin} in\n{}", seen.text);
    seen.text = kept.join("\n") + "\n";
}

#[test]
fn what_ended_stays_ended() {
    let mut history = history(200..265, Course { ends: Some(264), ..USUAL });
    let mut more = history.last().unwrap().clone();
    more.text = playlist(SOUND, 265, USUAL, true);
    more.until = None;
    history.push(more);
    assert!(rules(&checked(&history)).contains(&Rule::Ended));
}

#[test]
fn renditions_with_other_breaks_are_not_aligned() {
    let course = Course { breaks: &[40], ..USUAL };
    let mut history = history(200..300, course);
    for seen in history.iter_mut().filter(|seen| seen.rendition == SOUND) {
        let msn = seen.at * 3 / 1000 / PARTS;
        seen.text = playlist(SOUND, (seen.at * 3).div_ceil(1000) - 1, USUAL, msn > 34);
    }
    assert!(rules(&checked(&history)).contains(&Rule::Aligned));
}

#[test]
fn a_late_part_is_told_and_breaks_nothing() {
    let mut history = history(200..320, USUAL);
    let len = history.len();
    for seen in &mut history[len - 2..] {
        seen.at += 700;
    }
    let checker = checked(&history);
    assert_eq!(checker.violations(), []);
    let figures = checker.figures();
    assert!(figures.part_lateness.0 < Duration::from_millis(5), "{figures:?}");
    assert!(figures.part_lateness.2 >= Duration::from_millis(699), "{figures:?}");
    assert_eq!(figures.waited.1, Duration::from_millis(1000));
}

#[test]
fn a_window_that_loses_a_break_counts_it() {
    let mut history = history(200..330, Course { breaks: &[36], window: 8, ..USUAL });
    assert_eq!(checked(&history).violations(), []);
    for seen in &mut history {
        seen.text = seen.text.replace("DISCONTINUITY-SEQUENCE:1", "DISCONTINUITY-SEQUENCE:0");
    }
    assert!(rules(&checked(&history)).contains(&Rule::Discontinuities));
}
