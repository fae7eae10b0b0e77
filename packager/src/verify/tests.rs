use cmaf::{AudioTrack, VideoTrack};

use super::*;

fn rung() -> Expected {
    let rung = VideoRung {
        rendition: RenditionName::Video { height: 144 },
        width: 256,
        height: 144,
        frame_divisor: 2,
        crf: 29.0,
        maxrate_bps: 44_000,
        bufsize_bits: 33_000,
        preset: "slow".into(),
        hurried_preset: "faster".into(),
        references: 3,
        profile: "main".into(),
    };
    let plan = VideoPlan {
        stream: 0,
        frame_rate: Ratio::new(8, 1),
        segment_frames: 8,
        frames: 1000,
        rotation: 0,
        deinterlace: false,
        tone_map: false,
        rungs: vec![rung.clone()],
        poster_width: 16,
        thumbnail_width: 16,
    };
    Expected::video(&plan, &rung)
}

fn track(width: u16, timescale: u32) -> Track {
    Track::Video(VideoTrack { width, height: 144, timescale, avcc: vec![1, 100, 0, 13], colour: None })
}

/// A segment whose samples have these composition offsets.
fn segment(base_decode_time: u64, tick: u32, offsets: &[i32]) -> ReadSegment {
    let samples = offsets
        .iter()
        .enumerate()
        .map(|(n, cts_offset)| Sample { size: 10, duration: tick, cts_offset: *cts_offset, sync: n == 0 })
        .collect();
    ReadSegment { sequence: 1, base_decode_time, samples, payload: 0..10 * offsets.len() }
}

#[test]
fn a_track_is_the_planned_one() {
    let expected = rung();
    assert_eq!(expected.check_track(&track(256, 8)), Ok(()));
    assert!(expected.check_track(&track(254, 8)).is_err(), "another width");
    assert!(expected.check_track(&track(256, 6)).is_err(), "a rate of 4 is not in ticks of 6");
    let audio = AudioTrack { channels: 1, sample_rate: 48_000, asc: vec![0x11, 0x88], priming: 1024 };
    assert!(expected.check_track(&Track::Audio(audio)).is_err());
}

#[test]
fn a_video_segment_lies_on_the_grid() {
    // Every second frame of 8 in a second: 4 frames of 2 ticks, 8 ticks a segment.
    let (expected, track) = (rung(), track(256, 8));
    let check = |number, segment: ReadSegment| {
        expected.check_segment(&track, number, &segment, 100).map_err(|breach| breach.to_string())
    };
    assert_eq!(check(3, segment(24, 2, &[0, 0, 0, 0])), Ok(MayFollow::Yes));
    assert_eq!(check(3, segment(24, 2, &[0, 4, -2, -2])), Ok(MayFollow::Yes), "frames in another order");
    assert_eq!(check(3, segment(24, 2, &[0, 0])), Ok(MayFollow::No), "the film ends in it");
    for (why, number, segment) in [
        ("a gap before it", 3, segment(26, 2, &[0; 4])),
        ("another segment's place", 2, segment(24, 2, &[0; 4])),
        ("one frame too many", 3, segment(24, 2, &[0; 5])),
        ("frames of another length", 3, segment(24, 1, &[0; 4])),
        ("a frame shown twice", 3, segment(24, 2, &[0, 0, -2, 0])),
        ("a frame between two others", 3, segment(24, 2, &[0, 0, 1, 0])),
        ("a frame before its segment", 3, segment(24, 2, &[-2, 0, 0, 0])),
        ("a frame behind its segment", 3, segment(24, 2, &[0, 0, 0, 2])),
    ] {
        assert!(check(number, segment).is_err(), "{why}");
    }
    let huge = expected.check_segment(&track, 0, &segment(0, 2, &[0; 4]), 200_000);
    assert!(huge.unwrap_err().to_string().contains("200000 bytes"));
}

#[test]
fn a_sound_segment_begins_near_the_grid() {
    let rung = AudioRung { rendition: RenditionName::Audio { kbps: 32 }, channels: 1, bit_rate_bps: 32_000 };
    let plan = AudioPlan {
        stream: 1,
        sample_rate: 48_000,
        samples: 0,
        segment: Ratio::new(1001, 250),
        rungs: vec![rung.clone()],
    };
    let expected = Expected::audio(&plan, &rung);
    let track =
        Track::Audio(AudioTrack { channels: 1, sample_rate: 48_000, asc: vec![0x11, 0x88], priming: 1024 });
    let check = |number, at: u64, frames: usize, duration| {
        let mut segment = segment(at, 1024, &vec![0; frames]);
        segment.samples.last_mut().unwrap().duration = duration;
        expected.check_segment(&track, number, &segment, 100).is_ok()
    };
    // 4.004 s are 192,192 samples, which is 187.7 frames.
    assert!(check(0, 0, 188, 1024));
    assert!(check(1, 188 * 1024, 187, 1024));
    assert!(check(1, 188 * 1024, 20, 500), "the end of the film");
    assert!(!check(1, 192 * 1024, 187, 1024), "four frames off");
    assert!(!check(1, 188 * 1024, 196, 1024), "too long");
    assert!(!check(1, 188 * 1024, 187, 1025), "a frame longer than a frame");
}

#[test]
fn a_whole_film_is_as_long_as_what_was_decoded() {
    let seconds = Duration::from_secs;
    let whole = |kind: &str, segments, duration_s| Whole {
        name: kind.parse().unwrap(),
        segments,
        duration: seconds(duration_s),
    };
    let film = [whole("a32", 25, 99), whole("144p", 25, 100), whole("240p", 25, 100)];
    assert_eq!(check_whole(&film, seconds(100), seconds(1000)), Ok(seconds(100)));
    let filled = Duration::from_millis(100_020);
    let sound = [Whole { duration: filled, ..film[0] }, film[1]];
    assert_eq!(check_whole(&sound, seconds(100), seconds(1000)), Ok(seconds(100)), "filled up");
    let slow = [Whole { duration: filled, ..film[1] }, film[2]];
    assert_eq!(check_whole(&slow, seconds(100), seconds(1000)), Ok(seconds(100)), "half the rate");
    let long = [whole("a32", 25, 101), film[1]];
    assert_eq!(check_whole(&long, seconds(100), seconds(1000)), Ok(seconds(101)), "longer than its picture");
    assert!(check_whole(&film, seconds(120), seconds(1000)).is_err(), "the end is missing");
    assert!(check_whole(&film, seconds(100), seconds(50)).is_err(), "longer than allowed");
    let uneven = [whole("144p", 25, 100), whole("240p", 24, 96)];
    assert!(check_whole(&uneven, seconds(100), seconds(1000)).is_err());
    assert!(check_whole(&[whole("144p", 0, 0)], seconds(0), seconds(1000)).is_err());
    assert!(check_whole(&[], seconds(0), seconds(1000)).is_err());
}
