use model::testing::mutants;

use super::*;
use crate::samples::{AV1C, AVCC, HVCC};

fn picture(config: VideoConfig) -> Track {
    Track::Video(VideoTrack { width: 2, height: 2, timescale: 15, config, colour: None })
}

#[test]
fn codecs_come_from_the_configuration() {
    let audio = |asc: &[u8]| {
        let config = AudioConfig::Aac(asc.to_vec());
        Track::Audio(AudioTrack { channels: 1, sample_rate: 48_000, config, priming: 0 })
    };
    let avc = |avcc: &[u8]| picture(VideoConfig::Avc(avcc.to_vec()));
    // Profile space, tier and profile; compatibility, the other way round; constraints; level.
    let hevc = |general: u8, compatible: [u8; 4], constraints: [u8; 6], level: u8| {
        let record = [&[1, general], &compatible[..], &constraints, &[level]].concat();
        picture(VideoConfig::Hevc(record))
    };
    let av1 = |kind: u8, depth: u8| picture(VideoConfig::Av1(vec![0x81, kind, depth, 0]));
    for (track, expected) in [
        (avc(&[1, 0x64, 0, 0x1f, 0xff]), "avc1.64001f"),
        (audio(&[0x11, 0x88]), "mp4a.40.2"),
        (hevc(1, [0x60, 0, 0, 0], [0xb0, 0, 0, 0, 0, 0], 93), "hvc1.1.6.L93.B0"),
        (hevc(0x22, [0x20, 0, 0, 0], [0x90, 0, 0, 0, 0, 0], 150), "hvc1.2.4.H150.90"),
        (hevc(0x41, [0x80, 0, 0, 1], [0, 8, 0, 0, 0, 0x0c], 30), "hvc1.A1.80000001.L30.0.8.0.0.0.C"),
        (hevc(1, [0x60, 0, 0, 0], [0; 6], 120), "hvc1.1.6.L120"),
        (av1(0x04, 0x0c), "av01.0.04M.08"),
        (av1(0x2d, 0xc0), "av01.1.13H.10"),
        (av1(0x48, 0x60), "av01.2.08M.12"),
    ] {
        assert_eq!(track.codecs().unwrap(), expected);
    }
    for track in [avc(&[]), avc(&[2, 0x64, 0, 0x1f]), audio(&[0x11]), audio(&[0xf8, 0])] {
        assert!(track.codecs().is_err(), "{track:?}");
    }
    for config in [
        VideoConfig::Hevc(vec![]),
        VideoConfig::Hevc(vec![0; 13]),
        VideoConfig::Hevc(HVCC[..12].to_vec()),
        VideoConfig::Av1(vec![0x81, 4]),
        VideoConfig::Av1(vec![0x80, 4, 12, 0]),
    ] {
        assert!(picture(config.clone()).codecs().is_err(), "{config:?}");
    }
}

#[test]
fn sizes_come_from_the_configuration() {
    let none = VideoConfig::Avc(AVCC.to_vec());
    assert!(none.size().is_err(), "its parameter set is four bytes of one");
    assert_eq!(VideoConfig::Hevc(HVCC.to_vec()).size().unwrap(), (640, 360));
    assert_eq!(VideoConfig::Av1(AV1C.to_vec()).size().unwrap(), (640, 360));
    // A stream says its size in its packets only.
    assert!(VideoConfig::Av1(AV1C[..4].to_vec()).size().is_err());
}

/// A sequence parameter set of 64 by 48 pixels, as x264 makes them.
const SPS: &[u8] = &[
    0x67, 0x64, 0x00, 0x0a, 0xac, 0xd9, 0x44, 0x7b, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00,
    0x03, 0x00, 0xa0, 0xf1, 0x22, 0x59, 0x60,
];

/// A record of H.264 that ends in `sets`.
fn avc(sets: &[&[u8]]) -> VideoConfig {
    VideoConfig::Avc([&[1, 0x64, 0, 0x0a, 0xff], &sets.concat()[..]].concat())
}

#[test]
fn parameter_sets_without_bytes_are_none() {
    for sets in [
        // One of a picture; one of a sequence, behind which a count looks like its first byte.
        &[&[0xe0, 1, 0, 0][..]][..],
        &[&[0xe1, 0, 0, 0]],
        &[&[0xe1, 0, 0, 7]],
        &[&[0xe1, 0, 0, 1, 0, 0]],
        &[&[0xe2, 0, 0, 0, 24], SPS, &[0]],
        // One of a picture in the place of a sequence's.
        &[&[0xe1, 0, 4, 0x68, 0xea, 0xe1, 0xfd, 0]],
    ] {
        assert!(avc(sets).size().is_err(), "{sets:02x?}");
    }
    for pictures in [&[0][..], &[1, 0, 0], &[1, 0, 2, 0x68, 0xea]] {
        assert_eq!(avc(&[&[0xe1, 0, 24], SPS, pictures]).size().unwrap(), (64, 48), "{pictures:02x?}");
    }
}

/// The bits of a text of 0 and 1, blanks left out, as bytes.
fn bits(text: &str) -> Vec<u8> {
    let bits: Vec<u8> =
        text.bytes().filter(|byte| !byte.is_ascii_whitespace()).map(|byte| byte - b'0').collect();
    bits.chunks(8).map(|byte| (0..8).fold(0, |all, n| all << 1 | byte.get(n).copied().unwrap_or(0))).collect()
}

#[test]
fn a_sequence_header_may_say_more_before_the_size() {
    let size = |header: &str| {
        let header = bits(header);
        let obu = [&[0x81, 0, 0, 0, 0x12, 0, 0x0a, header.len() as u8][..], &header].concat();
        VideoConfig::Av1(obu).size().ok()
    };
    // Ten bits for each side: 640 by 360.
    const SIDES: &str = "1001 1000 1001111111 101100111";
    let plain = "000 0 0  0 0 00000  000000000000 00100";
    assert_eq!(size(&format!("{plain} {SIDES}")), Some((640, 360)));
    // A level of two tiers.
    assert_eq!(size(&format!("000 0 0  0 0 00000  000000000000 01000 1 {SIDES}")), Some((640, 360)));
    // A still picture says only its level.
    assert_eq!(size(&format!("000 1 1  00100 {SIDES}")), Some((640, 360)));
    // Timing, an interval of two ticks, a model of the decoder with delays of five bits, and two
    // operating points, of which one has a delay of its own.
    let ticks = "0".repeat(63) + "1";
    let timing = format!("1 {ticks} 1 010  1 00100 {} 00000 00000", "0".repeat(32));
    let points = "000000000001 00100 1 10101 01010 1 0   000000000011 01001 0 0 1 0111";
    assert_eq!(size(&format!("000 0 0  {timing}  1 00001  {points} {SIDES}")), Some((640, 360)));
    assert_eq!(size(plain), None);
}

#[test]
fn damaged_configurations_are_refused_or_say_something() {
    let avc = avc(&[&[0xe1, 0, 24], SPS, &[1, 0, 2, 0x68, 0xea]]);
    for config in [avc, VideoConfig::Hevc(HVCC.to_vec()), VideoConfig::Av1(AV1C.to_vec())] {
        let (VideoConfig::Avc(bytes) | VideoConfig::Hevc(bytes) | VideoConfig::Av1(bytes)) = &config;
        mutants(bytes, 20_000, |mutant| {
            let mutant = match config {
                VideoConfig::Avc(_) => VideoConfig::Avc(mutant.to_vec()),
                VideoConfig::Hevc(_) => VideoConfig::Hevc(mutant.to_vec()),
                VideoConfig::Av1(_) => VideoConfig::Av1(mutant.to_vec()),
            };
            let _ = (mutant.size(), mutant.codecs());
        });
    }
    mutants(b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0", 20_000, |mutant| {
        assert!(Opus::read(mutant).is_none_or(|opus| matches!(opus.channels, 1 | 2)));
        assert!(Opus::samples(mutant).is_none_or(|samples| samples <= 5760));
    });
}
