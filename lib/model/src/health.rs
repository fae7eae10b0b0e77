use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{InvalidWord, RenditionName, Timestamp};

/// How the feed of an event is, as its publisher can act on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// When this was found out.
    pub at: Timestamp,
    /// What the publisher's program calls itself.
    pub encoder: String,
    /// What came in lately, in kbit/s.
    pub bitrate_kbps: u32,
    /// The picture, if there is one.
    pub picture: Option<PictureHealth>,
    /// By how many milliseconds the sound is ahead of the picture; behind it where less than 0.
    pub skew_ms: i32,
    /// How much of the feed waits to be packaged, in milliseconds.
    pub queue_ms: u32,
    /// Packets that were dropped since the feed began, because too many waited.
    pub dropped: u64,
    /// What viewers can choose from just now.
    pub renditions: Vec<RenditionName>,
    /// What is wrong, the worst first.
    pub warnings: Vec<HealthWarning>,
}

/// How the picture of a feed is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PictureHealth {
    /// The codec's name.
    pub codec: String,
    /// In pixels,
    pub width: u32,
    /// and so is this.
    pub height: u32,
    /// Frames that came in lately, per second.
    pub fps: f64,
    /// Seconds between the last two key frames.
    pub gop_s: f64,
}

/// Something about a feed that its publisher should know: a closed list, told in their language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthWarning {
    /// No key frame for so long that nothing can be shown.
    NoKeyFrame,
    /// More waits than may; packets are dropped up to the next key frame.
    Dropping,
    /// Key frames are so far apart that low latency is off.
    LatencyOff,
    /// A segment was longer than the first ones promised.
    LongGop,
    /// Time stamps jumped.
    TimesJumped,
    /// Sound and picture drift apart.
    Skewed,
    /// Fewer frames come in than the encoder announced.
    FewFrames,
    /// The machine is too slow for all smaller renditions.
    FewerRenditions,
    /// There is no sound.
    NoSound,
    /// There is no picture.
    NoPicture,
    /// Several pictures or sounds are sent: only the first of each is taken.
    OneTrack,
    /// The sound is encoded again, since players would not take it.
    SoundReencoded,
    /// The codec of the picture is one that many phones do not play.
    RareCodec,
}

impl HealthWarning {
    /// All of them, the worst first, for tables that must name each one.
    pub const ALL: [Self; 13] = [
        Self::NoKeyFrame,
        Self::Dropping,
        Self::LatencyOff,
        Self::LongGop,
        Self::TimesJumped,
        Self::Skewed,
        Self::FewFrames,
        Self::FewerRenditions,
        Self::NoSound,
        Self::NoPicture,
        Self::OneTrack,
        Self::SoundReencoded,
        Self::RareCodec,
    ];

    /// The warning's word, as the API has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoKeyFrame => "no_key_frame",
            Self::Dropping => "dropping",
            Self::LatencyOff => "latency_off",
            Self::LongGop => "long_gop",
            Self::TimesJumped => "times_jumped",
            Self::Skewed => "skewed",
            Self::FewFrames => "few_frames",
            Self::FewerRenditions => "fewer_renditions",
            Self::NoSound => "no_sound",
            Self::NoPicture => "no_picture",
            Self::OneTrack => "one_track",
            Self::SoundReencoded => "sound_reencoded",
            Self::RareCodec => "rare_codec",
        }
    }
}

impl FromStr for HealthWarning {
    type Err = InvalidWord;

    fn from_str(text: &str) -> Result<Self, InvalidWord> {
        Self::ALL
            .into_iter()
            .find(|warning| warning.as_str() == text)
            .ok_or(InvalidWord { expected: "a warning about a feed" })
    }
}

impl fmt::Display for HealthWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_warning_reads_back_in_rows_and_in_json() {
        for warning in HealthWarning::ALL {
            assert_eq!(warning.as_str().parse(), Ok(warning));
            assert_eq!(serde_json::to_string(&warning).unwrap(), format!("\"{warning}\""));
        }
    }
}
