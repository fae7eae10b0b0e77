use model::cell::Probe;
use model::{RenditionName, SegmentGrid};
use proptest::prelude::*;

use super::*;
use crate::{Limits, plan};

/// Frames of a second.
const S: u64 = 30;
/// Bytes of a frame: 6 Mbit/s.
const FRAME: u64 = 25_000;

/// A minute of 1080p30 with an IDR picture at each of these frames.
fn source(idrs: impl IntoIterator<Item = u64>, frames: u64) -> VideoStream {
    let copyable = Copyable {
        track: 1,
        avcc: vec![1, 100, 0, 40, 0xff],
        frame_rate: Ratio::new(30, 1),
        frames,
        bytes: frames * FRAME,
        idrs: idrs.into_iter().map(|frame| (frame, frame * FRAME)).collect(),
    };
    VideoStream {
        stream: 0,
        codec: "h264".into(),
        width: 1920,
        height: 1080,
        pixel_aspect: Ratio::new(1, 1),
        rotation: 0,
        frame_rate: Ratio::new(30, 1),
        interlaced: false,
        hdr: false,
        end_us: frames * 1_000_000 / S,
        copyable: Some(Box::new(copyable)),
    }
}

fn every(distance: u64, frames: u64) -> VideoStream {
    source((0..frames).step_by(distance as usize), frames)
}

/// What is planned.
fn planned(stream: VideoStream) -> (VideoPlan, SegmentGrid) {
    let probe = Probe {
        container: "mov,mp4,m4a,3gp,3g2,mj2".into(),
        duration_ms: Some(stream.end_us / 1000),
        bit_rate_bps: Some(6_000_000),
        video: Some(stream),
        audio: Vec::new(),
    };
    let plan = plan(&probe, &Limits::default()).unwrap();
    (plan.video.unwrap(), plan.grid)
}

/// Where segments begin, in seconds; none if it is encoded.
fn starts_s(stream: VideoStream) -> Option<Vec<f64>> {
    let (video, grid) = planned(stream);
    let starts = (0..grid.count(video.frames)).map(|n| grid.seconds(grid.start(n)));
    video.copied.map(|_| starts.collect())
}

#[test]
fn a_good_film_is_copied_as_its_top_rung() {
    let (video, grid) = planned(every(2 * S, 60 * S));
    let encoded: Vec<u16> = video.rungs.iter().map(|rung| rung.rendition.height()).collect();
    assert_eq!(encoded, [144, 240, 360, 480, 720]);
    let copied = video.copied.clone().unwrap();
    assert_eq!(copied.rendition, RenditionName::Video { height: 1080 });
    assert_eq!((copied.width, copied.height, copied.track), (1920, 1080, 1));
    // 6 Mbit/s, and 8 bytes a picture and 136 a segment for boxes.
    assert_eq!((copied.peak_bps, copied.average_bps), (6_002_192, 6_002_192));
    assert_eq!(grid.frames, 60 * S);
    let four: Vec<u64> = (0..15).map(|n| n * 4 * S).collect();
    assert_eq!(grid.starts, SegmentStarts::At { frames: four, then: 120 });
    assert_eq!(video.lane(copied.rendition), Lane::Copied);
    assert_eq!(video.renditions().last(), Some(copied.rendition));
}

#[test]
fn segments_begin_near_four_seconds_where_the_source_lets_them() {
    let tens = |step: f64, count: u32| (0..count).map(|n| f64::from(n) * step).collect::<Vec<_>>();
    assert_eq!(starts_s(every(S, 20 * S)), Some(tens(4.0, 5)));
    assert_eq!(starts_s(every(S / 2, 20 * S)), Some(tens(4.0, 5)));
    assert_eq!(starts_s(every(3 * S, 24 * S)), Some(tens(6.0, 4)), "3 s would be too short");
    assert_eq!(starts_s(every(5 * S, 20 * S)), Some(tens(5.0, 4)));
    assert_eq!(starts_s(every(240, 5 * S)), Some(vec![0.0]), "a clip of one segment");
    let uneven = [0, 100, 130, 260, 330, 360];
    assert_eq!(starts_s(source(uneven, 15 * S)), Some(vec![0.0, 130.0 / 30.0, 260.0 / 30.0, 12.0]));
    // 144p shows every second frame.
    assert_eq!(starts_s(source([0, 119, 123, 130], 9 * S)), Some(vec![0.0, 130.0 / 30.0]));
    assert_eq!(starts_s(source([0, 119, 239], 12 * S)), None);
}

#[test]
fn the_end_of_the_picture_is_never_cut() {
    let (video, grid) = planned(every(5 * S, 13 * S + 1));
    // The last of them is 3 s and a frame, and sound that goes on is cut in steps of 4 s.
    assert_eq!(grid.starts, SegmentStarts::At { frames: vec![0, 150, 300], then: 120 });
    assert_eq!(grid.count(video.frames), 3);
    let (video, grid) = planned(every(149, 149));
    assert_eq!(grid.starts, SegmentStarts::At { frames: vec![0], then: 150 });
    assert_eq!(grid.count(video.frames), 1);
}

#[test]
fn pictures_that_a_careless_cut_left_without_others_end_the_film_sooner() {
    let mut stream = every(2 * S, 60 * S);
    stream.end_us += 500_000;
    let (video, grid) = planned(stream);
    assert!(video.copied.is_some());
    assert_eq!((video.frames, grid.frames), (60 * S, 60 * S));
}

#[test]
fn each_rule_refuses() {
    type Edit = fn(&mut VideoStream);
    fn of(stream: &mut VideoStream) -> &mut Copyable {
        stream.copyable.as_mut().unwrap()
    }
    let cases: [(&str, Edit); 18] = [
        ("not in tables, or not even", |stream| stream.copyable = None),
        ("a picture that is turned, stretched or scaled", |stream| stream.rotation = 180),
        ("a picture that is turned, stretched or scaled", |stream| stream.width = 1921),
        ("a picture that is turned, stretched or scaled", |stream| {
            (stream.width, stream.pixel_aspect) = (1440, Ratio::new(4, 3));
        }),
        ("interlaced or HDR", |stream| stream.interlaced = true),
        ("interlaced or HDR", |stream| stream.hdr = true),
        ("a profile or level that not all decode", |stream| of(stream).avcc[1] = 110),
        ("a profile or level that not all decode", |stream| of(stream).avcc[3] = 50),
        ("a profile or level that not all decode", |stream| of(stream).avcc.clear()),
        ("other frames than the plan's", |stream| of(stream).frame_rate = Ratio::new(30_000, 1001)),
        ("other frames than the plan's", |stream| of(stream).frames += 1),
        ("other frames than the plan's", |stream| stream.end_us += 600_000),
        ("IDR pictures out of order", |stream| of(stream).idrs.swap(2, 3)),
        ("IDR pictures out of order", |stream| of(stream).idrs.clear()),
        ("key frames too far apart", |stream| of(stream).idrs.truncate(10)),
        ("no IDR picture where a segment could begin", |stream| {
            // 2 s, then 8 s.
            of(stream).idrs.drain(2..5);
        }),
        ("too many bytes", |stream| {
            let bytes = |bytes: &mut u64| *bytes = *bytes * 106 / 100;
            of(stream).idrs.iter_mut().for_each(|idr| bytes(&mut idr.1));
            bytes(&mut of(stream).bytes);
        }),
        ("too many bytes", |stream| {
            // One segment of 11 Mbit/s in a film that has little otherwise.
            of(stream).idrs.iter_mut().for_each(|idr| idr.1 /= 10);
            of(stream).idrs.iter_mut().skip(12).for_each(|idr| idr.1 += 5_500_000);
        }),
    ];
    let (good, ceiling) = (every(2 * S, 60 * S), 4_200_000);
    let encoded = |stream: &VideoStream| planned(VideoStream { copyable: None, ..stream.clone() }).0;
    assert!(copied(&good, &encoded(&good), ceiling).is_ok());
    for (why, edit) in cases {
        let mut stream = good.clone();
        edit(&mut stream);
        assert_eq!(copied(&stream, &encoded(&stream), ceiling), Err(why));
        assert!(planned(stream).0.copied.is_none(), "{why}");
    }
    let mut seldom = source([0, 60, 120, 270, 420, 570, 720, 870, 1050], 1200);
    assert_eq!(
        copied(&seldom, &encoded(&seldom), ceiling),
        Err("key frames too far apart"),
        "one of nine 6 s"
    );
    (seldom.width, seldom.height) = (640, 360);
    let small = VideoStream { width: 640, height: 360, ..good };
    assert_eq!(copied(&small, &encoded(&small), ceiling), Err("a small picture"));
}

#[test]
fn the_smallest_rung_keeps_its_promise_on_any_copied_grid() {
    for (distance, longest) in [(99, 99), (100, 100), (S, 120), (70, 140), (80, 160), (149, 149)] {
        let mut stream = every(distance, 60 * S);
        // Sound and picture are planned together.
        let audio = model::cell::AudioStream {
            stream: 1,
            codec: "aac".into(),
            channels: 2,
            sample_rate: 48_000,
            end_us: stream.end_us,
            copyable: None,
        };
        stream.copyable.as_mut().unwrap().bytes /= 2;
        stream.copyable.as_mut().unwrap().idrs.iter_mut().for_each(|idr| idr.1 /= 2);
        let probe = Probe {
            container: String::new(),
            duration_ms: Some(60_000),
            bit_rate_bps: Some(3_000_000),
            video: Some(stream),
            audio: vec![audio],
        };
        let plan = plan(&probe, &Limits::default()).unwrap();
        let (video, version) = (model::VideoId::from_bits(1), model::VersionId::from_bits(1));
        if distance % 2 == 0 {
            assert_eq!(plan.grid.start(1), longest, "{distance}");
        }
        let growing = cmaf::GrowingIndex::new(1, video, version, plan, Vec::new(), Vec::new());
        let rate = |name: &str| growing.bandwidth(name.parse().unwrap());
        let peak = (rate("144p") + rate("a32")).peak_bps;
        assert!(peak <= 90_000, "{peak} at {distance}");
    }
}

proptest! {
    #[test]
    fn segments_of_a_copied_film_begin_with_idr_pictures_and_are_no_longer_than_eight_seconds(
        distances in proptest::collection::vec(1u64..240, 1..60),
    ) {
        let idrs: Vec<u64> = std::iter::once(0)
            .chain(distances.iter().scan(0, |at, distance| { *at += distance; Some(*at) }))
            .collect();
        let frames = idrs.last().unwrap() + 17;
        let mut stream = source(idrs.clone(), frames);
        stream.frame_rate = Ratio::new(30, 1);
        let (video, grid) = planned(stream);
        if video.copied.is_some() {
            for n in 0..grid.count(video.frames) {
                let segment = grid.frames_of(n, video.frames);
                prop_assert!(idrs.contains(&segment.start) && segment.start % 2 == 0);
                prop_assert!(segment.end - segment.start <= 8 * S);
                prop_assert!(segment.end - segment.start >= 99 || segment.end == video.frames);
            }
        }
    }
}
