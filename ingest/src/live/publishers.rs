use std::fmt::Debug;
use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use model::{LetGo, StreamKeyHash, Timestamp, VersionId, VideoId};

/// Who may publish; answered by whoever knows events and accounts, which is not a door.
#[async_trait]
pub trait Publishers: Debug + Send + Sync + 'static {
    /// What the key with this hash opens, for a program at `from`. Each time it is admitted it gets a
    /// greater generation of the same event.
    ///
    /// # Errors
    ///
    /// [`Denied`] with what the program is told.
    async fn admit(&self, key: StreamKeyHash, from: IpAddr, now: Timestamp) -> Result<Admitted, Denied>;

    /// Hears every few seconds that these publishers are still there; which of them may not publish any
    /// more. None where that cannot be found out now: an event does not end with its database.
    async fn heard(&self, admitted: &[Admitted], now: Timestamp) -> Vec<Admitted>;

    /// Hears that a publisher has gone, and why if it was let go; the event waits for the next one.
    async fn left(&self, admitted: &Admitted, why: Option<LetGo>, now: Timestamp);
}

/// An event, and the turn of a publisher in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted {
    /// The event's video,
    pub video: VideoId,
    /// the version that it grows,
    pub version: VersionId,
    /// and the turn: a publisher of an older one is over.
    pub generation: u64,
    /// How much it may send.
    pub limits: FeedLimits,
}

/// What one publisher may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedLimits {
    /// Bits in a second, on average over [`FeedLimits::WINDOW`].
    pub bits_per_s: u64,
    /// The shorter side of its picture, in pixels.
    pub short_side: u16,
    /// How long, from when it is admitted; `None` as long as it likes.
    pub duration: Option<Duration>,
}

impl FeedLimits {
    /// Long enough for what a network has kept back to come at once.
    pub const WINDOW: Duration = Duration::from_secs(10);
}

/// Why somebody may not publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The key opens nothing: there is none like it, it was replaced, or its owner may not go live. All
    /// are told the same.
    #[error("the stream key opens nothing")]
    Key,
    /// The key is right, and its event is over.
    #[error("the event is over")]
    Ended,
    /// Publishers with this key put each other off too often.
    #[error("too many takeovers")]
    TooOften,
    /// It cannot be found out now.
    #[error("the stream key cannot be checked")]
    Unavailable,
}
