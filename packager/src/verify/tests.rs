use cmaf::{AudioTrack, VideoTrack};
use model::cell::{AudioRung, CopiedRung, VideoPlan, VideoRung};
use model::{SegmentGrid, VersionId, VideoId};

use super::*;

const P144: RenditionName = RenditionName::Video { height: 144 };
const A32: RenditionName = RenditionName::Audio { kbps: 32 };

/// Segments of a second: eight frames of the grid, of which the rung shows every second one. The
/// last of four segments has five frames of the grid, so three of the rung.
fn plan() -> EncodePlan {
    let rung = VideoRung {
        rendition: P144,
        width: 256,
        height: 144,
        frame_divisor: 2,
        crf: 29.0,
        hurried_crf: 29.0,
        maxrate_bps: 44_000,
        bufsize_bits: 33_000,
        preset: "slow".into(),
        hurried_preset: "faster".into(),
        references: 3,
        b_frames: 3,
        profile: "main".into(),
    };
    let grid = SegmentGrid::even(Ratio::new(8, 1), 8, 29);
    EncodePlan {
        video: Some(VideoPlan {
            stream: 0,
            frame_rate: grid.rate,
            segment_frames: 8,
            frames: grid.frames,
            rotation: 0,
            deinterlace: false,
            tone_map: false,
            rungs: vec![rung],
            copied: None,
            poster_width: 16,
            thumbnail_width: 16,
        }),
        audio: Some(AudioPlan {
            stream: 1,
            sample_rate: 48_000,
            samples: 48_000 * 29 / 8,
            segment: Ratio::new(1, 1),
            rungs: vec![AudioRung { rendition: A32, channels: 1, bit_rate_bps: 32_000, copied: None }],
        }),
        grid,
        expected_ms: 0,
        max_ms: 0,
    }
}

fn growing(plan: EncodePlan) -> GrowingIndex {
    let announced = |rendition, timescale| Announced {
        rendition,
        codecs: String::new(),
        timescale,
        init_size: 0,
        init_hash: ChunkHash::of(b""),
    };
    let announced = vec![announced(P144, 8), announced(A32, 48_000)];
    GrowingIndex::new(1, VideoId::from_bits(1), VersionId::from_bits(1), plan, announced, Vec::new())
}

fn track(width: u16, timescale: u32) -> Track {
    let config = VideoConfig::Avc(vec![1, 100, 0, 13]);
    Track::Video(VideoTrack { width, height: 144, timescale, config, colour: None })
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
    let check = |name, track| check_track(&plan(), name, &track);
    assert_eq!(check(P144, track(256, 8)), Ok(()));
    assert!(check(P144, track(254, 8)).is_err(), "another width");
    let Track::Video(other) = track(256, 8) else { panic!("a picture") };
    let other = VideoTrack { config: VideoConfig::Av1(vec![0x81, 0, 0, 0]), ..other };
    assert!(check(P144, Track::Video(other)).is_err(), "another codec");
    assert!(check(P144, track(256, 6)).is_err(), "a rate of 4 is not in ticks of 6");
    let sound = |channels| {
        let config = AudioConfig::Aac(vec![0x11, 0x88]);
        Track::Audio(AudioTrack { channels, sample_rate: 48_000, config, priming: 1024 })
    };
    assert_eq!(check(A32, sound(1)), Ok(()));
    assert!(check(A32, sound(2)).is_err(), "two channels for one");
    assert!(check(P144, sound(1)).is_err(), "a sound for a picture");
    assert!(check("240p".parse().unwrap(), track(256, 8)).is_err(), "not in the plan");
}

#[test]
fn a_picture_segment_is_exactly_the_planned_one() {
    let growing = growing(plan());
    let check = |number, segment: ReadSegment| check_segment(&growing, P144, number, &segment, 100);
    assert_eq!(check(2, segment(16, 2, &[0, 0, 0, 0])), Ok(()));
    assert_eq!(check(2, segment(16, 2, &[0, 4, -2, -2])), Ok(()), "frames in another order");
    assert_eq!(check(3, segment(24, 2, &[0, 0, 0])), Ok(()), "the film ends in it");
    for (why, number, segment) in [
        ("a gap before it", 2, segment(18, 2, &[0; 4])),
        ("another segment's place", 1, segment(16, 2, &[0; 4])),
        ("one frame too many", 2, segment(16, 2, &[0; 5])),
        ("a frame is missing", 2, segment(16, 2, &[0; 3])),
        ("the last one goes on", 3, segment(24, 2, &[0; 4])),
        ("a segment behind the film", 4, segment(32, 2, &[0; 4])),
        ("frames of another length", 2, segment(16, 1, &[0; 4])),
        ("a frame shown twice", 2, segment(16, 2, &[0, 0, -2, 0])),
        ("a frame between two others", 2, segment(16, 2, &[0, 0, 1, 0])),
        ("a frame before its segment", 2, segment(16, 2, &[-2, 0, 0, 0])),
        ("a frame behind its segment", 2, segment(16, 2, &[0, 0, 0, 2])),
    ] {
        assert!(check(number, segment).is_err(), "{why}");
    }
    let huge = check_segment(&growing, P144, 0, &segment(0, 2, &[0; 4]), 200_000);
    assert!(huge.unwrap_err().to_string().contains("200000 bytes"));
}

#[test]
fn a_sound_segment_is_exactly_the_planned_one() {
    let growing = growing(plan());
    let check = |number, at: u64, frames: usize| {
        check_segment(&growing, A32, number, &segment(at, 1024, &vec![0; frames]), 100).is_ok()
    };
    // 48,000 samples are 46.875 frames, and one frame more is priming.
    assert!(check(0, 0, 48));
    assert!(check(1, 48 * 1024, 47));
    assert!(!check(1, 47 * 1024, 47), "a frame too early");
    assert!(!check(1, 48 * 1024, 46), "a frame is missing");
    assert!(!check(1, 48 * 1024, 48), "one frame too many");
    let of = |last: u32| {
        let mut samples = segment(48 * 1024, 1024, &[0; 47]);
        samples.samples.last_mut().unwrap().duration = last;
        check_segment(&growing, A32, 1, &samples, 100).is_ok()
    };
    assert!(of(1024) && !of(1023) && !of(1025), "a frame of another length");
}

#[test]
fn a_copied_sound_is_the_planned_one() {
    let mut plan = plan();
    let rung = &mut plan.audio.as_mut().unwrap().rungs[0];
    rung.copied = Some(CodedSound {
        track: 2,
        asc: vec![0x11, 0x88],
        first: 1,
        priming: 1088,
        frames: 200,
        peak_bps: 400_000,
        average_bps: 32_000,
    });
    let track = |asc: [u8; 2], priming| {
        let config = AudioConfig::Aac(asc.to_vec());
        Track::Audio(AudioTrack { channels: 1, sample_rate: 48_000, config, priming })
    };
    assert_eq!(check_track(&plan, A32, &track([0x11, 0x88], 1088)), Ok(()));
    assert!(check_track(&plan, A32, &track([0x11, 0x88], 1024)).is_err(), "it would be heard too late");
    assert!(check_track(&plan, A32, &track([0x11, 0x90], 1088)).is_err(), "another configuration");
    let growing = growing(plan);
    let check = |size| check_segment(&growing, A32, 0, &segment(0, 1024, &[0; 48]), size);
    // Twice what its busiest seconds have.
    assert_eq!(check(100_000 + (64 << 10)), Ok(()));
    assert!(check(110_000 + (64 << 10)).is_err(), "too many bytes");
}

#[test]
fn a_copied_picture_is_the_planned_one() {
    let name: RenditionName = "480p".parse().unwrap();
    let mut plan = plan();
    plan.video.as_mut().unwrap().copied = Some(CopiedRung {
        rendition: name,
        width: 854,
        height: 480,
        track: 1,
        avcc: vec![1, 100, 0, 30],
        peak_bps: 8_000,
        average_bps: 8_000,
    });
    let track = |width, timescale, level| {
        let config = VideoConfig::Avc(vec![1, 100, 0, level]);
        Track::Video(VideoTrack { width, height: 480, timescale, config, colour: None })
    };
    assert_eq!(check_track(&plan, name, &track(854, 8000, 30)), Ok(()));
    for (why, track) in [
        ("another width", track(852, 8000, 30)),
        ("other parameters", track(854, 8000, 31)),
        ("a frame between ticks", track(854, 12, 30)),
    ] {
        assert!(check_track(&plan, name, &track).is_err(), "{why}");
    }
    let announced = Announced {
        rendition: name,
        codecs: String::new(),
        timescale: 8000,
        init_size: 0,
        init_hash: ChunkHash::of(b""),
    };
    let (video, version) = (VideoId::from_bits(1), VersionId::from_bits(1));
    let growing = GrowingIndex::new(1, video, version, plan, vec![announced], Vec::new());
    let check = |number, segment: ReadSegment, size| check_segment(&growing, name, number, &segment, size);
    // All eight frames of a second, and the five that are left.
    assert_eq!(check(1, segment(8000, 1000, &[0, 2000, -1000, -1000, 0, 0, 0, 0]), 1000), Ok(()));
    assert_eq!(check(3, segment(24_000, 1000, &[0; 5]), 70_000), Ok(()), "all key frame");
    assert!(check(1, segment(8000, 1000, &[0; 7]), 1000).is_err(), "a frame is missing");
    assert!(check(1, segment(8000, 1000, &[0, 0, 0, 0, 0, 0, 0, 1000]), 1000).is_err(), "not closed");
    assert!(check(1, segment(8000, 1000, &[0; 8]), 100_000).is_err(), "too many bytes");
}

#[test]
fn a_still_is_one_jpeg() {
    assert_eq!(check_picture(&[0xff, 0xd8, 0xff, 0, 0xff, 0xd9]), Ok(()));
    assert!(check_picture(&[0xff, 0xd8, 0xff, 0]).is_err(), "cut off");
    assert!(check_picture(b"<svg/>").is_err(), "something else");
}
