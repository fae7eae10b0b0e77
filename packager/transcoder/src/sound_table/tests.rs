use cmaf::StoredSample;

use super::*;

/// Frames of these sizes, one second of 48 kHz in stereo having 46.875.
fn table(sizes: &[u32]) -> SampleTable {
    let sample = |(n, size): (i64, &u32)| {
        let (offset, time) = (n as u64 * 1000, n * FRAME);
        StoredSample { offset, size: *size, dts: time, pts: time, sync: true }
    };
    SampleTable {
        timescale: 48_000,
        configuration: Configuration::Aac(vec![0x11, 0x90]),
        start: None,
        samples: (0..).zip(sizes).map(sample).collect(),
    }
}

/// A file in which a frame begins at every thousandth byte.
fn media(first_bytes: &[u8]) -> Media {
    let mut file = tempfile::tempfile().unwrap();
    let mut bytes = vec![0; first_bytes.len() * 1000];
    for (n, byte) in first_bytes.iter().enumerate() {
        bytes[n * 1000] = *byte;
    }
    std::io::Write::write_all(&mut file, &bytes).unwrap();
    Media::new(file.into(), model::cell::Source::File { size: bytes.len() as u64 })
}

#[test]
fn only_plain_frames_without_a_gap_are_a_table() {
    let good = || table(&[300; 9]);
    assert!(SoundTable::of(good()).is_some());
    type Edit = fn(&mut SampleTable);
    let cases: [(&str, Edit); 7] = [
        ("pictures", |table| table.configuration = Configuration::Avc(vec![0x11, 0x90])),
        ("HE-AAC", |table| table.configuration = Configuration::Aac(vec![0x2b, 0x11, 0x88, 0])),
        ("a long configuration", |table| {
            table.configuration = Configuration::Aac([&[0x11, 0x90][..], &[0; 15]].concat());
        }),
        ("ticks that are no samples", |table| table.timescale = 90_000),
        ("a gap", |table| table.samples[5..].iter_mut().for_each(|sample| sample.dts += 1)),
        ("a frame heard later", |table| table.samples[5].pts += FRAME),
        ("a frame that no decoder holds", |table| table.samples[5].size = 2 * MAX_FRAME + 1),
    ];
    for (why, edit) in cases {
        let mut table = good();
        edit(&mut table);
        assert!(SoundTable::of(table).is_none(), "{why}");
    }
}

#[test]
fn copies_begin_a_frame_before_the_film_does() {
    let (table, mut media) = (SoundTable::of(table(&[300; 9])).unwrap(), media(&[0x20; 9]));
    for (zero, first, priming, frames) in [
        (1024, 0, 1024, 9),
        (2112, 1, 1088, 8),
        (1023, -1, 2047, 10),
        (0, -1, 1024, 10),
        (-1, -2, 2047, 11),
        (8 * 1024 + 5, 7, 1029, 2),
    ] {
        let found = table.copyable(&mut media, 3, zero).unwrap().unwrap();
        assert_eq!((found.first, found.priming, found.frames), (first, priming, frames), "{zero}");
        // Both count from the same sample.
        assert_eq!(first * FRAME + i64::from(found.priming), zero);
    }
    assert_eq!(table.copyable(&mut media, 3, 10 * 1024).unwrap(), None, "behind its end");
    assert_eq!((table.sample_at(3000), table.sample_at(1)), (Some(3 * 1024), None));
    assert_eq!(table.get(&mut media, 8).unwrap().unwrap().len(), 300);
    assert_eq!(table.get(&mut media, 9).unwrap(), None);
    assert_eq!(table.get(&mut media, -1).unwrap().unwrap()[0], 0x21);
}

#[test]
fn what_does_not_begin_with_sound_is_not_copied() {
    let table = SoundTable::of(table(&[300; 9])).unwrap();
    for (byte, is_sound) in [(0x20, true), (0x80, true), (0xc0, true), (0x00, false), (0xff, false)] {
        let mut bytes = [0x20; 9];
        bytes[4] = byte;
        let found = table.copyable(&mut media(&bytes), 3, 1024).unwrap();
        assert_eq!(found.is_some(), is_sound, "{byte:#x}");
    }
}

#[test]
fn rates_are_those_of_all_and_of_the_busiest_two_seconds() {
    let mut sizes = vec![128; 1000];
    let rates = |sizes: &[u32]| {
        let table = SoundTable::of(table(sizes)).unwrap();
        let found = table.copyable(&mut media(&vec![0x20; sizes.len()]), 3, 0).unwrap().unwrap();
        (found.average_bps, found.peak_bps)
    };
    assert_eq!(rates(&sizes), (48_000, 48_000));
    assert_eq!(rates(&[256]), (96_000, 96_000), "shorter than two seconds");
    // 94 frames are a little more than two seconds.
    sizes[400..494].fill(256);
    assert_eq!(rates(&sizes), (52_512, 96_000));
}
