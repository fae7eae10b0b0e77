use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The name of a rendition: one track, encoded one way.
///
/// Video renditions are named by their short side (`360p`, also when portrait), audio
/// renditions by their rate in kbit/s (`a64`). Sound and picture are separate tracks, so that
/// "audio only" costs nothing extra to store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RenditionName {
    /// An audio track of about this many kbit/s.
    Audio {
        /// Nominal rate in kbit/s.
        kbps: u16,
    },
    /// A video track whose short side has this many pixels.
    Video {
        /// Pixels of the shorter side; what a grant's greatest height is compared with.
        height: u16,
    },
}

impl RenditionName {
    /// The height that a grant must allow; sound alone needs none.
    pub const fn height(self) -> u16 {
        match self {
            Self::Audio { .. } => 0,
            Self::Video { height } => height,
        }
    }

    /// Which of `sounds` goes with this picture: the smallest with one that must fit a 90 kbit/s
    /// link, the middle one up to 360 lines, the best above.
    pub fn sound_of(self, sounds: &[Self]) -> Option<Self> {
        let mut sounds: Vec<_> = sounds.iter().copied().filter(|sound| !sound.is_video()).collect();
        sounds.sort();
        match self.height() {
            ..=144 => sounds.first(),
            145..=360 => sounds.get(1).or(sounds.last()),
            _ => sounds.last(),
        }
        .copied()
    }

    /// Whether this is a video track.
    pub const fn is_video(self) -> bool {
        matches!(self, Self::Video { .. })
    }
}

/// A text that is not the name of a rendition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a rendition")]
pub struct InvalidRendition;

impl fmt::Display for RenditionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Audio { kbps } => write!(f, "a{kbps}"),
            Self::Video { height } => write!(f, "{height}p"),
        }
    }
}

impl FromStr for RenditionName {
    type Err = InvalidRendition;

    fn from_str(text: &str) -> Result<Self, InvalidRendition> {
        let number = |digits: &str| {
            // One text per name: no sign, no leading zero.
            let canonical = !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
            if canonical { digits.parse().map_err(|_| InvalidRendition) } else { Err(InvalidRendition) }
        };
        if let Some(digits) = text.strip_prefix('a') {
            Ok(Self::Audio { kbps: number(digits)? })
        } else if let Some(digits) = text.strip_suffix('p') {
            Ok(Self::Video { height: number(digits)? })
        } else {
            Err(InvalidRendition)
        }
    }
}

impl Serialize for RenditionName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RenditionName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_pictures_have_small_sounds() {
        let audio = |kbps| RenditionName::Audio { kbps };
        let (low, middle, best) = (audio(32), audio(64), audio(128));
        let all = [best, low, RenditionName::Video { height: 360 }, middle];
        for (height, expected) in [(144, low), (240, middle), (360, middle), (480, best), (2160, best)] {
            let picture = RenditionName::Video { height };
            assert_eq!(picture.sound_of(&all), Some(expected), "{height}");
            assert_eq!(picture.sound_of(&[low]), Some(low), "{height}");
            assert_eq!(picture.sound_of(&[picture]), None, "{height}");
        }
    }

    #[test]
    fn names_read_back_and_nothing_else_does() {
        for name in ["a32", "a128", "144p", "1080p", "2160p"] {
            assert_eq!(name.parse::<RenditionName>().map(|n| n.to_string()).as_deref(), Ok(name));
        }
        for text in ["", "a", "p", "a032", "+1p", "144", "144P", "a32p", "70000p", "../144p", "144p\0"] {
            assert_eq!(text.parse::<RenditionName>(), Err(InvalidRendition), "{text:?}");
        }
    }
}
