use model::RenditionName;
use model::cell::{EncodePlan, Probe};
use proptest::prelude::*;

use super::*;
use crate::{Limits, plan};

/// Ten seconds of stereo at 128 kbit/s, as an encoder of Apple's leaves it: 2112 samples in front,
/// of which two frames and 64 samples are gone before the film begins.
fn source() -> AudioStream {
    let coded = CodedSound {
        track: 2,
        asc: vec![0x11, 0x90],
        first: 1,
        priming: 1088,
        frames: 470,
        peak_bps: 130_000,
        average_bps: 128_000,
    };
    AudioStream {
        stream: 0,
        codec: "aac".into(),
        channels: 2,
        sample_rate: 48_000,
        end_us: 10_000_000,
        copyable: Some(coded),
    }
}

fn planned(stream: AudioStream) -> EncodePlan {
    let probe = Probe {
        container: "mov,mp4,m4a,3gp,3g2,mj2".into(),
        duration_ms: Some(stream.end_us / 1000),
        bit_rate_bps: Some(128_000),
        video: None,
        audio: vec![stream],
    };
    plan(&probe, &Limits::default()).unwrap()
}

fn rungs(stream: &AudioStream) -> Vec<AudioRung> {
    planned(AudioStream { copyable: None, ..stream.clone() }).audio.unwrap().rungs
}

#[test]
fn good_sound_is_copied_as_the_top_rung() {
    let plan = planned(source());
    let audio = plan.audio.unwrap();
    let copied: Vec<_> = audio.rungs.iter().map(|rung| rung.copied.is_some()).collect();
    assert_eq!(copied, [false, false, true]);
    assert_eq!(audio.rungs[2].rendition, RenditionName::Audio { kbps: 128 });
    assert_eq!(audio.rungs[2].copied, source().copyable);
    // 480,000 samples and 64 before them, in whole frames.
    assert_eq!((audio.sample_rate, audio.samples), (48_000, 469 * 1024 - 64));
    assert_eq!(audio.coded_frames(), 470);
}

#[test]
fn all_renditions_have_the_rate_of_the_copy() {
    let mut stream = source();
    let coded = stream.copyable.as_mut().unwrap();
    (coded.asc, coded.priming, coded.frames) = (vec![0x12, 0x10], 1024, 432);
    let audio = planned(stream.clone()).audio.unwrap();
    assert_eq!((audio.sample_rate, audio.samples), (44_100, 431 * 1024));
    stream.copyable = None;
    assert_eq!(planned(stream).audio.unwrap().sample_rate, 48_000);
}

#[test]
fn a_voice_is_copied_where_it_costs_no_more_than_ours() {
    let mut stream = source();
    stream.channels = 1;
    let coded = stream.copyable.as_mut().unwrap();
    (coded.asc, coded.average_bps, coded.peak_bps) = (vec![0x11, 0x88], 80_000, 90_000);
    let audio = planned(stream.clone()).audio.unwrap();
    assert_eq!(audio.rungs.len(), 2);
    assert!(audio.rungs[1].copied.is_some());
    stream.copyable.as_mut().unwrap().average_bps = 96_000;
    assert_eq!(copied(&stream, &rungs(&stream)), Err("too many bytes"));
}

#[test]
fn each_rule_refuses() {
    type Edit = fn(&mut CodedSound);
    let cases: [(&str, Edit); 12] = [
        ("not plain AAC-LC", |coded| coded.asc = vec![0x2b, 0x11, 0x88, 0]),
        ("not plain AAC-LC", |coded| coded.asc = vec![0x11, 0x90, 0x56, 0xe5, 0x80]),
        ("not plain AAC-LC", |coded| coded.asc.clear()),
        ("other channels than the rung's", |coded| coded.asc = vec![0x11, 0x88]),
        ("a rate that not all play", |coded| coded.asc = vec![0x10, 0x10]),
        ("too many bytes", |coded| coded.average_bps = 160_001),
        ("too many bytes", |coded| coded.peak_bps = 256_001),
        ("no frame before the film", |coded| coded.priming = 1023),
        ("no frame before the film", |coded| coded.priming = 2048),
        ("frames missing at its end", |coded| coded.frames = 468),
        ("frames missing at its end", |coded| coded.frames = 1),
        ("frames missing at its end", |coded| coded.frames = 0),
    ];
    let good = source();
    assert!(copied(&good, &rungs(&good)).is_ok());
    for (why, edit) in cases {
        let mut stream = good.clone();
        edit(stream.copyable.as_mut().unwrap());
        assert_eq!(copied(&stream, &rungs(&stream)), Err(why));
        assert!(planned(stream).audio.unwrap().rungs.iter().all(|rung| rung.copied.is_none()), "{why}");
    }
    assert_eq!(copied(&good, &rungs(&good)[..1]), Err("one rung, for slow links"));
    let without = AudioStream { copyable: None, ..good };
    assert_eq!(copied(&without, &rungs(&without)), Err("not in tables, or with gaps"));
}

proptest! {
    #[test]
    fn a_copy_has_all_planned_frames_and_ends_where_the_sound_does(
        priming in 1024u32..2048, frames in 1u64..3000, end_us in 0u64..60_000_000, is_48 in any::<bool>(),
    ) {
        let mut stream = source();
        stream.end_us = end_us;
        let coded = stream.copyable.as_mut().unwrap();
        (coded.priming, coded.frames) = (priming, frames);
        coded.asc = if is_48 { vec![0x11, 0x90] } else { vec![0x12, 0x10] };
        let audio = planned(stream).audio.unwrap();
        if audio.rungs[2].copied.is_some() {
            prop_assert!(audio.coded_frames() <= frames);
            prop_assert_eq!(u64::from(priming) + audio.samples, audio.coded_frames() * 1024);
            let measured = end_us as f64 * f64::from(audio.sample_rate) / 1e6;
            prop_assert!((audio.samples as f64 - measured.max(1.0)).abs() < 1024.5);
        } else {
            prop_assert_eq!(audio.sample_rate, 48_000);
        }
    }
}
