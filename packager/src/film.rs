//! A film in the store as what a cell can read.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use cmaf::{Piece, RenditionIndex, RenditionKind, VersionIndex, VirtualMp4, VirtualTrack, read_chunk_index};
use futures::StreamExt;
use futures::stream::BoxStream;
use model::cell::{EncodePlan, VideoPlan, VideoRung};
use model::{Clock, ObjectKey, SegmentGrid, VersionId, VideoId};
use storage::{Listed, Memory, ObjectStore, Operation, StorageError};

use crate::PackagerError;
use crate::cell::Media;
use crate::plan::{POSTER_WIDTH, THUMBNAIL_WIDTH};

/// Segments among which a picture is looked for.
const SEGMENTS: usize = 8;

/// All of a film as one file, which is nowhere: its best picture and its best sound, read from the
/// store where a cell reads it.
pub(crate) async fn whole(
    store: &Arc<dyn ObjectStore>,
    video: VideoId,
    version: VersionId,
) -> Result<Media, PackagerError> {
    let key = ObjectKey::Index { video, version };
    let index = VersionIndex::from_json(&store.get(&key).await?).map_err(|_| PackagerError::Damaged(key))?;
    let best = [index.videos().next_back(), index.audios().next_back()];
    let mut tracks = Vec::new();
    for rendition in best.into_iter().flatten() {
        let mut inits = Vec::with_capacity(rendition.changes.len() + 1);
        for format in rendition.formats() {
            inits.push(store.get(&index.init_key(rendition.name, format.number)).await?);
        }
        let mut chunks = Vec::with_capacity(rendition.chunks.len());
        for chunk in &rendition.chunks {
            let key = index.chunk_key(rendition.name, chunk);
            let tail = store.get_range(&key, chunk.index_range()).await?;
            chunks.push(read_chunk_index(&tail).map_err(|_| PackagerError::Damaged(key))?);
        }
        tracks.push((rendition, inits, chunks));
    }
    let tracks: Vec<_> =
        tracks.iter().map(|(rendition, inits, chunks)| VirtualTrack { rendition, inits, chunks }).collect();
    let file = VirtualMp4::build(&tracks).map_err(|_| PackagerError::Damaged(key))?;
    let size = file.len();
    let film = Film { store: Arc::clone(store), video, version, file };
    Ok(Media { store: Arc::new(film), key: ObjectKey::Original { video }, size })
}

/// A store of one file, which consists of ranges of another's objects.
#[derive(Debug)]
struct Film {
    store: Arc<dyn ObjectStore>,
    video: VideoId,
    version: VersionId,
    file: VirtualMp4,
}

#[async_trait]
impl ObjectStore for Film {
    async fn put(&self, key: &ObjectKey, _: Bytes) -> Result<(), StorageError> {
        Err(StorageError::read_only(Operation::Put, key))
    }

    async fn put_file(&self, key: &ObjectKey, _: &Path) -> Result<(), StorageError> {
        Err(StorageError::read_only(Operation::Put, key))
    }

    async fn get(&self, key: &ObjectKey) -> Result<Bytes, StorageError> {
        self.get_range(key, 0..self.file.len()).await
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, StorageError> {
        let size = self.file.len();
        if range.start > range.end || range.end > size {
            return Err(StorageError::range(key, &range, size));
        }
        let mut bytes = BytesMut::new();
        for piece in self.file.pieces(range) {
            match piece {
                Piece::Head(range) => bytes.extend_from_slice(&self.file.head()[range]),
                Piece::Object { rendition, number, hash, range } => {
                    let (video, version) = (self.video, self.version);
                    let key = ObjectKey::Chunk { video, version, rendition, number, hash };
                    bytes.extend_from_slice(&self.store.get_range(&key, range).await?);
                }
            }
        }
        Ok(bytes.freeze())
    }

    async fn size(&self, _: &ObjectKey) -> Result<Option<u64>, StorageError> {
        Ok(Some(self.file.len()))
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), StorageError> {
        Err(StorageError::read_only(Operation::Delete, key))
    }

    fn list<'a>(&'a self, _: &str) -> BoxStream<'a, Result<Listed, StorageError>> {
        futures::stream::empty().boxed()
    }
}

/// The first segments of a picture as a file: they begin with one that can be decoded.
pub(crate) async fn beginning(
    store: &dyn ObjectStore,
    clock: &Arc<dyn Clock>,
    index: &VersionIndex,
    best: &RenditionIndex,
) -> Result<Media, StorageError> {
    let mut file = BytesMut::new();
    file.extend_from_slice(&store.get(&index.init_key(best.name, 0)).await?);
    if let Some(chunk) = best.chunks.first() {
        let sizes = chunk.segments.iter().take(SEGMENTS).map(|segment| u64::from(segment.size_bytes));
        let key = index.chunk_key(best.name, chunk);
        file.extend_from_slice(&store.get_range(&key, 0..sizes.sum()).await?);
    }
    let size = file.len() as u64;
    let memory = Arc::new(Memory::new(Arc::clone(clock))) as Arc<dyn ObjectStore>;
    let key = ObjectKey::Original { video: index.video };
    memory.put(&key, file.freeze()).await?;
    Ok(Media { store: memory, key, size })
}

/// How the stills of that are made; `None` of what has no picture.
pub(crate) fn plan_of_stills(best: &RenditionIndex) -> Option<EncodePlan> {
    let RenditionKind::Video { width, height, frame_rate } = best.kind else { return None };
    let (width, height) = (u32::from(width) & !1, u32::from(height) & !1);
    let segments = best.chunks.first()?.segments.iter().take(SEGMENTS);
    let ticks: u64 = segments.map(|segment| u64::from(segment.duration)).sum();
    let seconds = ticks as f64 / f64::from(best.timescale);
    let frames = ((seconds * frame_rate.as_f64()) as u64).max(1);
    let segment_frames = ((2.0 * frame_rate.as_f64()).round() as u32).max(1);
    let rung = VideoRung {
        rendition: best.name,
        width,
        height,
        frame_divisor: 1,
        crf: 23.0,
        hurried_crf: 23.0,
        maxrate_bps: 1_000_000,
        bufsize_bits: 1_000_000,
        preset: "veryfast".to_owned(),
        hurried_preset: "veryfast".to_owned(),
        references: 1,
        b_frames: 0,
        profile: "high".to_owned(),
    };
    let video = VideoPlan {
        stream: 0,
        frame_rate,
        frames,
        segment_frames,
        rotation: 0,
        deinterlace: false,
        tone_map: false,
        rungs: vec![rung],
        copied: None,
        poster_width: POSTER_WIDTH.min(width),
        thumbnail_width: THUMBNAIL_WIDTH.min(width),
    };
    let length_ms = (seconds * 1000.0) as u64;
    Some(EncodePlan {
        grid: SegmentGrid::even(frame_rate, segment_frames, frames),
        video: Some(video),
        audio: None,
        expected_ms: length_ms,
        max_ms: length_ms + 1000,
    })
}

#[cfg(test)]
mod tests {
    use cmaf::{AudioConfig, AudioTrack, Bandwidth, ChunkWriter, Sample, Track, init_segment, media_segment};
    use model::{ChunkHash, ErrorKind, ManualClock, RenditionName, Timestamp};

    use super::*;

    const VIDEO: VideoId = VideoId::from_bits(1);
    const VERSION: VersionId = VersionId::from_bits(2);
    const SOUND: RenditionName = RenditionName::Audio { kbps: 128 };

    /// Three frames of sound.
    async fn film() -> Film {
        let (channels, sample_rate) = (2, 48_000);
        let config = AudioConfig::Aac(vec![0x11, 0x90]);
        let init = init_segment(&Track::Audio(AudioTrack { channels, sample_rate, config, priming: 0 }));
        let init = init.unwrap();
        let sample = Sample { size: 4, duration: 1024, cts_offset: 0, sync: true };
        let segment = media_segment(1, 0, &[sample; 3], b"one.two.tri.").unwrap();
        let mut writer = ChunkWriter::new(0, 0);
        writer.push(&segment).unwrap();
        let done = writer.finish();
        let index = read_chunk_index(&done.tail).unwrap();
        let rendition = RenditionIndex {
            name: SOUND,
            codecs: "mp4a.40.2".to_owned(),
            timescale: sample_rate,
            kind: RenditionKind::Audio { channels, sample_rate },
            bandwidth: Bandwidth::default(),
            init_size: init.len() as u32,
            init_hash: ChunkHash::of(&init),
            chunks: vec![done.chunk],
            changes: Vec::new(),
            breaks: Vec::new(),
        };
        let track = VirtualTrack { rendition: &rendition, inits: &[init], chunks: &[index] };
        let file = VirtualMp4::build(&[track]).unwrap();
        let store = Memory::new(Arc::new(ManualClock::at(Timestamp::from_seconds(0))));
        let (number, hash) = (0, rendition.chunks[0].hash);
        let key = ObjectKey::Chunk { video: VIDEO, version: VERSION, rendition: SOUND, number, hash };
        store.put(&key, [&segment[..], &done.tail].concat().into()).await.unwrap();
        Film { store: Arc::new(store), video: VIDEO, version: VERSION, file }
    }

    #[tokio::test]
    async fn a_range_is_read_whole_or_not_at_all() {
        let film = film().await;
        let (key, size) = (ObjectKey::Original { video: VIDEO }, film.file.len());
        let whole = film.get(&key).await.unwrap();
        assert_eq!((whole.len() as u64, &whole[whole.len() - 12..]), (size, &b"one.two.tri."[..]));
        assert_eq!(
            film.get_range(&key, size - 20..size - 4).await.unwrap(),
            whole.slice(whole.len() - 20..whole.len() - 4)
        );
        assert_eq!(film.get_range(&key, size..size).await.unwrap(), "");
        for range in [size - 4..size + 1, size..size + 1, size + 1..size + 1] {
            let read = film.get_range(&key, range.clone()).await;
            assert_eq!(read.unwrap_err().kind(), ErrorKind::Range, "{range:?}");
        }
    }
}
