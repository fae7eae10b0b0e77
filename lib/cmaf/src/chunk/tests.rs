use proptest::prelude::*;

use super::*;
use crate::media_segment;
use model::testing::mutants;

use crate::samples::{payload, samples};

/// A chunk of segments with these samples, its object's bytes, and what was pushed.
fn chunk(segments: &[Vec<Sample>], start: u64) -> (FinishedChunk, Vec<u8>) {
    let mut writer = ChunkWriter::new(3, start);
    let mut object = Vec::new();
    for (samples, sequence) in segments.iter().zip(40..) {
        let segment = media_segment(sequence, writer.end(), samples, &payload(samples)).unwrap();
        writer.push(&segment).unwrap();
        object.extend_from_slice(&segment);
    }
    let finished = writer.finish();
    object.extend_from_slice(&finished.tail);
    (finished, object)
}

proptest! {
    #[test]
    fn an_index_says_what_the_segments_say(
        segments in proptest::collection::vec(samples(), 1..6),
        start in 0u64..1 << 50,
    ) {
        let (finished, object) = chunk(&segments, start);
        let reference = &finished.chunk;
        prop_assert_eq!(reference.hash, ChunkHash::of(&object));
        prop_assert_eq!(reference.size_bytes, object.len() as u64);
        let tail = &object[reference.index_range().start as usize..];
        prop_assert_eq!(tail, &finished.tail[..]);

        // From the index alone and from any longer end of the object.
        let index = read_chunk_index(tail).unwrap();
        prop_assert_eq!(&read_chunk_index(&object).unwrap(), &index);
        prop_assert_eq!(index.segments.len(), segments.len());
        let mut end = start;
        for (((range, found), expected), reference) in
            segment_ranges(&index).zip(&segments).zip(&reference.segments)
        {
            let read = read_segment(&object[range.start as usize..range.end as usize]).unwrap();
            prop_assert_eq!(&found.samples, expected);
            prop_assert_eq!((found.sequence, found.base_decode_time), (read.sequence, end));
            prop_assert_eq!(found.payload_offset as usize, read.payload.start);
            prop_assert_eq!(found.size_bytes, reference.size_bytes);
            prop_assert_eq!(found.duration(), u64::from(reference.duration));
            end += found.duration();
        }
        prop_assert_eq!(finished.end, end);
    }

    #[test]
    fn numbers_of_any_size_read_back(value: u64, signed: i64) {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, value);
        put_zigzag(&mut bytes, signed);
        let mut reader = Reader { bytes: &bytes };
        prop_assert_eq!((reader.varint().unwrap(), reader.zigzag().unwrap()), (value, signed));
        prop_assert!(reader.byte().is_err());
    }
}

#[test]
fn a_segment_that_leaves_a_gap_is_refused() {
    let samples = [Sample { size: 1, duration: 10, cts_offset: 0, sync: true }];
    let mut writer = ChunkWriter::new(0, 100);
    for (time, accepted) in [(99, false), (101, false), (100, true), (100, false), (110, true)] {
        let segment = media_segment(1, time, &samples, b"a").unwrap();
        assert_eq!(writer.push(&segment).is_ok(), accepted, "at {time}");
    }
    assert_eq!((writer.segment_count(), writer.end()), (2, 120), "what was refused left no trace");
}

#[test]
fn an_index_costs_two_or_three_bytes_a_sample() {
    let sound: Vec<Sample> =
        (0..188).map(|n| Sample { size: 85 + n % 90, duration: 1024, cts_offset: 0, sync: true }).collect();
    let (finished, _) = chunk(&[sound.clone(), sound], 0);
    assert!(finished.tail.len() <= 2 * (188 * 3 + 32), "{}", finished.tail.len());
}

#[test]
fn damaged_indexes_are_refused_or_consistent() {
    let run = |count: u32, cts: i32| -> Vec<Sample> {
        let sample = |n| Sample { size: 90 + n, duration: 1000 + n / 5, cts_offset: cts, sync: n % 4 == 0 };
        (0..count).map(sample).collect()
    };
    let (finished, _) = chunk(&[run(9, 0), run(14, -300), run(1, 5)], 7000);
    mutants(&finished.tail, 40_000, |mutant| {
        for segment in read_chunk_index(mutant).iter().flat_map(|index| &index.segments) {
            assert!(check_samples(&segment.samples, segment.payload_len() as usize).is_ok());
        }
    });
}
