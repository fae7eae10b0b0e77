use mp4_atom::{CttsEntry, StscEntry, SttsEntry};

use super::*;
use crate::AacLc;
use crate::boxes::{Timing, edit, put, trak};
use model::testing::mutants;

use crate::samples::{AVCC, audio_track, video_track};

/// Five samples in two chunks, the third shown before the second.
fn tables() -> mp4_atom::Stbl {
    let run = |first_chunk, samples_per_chunk| StscEntry {
        first_chunk,
        samples_per_chunk,
        sample_description_index: 1,
    };
    let ahead = |sample_count, sample_offset| CttsEntry { sample_count, sample_offset };
    mp4_atom::Stbl {
        stts: Stts { entries: vec![SttsEntry { sample_count: 5, sample_delta: 1000 }] },
        ctts: Some(Ctts { entries: vec![ahead(1, 1000), ahead(1, 2000), ahead(1, 0), ahead(2, 1000)] }),
        stss: Some(Stss { entries: vec![1, 4] }),
        stsz: Stsz { samples: StszSamples::Different { sizes: vec![50, 10, 5, 40, 7] } },
        stsc: Stsc { entries: vec![run(1, 3), run(2, 2)] },
        stco: Some(Stco { entries: vec![100, 1000] }),
        ..mp4_atom::Stbl::default()
    }
}

/// The tables of five frames of sound in one chunk.
fn sound_tables() -> mp4_atom::Stbl {
    let run = StscEntry { first_chunk: 1, samples_per_chunk: 5, sample_description_index: 1 };
    mp4_atom::Stbl {
        stts: Stts { entries: vec![SttsEntry { sample_count: 5, sample_delta: 1024 }] },
        stsz: Stsz { samples: StszSamples::Different { sizes: vec![6, 300, 310, 290, 7] } },
        stsc: Stsc { entries: vec![run] },
        stco: Some(Stco { entries: vec![2000] }),
        ..mp4_atom::Stbl::default()
    }
}

/// The inside of a `moov` with a sound track before the picture, whose id is 2.
fn moov(edits: &[(u64, Option<u64>)], tables: mp4_atom::Stbl) -> Vec<u8> {
    let edits = edits.iter().map(|(duration, time)| edit(*duration, *time)).collect();
    let mut moov = Vec::new();
    let timing = Timing { edits: vec![edit(4096, Some(1024))], ..Timing::default() };
    let sound = trak(&[audio_track()], 1, timing, sound_tables());
    put("trak", &sound.unwrap(), &mut moov).unwrap();
    let picture = trak(&[video_track()], 2, Timing { edits, ..Timing::default() }, tables).unwrap();
    put("trak", &picture, &mut moov).unwrap();
    moov
}

#[test]
fn every_sample_is_found_with_its_time() {
    let table = SampleTable::read(&moov(&[(5000, Some(1000))], tables()), 2).unwrap();
    assert_eq!((table.timescale, table.start), (15_000, Some(1000)));
    assert_eq!(table.configuration, Configuration::Avc(AVCC.to_vec()));
    let sample = |offset, size, dts, pts, sync| StoredSample { offset, size, dts, pts, sync };
    assert_eq!(
        table.samples,
        [
            sample(100, 50, 0, 1000, true),
            sample(150, 10, 1000, 3000, false),
            sample(160, 5, 2000, 2000, false),
            sample(1000, 40, 3000, 4000, true),
            sample(1040, 7, 4000, 5000, false),
        ]
    );
}

#[test]
fn sound_is_found_as_pictures_are() {
    let table = SampleTable::read(&moov(&[], tables()), 1).unwrap();
    assert_eq!((table.timescale, table.start), (48_000, Some(1024)));
    assert_eq!(table.configuration, Configuration::Aac(vec![0x11, 0x88]));
    let at = |n: usize| (table.samples[n].offset, table.samples[n].size, table.samples[n].dts);
    assert_eq!([at(0), at(1), at(4)], [(2000, 6, 0), (2006, 300, 1024), (2906, 7, 4096)]);
    assert!(table.samples.iter().all(|sample| sample.sync && sample.pts == sample.dts));
}

/// An audio sample entry of some version around an `esds`.
fn sound_entry(version: u16, inside: &[u8]) -> Vec<u8> {
    let mut entry = vec![0; AUDIO_ENTRY];
    entry[8..10].copy_from_slice(&version.to_be_bytes());
    entry.resize(AUDIO_ENTRY + if version == 1 { VERSION_1 } else { 0 }, 0);
    [&entry[..], inside].concat()
}

#[test]
fn quicktime_puts_the_configuration_elsewhere() {
    let atom =
        |kind: &[u8; 4], body: &[u8]| [&(body.len() as u32 + 8).to_be_bytes()[..], kind, body].concat();
    let plain = atom(b"esds", b"!");
    let wave = atom(b"wave", &[atom(b"frma", b"mp4a"), plain.clone(), atom(&[0; 4], b"")].concat());
    for (version, inside, is_found) in [
        (0, &plain, true),
        (1, &plain, true),
        (1, &wave, true),
        (0, &wave, true),
        (2, &plain, false),
        (0, &atom(b"wave", b""), false),
        (0, &[plain.clone(), plain.clone()].concat(), false),
    ] {
        let entry = sound_entry(version, inside);
        assert_eq!(esds(&entry).ok(), is_found.then_some(&b"!"[..]), "version {version}");
    }
    assert!(esds(&sound_entry(1, b"")[..AUDIO_ENTRY]).is_err(), "cut off");
    assert!(esds(&[0; AUDIO_ENTRY - 1]).is_err(), "cut off");
}

#[test]
fn without_a_list_every_sample_is_a_key_and_shown_when_decoded() {
    let tables = mp4_atom::Stbl { ctts: None, stss: None, ..tables() };
    let table = SampleTable::read(&moov(&[], tables), 2).unwrap();
    assert_eq!(table.start, None);
    assert!(table.samples.iter().zip(0..).all(|(sample, n)| sample.sync && sample.pts == n * 1000));
}

#[test]
fn an_edit_list_may_only_say_when_it_begins() {
    for (edits, start) in [
        (&[][..], Some(None)),
        (&[(5000, Some(0))], Some(Some(0))),
        (&[(40, None), (5000, Some(2000))], Some(Some(2000))),
        (&[(5000, None)], None),
        (&[(2000, Some(0)), (2000, Some(3000))], None),
        (&[(1, None), (1, None), (1, Some(0))], None),
    ] {
        let read = SampleTable::read(&moov(edits, tables()), 2);
        assert_eq!(read.ok().map(|table| table.start), start, "{edits:?}");
    }
}

#[test]
fn what_is_not_one_picture_in_tables_that_agree_is_refused() {
    let good = || moov(&[], tables());
    assert!(SampleTable::read(&good(), 2).is_ok());
    for track in [0, 3] {
        assert!(SampleTable::read(&good(), track).is_err(), "track {track}");
    }
    type Edit = fn(&mut mp4_atom::Stbl);
    let cases: [(&str, Edit); 7] = [
        ("times for fewer samples", |stbl| stbl.stts.entries[0].sample_count = 4),
        ("times for more samples", |stbl| stbl.stts.entries[0].sample_count = u32::MAX),
        ("offsets of time for fewer", |stbl| stbl.ctts.as_mut().unwrap().entries.truncate(3)),
        ("a key that there is not", |stbl| stbl.stss.as_mut().unwrap().entries.push(6)),
        ("chunks for fewer", |stbl| stbl.stco.as_mut().unwrap().entries.truncate(1)),
        ("another sample entry", |stbl| stbl.stsc.entries[1].sample_description_index = 2),
        ("more samples than there can be", |stbl| {
            stbl.stsz.samples = StszSamples::Identical { count: u32::MAX, size: 1 };
        }),
    ];
    for (fault, edit) in cases {
        let mut tables = tables();
        edit(&mut tables);
        assert!(SampleTable::read(&moov(&[], tables), 2).is_err(), "{fault}");
    }
}

#[test]
fn damaged_tables_are_errors_not_panics() {
    let good = moov(&[(40, None), (5000, Some(1000))], tables());
    let mut read = [0; 2];
    mutants(&good, 20_000, |mutant| {
        for (track, read) in (1..).zip(&mut read) {
            if let Ok(table) = SampleTable::read(mutant, track) {
                *read += 1;
                if let Configuration::Aac(asc) = table.configuration {
                    AacLc::read(&asc);
                }
            }
        }
    });
    assert!(read.iter().all(|read| *read > 0), "some do no harm");
}
