use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{InvalidWord, PublishLimits};

/// A subscription tier: 0 is no plan, then three paid ones.
///
/// What a tier may do is not written here: it is the operator's data ([`TierRights`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Tier(u8);

impl Tier {
    /// No plan.
    pub const NONE: Self = Self(0);
    /// All tiers, lowest first.
    pub const ALL: [Self; 4] = [Self(0), Self(1), Self(2), Self(3)];

    /// The tier's number, 0 to 3.
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// A number that is not a tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a tier is 0, 1, 2 or 3")]
pub struct InvalidTier;

impl TryFrom<u8> for Tier {
    type Error = InvalidTier;

    fn try_from(number: u8) -> Result<Self, InvalidTier> {
        if number <= 3 { Ok(Self(number)) } else { Err(InvalidTier) }
    }
}

impl From<Tier> for u8 {
    fn from(tier: Tier) -> Self {
        tier.0
    }
}

impl FromStr for Tier {
    type Err = InvalidTier;

    fn from_str(text: &str) -> Result<Self, InvalidTier> {
        text.parse::<u8>().map_err(|_| InvalidTier)?.try_into()
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a tier may do; the operator's data, read at run time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierRights {
    /// The tier these rights belong to.
    pub tier: Tier,
    /// The greatest short side in pixels that the edge serves.
    pub greatest_height: u16,
    /// Whether files may be downloaded.
    pub downloads: bool,
    /// Whether advertising is shown.
    pub ads: bool,
    /// How many streams may play at once.
    pub concurrent_streams: u16,
    /// How far back a live event may be rewound, in seconds.
    pub rewind_s: u32,
    /// What a creator of the tier may broadcast.
    pub publish: PublishLimits,
}

impl TierRights {
    /// What a new installation starts with.
    pub const DEFAULTS: [Self; 4] = [
        Self {
            tier: Tier(0),
            greatest_height: 480,
            downloads: false,
            ads: true,
            concurrent_streams: 1,
            rewind_s: 0,
            publish: publish(8_000, 1080, 12),
        },
        Self {
            tier: Tier(1),
            greatest_height: 720,
            downloads: true,
            ads: false,
            concurrent_streams: 1,
            rewind_s: 1800,
            publish: publish(8_000, 1080, 12),
        },
        Self {
            tier: Tier(2),
            greatest_height: 1080,
            downloads: true,
            ads: false,
            concurrent_streams: 2,
            rewind_s: 7200,
            publish: publish(16_000, 1440, 24),
        },
        Self {
            tier: Tier(3),
            greatest_height: 4320,
            downloads: true,
            ads: false,
            concurrent_streams: 4,
            rewind_s: 86400,
            publish: publish(40_000, 2160, 24),
        },
    ];
}

const fn publish(bitrate_kbps: u32, short_side: u16, hours: u32) -> PublishLimits {
    PublishLimits { bitrate_kbps, short_side, duration_s: hours * 3600 }
}

/// What an account may do on the site, each including the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Watches.
    #[default]
    Viewer,
    /// Uploads and broadcasts.
    Creator,
    /// Judges reports.
    Moderator,
    /// Runs the site.
    Admin,
}

impl Role {
    /// The role's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Creator => "creator",
            Self::Moderator => "moderator",
            Self::Admin => "admin",
        }
    }

    /// Whether the role may upload videos and broadcast.
    pub fn may_upload(self) -> bool {
        self >= Self::Creator
    }
}

impl FromStr for Role {
    type Err = InvalidWord;

    fn from_str(text: &str) -> Result<Self, InvalidWord> {
        [Self::Viewer, Self::Creator, Self::Moderator, Self::Admin]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(InvalidWord { expected: "viewer, creator, moderator or admin" })
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
