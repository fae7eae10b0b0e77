//! What the packager and a cell say to each other while an event is on.
//!
//! The frames are those of every cell. After [`Request::Live`](super::Request::Live) standard input
//! goes on with [`LiveInput`] messages, and the cell answers with [`LiveReply`] messages as soon as it
//! has something. It ends behind [`LiveInput::End`], with everything that its decoders and encoders
//! still held, or at once when standard input ends: its packager is gone. No descriptor but the three
//! streams is open.
//!
//! All times are ticks of [`FEED_TIMESCALE`](crate::feed::FEED_TIMESCALE) on the feed's own clock, and
//! what is made from a picture is shown when that picture is, to the tick.

use serde::{Deserialize, Serialize};

use super::Ratio;
use crate::feed::{FeedConfig, FeedTrack};
use crate::{FailureReason, RenditionName};

/// What to make of a feed: complete, so that the cell decides nothing. A feed whose configuration
/// changes gets another cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LivePlan {
    /// The picture renditions.
    pub video: Option<LiveVideo>,
    /// The sound renditions.
    pub audio: Option<LiveAudio>,
}

/// The picture of a feed, and what is made of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LiveVideo {
    /// What its decoder must know.
    pub config: FeedConfig,
    /// Pictures per second, about: rates are kept as if there were so many. The times are those of
    /// the packets.
    pub frame_rate: Ratio,
    /// The rungs, smallest first.
    pub rungs: Vec<LiveRung>,
}

/// One H.264 rendition of a feed. No picture refers to a later one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LiveRung {
    /// Its name.
    pub rendition: RenditionName,
    /// Encoded width in pixels, even.
    pub width: u32,
    /// Encoded height in pixels, even.
    pub height: u32,
    /// Every how manieth picture it shows: 1 for all. Pictures with an IDR are always shown.
    pub frame_divisor: u32,
    /// Quality target of the capped constant rate factor.
    pub crf: f32,
    /// Ceiling in bit/s.
    pub maxrate_bps: u32,
    /// Decoder buffer in bits: by how much any stretch may exceed the ceiling.
    pub bufsize_bits: u32,
    /// x264 preset.
    pub preset: String,
    /// x264 profile: `main` or `high`.
    pub profile: String,
    /// Pictures of the rung by which it lags behind the feed, so that its encoder knows a little of what
    /// comes; 0 for none.
    pub look_ahead: u32,
}

/// The sound of a feed, and what is made of it: AAC-LC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveAudio {
    /// What its decoder must know.
    pub config: FeedConfig,
    /// Output samples per second.
    pub sample_rate: u32,
    /// The rungs, smallest first.
    pub rungs: Vec<LiveSound>,
}

/// One AAC-LC rendition of a feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveSound {
    /// Its name.
    pub rendition: RenditionName,
    /// 1 or 2.
    pub channels: u16,
    /// Target in bit/s.
    pub bit_rate_bps: u32,
}

/// What a cell is told while an event is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "live", rename_all = "snake_case")]
pub enum LiveInput {
    /// A packet of the feed, whose bytes are the payload; those of a track come in the order of
    /// decoding.
    Packet {
        /// Of which track.
        track: FeedTrack,
        /// When it is decoded,
        dts: i64,
        /// and how much later it is shown.
        cts_offset: i32,
        /// Whether decoding can start here.
        key: bool,
        /// Whether every rung has an IDR picture here, and only where this is said: where the
        /// source has one, so that all renditions can be cut at the same pictures.
        idr: bool,
    },
    /// The feed is over; what the encoders still hold is wanted.
    End,
}

/// What a cell says while an event is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "live", rename_all = "snake_case")]
pub enum LiveReply {
    /// What a decoder of a rendition must know; before its first packet, and once.
    Init {
        /// Of which rendition.
        rendition: RenditionName,
        /// Its configuration.
        track: LiveTrack,
    },
    /// A coded picture (slices behind four-byte lengths) or a raw AAC frame, which is the payload.
    Packet {
        /// Of which rendition,
        rendition: RenditionName,
        /// when it is decoded. The first frame of sound is an encoder's priming, and so is before
        /// the feed's first, perhaps below 0.
        dts: i64,
        /// How much later it is shown; 0 as long as no rung has pictures that refer to later ones.
        cts_offset: i32,
        /// Whether it is an IDR picture; true for all sound.
        key: bool,
        /// Ticks until the next one. For sound they add up, to the tick, unless its source paused
        /// for longer than [`MAX_SILENCE`]; for pictures they are what is usual, and what counts
        /// is when the next one is decoded.
        duration: u32,
    },
    /// A track's packets up to this one are done. What was made of them has been said, but for what
    /// encoders hold back to look ahead.
    Passed {
        /// Which track.
        track: FeedTrack,
        /// Decode time of the packet.
        dts: i64,
        /// Packets and pictures of the track that were damaged, so far.
        damaged: u64,
    },
    /// The feed is over, and everything has been said; the last message.
    Done,
    /// The feed will not be processed; the last message.
    Refused {
        /// Why, for its owner.
        reason: FailureReason,
        /// Why, for the log; never shown.
        detail: String,
    },
}

/// The configuration of a rendition of a feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LiveTrack {
    /// H.264.
    Video {
        /// The `AVCDecoderConfigurationRecord`.
        avcc: Vec<u8>,
        /// Width in pixels.
        width: u16,
        /// Height in pixels.
        height: u16,
    },
    /// AAC-LC.
    Audio {
        /// The `AudioSpecificConfig`.
        asc: Vec<u8>,
        /// Samples per second.
        sample_rate: u32,
        /// 1 or 2.
        channels: u16,
    },
}

/// The longest pause of a feed's sound, in ticks, that is filled up with silence. Behind a longer one
/// sound goes on at its new time, and [`LiveReply::Packet::dts`] leaps.
pub const MAX_SILENCE: i64 = crate::feed::FEED_TIMESCALE as i64;

#[cfg(test)]
mod tests {
    use super::super::{FrameLengths, decode_head, encode_head};
    use super::*;

    #[test]
    fn packets_read_back_both_ways() {
        let input =
            LiveInput::Packet { track: FeedTrack::Video, dts: 7, cts_offset: -3, key: true, idr: true };
        let frame = encode_head(&input, 9).unwrap();
        assert_eq!(decode_head::<LiveInput>(&frame[FrameLengths::SIZE..]).unwrap(), input);
        let rendition = RenditionName::Video { height: 144 };
        for said in [
            LiveReply::Packet { rendition, dts: -1, cts_offset: 0, key: true, duration: 6000 },
            LiveReply::Init { rendition, track: LiveTrack::Video { avcc: vec![1], width: 256, height: 144 } },
            LiveReply::Refused { reason: FailureReason::UnsupportedCodec, detail: "none".into() },
        ] {
            let frame = encode_head(&said, 0).unwrap();
            assert_eq!(decode_head::<LiveReply>(&frame[FrameLengths::SIZE..]).unwrap(), said);
        }
    }
}
