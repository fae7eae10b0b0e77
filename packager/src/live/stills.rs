//! The poster and the thumbnail of a film that was an event.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use cmaf::{RenditionIndex, RenditionKind, VersionIndex};
use model::ObjectKey;
use model::SegmentGrid;
use model::cell::{EncodePlan, Request, Task, VideoPlan, VideoRung};
use storage::{Memory, ObjectStore};

use super::{LiveError, Shared};
use crate::cell::{Cell, Media, Patience, Start, Way};
use crate::jobs::pictures;
use crate::plan::{POSTER_WIDTH, THUMBNAIL_WIDTH};

/// Segments among which a picture is looked for.
const SEGMENTS: usize = 8;
/// A film is on the shelf in seconds; stills are worth a few of them.
const PATIENCE: Duration = Duration::from_secs(8);

/// Makes and stores the stills of a version that is in the store; none of sound alone.
///
/// # Errors
/// When the store fails, or the transcoder does not give them.
pub(super) async fn store(shared: &Shared, index: &VersionIndex) -> Result<(), LiveError> {
    let Some(best) = index.videos().next_back() else { return Ok(()) };
    let Some(plan) = plan_of(best) else { return Ok(()) };
    let media = beginning(shared, index, best).await?;
    let (patience, way) = (Patience { grace: PATIENCE, pace: 1, quiet: PATIENCE }, Way::Own);
    let start = Start {
        program: &shared.transcoder,
        scratch: &shared.folder,
        patience,
        niceness: 0,
        tasks: &shared.tracker,
        stop: &shared.stop,
    };
    let request = |source| Request::Work { source, plan, task: Task::Stills };
    let mut cell = Cell::start(start, way, media, request).await.map_err(LiveError::Start)?;
    let (poster, thumbnail) =
        pictures(&mut cell).await.map_err(|halt| LiveError::Stills(format!("{halt:?}")))?;
    let (video, version) = (index.video, index.version);
    shared.store.put(&ObjectKey::Poster { video, version }, poster).await?;
    shared.store.put(&ObjectKey::Thumbnail { video, version }, thumbnail).await?;
    Ok(())
}

/// The first segments of a rendition as a file: they begin with a picture that can be decoded.
async fn beginning(shared: &Shared, index: &VersionIndex, best: &RenditionIndex) -> Result<Media, LiveError> {
    let (video, version) = (index.video, index.version);
    let mut file = BytesMut::new();
    let init = ObjectKey::Init { video, version, rendition: best.name };
    file.extend_from_slice(&shared.store.get(&init).await?);
    if let Some(chunk) = best.chunks.first() {
        let sizes = chunk.segments.iter().take(SEGMENTS).map(|segment| u64::from(segment.size_bytes));
        let key = index.chunk_key(best.name, chunk);
        file.extend_from_slice(&shared.store.get_range(&key, 0..sizes.sum()).await?);
    }
    let size = file.len() as u64;
    let memory = Arc::new(Memory::new(Arc::clone(&shared.clock))) as Arc<dyn ObjectStore>;
    let key = ObjectKey::Original { video };
    memory.put(&key, file.freeze()).await?;
    Ok(Media { store: memory, key, size })
}

fn plan_of(best: &RenditionIndex) -> Option<EncodePlan> {
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
