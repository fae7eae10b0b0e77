use std::collections::BTreeSet;

use cmaf::{Announced, AudioConfig, AudioTrack, Sample, Track, init_segment, media_segment};
use model::cell::{AudioPlan, AudioRung, EncodePlan, Ratio};
use model::{ChunkHash, SegmentGrid, VersionId, VideoId};

use super::*;

/// A film of twenty segments of sound: chunks of 2, 4, 8 and 6.
const SEGMENTS: u32 = 20;
const NAMES: [RenditionName; 2] = [RenditionName::Audio { kbps: 32 }, RenditionName::Audio { kbps: 64 }];

fn init() -> Bytes {
    let config = AudioConfig::Aac(vec![0x11, 0x88]);
    let track = AudioTrack { channels: 1, sample_rate: 48_000, config, priming: 1024 };
    init_segment(&Track::Audio(track)).unwrap()
}

fn growing() -> GrowingIndex {
    let grid = SegmentGrid::even(Ratio::new(1000, 1), 4000, u64::from(SEGMENTS) * 4000);
    let rungs =
        NAMES.map(|rendition| AudioRung { rendition, channels: 1, bit_rate_bps: 32_000, copied: None });
    let audio = AudioPlan {
        stream: 0,
        sample_rate: 48_000,
        samples: u64::from(SEGMENTS) * 4 * 48_000,
        segment: Ratio::new(4, 1),
        rungs: rungs.to_vec(),
    };
    let plan = EncodePlan { grid, video: None, audio: Some(audio), expected_ms: 0, max_ms: 0 };
    let announced = |rendition| Announced {
        rendition,
        codecs: "mp4a.40.2".into(),
        timescale: 48_000,
        init_size: init().len() as u32,
        init_hash: ChunkHash::of(&init()),
    };
    let announced = NAMES.map(announced).to_vec();
    GrowingIndex::new(1, VideoId::from_bits(1), VersionId::from_bits(1), plan, announced, Vec::new())
}

/// Segment `number` as an encoder makes it.
fn segment(growing: &GrowingIndex, number: u32) -> Bytes {
    let frames = growing.plan.audio.as_ref().unwrap().frames_of(&growing.plan.grid, number);
    let count = (frames.end - frames.start) as usize;
    let samples = vec![Sample { size: 1, duration: 1024, cts_offset: 0, sync: true }; count];
    media_segment(number + 1, frames.start * 1024, &samples, &vec![0; count]).unwrap()
}

fn stretches(growing: &GrowingIndex, there: &[u32]) -> Vec<Stretch> {
    let chunks = growing.plan.grid.chunks(0..SEGMENTS).into_iter();
    chunks.map(|segments| Stretch { is_there: there.contains(&segments.start), segments }).collect()
}

async fn open(output: &mut Output<'_>) {
    for rendition in NAMES {
        output.take(Reply::Init { rendition }, &init()).await.unwrap();
    }
}

async fn push(output: &mut Output<'_>, rendition: RenditionName, number: u32) -> Result<Vec<Batch>, Fault> {
    let bytes = segment(output.growing, number);
    output.take(Reply::Segment { rendition, number }, &bytes).await
}

/// Pushes all segments, one rendition ahead of the other; gives what was handed out.
async fn whole(output: &mut Output<'_>) -> Vec<Batch> {
    open(output).await;
    let mut batches = Vec::new();
    for number in 0..SEGMENTS {
        batches.extend(push(output, NAMES[1], number).await.unwrap());
    }
    assert!(batches.is_empty(), "the other rendition has nothing yet");
    for number in 0..SEGMENTS {
        batches.extend(push(output, NAMES[0], number).await.unwrap());
    }
    batches
}

#[tokio::test]
async fn a_chunk_is_handed_out_when_every_rendition_has_it() {
    let (growing, folder) = (growing(), tempfile::tempdir().unwrap());
    let mut output = Output::new(&growing, &NAMES, stretches(&growing, &[]), folder.path());
    let batches = whole(&mut output).await;
    output.check_whole().unwrap();
    let mut files = BTreeSet::new();
    for batch in &batches {
        assert_eq!(batch.pieces.iter().map(|piece| piece.rendition).collect::<Vec<_>>(), NAMES);
        for Piece { chunk, file, .. } in &batch.pieces {
            let bytes = std::fs::read(file).unwrap();
            assert_eq!((ChunkHash::of(&bytes), bytes.len() as u64), (chunk.hash, chunk.size_bytes));
            assert!(files.insert(file));
        }
    }
    let numbers: Vec<_> = batches
        .iter()
        .map(|batch| (batch.pieces[0].chunk.number, batch.pieces[1].chunk.segments.len(), batch.is_last))
        .collect();
    assert_eq!(numbers, [(0, 2, false), (2, 4, false), (6, 8, false), (14, 6, true)]);
}

#[tokio::test]
async fn what_is_there_is_neither_written_nor_handed_out() {
    let (growing, folder) = (growing(), tempfile::tempdir().unwrap());
    let mut output = Output::new(&growing, &NAMES, stretches(&growing, &[0, 6, 14]), folder.path());
    let batches = whole(&mut output).await;
    output.check_whole().unwrap();
    let numbers: Vec<_> = batches.iter().map(|batch| (batch.pieces[0].chunk.number, batch.is_last)).collect();
    assert_eq!(numbers, [(2, false)]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), NAMES.len());
}

#[tokio::test]
async fn a_film_that_lacks_or_repeats_a_segment_is_refused() {
    let (growing, folder) = (growing(), tempfile::tempdir().unwrap());
    let mut output = Output::new(&growing, &NAMES, stretches(&growing, &[]), folder.path());
    assert!(push(&mut output, NAMES[0], 0).await.is_err(), "before its init");
    open(&mut output).await;
    push(&mut output, NAMES[0], 0).await.unwrap();
    assert!(push(&mut output, NAMES[0], 2).await.is_err(), "one is left out");
    assert!(push(&mut output, NAMES[0], 0).await.is_err(), "one comes twice");
    for number in 1..SEGMENTS {
        push(&mut output, NAMES[0], number).await.unwrap();
    }
    let beyond = Reply::Segment { rendition: NAMES[0], number: SEGMENTS };
    assert!(output.take(beyond, &segment(&growing, 0)).await.is_err(), "one too many");
    let breach = output.check_whole().unwrap_err().to_string();
    assert!(breach.starts_with("ended before 0..2 was whole"), "{breach}");
    assert_eq!(output.position(), Duration::ZERO, "as far as the slower one");
}

#[tokio::test]
async fn another_init_than_was_announced_is_refused() {
    let (growing, folder) = (growing(), tempfile::tempdir().unwrap());
    let mut output = Output::new(&growing, &NAMES, stretches(&growing, &[]), folder.path());
    let mut other = init().to_vec();
    *other.last_mut().unwrap() ^= 1;
    let refused = output.take(Reply::Init { rendition: NAMES[0] }, &other.into()).await;
    let Err(Fault::Breach(breach)) = refused else { panic!("taken") };
    assert_eq!(breach.to_string(), "a32 has another init than was announced");
}
