//! A film in the making, driven by hand.

use cmaf::{Announced, ChunkRef, SegmentRef};
use model::cell::{AudioPlan, AudioRung, EncodePlan, Ratio, VideoPlan, VideoRung};
use model::{ChunkHash, Lane, SegmentGrid};

use super::*;
use crate::{CatalogError, Work};

/// Frames of a segment of 4 s.
const SEGMENT_FRAMES: u32 = 100;

pub(super) fn video(height: u16) -> RenditionName {
    RenditionName::Video { height }
}

pub(super) fn sound() -> RenditionName {
    RenditionName::Audio { kbps: 32 }
}

/// 144p, 360p and 720p of so many seconds at 25 frames, with one sound.
pub(crate) fn plan(seconds: u32) -> EncodePlan {
    let rung = |height: u16, preset: &str| VideoRung {
        rendition: video(height),
        width: u32::from(height) * 16 / 9 / 2 * 2,
        height: height.into(),
        frame_divisor: 1,
        crf: 26.5,
        hurried_crf: 26.5,
        maxrate_bps: u32::from(height) * 2000,
        bufsize_bits: u32::from(height) * 3000,
        preset: preset.to_owned(),
        hurried_preset: "veryfast".to_owned(),
        references: 3,
        b_frames: 3,
        profile: "high".to_owned(),
    };
    let rate = Ratio::new(25, 1);
    let frames = u64::from(seconds) * 25;
    EncodePlan {
        grid: SegmentGrid::even(rate, SEGMENT_FRAMES, frames),
        video: Some(VideoPlan {
            stream: 0,
            frame_rate: rate,
            frames,
            segment_frames: SEGMENT_FRAMES,
            rotation: 0,
            deinterlace: false,
            tone_map: false,
            rungs: vec![rung(144, "slow"), rung(360, "slow"), rung(720, "veryfast")],
            copied: None,
            poster_width: 1280,
            thumbnail_width: 480,
        }),
        audio: Some(AudioPlan {
            stream: 1,
            sample_rate: 48_000,
            samples: u64::from(seconds) * 48_000,
            segment: Ratio::new(4, 1),
            rungs: vec![AudioRung { rendition: sound(), channels: 1, bit_rate_bps: 32_000, copied: None }],
        }),
        expected_ms: u64::from(seconds) * 1000,
        max_ms: u64::MAX,
    }
}

pub(super) fn inits() -> Vec<Announced> {
    let init = |rendition: RenditionName| Announced {
        rendition,
        codecs: if rendition.is_video() { "avc1.64001f" } else { "mp4a.40.2" }.to_owned(),
        timescale: if rendition.is_video() { 25 } else { 48_000 },
        init_size: 700,
        init_hash: ChunkHash::of(rendition.to_string().as_bytes()),
    };
    [sound(), video(144), video(360), video(720)].map(init).to_vec()
}

/// A chunk whose bytes are `content`.
pub(super) fn chunk(segments: std::ops::Range<u32>, content: &str) -> ChunkRef {
    let segment = SegmentRef { size_bytes: 1000, duration: SEGMENT_FRAMES };
    ChunkRef {
        number: segments.start,
        hash: ChunkHash::of(content.as_bytes()),
        size_bytes: 1000 * segments.len() as u64 + 50,
        index_bytes: 50,
        segments: segments.map(|_| segment).collect(),
    }
}

/// What a job of pictures commits.
pub(super) fn pictures(lane: Lane, segments: std::ops::Range<u32>) -> Vec<(RenditionName, ChunkRef)> {
    let names: &[u16] = if lane == Lane::A { &[144, 360] } else { &[720] };
    names.iter().map(|height| (video(*height), chunk(segments.clone(), &format!("{height}")))).collect()
}

/// What a job of sound commits.
pub(super) fn sounds(segments: std::ops::Range<u32>) -> Vec<(RenditionName, ChunkRef)> {
    vec![(sound(), chunk(segments, "sound"))]
}

pub(super) fn id(n: u128) -> VersionId {
    VersionId::from_bits(n)
}

/// Uploads video `n` and starts and announces version `n` of it, `seconds` long.
pub(super) async fn start(catalog: &Catalog, n: u128, seconds: u32, now: Timestamp) -> VideoId {
    let video = queue(catalog, n).await;
    plan_it(catalog, n, seconds, now).await;
    video
}

/// Does the plan job that waits.
pub(super) async fn plan_it(catalog: &Catalog, n: u128, seconds: u32, now: Timestamp) {
    let job = claim(catalog, now).await.unwrap();
    assert_eq!(job.work, Work::Plan);
    catalog.start_version(job.id, job.attempt, id(n), &plan(seconds), now).await.unwrap();
    catalog.announce(job.id, job.attempt, id(n), &inits(), now).await.unwrap();
    catalog.finish_job(job.id, job.attempt, now).await.unwrap();
}

/// Does a job as its worker would.
pub(super) async fn carry_out(catalog: &Catalog, job: &Job, now: Timestamp) {
    try_out(catalog, job, now).await.unwrap();
}

/// The same where the lease may be lost.
pub(super) async fn try_out(catalog: &Catalog, job: &Job, now: Timestamp) -> Result<(), CatalogError> {
    let (commit, version) = match job.work.clone() {
        Work::Sound { version } => {
            let count = catalog.growing(version).await.unwrap().unwrap().segment_count(sound());
            (sounds(0..count), version)
        }
        Work::Pictures { version, lane, segments } => (pictures(lane, segments), version),
        Work::Carry { .. } | Work::Ladder | Work::Trim { .. } => panic!("they are done by their tests"),
        Work::Plan | Work::Stills { .. } => {
            return catalog.finish_job(job.id, job.attempt, now).await;
        }
        Work::Finish { version } => {
            let new = NewVersion { version, ..super::version(1) };
            return catalog.publish(job.id, job.attempt, &new, now).await;
        }
    };
    catalog.commit_chunks(job.id, job.attempt, version, &commit, 0, true, now).await
}
