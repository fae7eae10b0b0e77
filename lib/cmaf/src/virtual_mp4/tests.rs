use mp4_atom::{Decode, Elst, Ftyp, Moov, Stbl};

use super::*;
use crate::chunk::SegmentSamples;
use crate::samples::{audio_track, video_track};
use crate::{
    AudioTrack, Bandwidth, Change, ChunkRef, RenditionKind, Sample, SegmentRef, Track, VideoTrack,
    init_segment,
};

/// A track that exists as numbers only: `segments` segments of ten samples of `size` bytes.
struct Numbers {
    rendition: RenditionIndex,
    inits: Vec<Bytes>,
    chunks: Vec<ChunkIndex>,
}

impl Numbers {
    fn new(track: &Track, segments: u32, size: u32, start: u64) -> Self {
        let is_video = matches!(track, Track::Video(_));
        let sample = |n| Sample { size, duration: 1000, cts_offset: 0, sync: !is_video || n == 0 };
        let segment = |n: u32| SegmentSamples {
            sequence: n + 1,
            base_decode_time: start + u64::from(n) * 10_000,
            size_bytes: 10 * size + 100,
            payload_offset: 100,
            samples: (0..10).map(sample).collect(),
        };
        let chunk = |number| ChunkRef {
            number,
            hash: ChunkHash::of(&number.to_be_bytes()),
            size_bytes: u64::from(10 * size) + 150,
            index_bytes: 50,
            segments: vec![SegmentRef { size_bytes: 10 * size + 100, duration: 10_000 }],
        };
        let (name, kind) = if is_video {
            let frame_rate = model::cell::Ratio::new(15, 1);
            (
                RenditionName::Video { height: 144 },
                RenditionKind::Video { width: 256, height: 144, frame_rate },
            )
        } else {
            (RenditionName::Audio { kbps: 32 }, RenditionKind::Audio { channels: 1, sample_rate: 48_000 })
        };
        let init = init_segment(track).unwrap();
        Self {
            rendition: RenditionIndex {
                name,
                codecs: track.codecs().unwrap(),
                timescale: track.timescale(),
                kind,
                bandwidth: Bandwidth::default(),
                init_size: init.len() as u32,
                init_hash: ChunkHash::of(&init),
                chunks: (0..segments).map(chunk).collect(),
                changes: Vec::new(),
                breaks: Vec::new(),
            },
            inits: vec![init],
            chunks: (0..segments).map(|n| ChunkIndex { segments: vec![segment(n)] }).collect(),
        }
    }

    fn track(&self) -> VirtualTrack<'_> {
        VirtualTrack { rendition: &self.rendition, inits: &self.inits, chunks: &self.chunks }
    }
}

fn moov(file: &VirtualMp4) -> Moov {
    let mut head = &file.head()[..];
    Ftyp::decode(&mut head).unwrap();
    Moov::decode(&mut head).unwrap()
}

/// Where the tables say that each segment's samples begin.
fn offsets(file: &VirtualMp4) -> Vec<Vec<u64>> {
    let offsets = |stbl: &Stbl| match (&stbl.stco, &stbl.co64) {
        (Some(stco), None) => stco.entries.iter().map(|offset| u64::from(*offset)).collect(),
        (None, Some(co64)) => co64.entries.clone(),
        _ => panic!("one of both"),
    };
    moov(file).trak.iter().map(|trak| offsets(&trak.mdia.minf.stbl)).collect()
}

#[test]
fn tracks_take_turns_and_offsets_point_at_their_bytes() {
    let (video, audio) = (Numbers::new(&video_track(), 3, 20, 0), Numbers::new(&audio_track(), 4, 7, 0));
    let file = VirtualMp4::build(&[video.track(), audio.track()]).unwrap();
    let head = file.head().len() as u64;
    let expected: [&[u64]; 2] =
        [&[head, head + 270, head + 540], &[head + 200, head + 470, head + 740, head + 810]];
    assert_eq!(offsets(&file), expected);
    assert_eq!(file.len(), head + 3 * 200 + 4 * 70);
    let at = |offset| file.piece(offset..offset + 5).unwrap();
    let object = |numbers: &Numbers, number: u32, range| Piece::Object {
        rendition: numbers.rendition.name,
        number,
        hash: ChunkHash::of(&number.to_be_bytes()),
        range,
    };
    assert_eq!(at(head + 198), object(&video, 0, 298..300), "cut where the sound begins");
    assert_eq!(at(head + 200), object(&audio, 0, 100..105));
    assert_eq!(at(head - 2), Piece::Head(head as usize - 2..head as usize));
    assert_eq!(file.piece(file.len()..file.len() + 1), None);
}

#[test]
fn offsets_are_wide_only_in_files_that_need_it() {
    // 50 segments of ten samples of 9 MB are 4.5 GB.
    for (segments, wide) in [(40, false), (50, true)] {
        let video = Numbers::new(&video_track(), segments, 9_000_000, 0);
        let file = VirtualMp4::build(&[video.track()]).unwrap();
        assert_eq!(moov(&file).trak[0].mdia.minf.stbl.co64.is_some(), wide);
        let head = file.head().len() as u64;
        let expected = (0..u64::from(segments)).map(|n| head + n * 90_000_000);
        assert_eq!(offsets(&file)[0], expected.collect::<Vec<_>>());
        let mdat = file.len() - head + 16;
        assert_eq!(file.head()[file.head().len() - 8..], mdat.to_be_bytes());
    }
}

#[test]
fn edits_skip_the_priming_and_keep_a_late_start() {
    let edits = |track: &Track, start| {
        let numbers = Numbers::new(track, 2, 20, start);
        let file = VirtualMp4::build(&[numbers.track()]).unwrap();
        let moov = moov(&file);
        let Elst { entries } = moov.trak[0].edts.clone().and_then(|edts| edts.elst).unwrap_or_default();
        let entries: Vec<_> = entries.iter().map(|edit| (edit.segment_duration, edit.media_time)).collect();
        (moov.mvhd.duration, entries)
    };
    assert_eq!(edits(&video_track(), 0), (20_000, vec![]));
    assert_eq!(edits(&video_track(), 500), (20_500, vec![(500, None), (20_000, Some(0))]));
    for priming in [1024, 1408, 2047] {
        let Track::Audio(audio) = audio_track() else { panic!("a sound") };
        let track = Track::Audio(AudioTrack { priming, ..audio });
        let heard = 20_000 - u64::from(priming);
        assert_eq!(edits(&track, 0), (heard, vec![(heard, Some(priming.into()))]));
    }
}

/// A picture of 256 by 144 that becomes one of half the size with its third segment, and is as it was
/// with its fifth.
fn changing() -> Numbers {
    let mut numbers = Numbers::new(&video_track(), 6, 20, 0);
    let Track::Video(small) = video_track() else { panic!("a picture") };
    let small = Track::Video(VideoTrack { width: 128, height: 72, ..small });
    for (segment, track) in [(2, small), (4, video_track())] {
        let init = init_segment(&track).unwrap();
        let RenditionIndex { codecs, kind, .. } = &numbers.rendition;
        let (codecs, kind) = (codecs.clone(), *kind);
        let (init_size, init_hash) = (init.len() as u32, ChunkHash::of(&init));
        numbers.rendition.changes.push(Change { segment, codecs, kind, init_size, init_hash });
        numbers.inits.push(init);
    }
    numbers
}

/// Downloads that were begun go on: whoever has half of a file must get the other half of the same.
#[test]
fn a_film_of_one_format_is_the_same_as_ever() {
    let (video, audio) = (Numbers::new(&video_track(), 3, 20, 0), Numbers::new(&audio_track(), 4, 7, 0));
    let file = VirtualMp4::build(&[video.track(), audio.track()]).unwrap();
    let head = ChunkHash::of(file.head()).to_string();
    assert_eq!(head, "9211af15237bf39e769b8de53111fb414325fcbfdb994694fd5eb86666976d81");
    assert_eq!(file.etag(), "\"9ed61cf057705f7be8cf51d73ff40853\"");
}

#[test]
fn each_format_has_a_sample_entry_and_its_samples_name_it() {
    let (video, audio) = (changing(), Numbers::new(&audio_track(), 6, 7, 0));
    let file = VirtualMp4::build(&[video.track(), audio.track()]).unwrap();
    let trak = &moov(&file).trak[0];
    let sizes = trak.mdia.minf.stbl.stsd.codecs.iter().map(|codec| match codec {
        mp4_atom::Codec::Avc1(avc1) => (avc1.visual.width, avc1.visual.height),
        other => panic!("{other:?}"),
    });
    assert_eq!(sizes.collect::<Vec<_>>(), [(256, 144), (128, 72)]);
    let entries = trak.mdia.minf.stbl.stsc.entries.iter();
    let entries: Vec<_> = entries.map(|it| (it.first_chunk, it.sample_description_index)).collect();
    assert_eq!(entries, [(1, 1), (3, 2), (5, 1)]);
    assert_eq!((trak.tkhd.width.integer(), trak.tkhd.height.integer()), (256, 144));

    let mut other = changing();
    other.rendition.changes[0].segment = 3;
    let other = VirtualMp4::build(&[other.track(), audio.track()]).unwrap();
    assert_ne!(other.etag(), file.etag(), "the same inits and chunks, another file");
    let same = Numbers::new(&video_track(), 6, 20, 0);
    assert_ne!(VirtualMp4::build(&[same.track(), audio.track()]).unwrap().etag(), file.etag());
}

#[test]
fn formats_that_do_not_fit_together_make_no_file() {
    type Edit = fn(&mut Numbers);
    let cases: [(&str, Edit); 3] = [
        ("an init is missing", |numbers| drop(numbers.inits.pop())),
        ("a sound among pictures", |numbers| {
            let Track::Audio(audio) = audio_track() else { panic!("a sound") };
            let sample_rate = numbers.rendition.timescale;
            numbers.inits[1] = init_segment(&Track::Audio(AudioTrack { sample_rate, ..audio })).unwrap();
        }),
        ("another timescale", |numbers| {
            let Track::Video(video) = video_track() else { panic!("a picture") };
            numbers.inits[1] =
                init_segment(&Track::Video(VideoTrack { timescale: 90_000, ..video })).unwrap();
        }),
    ];
    for (name, edit) in cases {
        let mut numbers = changing();
        edit(&mut numbers);
        assert!(VirtualMp4::build(&[numbers.track()]).is_err(), "{name}");
    }
}

#[test]
fn what_does_not_fit_together_makes_no_file() {
    let good = || Numbers::new(&video_track(), 2, 20, 0);
    assert!(VirtualMp4::build(&[good().track()]).is_ok());
    type Edit = fn(&mut Numbers);
    let cases: [(&str, Edit); 7] = [
        ("an empty init", |numbers| numbers.inits[0] = Bytes::new()),
        ("no init", |numbers| numbers.inits.clear()),
        ("another timescale", |numbers| numbers.rendition.timescale = 1),
        ("a chunk without index", |numbers| drop(numbers.chunks.pop())),
        ("another size", |numbers| numbers.chunks[1].segments[0].size_bytes += 1),
        ("a gap", |numbers| numbers.chunks[1].segments[0].base_decode_time += 1),
        ("nothing", |numbers| {
            numbers.chunks.clear();
            numbers.rendition.chunks.clear();
        }),
    ];
    for (name, edit) in cases {
        let mut numbers = good();
        edit(&mut numbers);
        assert!(VirtualMp4::build(&[numbers.track()]).is_err(), "{name}");
    }
    assert!(VirtualMp4::build(&[]).is_err(), "no tracks");
}

/// Two hours at 25 frames a second with AAC at 48 kHz, segments of four seconds. Decision 0002
/// rests on these figures; a table that grows past them makes it wrong.
#[test]
fn the_head_of_a_film_takes_between_one_and_two_megabytes_an_hour() {
    const HOURS: u32 = 2;
    let film = |track: &Track, rate: u32, duration: u32, per_segment: u32, offset: fn(u32) -> i32| {
        let count = HOURS * 3600 * rate / duration;
        let mut numbers = Numbers::new(track, 0, 0, 0);
        numbers.rendition.timescale = track.timescale();
        for first in (0..count).step_by(per_segment as usize) {
            let samples: Vec<_> = (first..count.min(first + per_segment))
                .map(|n| Sample { size: 300, duration, cts_offset: offset(n), sync: n == first })
                .collect();
            let (len, number) = (samples.len() as u32, first / per_segment);
            let size_bytes = 300 * len + 100;
            numbers.chunks.push(ChunkIndex {
                segments: vec![SegmentSamples {
                    sequence: number + 1,
                    base_decode_time: u64::from(first) * u64::from(duration),
                    size_bytes,
                    payload_offset: 100,
                    samples,
                }],
            });
            numbers.rendition.chunks.push(ChunkRef {
                number,
                hash: ChunkHash::of(&number.to_be_bytes()),
                size_bytes: u64::from(size_bytes) + 50,
                index_bytes: 50,
                segments: vec![SegmentRef { size_bytes, duration: len * duration }],
            });
        }
        numbers
    };
    // 15,000 ticks a second; B-frames change the offset with every frame, which is the worst case.
    let plain = film(&video_track(), 15_000, 600, 100, |_| 0);
    let reordered = film(&video_track(), 15_000, 600, 100, |n| if n % 2 == 0 { 600 } else { 1800 });
    let sound = film(&audio_track(), 48_000, 1024, 188, |_| 0);
    for (name, picture, most) in [("plain", &plain, 1_060_000), ("reordered", &reordered, 1_780_000)] {
        let file = VirtualMp4::build(&[picture.track(), sound.track()]).unwrap();
        let per_hour = file.head().len() / HOURS as usize;
        println!("{name}: {per_hour} bytes of head an hour");
        assert!((most - 20_000..most).contains(&per_hour), "{name}: {per_hour}");
    }
}
