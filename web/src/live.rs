use async_trait::async_trait;
use catalog::NewVersion;
use model::{ClipRefusal, ClipStretch, Health, VersionId, VideoId};

/// Whoever packages live feeds, as far as it tells how they are.
#[async_trait]
pub trait LiveHealth: std::fmt::Debug + Send + Sync + 'static {
    /// How the feed of this event is; `None` when none comes in, or it cannot be told now.
    async fn health(&self, video: VideoId) -> Option<Health>;
}

/// Whoever packages live events, as far as it makes clips of them.
#[async_trait]
pub trait LiveClips: std::fmt::Debug + Send + Sync + 'static {
    /// Stores what of an event on air is in the stretch as `version` of `video`; rows know nothing of
    /// it yet. That it could not be stored is logged where it happened, and `None`.
    async fn clip(
        &self,
        event: VideoId,
        stretch: ClipStretch,
        video: VideoId,
        version: VersionId,
    ) -> Option<Result<NewVersion, ClipRefusal>>;
}
