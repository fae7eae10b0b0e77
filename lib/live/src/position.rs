use serde::{Deserialize, Serialize};

/// How far a rendition is: all segments before `msn` are closed, and `parts` parts of that one are
/// there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Position {
    /// The media sequence number of the segment that is not closed.
    pub msn: u32,
    /// How many of its parts are there.
    pub parts: u32,
}

impl Position {
    /// Whether part `part` of segment `msn`, or without a part the whole segment, is listed.
    pub fn has(self, msn: u32, part: Option<u32>) -> bool {
        self.msn > msn || (self.msn == msn && part.is_some_and(|part| self.parts > part))
    }

    /// The last segment and part that are there, as a rendition report names them (§4.4.5.4);
    /// absent before the first.
    pub fn last(self, parts_of_previous: u32) -> Option<(u32, Option<u32>)> {
        match self.parts {
            0 => Some((self.msn.checked_sub(1)?, parts_of_previous.checked_sub(1))),
            parts => Some((self.msn, Some(parts - 1))),
        }
    }
}
