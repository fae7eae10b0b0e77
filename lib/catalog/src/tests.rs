//! Each test runs on SQLite and on PostgreSQL.

mod copies;
mod events;
pub(crate) mod film;
mod growing;
mod jobs;
mod ladder;
mod migrations;
mod progress;
mod reencode;
mod trims;
mod uploads;
mod videos;
mod webhooks;

use std::time::Duration;

use database::testing::TestDatabase;
use model::{AccountId, RenditionName, TierRights, Timestamp, UploadId, VersionId, VideoId, WorkerId};

use crate::{Catalog, Claim, Job, NewUpload, NewVersion, RenditionSummary, UploadLimits};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const LEASE: Duration = Duration::from_secs(30);
const OWNER: AccountId = AccountId::from_bits(1);
const FREE: TierRights = TierRights::DEFAULTS[0];
const SIZE: u64 = 1000;
const NO_LIMITS: UploadLimits =
    UploadLimits { max_size_bytes: u64::MAX, max_open: u32::MAX, max_total_bytes: u64::MAX };

async fn open(test: &TestDatabase) -> Catalog {
    Catalog::open(test.open().await).await.unwrap()
}

fn video_id(n: u128) -> VideoId {
    VideoId::from_bits(n)
}

fn upload_id(n: u128) -> UploadId {
    UploadId::from_bits(n)
}

fn after(s: u64) -> Timestamp {
    NOW + Duration::from_secs(s)
}

fn new_upload(n: u128) -> NewUpload {
    NewUpload {
        id: upload_id(n),
        video: video_id(n),
        owner: OWNER,
        title: format!("Video {n}"),
        filename: "clip.mp4".to_owned(),
        size_bytes: SIZE,
        expires_at: after(3600),
    }
}

/// Uploads and queues video `n`.
async fn queue(catalog: &Catalog, n: u128) -> VideoId {
    catalog.create_upload(new_upload(n), &NO_LIMITS, NOW).await.unwrap();
    catalog.advance_upload(upload_id(n), 0, SIZE, after(3600)).await.unwrap();
    catalog.complete_upload(upload_id(n), NOW).await.unwrap();
    video_id(n)
}

async fn claim(catalog: &Catalog, now: Timestamp) -> Option<Job> {
    catalog.claim_next_job(&WorkerId::new("test"), Claim::Any, now, LEASE).await.unwrap()
}

fn version(n: u128) -> NewVersion {
    let rendition = |name, width, height| RenditionSummary {
        name,
        width,
        height,
        bandwidth_bps: 90_000,
        average_bandwidth_bps: 70_000,
        size_bytes: 123_456,
        formats: 2,
    };
    NewVersion {
        version: VersionId::from_bits(n),
        duration_ms: 61_234,
        renditions: vec![
            rendition(RenditionName::Audio { kbps: 32 }, None, None),
            rendition(RenditionName::Video { height: 144 }, Some(256), Some(144)),
            rendition(RenditionName::Video { height: 1080 }, Some(1920), Some(1080)),
        ],
        stretches: None,
    }
}

/// Uploads, queues, packages and publishes video `n` with version `n`.
async fn publish(catalog: &Catalog, n: u128) -> VideoId {
    let video = queue(catalog, n).await;
    let job = claim(catalog, NOW).await.expect("it was queued");
    assert_eq!(job.video, video);
    catalog.publish(job.id, job.attempt, &version(n), NOW).await.unwrap();
    video
}
