use std::fmt;
use std::str::FromStr;

/// One way to list the same segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum View {
    /// With parts: two to three seconds behind.
    #[default]
    Low,
    /// Whole segments only.
    Normal,
    /// The smallest renditions in segments of six seconds and more: few requests, few bytes.
    Saver,
}

/// How far back a playlist goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    seconds: u32,
}

impl Window {
    /// Seconds that a playlist shows to whoever may not rewind. Long enough for a phone that slept,
    /// and for every rule about what must stay listed.
    pub const LIVE_S: u32 = 60;
    /// Nobody rewinds further.
    pub const LONGEST_S: u32 = 12 * 60 * 60;
    /// As far as it takes to play on.
    pub const LIVE: Self = Self { seconds: Self::LIVE_S };

    /// For whoever may go back so many seconds.
    pub const fn back(seconds: u32) -> Self {
        match seconds {
            ..=Self::LIVE_S => Self::LIVE,
            Self::LONGEST_S.. => Self { seconds: Self::LONGEST_S },
            _ => Self { seconds },
        }
    }

    /// Its length.
    pub const fn seconds(self) -> u32 {
        self.seconds
    }
}

impl View {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Low, Self::Normal, Self::Saver];

    /// Its word in paths; the first has none.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::Saver => "saver",
        }
    }

    /// How many of the event's segments are one of its own, when each lasts `target_duration_s`.
    pub(crate) const fn grouped(self, target_duration_s: u32) -> u32 {
        match self {
            Self::Low | Self::Normal => 1,
            Self::Saver => Self::SAVER_S.div_ceil(target_duration_s),
        }
    }

    /// `EXT-X-TARGETDURATION` of its playlists, in seconds.
    pub const fn target_duration_s(self, target_duration_s: u32) -> u32 {
        target_duration_s * self.grouped(target_duration_s)
    }

    /// The greatest number of segments that are listed as one, however short they are.
    pub const MOST_GROUPED: u32 = 8;

    /// Seconds that a segment of the saver lasts at least, but for those at a break.
    const SAVER_S: u32 = 6;
}

/// A text that names no view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected low, normal or saver")]
pub struct InvalidView;

impl FromStr for View {
    type Err = InvalidView;

    fn from_str(text: &str) -> Result<Self, InvalidView> {
        Self::ALL.into_iter().find(|view| view.as_str() == text).ok_or(InvalidView)
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
