//! What the packager and the transcoder cell say to each other.
//!
//! The packager starts `cocuyo-transcoder` with three descriptors: requests on standard input,
//! replies on standard output, the media file on descriptor [`MEDIA_FD`]. Each message is one
//! frame:
//!
//! ```text
//! u32 LE  length of the head in bytes
//! u32 LE  length of the payload in bytes
//! head    a Request or a Reply as JSON
//! payload boxes or a picture, empty for most messages
//! ```
//!
//! One request per process; the cell answers with replies until `Done` or `Refused` and exits
//! with status 0. Standard input stays open meanwhile: its end tells the cell that its packager
//! is gone. A cell that exits without a last message has no quarrel with the file: with status
//! 74 it could not read the media, with any other it has crashed.
//! Whatever a cell says is input to be checked, not truth: it has read a stranger's file.
//!
//! A cell of an event reads packets instead of a file: see [`live`].

mod frame;
pub mod live;
mod plan;
mod probe;
mod ratio;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::{FailureReason, RenditionName};

pub use frame::{FrameError, FrameLengths, MAX_HEAD, MAX_PAYLOAD, decode_head, encode_head};
pub use plan::{AudioPlan, AudioRung, CopiedRung, EncodePlan, VideoPlan, VideoRung};
pub use probe::{AudioStream, CodedSound, Copyable, Probe, VideoStream};
pub use ratio::Ratio;

/// The descriptor on which the cell finds the media file.
pub const MEDIA_FD: i32 = 3;

/// How the cell reads the media file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// [`MEDIA_FD`] is a regular file: `pread`.
    File {
        /// Its length in bytes.
        size: u64,
    },
    /// [`MEDIA_FD`] is a socket. For each read the cell writes `u64 LE offset, u32 LE length`
    /// and is sent exactly that many bytes, in the order in which it asked, which may be for many
    /// reads before the first is answered; a closed socket is a failed read.
    Ranges {
        /// Length of the whole file in bytes.
        size: u64,
    },
}

/// What the cell is asked to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// Say what the file holds; answered by [`Reply::Probed`].
    Probe {
        /// Where the bytes are.
        source: Source,
    },
    /// Carry out one part of a plan; answered as the [`Task`] says.
    Work {
        /// Where the bytes are.
        source: Source,
        /// What is to be made of the whole film,
        plan: EncodePlan,
        /// and which part of it now.
        task: Task,
    },
    /// Make lower rungs of an event while it is on; there is no media but what follows on standard
    /// input. See [`live`].
    Live {
        /// What is to be made of it.
        plan: live::LivePlan,
    },
}

/// One part of a plan: what one process does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub enum Task {
    /// Open every encoder and close it again: an init for each rendition of the plan. The media
    /// is not read.
    Announce,
    /// The sound, all of it and all its renditions: inits, then segments.
    Sound,
    /// Some picture renditions over a run of segments: inits, then exactly these segments, each
    /// with all its frames. Where the source has no picture the one before it is shown.
    Pictures {
        /// Which, smallest first.
        renditions: Vec<RenditionName>,
        /// Segments of the plan's grid.
        segments: Range<u32>,
        /// Somebody waits for it: the quick presets.
        hurry: bool,
    },
    /// The copied rendition over a run of segments: its init, then exactly these segments.
    Copy {
        /// Segments of the plan's grid.
        segments: Range<u32>,
    },
    /// The poster and the thumbnail.
    Stills,
}

/// What the cell says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// What the file holds.
    Probed {
        /// The findings.
        probe: Probe,
    },
    /// A rendition's initialisation segment, in the payload; before its first segment.
    Init {
        /// Of which rendition.
        rendition: RenditionName,
    },
    /// One media segment (`moof` + `mdat`), in the payload; numbers of a rendition come in order.
    Segment {
        /// Of which rendition.
        rendition: RenditionName,
        /// Its place on the segment grid, from 0.
        number: u32,
    },
    /// A JPEG, in the payload.
    Picture {
        /// Which one.
        picture: Picture,
    },
    /// How far the task is.
    Progress {
        /// Media time behind which every rendition is done, in milliseconds of the film, not of
        /// the task's part of it.
        position_ms: u64,
    },
    /// The request is carried out; the last message.
    Done {
        /// Media time that was decoded, in milliseconds.
        duration_ms: u64,
        /// Frames or packets that the decoders refused.
        damaged: u64,
        /// How much of what was asked for had to be filled up, in milliseconds: the source has
        /// nothing there that can be decoded. A pause that the source means is not counted.
        missing_ms: u64,
    },
    /// The file will not be processed; the last message.
    Refused {
        /// Why, for its owner.
        reason: FailureReason,
        /// Why, for the log; never shown.
        detail: String,
    },
}

/// A still picture made in passing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Picture {
    /// At player size.
    Poster,
    /// At card size.
    Thumbnail,
}
