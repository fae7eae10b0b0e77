use std::fmt::Write;

use expect_test::{Expect, expect};
use model::cell::VideoRung;
use proptest::prelude::*;

use super::*;

fn picture(width: u32, height: u32, fps: (u32, u32)) -> VideoStream {
    VideoStream {
        stream: 0,
        codec: "h264".into(),
        width,
        height,
        pixel_aspect: Ratio::new(1, 1),
        rotation: 0,
        frame_rate: Ratio::new(fps.0, fps.1),
        interlaced: false,
        hdr: false,
        end_us: 60_000_000,
        copyable: None,
    }
}

fn sound(channels: u16) -> AudioStream {
    AudioStream {
        stream: 1,
        codec: "aac".into(),
        channels,
        sample_rate: 44_100,
        end_us: 60_000_000,
        copyable: None,
    }
}

fn film(video: VideoStream, audio: Option<AudioStream>) -> Probe {
    Probe {
        container: "mov,mp4,m4a,3gp,3g2,mj2".into(),
        duration_ms: Some(60_000),
        bit_rate_bps: Some(8_000_000),
        video: Some(video),
        audio: audio.into_iter().collect(),
    }
}

/// A plan as a table: one line for the grid, one per rung.
fn table(probe: &Probe) -> String {
    let plan = match plan(probe, &Limits::default()) {
        Ok(plan) => plan,
        Err(reason) => return format!("refused: {reason}\n"),
    };
    let mut text = String::new();
    if let Some(video) = &plan.video {
        let Ratio { num, den } = video.frame_rate;
        writeln!(text, "grid {num}/{den}, {} frames a segment", video.segment_frames).unwrap();
        for rung in &video.rungs {
            let VideoRung {
                rendition, width, height, frame_divisor, crf, maxrate_bps, preset, profile, ..
            } = rung;
            writeln!(
                text,
                "{rendition:<5} {width}x{height} /{frame_divisor} crf {crf} {maxrate_bps} {preset} {profile}"
            )
            .unwrap();
        }
    }
    if let Some(audio) = &plan.audio {
        write!(text, "sound {}/{} s:", audio.segment.num, audio.segment.den).unwrap();
        for rung in &audio.rungs {
            write!(text, " {}x{}", rung.rendition, rung.channels).unwrap();
        }
        writeln!(text).unwrap();
    }
    text
}

fn check(probe: &Probe, expected: Expect) {
    expected.assert_eq(&table(probe));
}

#[test]
fn a_camera_film_gets_the_whole_ladder() {
    check(
        &film(picture(1920, 1080, (30, 1)), Some(sound(2))),
        expect![[r#"
        grid 30/1, 120 frames a segment
        144p 256x144 /2 crf 29 40000 slow main
        240p 426x240 /1 crf 28 220000 slow high
        360p 640x360 /1 crf 26 500000 slow high
        480p 854x480 /1 crf 25 1000000 fast high
        720p 1280x720 /1 crf 24 2200000 veryfast high
        1080p 1920x1080 /1 crf 23 4200000 veryfast high
        sound 4/1 s: a32x1 a64x2 a128x2
    "#]],
    );
}

#[test]
fn a_fast_film_is_fast_from_720p_up() {
    check(
        &film(picture(1280, 720, (60_000, 1001)), Some(sound(2))),
        expect![[r#"
        grid 60000/1001, 240 frames a segment
        144p 256x144 /4 crf 29 40000 slow main
        240p 426x240 /2 crf 28 220000 slow high
        360p 640x360 /2 crf 26 500000 slow high
        480p 854x480 /2 crf 25 1000000 fast high
        720p 1280x720 /1 crf 24 2200000 veryfast high
        sound 1001/250 s: a32x1 a64x2 a128x2
    "#]],
    );
}

#[test]
fn a_fast_film_below_720p_is_put_on_a_slower_grid() {
    check(
        &film(picture(854, 480, (50, 1)), Some(sound(6))),
        expect![[r#"
        grid 25/1, 100 frames a segment
        144p 256x144 /2 crf 29 40000 slow main
        240p 428x240 /1 crf 28 220000 slow high
        360p 640x360 /1 crf 26 500000 slow high
        480p 854x480 /1 crf 25 1000000 fast high
        sound 4/1 s: a32x1 a64x2 a128x2
    "#]],
    );
}

#[test]
fn a_telephone_held_upright_is_a_ladder_of_portraits() {
    let mut turned = picture(1920, 1080, (2983, 100));
    turned.rotation = 90;
    check(
        &film(turned, Some(sound(1))),
        expect![[r#"
        grid 30000/1001, 120 frames a segment
        144p 144x256 /2 crf 29 40000 slow main
        240p 240x426 /1 crf 28 220000 slow high
        360p 360x640 /1 crf 26 500000 slow high
        480p 480x854 /1 crf 25 1000000 fast high
        720p 720x1280 /1 crf 24 2200000 veryfast high
        1080p 1080x1920 /1 crf 23 4200000 veryfast high
        sound 1001/250 s: a32x1 a64x1
    "#]],
    );
}

#[test]
fn oblong_pixels_become_square() {
    let mut dvd = picture(720, 576, (25, 1));
    dvd.pixel_aspect = Ratio::new(64, 45);
    dvd.interlaced = true;
    check(
        &film(dvd, Some(sound(2))),
        expect![[r#"
        grid 25/1, 100 frames a segment
        144p 256x144 /2 crf 29 40000 slow main
        240p 426x240 /1 crf 28 220000 slow high
        360p 640x360 /1 crf 26 500000 slow high
        480p 854x480 /1 crf 25 1000000 fast high
        576p 1024x576 /1 crf 24 1760000 veryfast high
        sound 4/1 s: a32x1 a64x2 a128x2
    "#]],
    );
}

#[test]
fn a_size_between_two_rungs_is_kept_when_it_shows() {
    check(
        &film(picture(641, 352, (24_000, 1001)), None),
        expect![[r#"
        grid 24000/1001, 96 frames a segment
        144p 262x144 /2 crf 29 40000 slow main
        240p 438x240 /1 crf 28 220000 slow high
        352p 640x352 /1 crf 26 488000 slow high
    "#]],
    );
}

#[test]
fn a_tiny_film_has_one_rung() {
    check(
        &film(picture(128, 97, (15, 1)), Some(sound(2))),
        expect![[r#"
        grid 15/1, 60 frames a segment
        96p 128x96 /1 crf 29 40000 slow main
        sound 4/1 s: a32x1
    "#]],
    );
    check(
        &film(picture(1, 1, (25, 1)), None),
        expect![[r#"
        grid 25/1, 100 frames a segment
        16p 16x16 /2 crf 29 40000 slow main
    "#]],
    );
}

#[test]
fn slides_keep_their_pace() {
    check(
        &film(picture(1280, 720, (5, 1)), Some(sound(1))),
        expect![[r#"
        grid 5/1, 20 frames a segment
        144p 256x144 /1 crf 29 40000 slow main
        240p 426x240 /1 crf 28 220000 slow high
        360p 640x360 /1 crf 26 500000 slow high
        480p 854x480 /1 crf 25 1000000 fast high
        720p 1280x720 /1 crf 24 2200000 veryfast high
        sound 4/1 s: a32x1 a64x1
    "#]],
    );
    check(
        &film(picture(320, 240, (1, 10)), None),
        expect![[r#"
        grid 1/1, 4 frames a segment
        144p 192x144 /1 crf 29 40000 slow main
        240p 320x240 /1 crf 28 220000 slow high
    "#]],
    );
}

#[test]
fn pixels_without_bits_are_not_encoded() {
    let mut blown_up = film(picture(3840, 2160, (30, 1)), None);
    blown_up.bit_rate_bps = Some(2_000_000);
    check(
        &blown_up,
        expect![[r#"
        grid 30/1, 120 frames a segment
        144p 256x144 /2 crf 29 40000 slow main
        240p 426x240 /1 crf 28 220000 slow high
        360p 640x360 /1 crf 26 500000 slow high
        480p 854x480 /1 crf 25 1000000 fast high
        720p 1280x720 /1 crf 24 2200000 veryfast high
        1080p 1920x1080 /1 crf 23 4200000 veryfast high
        1440p 2560x1440 /1 crf 23 7000000 veryfast high
    "#]],
    );
}

#[test]
fn sound_alone_has_the_best_sound() {
    let alone = |channels| Probe { video: None, ..film(picture(0, 0, (0, 1)), Some(sound(channels))) };
    check(
        &alone(2),
        expect![[r#"
        sound 4/1 s: a32x1 a64x2 a128x2
    "#]],
    );
    check(
        &alone(1),
        expect![[r#"
        sound 4/1 s: a32x1 a64x1
    "#]],
    );
}

#[test]
fn what_cannot_be_played_is_refused() {
    let nothing = Probe { video: None, ..film(picture(0, 0, (0, 1)), None) };
    check(
        &nothing,
        expect![[r#"
        refused: nothing_to_play
    "#]],
    );
    check(
        &film(picture(16_384, 16_384, (30, 1)), None),
        expect![[r#"
        refused: too_large
    "#]],
    );
    let endless = Probe { duration_ms: Some(12 * 3600 * 1000 + 1), ..film(picture(64, 64, (25, 1)), None) };
    check(
        &endless,
        expect![[r#"
        refused: too_large
    "#]],
    );
}

#[test]
fn the_smallest_rung_with_its_sound_stays_under_90_kbit() {
    let row = &ladder::ROWS[0];
    // A segment may begin with a full buffer, which is spent on top of the ceiling.
    let picture = f64::from(row.maxrate_bps) + f64::from(row.bufsize_bits) / 4.0;
    // Every AAC frame may lend its neighbours a few bits; 5 % is more than the encoder was seen to.
    let sound = 32_000.0 * 1.05;
    // Per segment `moof` and `mdat` of both tracks, 12 bytes a picture and 8 a sound frame.
    let boxes = 8.0 * (2.0 * 140.0 + 60.0 * 12.0 + 188.0 * 4.0) / 4.0;
    assert!(picture + sound + boxes <= 90_000.0, "{picture} + {sound} + {boxes}");
}

fn probes() -> impl Strategy<Value = Probe> {
    let side = prop_oneof![0u32..70_000, 1u32..4000, Just(144), Just(240), Just(1080)];
    let ratio = (any::<u32>(), any::<u32>()).prop_map(|(num, den)| Ratio::new(num, den));
    let shape = prop_oneof![
        Just(Ratio::new(1, 1)),
        (1u32..200, 1u32..200).prop_map(|(n, d)| Ratio::new(n, d)),
        ratio.clone()
    ];
    let rate = prop_oneof![(1u32..300_000, 1u32..2000).prop_map(|(n, d)| Ratio::new(n, d)), ratio];
    let rotation = prop_oneof![Just(0u16), Just(90), Just(180), Just(270), any::<u16>()];
    let video =
        (side.clone(), side, shape, rate, rotation).prop_map(|(width, height, shape, rate, rotation)| {
            VideoStream { pixel_aspect: shape, frame_rate: rate, rotation, ..picture(width, height, (1, 1)) }
        });
    (proptest::option::of(video), proptest::option::of(0u16..40), any::<Option<u64>>(), any::<Option<u64>>())
        .prop_map(|(video, channels, bit_rate_bps, duration_ms)| Probe {
            container: "matroska,webm".into(),
            duration_ms,
            bit_rate_bps,
            video,
            audio: channels.map(sound).into_iter().collect(),
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_plan_can_be_encoded(probe in probes()) {
        let Ok(plan) = plan(&probe, &Limits::default()) else { return Ok(()) };
        prop_assert!(plan.video.is_some() || plan.audio.is_some());
        prop_assert!(plan.expected_ms <= plan.max_ms);
        if let Some(video) = &plan.video {
            prop_assert!(!video.rungs.is_empty());
            prop_assert!(matches!(video.rotation, 0 | 90 | 180 | 270));
            let fps = video.frame_rate.as_f64();
            prop_assert!((1.0..=60.0).contains(&fps), "{}", fps);
            let seconds = f64::from(video.segment_frames) / fps;
            prop_assert!((2.5..=5.5).contains(&seconds), "{} s at {}", seconds, fps);
            let upright = Size::upright(probe.video.as_ref().unwrap());
            let own = upright.even();
            for rung in &video.rungs {
                prop_assert!(rung.width % 2 == 0 && rung.height % 2 == 0);
                prop_assert!(rung.width <= own.width && rung.height <= own.height, "{:?} of {:?}", rung, own);
                prop_assert_eq!(rung.width.min(rung.height), u32::from(rung.rendition.height()));
                prop_assert_eq!(video.segment_frames % rung.frame_divisor, 0);
                let limit = if rung.rendition.height() < 720 { 30.3 } else { 60.6 };
                prop_assert!(fps / f64::from(rung.frame_divisor) <= limit);
            }
            for pair in video.rungs.windows(2) {
                prop_assert!(pair[0].rendition < pair[1].rendition);
                prop_assert!(pair[0].width < pair[1].width || pair[0].height < pair[1].height);
                prop_assert!(pair[0].maxrate_bps < pair[1].maxrate_bps);
            }
        }
        if let Some(audio) = &plan.audio {
            let seconds = audio.segment.as_f64();
            prop_assert!((2.5..=5.5).contains(&seconds));
            prop_assert!(audio.rungs.iter().all(|rung| (1..=2).contains(&rung.channels)));
            if let Some(video) = &plan.video {
                let picture = f64::from(video.segment_frames) / video.frame_rate.as_f64();
                prop_assert!((picture - seconds).abs() < 1e-9);
            }
        }
    }
}
