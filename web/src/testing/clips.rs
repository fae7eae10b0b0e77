//! Packagers that make clips of nothing.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use catalog::{NewVersion, RenditionSummary};
use model::{ClipRefusal, ClipStretch, ObjectKey, VersionId, VideoId};
use storage::ObjectStore;

use crate::LiveClips;

/// Of an event there are ten seconds.
#[derive(Debug)]
pub(crate) struct TenSeconds;

#[async_trait]
impl LiveClips for TenSeconds {
    async fn clip(
        &self,
        _: VideoId,
        stretch: ClipStretch,
        _: VideoId,
        version: VersionId,
    ) -> Option<Result<NewVersion, ClipRefusal>> {
        let made = NewVersion { version, duration_ms: 4000, renditions: Vec::new(), stretches: None };
        Some(match stretch {
            ClipStretch::Between { from_ms, to_ms: ..=10_000 } if from_ms < 10_000 => Ok(made),
            ClipStretch::Last { ms: 1000..=10_000 } => Ok(made),
            ClipStretch::Last { ms: 66_000 } => return None,
            ClipStretch::Last { ms: 77_000 } => Err(ClipRefusal::NotOnAir),
            _ => Err(ClipRefusal::NotThere { from_ms: 0, to_ms: 10_000 }),
        })
    }
}

/// Makes clips of 600 bytes, and stores something of them.
#[derive(Debug)]
pub(crate) struct SixHundredBytes(pub(crate) Arc<dyn ObjectStore>);

#[async_trait]
impl LiveClips for SixHundredBytes {
    async fn clip(
        &self,
        _: VideoId,
        _: ClipStretch,
        video: VideoId,
        version: VersionId,
    ) -> Option<Result<NewVersion, ClipRefusal>> {
        let name = "360p".parse().unwrap();
        let key = ObjectKey::Init { video, version, rendition: name, number: 0 };
        self.0.put(&key, Bytes::from_static(b"init")).await.unwrap();
        let size = Some(360);
        let rendition = RenditionSummary {
            name,
            width: size,
            height: size,
            bandwidth_bps: 1,
            average_bandwidth_bps: 1,
            size_bytes: 600,
            formats: 1,
        };
        Some(Ok(NewVersion { version, duration_ms: 4000, renditions: vec![rendition], stretches: None }))
    }
}
