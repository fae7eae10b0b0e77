use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{InvalidWord, RenditionName};

/// On which way through a film a picture rendition is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Up to 360p, from one decode: through the whole film first, so that all of it plays soon.
    A,
    /// The upper rungs, from another, behind it.
    B,
    /// The rung that is copied, without any; never one of lane A's heights.
    Copied,
}

impl Lane {
    /// Those in which pictures are encoded, in the order in which they are made.
    pub const ENCODED: [Self; 2] = [Self::A, Self::B];
    const ALL: [Self; 3] = [Self::A, Self::B, Self::Copied];
    /// The greatest height of lane A.
    pub const A_HEIGHT: u16 = 360;

    /// The lane of a picture rendition that is encoded; a plan knows which one is not.
    pub const fn of(rendition: RenditionName) -> Self {
        if rendition.height() <= Self::A_HEIGHT { Self::A } else { Self::B }
    }

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
            Self::Copied => "copied",
        }
    }
}

impl FromStr for Lane {
    type Err = InvalidWord;

    fn from_str(text: &str) -> Result<Self, InvalidWord> {
        Self::ALL
            .into_iter()
            .find(|lane| lane.as_str() == text)
            .ok_or(InvalidWord { expected: "a, b or copied" })
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
