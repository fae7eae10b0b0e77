//! A film in the store as what a cell can read.

use std::sync::Arc;

use bytes::BytesMut;
use cmaf::{RenditionIndex, RenditionKind, VersionIndex};
use model::cell::{EncodePlan, VideoPlan, VideoRung};
use model::{Clock, ObjectKey, SegmentGrid};
use storage::{Memory, ObjectStore, StorageError};

use crate::cell::Media;
use crate::plan::{POSTER_WIDTH, THUMBNAIL_WIDTH};

/// Segments among which a picture is looked for.
const SEGMENTS: usize = 8;

/// The first segments of a picture as a file: they begin with one that can be decoded.
pub(crate) async fn beginning(
    store: &dyn ObjectStore,
    clock: &Arc<dyn Clock>,
    index: &VersionIndex,
    best: &RenditionIndex,
) -> Result<Media, StorageError> {
    let (video, version) = (index.video, index.version);
    let mut file = BytesMut::new();
    let init = ObjectKey::Init { video, version, rendition: best.name };
    file.extend_from_slice(&store.get(&init).await?);
    if let Some(chunk) = best.chunks.first() {
        let sizes = chunk.segments.iter().take(SEGMENTS).map(|segment| u64::from(segment.size_bytes));
        let key = index.chunk_key(best.name, chunk);
        file.extend_from_slice(&store.get_range(&key, 0..sizes.sum()).await?);
    }
    let size = file.len() as u64;
    let memory = Arc::new(Memory::new(Arc::clone(clock))) as Arc<dyn ObjectStore>;
    let key = ObjectKey::Original { video };
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
