use cmaf::{Bandwidth, RenditionKind};
use model::{RenditionName, Timestamp, VersionId, VideoId};
use serde::{Deserialize, Serialize};

/// What holds for an event as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The event's video,
    pub video: VideoId,
    /// and the version that it grows.
    pub version: VersionId,
    /// Its clock and its cadence.
    pub timing: Timing,
    /// What it has; changes seldom, each time with another `revision`.
    pub renditions: Vec<Offered>,
    /// Counts the changes of this value.
    pub revision: u64,
    /// Whether it is over: no segment will come.
    pub ended: bool,
}

/// The clock and the cadence of an event: fixed before its first playlist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// The moment of decode time 0 in all renditions, for `EXT-X-PROGRAM-DATE-TIME`.
    pub zero: Timestamp,
    /// `EXT-X-TARGETDURATION`: it never changes (§6.2.1).
    pub target_duration_s: u32,
    /// `PART-TARGET` in milliseconds; `None` when the publisher's key frames are too far apart for
    /// low latency, and nothing is listed in parts.
    pub part_target_ms: Option<u32>,
}

/// One rendition as the multivariant describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offered {
    /// Its name.
    pub name: RenditionName,
    /// The codecs as playlists name them: of each format that it has had, as segments of it may still be
    /// listed (§4.4.6.2).
    pub codecs: String,
    /// Ticks per second.
    pub timescale: u32,
    /// What only a picture or only a sound has.
    #[serde(flatten)]
    pub kind: RenditionKind,
    /// Rates that are not exceeded, as far as they are known.
    #[serde(flatten)]
    pub bandwidth: Bandwidth,
    /// The first segment that it has.
    pub first_msn: u32,
}

impl Event {
    /// The rendition called `name`.
    pub fn rendition(&self, name: RenditionName) -> Option<&Offered> {
        self.renditions.iter().find(|offered| offered.name == name)
    }
}
