//! Pictures that are copied are the source's own, and only those that fit are.

use std::path::Path;

use cmaf::{SampleTable, read_segment};
use model::cell::{CopiedRung, Copyable, EncodePlan, Request, Task, VideoStream};
use model::{RenditionName, SegmentGrid, SegmentStarts};

use crate::driver::{Clips, Rendition, ask_for_ranges, pictures, probe, small_plan, work};

const BARS: &str = "-f lavfi -i testsrc2=size=320x240:rate";
const TONE: &str = "-f lavfi -i sine=sample_rate=48000";
/// Reordered pictures, and a group of pictures every two seconds of 25.
const H264: &str = "-pix_fmt yuv420p -c:v libx264 -preset faster -bf 3 -g 50 -sc_threshold 0";

fn found(media: &Path) -> VideoStream {
    let said = probe(media);
    said.probe.and_then(|probe| probe.video).unwrap_or_else(|| panic!("{:?}\n{}", said.refused, said.log))
}

fn frames(copyable: &Copyable) -> Vec<u64> {
    copyable.idrs.iter().map(|(frame, _)| *frame).collect()
}

/// A plan that copies a film and begins segments at these frames.
fn plan(media: &Path, starts: Vec<u64>) -> EncodePlan {
    let mut plan = small_plan(&probe(media).probe.unwrap());
    let stream = found(media);
    let copyable = stream.copyable.unwrap();
    let video = plan.video.as_mut().unwrap();
    let then = (copyable.frames - starts.last().unwrap()).max(50) as u32;
    plan.grid = SegmentGrid { starts: SegmentStarts::At { frames: starts, then }, ..plan.grid };
    (video.frames, video.frame_rate) = (copyable.frames, copyable.frame_rate);
    (plan.grid.frames, plan.grid.rate) = (video.frames, video.frame_rate);
    video.copied = Some(CopiedRung {
        rendition: RenditionName::Video { height: 480 },
        width: stream.width,
        height: stream.height,
        track: copyable.track,
        avcc: copyable.avcc,
        peak_bps: 1_000_000,
        average_bps: 1_000_000,
    });
    plan
}

/// Fingerprints of a film's coded pictures, and of what a decoder makes of them.
fn pictures_of(clips: &Clips, film: &[u8]) -> [String; 2] {
    let md5 = |how: &str| {
        let words = format!("-map 0:v -fps_mode passthrough {how} -f md5");
        String::from_utf8(clips.raw(film, &words)).unwrap()
    };
    [md5("-c copy"), md5("-c:v rawvideo")]
}

/// Checks that segments are those of the grid; gives when each picture is shown, in frames.
fn check_grid(rendition: &Rendition, plan: &EncodePlan, divisor: u64) -> Vec<u64> {
    let mut shown = Vec::new();
    for (number, bytes) in (rendition.first..).zip(&rendition.segments) {
        let frames = plan.grid.frames_of(number, plan.grid.frames);
        let segment = read_segment(bytes).unwrap();
        let tick = u64::from(segment.samples[0].duration);
        assert!(segment.samples.iter().all(|sample| u64::from(sample.duration) == tick));
        assert_eq!(segment.base_decode_time, frames.start.div_ceil(divisor) * tick, "segment {number}");
        let count = frames.end.div_ceil(divisor) - frames.start.div_ceil(divisor);
        assert_eq!(segment.samples.len() as u64, count, "segment {number}");
        assert!(segment.samples[0].sync && segment.samples[0].cts_offset == 0, "segment {number}");
        for (sample, at) in segment.samples.iter().zip(segment.base_decode_time / tick..) {
            let shift = i64::from(sample.cts_offset) / tick as i64;
            shown.push(at.checked_add_signed(shift).unwrap());
        }
    }
    shown.sort_unstable();
    shown
}

#[test]
fn a_copied_film_is_its_source_and_all_renditions_share_its_grid() {
    let clips = Clips::new();
    for (rate, codec, end) in [
        ("25", H264, 325),
        ("30000/1001", H264, 390),
        ("25", "-pix_fmt yuv420p -c:v libx264 -g 50 -bf 0 -sc_threshold 0", 325),
    ] {
        let film = clips.make("film.mp4", &format!("{BARS}={rate} {TONE} -t 13 {codec} -c:a aac"));
        let copyable = found(&film).copyable.unwrap();
        assert_eq!(frames(&copyable), (0..end).step_by(50).collect::<Vec<_>>(), "{rate}");
        assert_eq!(copyable.frames, end);
        // Uneven, and every one a multiple of what the smallest rung shows.
        let plan = plan(&film, vec![0, 100, 250]);
        let whole = work(&film, &plan, Task::Copy { segments: 0..3 });
        let copied = whole.rendition("480p");
        let source = std::fs::read(&film).unwrap();
        assert_eq!(pictures_of(&clips, &copied.file()), pictures_of(&clips, &source), "{rate}");
        clips.decode(&copied.file());
        assert_eq!(check_grid(copied, &plan, 1), (0..end).collect::<Vec<_>>(), "{rate}");

        let announced = work(&clips.file("nothing", b""), &plan, Task::Announce);
        assert!(announced.rendition("480p").init == copied.init);
        for (segments, number) in [(0..1, 0), (2..3, 2)] {
            let part = work(&film, &plan, Task::Copy { segments });
            assert!(part.rendition("480p").segments == copied.segments[number..=number]);
        }
        let encoded = work(&film, &plan, pictures(&plan, 0..3));
        for (name, divisor) in [("144p", 2), ("240p", 1)] {
            let shown = check_grid(encoded.rendition(name), &plan, divisor);
            assert_eq!(shown, (0..end.div_ceil(divisor)).collect::<Vec<_>>(), "{name} at {rate}");
        }
    }
}

#[test]
fn what_does_not_fit_is_not_offered() {
    let clips = Clips::new();
    for (why, words, name) in [
        ("a rate that varies", format!("{BARS}=25 -vf select=mod(n\\,7) -vsync vfr -t 4 {H264}"), "vfr.mp4"),
        ("another codec", format!("{BARS}=25 -t 4 -pix_fmt yuv420p -c:v mpeg4"), "old.mp4"),
        ("another container", format!("{BARS}=25 -t 4 {H264}"), "film.mkv"),
        ("fragments", format!("{BARS}=25 -t 4 {H264} -movflags +frag_keyframe+empty_moov"), "parts.mp4"),
        ("ten bits", format!("{BARS}=25 -t 4 -c:v libx264 -pix_fmt yuv420p10le"), "deep.mp4"),
        ("all of the colours", format!("{BARS}=25 -t 4 -c:v libx264 -pix_fmt yuv444p"), "colours.mp4"),
        ("the range of computers", format!("{BARS}=25 -t 4 -c:v libx264 -pix_fmt yuvj420p"), "range.mp4"),
        ("interlaced", format!("{BARS}=50 -vf tinterlace=4 -t 4 {H264} -flags +ildct+ilme"), "fields.mp4"),
        (
            "late pictures",
            format!("{TONE} -itsoffset 0.4 {BARS}=25 -vsync vfr -t 4 {H264} -c:a aac"),
            "late.mp4",
        ),
        ("one picture", format!("{BARS}=25 -frames:v 1 {H264}"), "one.mp4"),
    ] {
        assert!(found(&clips.make(name, &words)).copyable.is_none(), "{why}");
    }
    let good = clips.make("good.mp4", &format!("{BARS}=25 -t 6 {H264}"));
    assert!(found(&good).copyable.is_some());
    let trimmed = clips.make("trimmed.mp4", "-ss 1 -i good.mp4 -c copy");
    assert!(found(&trimmed).copyable.is_none(), "an edit list that leaves pictures out");
}

#[test]
fn a_film_in_a_store_is_looked_at_and_copied_as_one_that_is_here() {
    let clips = Clips::new();
    // More key frames than are asked for at once, and more bytes than are fetched at once.
    let film = clips.make("many.mp4", &format!("{BARS}=25 -t 30 {H264} -g 5 -crf 5"));
    let bytes = std::fs::read(&film).unwrap();
    assert!(bytes.len() > 3 << 20, "{} bytes", bytes.len());
    let near = found(&film).copyable.unwrap();
    assert_eq!(near.idrs.len(), 150);
    let far = ask_for_ranges(bytes.clone(), usize::MAX, |source| Request::Probe { source });
    assert_eq!(far.probe.unwrap().video.unwrap().copyable.as_ref(), Some(&near));

    let plan = plan(&film, vec![0, 250, 500]);
    let task = Task::Copy { segments: 1..3 };
    let here = work(&film, &plan, task.clone());
    let there = ask_for_ranges(bytes, usize::MAX, |source| Request::Work { source, plan, task });
    assert!(there.rendition("480p").segments == here.rendition("480p").segments);
}

#[test]
fn only_idr_pictures_are_listed() {
    let clips = Clips::new();
    let film = |name: &str, more: &str| clips.make(name, &format!("{BARS}=25 -t 6 {H264} {more}"));
    // The other groups begin with pictures that refer to what is before them.
    let open = found(&film("open.mp4", "-x264-params open-gop=1")).copyable.unwrap();
    assert_eq!(frames(&open), [0]);
    let long = found(&film("long.mp4", "-g 1000")).copyable.unwrap();
    assert_eq!(frames(&long), [0]);

    let closed = film("closed.mp4", "");
    let copyable = found(&closed).copyable.unwrap();
    assert_eq!(frames(&copyable), [0, 50, 100]);
    let mut bytes = std::fs::read(&closed).unwrap();
    let moov = bytes.windows(4).rposition(|kind| kind == b"moov").unwrap() + 4;
    let samples = SampleTable::read(&bytes[moov..], copyable.track).unwrap().samples;
    let before: u64 = samples[..50].iter().map(|sample| u64::from(sample.size)).sum();
    assert_eq!(copyable.idrs[1], (50, before));
    let all: u64 = samples.iter().map(|sample| u64::from(sample.size)).sum();
    assert_eq!((copyable.bytes, copyable.frames), (all, 150));
    // The table says that it is a key frame, and it is none.
    let second = samples[50].offset as usize;
    assert_eq!(bytes[second + 4] & 0x1f, 5);
    bytes[second + 4] = bytes[second + 4] & 0xe0 | 1;
    assert_eq!(frames(&found(&clips.file("lying.mp4", &bytes)).copyable.unwrap()), [0, 100]);
    // Other parameters than those that stand in the track's description.
    bytes[second + 4] = bytes[second + 4] & 0xe0 | 8;
    assert!(found(&clips.file("changing.mp4", &bytes)).copyable.is_none());
}
