use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::boxes::walk;
use model::testing::mutants;

use crate::samples::{audio_track, payload, samples, video_track};
use crate::{init_segment, read_init};

/// The boxes of `bytes`, one a line: offset, kind, and the bytes of those without children.
fn check(bytes: &[u8], expected: Expect) {
    fn list(bytes: &[u8], base: usize, depth: usize, text: &mut String) {
        for child in walk("test", bytes) {
            let child = child.unwrap();
            let kind = String::from_utf8_lossy(&child.kind);
            let skip = match &child.kind {
                b"moov" | b"trak" | b"mdia" | b"minf" | b"dinf" | b"stbl" | b"mvex" | b"edts" | b"moof"
                | b"traf" => Some(0),
                b"stsd" | b"dref" => Some(8),
                b"avc1" => Some(78),
                b"mp4a" => Some(28),
                _ => None,
            };
            let own = &child.body[..skip.unwrap_or(child.body.len())];
            let hex = |word: &[u8]| word.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            let words: Vec<String> = own.chunks(4).map(hex).collect();
            let start = base + child.start;
            *text +=
                format!("{start:<4} {:indent$}{kind} {}", "", words.join(" "), indent = 2 * depth).trim_end();
            *text += "\n";
            if let Some(skip) = skip {
                let body = base + child.end - child.body.len();
                list(&child.body[skip..], body + skip, depth + 1, text);
            }
        }
    }
    let mut text = String::new();
    list(bytes, 0, 0, &mut text);
    expected.assert_eq(&text);
}

fn sample(size: u32, cts_offset: i32, sync: bool) -> Sample {
    Sample { size, duration: 1000, cts_offset, sync }
}

#[test]
fn the_bytes_of_a_picture_track() {
    check(
        &init_segment(&video_track()).unwrap(),
        expect![[r#"
            0    ftyp 69736f36 00000000 69736f36 636d6663 6d703431
            28   moov
            36     mvhd 01000000 00000000 00000000 00000000 00000000 00003a98 00000000 00000000 00010000 01000000 00000000 00000000 00010000 00000000 00000000 00000000 00010000 00000000 00000000 00000000 40000000 00000000 00000000 00000000 00000000 00000000 00000000 00000002
            156    mvex
            164      trex 00000000 00000001 00000001 00000000 00000000 00000000
            196    trak
            204      tkhd 01000007 00000000 00000000 00000000 00000000 00000001 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00010000 00000000 00000000 00000000 00010000 00000000 00000000 00000000 40000000 01000000 00900000
            308      mdia
            316        mdhd 01000000 00000000 00000000 00000000 00000000 00003a98 00000000 00000000 55c40000
            360        hdlr 00000000 00000000 76696465 00000000 00000000 00000000 76696465 6f00
            398        minf
            406          dinf
            414            dref 00000000 00000001
            430              url  00000001
            442          stbl
            450            stsd 00000000 00000001
            466              avc1 00000000 00000001 00000000 00000000 00000000 00000000 01000090 00480000 00480000 00000000 00010000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000018 ffff
            552                avcC 0164000b ffe10004 6764000b 01000368 eae1fdf8 f800
            582                colr 6e636c78 00010001 000100
            601                pasp 00000001 00000001
            617            stts 00000000 00000000
            633            stsc 00000000 00000000
            649            stsz 00000000 00000000 00000000
            669            stco 00000000 00000000
            685          vmhd 00000001 00000000 00000000
        "#]],
    );
    let samples = [sample(3, 0, true), sample(2, 1000, false), sample(1, -1000, false)];
    check(
        &media_segment(7, 60_000, &samples, b"abcdef").unwrap(),
        expect![[r#"
            0    moof
            8      mfhd 00000000 00000007
            24     traf
            32       tfhd 00020028 00000001 000003e8 01010000
            56       tfdt 01000000 00000000 0000ea60
            76       trun 01000a05 00000003 00000084 02000000 00000003 00000000 00000002 000003e8 00000001 fffffc18
            124  mdat 61626364 6566
        "#]],
    );
}

#[test]
fn the_bytes_of_a_sound_track() {
    check(
        &init_segment(&audio_track()).unwrap(),
        expect![[r#"
            0    ftyp 69736f36 00000000 69736f36 636d6663 6d703431
            28   moov
            36     mvhd 01000000 00000000 00000000 00000000 00000000 0000bb80 00000000 00000000 00010000 01000000 00000000 00000000 00010000 00000000 00000000 00000000 00010000 00000000 00000000 00000000 40000000 00000000 00000000 00000000 00000000 00000000 00000000 00000002
            156    mvex
            164      trex 00000000 00000001 00000001 00000000 00000000 00000000
            196    trak
            204      tkhd 01000007 00000000 00000000 00000000 00000000 00000001 00000000 00000000 00000000 00000000 00000000 00000000 01000000 00010000 00000000 00000000 00000000 00010000 00000000 00000000 00000000 40000000 00000000 00000000
            308      mdia
            316        mdhd 01000000 00000000 00000000 00000000 00000000 0000bb80 00000000 00000000 55c40000
            360        hdlr 00000000 00000000 736f756e 00000000 00000000 00000000 736f756e 6400
            398        minf
            406          dinf
            414            dref 00000000 00000001
            430              url  00000001
            442          stbl
            450            stsd 00000000 00000001
            466              mp4a 00000000 00000001 00000000 00000000 00010010 00000000 bb800000
            502                esds 00000000 03190000 00041140 15000000 00000000 00000000 05021188 060102
            541            stts 00000000 00000000
            557            stsc 00000000 00000000
            573            stsz 00000000 00000000 00000000
            593            stco 00000000 00000000
            609            sgpd 01000000 726f6c6c 00000002 00000001 ffff
            635          smhd 00000000 00000000
            651      edts
            659        elst 00000000 00000001 00000000 00000400 00010000
        "#]],
    );
    let samples = [sample(3, 0, true), sample(2, 0, true)];
    check(
        &media_segment(7, 60_000, &samples, b"abcde").unwrap(),
        expect![[r#"
            0    moof
            8      mfhd 00000000 00000007
            24     traf
            32       tfhd 00020028 00000001 000003e8 02000000
            56       tfdt 01000000 00000000 0000ea60
            76       trun 01000201 00000002 00000070 00000003 00000002
            104  mdat 61626364 65
        "#]],
    );
}

#[test]
fn a_picture_costs_eight_bytes_a_sample_and_a_sound_four() {
    let overhead = |samples: &[Sample]| {
        media_segment(1, 0, samples, &payload(samples)).unwrap().len() - payload(samples).len()
    };
    let picture: Vec<Sample> = (0..60).map(|n| sample(100 + n, n as i32 % 3 * 1000, n == 0)).collect();
    let sound: Vec<Sample> = (0..188).map(|n| sample(100 + n, 0, true)).collect();
    assert!(overhead(&picture) <= 60 * 8 + 120, "{}", overhead(&picture));
    assert!(overhead(&sound) <= 188 * 4 + 120, "{}", overhead(&sound));
}

#[test]
fn samples_that_break_a_rule_are_refused() {
    let good = sample(3, 0, true);
    let cases: [(&str, &[Sample], usize); 6] = [
        ("none", &[], 0),
        ("the first is not sync", &[sample(3, 0, false)], 3),
        ("no bytes", &[good, sample(0, 0, false)], 3),
        ("no duration", &[Sample { duration: 0, ..good }], 3),
        ("payload too short", &[good], 2),
        ("payload too long", &[good], 4),
    ];
    for (name, samples, len) in cases {
        assert!(media_segment(1, 0, samples, &vec![0; len]).is_err(), "{name}");
    }
    let many = vec![sample(1, 0, true); MAX_SAMPLES + 1];
    assert!(media_segment(1, 0, &many, &vec![0; many.len()]).is_err());
}

#[test]
fn a_count_without_bytes_takes_no_memory() {
    // All samples share size and duration, so the run is a bare count: make it four billion.
    let two = [sample(1, 0, true); 2];
    let mut segment = media_segment(1, 0, &two, b"ab").unwrap().to_vec();
    let trun = segment.windows(4).position(|kind| kind == b"trun").unwrap();
    segment[trun + 8..trun + 12].copy_from_slice(&u32::MAX.to_be_bytes());
    let error = read_segment(&segment).unwrap_err().to_string();
    assert_eq!(error, "`trun`: more samples than a segment may have");
}

#[test]
fn damaged_segments_are_refused_or_consistent() {
    let samples: Vec<Sample> = (0..12).map(|n| sample(5 + n, n as i32 * 9 - 40, n % 5 == 0)).collect();
    let segment = media_segment(3, 9000, &samples, &payload(&samples)).unwrap();
    let mut accepted = 0;
    mutants(&segment, 20_000, |mutant| {
        if let Ok(read) = read_segment(mutant) {
            let bytes = &mutant[read.payload.clone()];
            assert!(check_samples(&read.samples, bytes.len()).is_ok());
            accepted += 1;
        }
    });
    assert!(accepted < 15_000, "most damage to the boxes is seen: {accepted} of 20000 accepted");
}

#[test]
fn damaged_inits_are_refused_or_name_a_codec() {
    for track in [video_track(), audio_track()] {
        mutants(&init_segment(&track).unwrap(), 20_000, |mutant| {
            if let Ok(track) = read_init(mutant) {
                assert!(track.codecs().is_ok() && track.timescale() > 0);
            }
        });
    }
}

#[test]
fn a_deep_nest_of_descriptors_is_refused() {
    // An ES descriptor in an ES descriptor in …: the library would follow it down.
    let init = init_segment(&audio_track()).unwrap().to_vec();
    let esds = init.windows(4).position(|kind| kind == b"esds").unwrap();
    let nest = [[3, 0x84, 0x80, 0x80, 0, 0, 0, 0]; 500].concat();
    let mut bytes = init.clone();
    bytes.splice(esds + 8..esds + 8, nest.iter().copied());
    for kind in [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"mp4a", b"esds"] {
        let at = init.windows(4).position(|window| window == kind).unwrap() - 4;
        let size = u32::from_be_bytes(init[at..at + 4].try_into().unwrap()) + nest.len() as u32;
        bytes[at..at + 4].copy_from_slice(&size.to_be_bytes());
    }
    assert_eq!(read_init(&bytes).unwrap_err().to_string(), "`esds`: longer than any AAC configuration");
}

#[test]
fn a_track_reads_back() {
    for track in [video_track(), audio_track()] {
        assert_eq!(read_init(&init_segment(&track).unwrap()).unwrap(), track);
    }
}

proptest! {
    #[test]
    fn a_segment_reads_back(sequence: u32, time in 0u64..1 << 60, samples in samples(), styp: bool) {
        let payload = payload(&samples);
        let segment = media_segment(sequence, time, &samples, &payload).unwrap();
        let mut bytes = if styp { b"\0\0\0\x0cstypmsdh".to_vec() } else { Vec::new() };
        bytes.extend_from_slice(&segment);
        let read = read_segment(&bytes).unwrap();
        prop_assert_eq!((read.sequence, read.base_decode_time), (sequence, time));
        prop_assert_eq!(&bytes[read.payload.clone()], &payload[..]);
        prop_assert_eq!(read.samples, samples);
        prop_assert!(read_segment(&bytes[..bytes.len() - 1]).is_err(), "cut short");
        bytes.push(0);
        prop_assert!(read_segment(&bytes).is_err(), "a byte too many");
    }
}

#[test]
fn a_part_may_begin_with_any_sample_and_its_flags_say_which() {
    let sample = |sync| Sample { size: 3, duration: 3000, cts_offset: 0, sync };
    for syncs in [&[false][..], &[true], &[false, false, false], &[false, true], &[true, false, false]] {
        let samples: Vec<Sample> = syncs.iter().map(|sync| sample(*sync)).collect();
        let payload = payload(&samples);
        let mut part = part_head(7, 90_000, &samples, payload.len()).unwrap();
        part.extend_from_slice(&payload);
        match read_segment(&part) {
            Ok(read) if syncs[0] => assert_eq!((read.samples, read.sequence), (samples, 7)),
            Err(error) if !syncs[0] => assert!(error.to_string().contains("sync"), "{error}"),
            other => panic!("{syncs:?}: {other:?}"),
        }
    }
    assert!(part_head(7, 0, &[], 0).is_err());
    assert!(part_head(7, 0, &[sample(false)], 4).is_err());
}
