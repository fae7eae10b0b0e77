use model::cell::{AudioPlan, AudioRung, CodedSound, CopiedRung, Ratio, VideoPlan, VideoRung};
use model::{SegmentGrid, SegmentStarts};

use super::*;

fn name(text: &str) -> RenditionName {
    text.parse().unwrap()
}

fn rung(height: u16, frame_divisor: u32, maxrate_bps: u32, bufsize_bits: u32) -> VideoRung {
    VideoRung {
        rendition: RenditionName::Video { height },
        width: u32::from(height) * 16 / 9,
        height: height.into(),
        frame_divisor,
        crf: 28.0,
        hurried_crf: 28.0,
        maxrate_bps,
        bufsize_bits,
        preset: "slow".to_owned(),
        hurried_preset: "veryfast".to_owned(),
        references: 3,
        b_frames: 3,
        profile: "main".to_owned(),
    }
}

/// A film of `frames` frames of picture and as much sound, 144p at half the rate.
fn plan(grid: SegmentGrid) -> EncodePlan {
    let samples = (grid.seconds(grid.frames) * 48_000.0).round() as u64;
    EncodePlan {
        video: Some(VideoPlan {
            stream: 0,
            frame_rate: grid.rate,
            frames: grid.frames,
            segment_frames: 100,
            rotation: 0,
            deinterlace: false,
            tone_map: false,
            rungs: vec![rung(144, 2, 44_000, 33_000), rung(480, 1, 1_000_000, 1_500_000)],
            copied: None,
            poster_width: 1280,
            thumbnail_width: 320,
        }),
        audio: Some(AudioPlan {
            stream: 1,
            sample_rate: 48_000,
            samples,
            segment: Ratio::new(4, 1),
            rungs: vec![AudioRung {
                rendition: name("a32"),
                channels: 1,
                bit_rate_bps: 32_000,
                copied: None,
            }],
        }),
        expected_ms: 0,
        max_ms: u64::MAX,
        grid,
    }
}

fn even(frames: u64) -> SegmentGrid {
    SegmentGrid::even(Ratio::new(25, 1), 100, frames)
}

fn uneven(frames: u64) -> SegmentGrid {
    let starts = SegmentStarts::At { frames: vec![0, 71, 250, 301], then: 100 };
    SegmentGrid { rate: Ratio::new(25, 1), frames, starts }
}

fn announced(rendition: RenditionName, timescale: u32) -> Announced {
    let codecs = if rendition.is_video() { "avc1.64000b" } else { "mp4a.40.2" };
    Announced {
        rendition,
        codecs: codecs.to_owned(),
        timescale,
        init_size: 700,
        init_hash: ChunkHash::of(b"i"),
    }
}

/// A chunk as it will be, whatever it holds.
fn chunk(growing: &GrowingIndex, name: RenditionName, segments: std::ops::Range<u32>) -> ChunkRef {
    let segments: Vec<SegmentRef> = segments
        .clone()
        .map(|n| SegmentRef { size_bytes: 1000 + n, duration: growing.segment_ticks(name, n) })
        .collect::<Vec<_>>();
    let media: u64 = segments.iter().map(|segment| u64::from(segment.size_bytes)).sum();
    ChunkRef {
        number: 0,
        hash: ChunkHash::of(&media.to_be_bytes()),
        size_bytes: media + 50,
        index_bytes: 50,
        segments,
    }
}

fn growing(plan: &EncodePlan, chunks: &[(&str, std::ops::Range<u32>)]) -> GrowingIndex {
    let empty = GrowingIndex::new(
        1,
        VideoId::from_bits(1),
        VersionId::from_bits(2),
        plan.clone(),
        Vec::new(),
        Vec::new(),
    );
    let inits = empty.renditions().map(|name| announced(name, empty.timescale(name))).collect();
    let chunks = chunks
        .iter()
        .map(|(text, segments)| {
            let chunk = chunk(&empty, name(text), segments.clone());
            (name(text), ChunkRef { number: segments.start, ..chunk })
        })
        .collect();
    GrowingIndex::new(2, empty.video, empty.version, plan.clone(), inits, chunks)
}

fn ticks(growing: &GrowingIndex, text: &str) -> Vec<u32> {
    (0..growing.segment_count(name(text))).map(|n| growing.segment_ticks(name(text), n)).collect()
}

#[test]
fn every_segment_is_as_long_as_its_samples() {
    // 10.36 s at 25 frames: 259 frames, of which 144p shows 130.
    let film = growing(&plan(even(259)), &[]);
    assert_eq!((film.timescale(name("144p")), film.timescale(name("480p"))), (25_000, 25_000));
    assert_eq!(ticks(&film, "480p"), [100_000, 100_000, 59_000]);
    assert_eq!(ticks(&film, "144p"), [100_000, 100_000, 60_000]);
    // 498 coded frames: the first is priming, so segment 0 has one more than the 188 nearest to 4 s.
    assert_eq!(ticks(&film, "a32"), [189 * 1024, 187 * 1024, 111 * 1024]);
    assert_eq!(film.timescale(name("a32")), 48_000);

    // Segments that begin with frames 0, 71, 250, 301, 401: half the rate shows 0, 2, … 258.
    let film = growing(&plan(uneven(450)), &[]);
    assert_eq!(ticks(&film, "480p"), [71_000, 179_000, 51_000, 100_000, 49_000]);
    assert_eq!(ticks(&film, "144p"), [72_000, 178_000, 52_000, 100_000, 48_000]);
    let sound = u64::from(ticks(&film, "a32").iter().sum::<u32>());
    assert_eq!(sound, 1024 * film.plan.audio.as_ref().unwrap().coded_frames());
    assert_eq!(film.segment_ticks(name("480p"), 5), 0);
    assert_eq!((film.segment_count(name("999p")), film.segment_ticks(name("999p"), 0)), (0, 0));
}

#[test]
fn a_last_frame_that_half_the_rate_does_not_show_makes_no_segment() {
    let film = growing(&plan(uneven(72)), &[]);
    assert_eq!(ticks(&film, "480p"), [71_000, 1000]);
    assert_eq!(ticks(&film, "144p"), [72_000]);
}

#[test]
fn a_copied_picture_has_all_frames_and_is_in_a_lane_of_its_own() {
    let mut plan = plan(uneven(450));
    plan.video.as_mut().unwrap().copied = Some(CopiedRung {
        rendition: name("720p"),
        width: 1280,
        height: 720,
        track: 1,
        avcc: Vec::new(),
        peak_bps: 3_000_000,
        average_bps: 2_000_000,
    });
    let film = growing(&plan, &[("144p", 0..1), ("a32", 0..1)]);
    let names: Vec<_> = film.renditions().map(|name| name.to_string()).collect();
    assert_eq!(names, ["a32", "144p", "480p", "720p"]);
    assert_eq!(film.lane(name("720p")), Some(Lane::Copied));
    assert_eq!((film.lane(name("480p")), film.lane(name("144p"))), (Some(Lane::B), Some(Lane::A)));
    assert_eq!(film.lane(name("a32")), None);
    assert_eq!(ticks(&film, "720p"), ticks(&film, "480p"));
    assert_eq!(film.timescale(name("720p")), 25_000);
    let rates = Bandwidth { peak_bps: 3_000_000, average_bps: 2_000_000 };
    assert_eq!(film.bandwidth(name("720p")), rates);
    let frame_rate = Ratio::new(25, 1);
    assert_eq!(film.kind(name("720p")), Some(RenditionKind::Video { width: 1280, height: 720, frame_rate }));
    assert!(film.is_playable(), "it does not wait for the copy");
}

#[test]
fn rates_that_are_no_whole_number_have_whole_ticks() {
    let grid = SegmentGrid::even(Ratio::new(30_000, 1001), 120, 250);
    let film = growing(&plan(grid), &[]);
    assert_eq!(film.timescale(name("480p")), 30_000);
    assert_eq!(ticks(&film, "480p"), [120_120, 120_120, 10_010]);
    assert_eq!(ticks(&film, "144p"), [120_120, 120_120, 10_010]);
    assert_eq!(film.target_duration_s(name("480p")), 4);
}

#[test]
fn the_smallest_picture_with_its_sound_fits_90_kbit_s_before_it_is_measured() {
    for rate in [Ratio::new(24, 1), Ratio::new(25, 1), Ratio::new(30_000, 1001), Ratio::new(30, 1)] {
        let film = growing(&plan(SegmentGrid::even(rate, 4 * rate.num.div_ceil(rate.den), 1000)), &[]);
        let peak = (film.bandwidth(name("144p")) + film.bandwidth(name("a32"))).peak_bps;
        assert!((85_000..=90_000).contains(&peak), "{peak} at {rate:?}");
    }
    let film = growing(&plan(even(1000)), &[]);
    let Bandwidth { peak_bps, average_bps } = film.bandwidth(name("480p"));
    assert!((1_375_000..1_378_000).contains(&peak_bps), "{peak_bps}");
    assert!((1_000_000..1_003_000).contains(&average_bps), "{average_bps}");
}

#[test]
fn a_copied_sound_has_the_rates_of_its_source_and_those_of_its_boxes() {
    let mut plan = plan(even(1000));
    let audio = plan.audio.as_mut().unwrap();
    audio.rungs.push(AudioRung { rendition: name("a128"), channels: 2, ..audio.rungs[0].clone() });
    audio.rungs[1].copied = Some(CodedSound {
        track: 2,
        asc: vec![0x11, 0x90],
        first: 0,
        priming: 1024,
        frames: 2000,
        peak_bps: 190_000,
        average_bps: 140_000,
    });
    let film = growing(&plan, &[]);
    // 136 bytes in 4 s, and four for each frame.
    let rates = Bandwidth { peak_bps: 191_772, average_bps: 141_772 };
    assert_eq!(film.bandwidth(name("a128")), rates);
    assert_eq!(ticks(&film, "a128"), ticks(&film, "a32"));
    assert_eq!(film.kind(name("a128")), Some(RenditionKind::Audio { channels: 2, sample_rate: 48_000 }));
}

#[test]
fn a_chunk_is_found_by_any_of_its_segments() {
    let film = growing(&plan(even(1000)), &[("144p", 6..8), ("144p", 0..2)]);
    let found = |n| film.chunk_of(name("144p"), n).map(|(chunk, place)| (chunk.number, place));
    let all: Vec<_> = (0..10).map(found).collect();
    let (first, later) = ([Some((0, 0)), Some((0, 1))], [Some((6, 0)), Some((6, 1))]);
    assert_eq!(all, [&first[..], &[None; 4], &later, &[None; 2]].concat());
    assert_eq!(film.chunk_of(name("480p"), 0), None);
}

#[test]
fn lane_a_and_the_sound_make_it_playable() {
    let plan = plan(even(1000));
    assert!(growing(&plan, &[("144p", 0..2), ("a32", 0..2)]).is_playable());
    assert!(!growing(&plan, &[("144p", 0..2), ("480p", 0..2)]).is_playable());
    assert!(!growing(&plan, &[("144p", 2..6), ("a32", 0..2)]).is_playable());
    let mut mute = growing(&plan, &[("144p", 0..2), ("a32", 0..2)]);
    mute.announced.retain(|announced| announced.rendition != name("a32"));
    assert!(!mute.is_playable());
}

#[test]
fn a_whole_version_is_finished_and_only_that() {
    let plan = plan(even(259));
    let parts = [("a32", 0..2), ("a32", 2..3), ("144p", 0..3), ("480p", 0..1), ("480p", 1..3)];
    let whole = growing(&plan, &parts);
    assert!(whole.renditions().all(|name| whole.is_whole(name)));
    let index = whole.finish().unwrap();
    assert_eq!(index.duration_ms, 10_360);
    assert_eq!(VersionIndex::from_json(&index.to_json()).unwrap(), index);
    for name in whole.renditions() {
        let rendition = index.rendition(name).unwrap();
        assert_eq!(rendition.segment_count(), whole.segment_count(name));
        assert_eq!(rendition.target_duration_s(), whole.target_duration_s(name));
        for (located, n) in rendition.segments().zip(0..) {
            let (chunk, place) = whole.chunk_of(name, n).unwrap();
            assert_eq!((located.chunk, located.duration), (chunk, whole.segment_ticks(name, n)));
            assert_eq!(chunk.number + place as u32, n);
        }
    }
    for missing in 0..parts.len() {
        let some: Vec<_> = (0..parts.len()).filter(|n| *n != missing).map(|n| parts[n].clone()).collect();
        let some = growing(&plan, &some);
        assert!(some.finish().is_err(), "without {:?}", parts[missing]);
        assert!(!some.is_whole(name(parts[missing].0)));
    }
    let mut wrong = whole.clone();
    wrong.chunks.get_mut(&name("480p")).unwrap()[1].segments[0].duration += 1;
    assert!(wrong.finish().is_err(), "a segment of another length");
    let mut unannounced = whole;
    unannounced.announced.pop();
    assert!(unannounced.finish().is_err());
}
