//! What ingest and packager say to each other about a live feed.
//!
//! A *feed* is what one publisher's connection brings; an event outlives its feeds. Ingest opens a
//! stream socket to the packager for each feed and both sides send frames:
//!
//! ```text
//! u32 LE  length of the head in bytes
//! u32 LE  length of the payload in bytes
//! head    a FeedMessage, or a FeedAnswer, as JSON
//! payload a packet's bytes; empty for all other messages
//! ```
//!
//! The first message is [`FeedMessage::Begin`]. Each side takes the end of the other as the end of
//! the feed, never of the event.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{VersionId, VideoId};

/// Ticks per second of every time in a feed. RTMP's milliseconds are whole numbers of them.
pub const FEED_TIMESCALE: u32 = 90_000;
/// The greatest head, in bytes, that either side accepts.
pub const MAX_FEED_HEAD: u32 = 64 << 10;
/// The greatest payload, in bytes, that either side accepts: a key frame at 100 Mbit/s and more.
pub const MAX_FEED_PAYLOAD: u32 = 8 << 20;

/// A coded picture or a coded piece of sound, as its publisher's container had it.
#[derive(Clone, PartialEq, Eq)]
pub struct Packet {
    /// Of which track,
    pub track: FeedTrack,
    /// when it is decoded, in ticks of [`FEED_TIMESCALE`] on the feed's own clock, unwrapped. The
    /// container's, never derived from the order of pictures.
    pub dts: i64,
    /// How much later it is shown, in the same ticks; may be negative.
    pub cts_offset: i32,
    /// Whether decoding can start here; true for all sound.
    pub key: bool,
    /// Its bytes: NAL units behind four-byte lengths, a temporal unit of AV1, a raw AAC frame, or an
    /// Opus packet.
    pub data: Bytes,
}

impl fmt::Debug for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { track, dts, cts_offset, key, data } = self;
        let (len, key) = (data.len(), if *key { ", key" } else { "" });
        write!(f, "Packet({track:?} at {dts}{cts_offset:+}, {len} bytes{key})")
    }
}

/// A feed has at most one picture and one sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedTrack {
    /// The picture.
    Video,
    /// The sound.
    Audio,
}

/// What a decoder must know before the first packet of a track. Encoders send it again and again;
/// it is new only when its value is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "codec", rename_all = "snake_case")]
pub enum FeedConfig {
    /// H.264.
    H264 {
        /// An `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15 §5.3.3.1).
        avcc: Vec<u8>,
    },
    /// HEVC.
    Hevc {
        /// An `HEVCDecoderConfigurationRecord` (ISO/IEC 14496-15 §8.3.3.1).
        hvcc: Vec<u8>,
    },
    /// AV1.
    Av1 {
        /// An `AV1CodecConfigurationRecord` (AV1 in ISOBMFF §2.3.3).
        av1c: Vec<u8>,
    },
    /// AAC.
    Aac {
        /// An `AudioSpecificConfig` (ISO/IEC 14496-3 §1.6.2.1).
        asc: Vec<u8>,
    },
    /// Opus.
    Opus {
        /// An identification header, `OpusHead` (RFC 7845 §5.1).
        head: Vec<u8>,
    },
}

impl FeedConfig {
    /// Whose it is.
    pub const fn track(&self) -> FeedTrack {
        match self {
            Self::H264 { .. } | Self::Hevc { .. } | Self::Av1 { .. } => FeedTrack::Video,
            Self::Aac { .. } | Self::Opus { .. } => FeedTrack::Audio,
        }
    }
}

/// What ingest says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub enum FeedMessage {
    /// Somebody publishes who may.
    Begin {
        /// The event's video,
        video: VideoId,
        /// and the version that it grows.
        version: VersionId,
        /// The publisher's turn: a feed with a lower one than another of the event is over.
        generation: u64,
        /// What the publisher's program calls itself, for the studio; made printable.
        encoder: String,
    },
    /// A track's configuration; before its first packet, and again when its value changes.
    Config(FeedConfig),
    /// A packet, whose bytes are the payload.
    Packet {
        /// See [`Packet::track`].
        track: FeedTrack,
        /// See [`Packet::dts`].
        dts: i64,
        /// See [`Packet::cts_offset`].
        cts_offset: i32,
        /// See [`Packet::key`].
        key: bool,
    },
    /// The publisher says that it has finished; the event waits for the next feed all the same.
    End,
}

/// What the packager answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub enum FeedAnswer {
    /// The feed is the event's from now on.
    Accepted,
    /// The feed is over: the publisher is told why and let go.
    Over(FeedOver),
}

/// Why a feed is over although its publisher goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedOver {
    /// Another publisher with the same key came later.
    Superseded,
    /// The event has been ended.
    EventEnded,
    /// What it sends cannot be packaged.
    Unsupported,
    /// It sends more than its limits allow.
    TooMuch,
    /// Its times or its bytes contradict themselves.
    Malformed,
}
