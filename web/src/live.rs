use async_trait::async_trait;
use model::{Health, VideoId};

/// Whoever packages live feeds, as far as it tells how they are.
#[async_trait]
pub trait LiveHealth: std::fmt::Debug + Send + Sync + 'static {
    /// How the feed of this event is; `None` when none comes in, or it cannot be told now.
    async fn health(&self, video: VideoId) -> Option<Health>;
}
