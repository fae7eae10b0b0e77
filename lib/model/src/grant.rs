use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{AccountId, SessionId, Tier, Timestamp, VersionId, VideoId};

/// The `iss` of every grant.
pub const ISSUER: &str = "cocuyo";
/// The `aud` of every grant; a session or any other token has another one.
pub const AUDIENCE: &str = "cocuyo-edge";

/// The claims of a token: what its bearer may fetch from an edge.
///
/// The one value at which media and money meet. It is a capability: it names a version of a
/// video and the greatest height, and says nothing else about its bearer that an edge would
/// act on (`tier` is a label for metrics, never a predicate).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Always [`ISSUER`].
    pub iss: String,
    /// Always [`AUDIENCE`].
    pub aud: String,
    /// The account, for revocation.
    pub sub: AccountId,
    /// The login it was made from, for revocation.
    pub sid: SessionId,
    /// The tier at the time of issue, for metrics only.
    pub tier: Tier,
    /// The video that may be fetched,
    pub video: VideoId,
    /// and the version of it.
    pub version: VersionId,
    /// The greatest height in pixels.
    pub height: u16,
    /// What it may be used for.
    pub uses: Uses,
    /// How far back in a live event, in seconds; no further than the event lets anybody go.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub rewind_s: u32,
    /// The greatest rate in bit/s, if there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rate: Option<u64>,
    /// Issued at, whole seconds (RFC 7519 §4.1.6).
    pub iat: i64,
    /// Expires at, whole seconds (RFC 7519 §4.1.4).
    pub exp: i64,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Grant {
    /// Seconds by which clocks may differ.
    pub const LEEWAY_S: i64 = 30;

    /// How long a grant for a film of this length may live at most: six hours, or one and a half
    /// times the film if that is longer, so that pauses do not end it for a player that cannot
    /// renew it.
    pub fn longest_life(duration_ms: u64) -> Duration {
        const LEAST: Duration = Duration::from_secs(6 * 60 * 60);
        LEAST.max(Duration::from_millis(duration_ms.saturating_mul(3) / 2))
    }

    /// When it was issued.
    pub fn issued_at(&self) -> Timestamp {
        Timestamp::from_seconds(self.iat)
    }

    /// Whether the grant's time is over at `now`.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now.as_seconds() >= self.exp.saturating_add(Self::LEEWAY_S)
    }
}

/// One thing that a grant may allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Use {
    /// Streams: playlists, segments, the plain MP4 of the page.
    Play,
    /// Files to keep.
    Download,
    /// Going back in a live event.
    Rewind,
}

/// A set of [`Use`]s; on the wire a list of words.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Uses(u8);

impl Uses {
    /// Only [`Use::Play`].
    pub const PLAY: Self = Self(1);

    const fn bit(one: Use) -> u8 {
        match one {
            Use::Play => 1,
            Use::Download => 2,
            Use::Rewind => 4,
        }
    }

    /// These uses and `one` more.
    #[must_use]
    pub const fn with(self, one: Use) -> Self {
        Self(self.0 | Self::bit(one))
    }

    /// Whether `one` is among them.
    pub const fn allows(self, one: Use) -> bool {
        self.0 & Self::bit(one) != 0
    }

    fn iter(self) -> impl Iterator<Item = Use> {
        [Use::Play, Use::Download, Use::Rewind].into_iter().filter(move |one| self.allows(*one))
    }
}

impl fmt::Debug for Uses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl Serialize for Uses {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Uses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let uses = Vec::<Use>::deserialize(deserializer)?;
        Ok(uses.into_iter().fold(Self::default(), Self::with))
    }
}
