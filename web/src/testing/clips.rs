//! Packagers that make clips of nothing.

use async_trait::async_trait;
use catalog::NewVersion;
use model::{ClipRefusal, ClipStretch, VersionId, VideoId};

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
