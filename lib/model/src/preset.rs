use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::InvalidWord;

/// An x264 preset that a re-encode may ask for: what is quicker than these saves no bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SlowPreset {
    /// x264's own default.
    Medium,
    /// What a first encode has up to 360p.
    Slow,
    /// Twice as long as `slow`.
    Slower,
    /// Nearly four times as long as `slow`.
    Veryslow,
}

impl SlowPreset {
    /// All of them, the quickest first.
    pub const ALL: [Self; 4] = [Self::Medium, Self::Slow, Self::Slower, Self::Veryslow];

    /// x264's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Medium => "medium",
            Self::Slow => "slow",
            Self::Slower => "slower",
            Self::Veryslow => "veryslow",
        }
    }
}

impl FromStr for SlowPreset {
    type Err = InvalidWord;

    fn from_str(text: &str) -> Result<Self, InvalidWord> {
        Self::ALL
            .into_iter()
            .find(|preset| preset.as_str() == text)
            .ok_or(InvalidWord { expected: "medium, slow, slower or veryslow" })
    }
}

impl fmt::Display for SlowPreset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preset_reads_back_and_quick_ones_are_refused() {
        for preset in SlowPreset::ALL {
            assert_eq!(preset.as_str().parse(), Ok(preset));
            assert_eq!(serde_json::to_string(&preset).unwrap(), format!("\"{preset}\""));
        }
        for other in ["fast", "veryfast", "placebo", "Slow", ""] {
            assert!(other.parse::<SlowPreset>().is_err(), "{other:?}");
        }
    }
}
