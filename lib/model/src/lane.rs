use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{InvalidWord, RenditionName};

/// Which of the two ways through a film a picture rendition goes with: each has a decode of its
/// own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Up to 360p: through the whole film first, so that all of it plays soon.
    A,
    /// The upper rungs, behind it.
    B,
}

impl Lane {
    /// Both, in the order in which they are made.
    pub const ALL: [Self; 2] = [Self::A, Self::B];
    /// The greatest height of lane A.
    pub const A_HEIGHT: u16 = 360;

    /// The lane of a picture rendition.
    pub const fn of(rendition: RenditionName) -> Self {
        if rendition.height() <= Self::A_HEIGHT { Self::A } else { Self::B }
    }

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }
}

impl FromStr for Lane {
    type Err = InvalidWord;

    fn from_str(text: &str) -> Result<Self, InvalidWord> {
        Self::ALL.into_iter().find(|lane| lane.as_str() == text).ok_or(InvalidWord { expected: "a or b" })
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
