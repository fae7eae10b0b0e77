use serde::{Deserialize, Serialize};

use crate::{AccountId, SessionId, Timestamp, VersionId, VideoId};

/// What anybody may have of a video without a grant.
///
/// A document of the origin: edges keep it for 10 s, and up to an hour when the link is down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicPolicy {
    /// Of which video.
    pub video: VideoId,
    /// Its current version.
    pub version: VersionId,
    /// Earlier versions, which are served like it for those who are still watching them.
    #[serde(default)]
    pub also: Vec<VersionId>,
    /// Whether the video stands in public lists, so that its thumbnail is everybody's.
    pub listed: bool,
    /// The greatest height that is free for all; `None` when every stream needs a grant.
    pub height: Option<u16>,
    /// How far back in a live event that is free for all, in seconds.
    #[serde(default)]
    pub rewind_s: u32,
}

impl PublicPolicy {
    /// Whether it is about this version.
    pub fn covers(&self, version: VersionId) -> bool {
        self.version == version || self.also.contains(&version)
    }
}

/// Whose grants are void.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Revoked {
    /// An account was banned, or its tier or password changed.
    Account(AccountId),
    /// A session was signed out.
    Session(SessionId),
    /// A version was withdrawn: its video was deleted, hidden, or its tier raised.
    Version(VersionId),
}

/// A line in the list of revocations that every edge follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// Position in the list, from 1, without gaps that matter.
    pub number: i64,
    /// What is revoked.
    pub revoked: Revoked,
    /// Grants issued up to this moment are void; later ones are good.
    pub at: Timestamp,
}
