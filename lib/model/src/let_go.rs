use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::InvalidWord;

/// Why a publisher was let go that would have gone on, where its owner can do something about it: a
/// closed list, told in their language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LetGo {
    /// The rate is above what the tier allows.
    TooFast,
    /// The picture is greater than the tier allows.
    TooLarge,
    /// The event is as long as the tier allows.
    TooLong,
    /// It is in a codec, or of a kind, that is not packaged.
    Unsupported,
    /// Its bytes or its times contradict themselves.
    Malformed,
    /// Neither sound nor picture came any more.
    Silent,
}

impl LetGo {
    /// All of them, for tables that must name each one.
    pub const ALL: [Self; 6] =
        [Self::TooFast, Self::TooLarge, Self::TooLong, Self::Unsupported, Self::Malformed, Self::Silent];

    /// The reason's word, as rows and the API have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooFast => "too_fast",
            Self::TooLarge => "too_large",
            Self::TooLong => "too_long",
            Self::Unsupported => "unsupported",
            Self::Malformed => "malformed",
            Self::Silent => "silent",
        }
    }
}

impl FromStr for LetGo {
    type Err = InvalidWord;

    fn from_str(text: &str) -> Result<Self, InvalidWord> {
        Self::ALL
            .into_iter()
            .find(|why| why.as_str() == text)
            .ok_or(InvalidWord { expected: "a reason to let a publisher go" })
    }
}

impl fmt::Display for LetGo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_reads_back_in_rows_and_in_json() {
        for why in LetGo::ALL {
            assert_eq!(why.as_str().parse(), Ok(why));
            assert_eq!(serde_json::to_string(&why).unwrap(), format!("\"{why}\""));
        }
    }
}
