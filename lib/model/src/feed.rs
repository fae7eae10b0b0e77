//! What ingest and packager say to each other about a live feed.
//!
//! A *feed* is what one publisher's connection brings; an event outlives its feeds. Ingest opens a
//! stream socket to the packager for each feed and both sides send frames:
//!
//! ```text
//! u32 LE  length of the head in bytes
//! u32 LE  length of the payload in bytes
//! head    a FeedMessage, or a FeedAnswer, as JSON; of a packet, of which there are many, 14 bytes
//! payload a packet's bytes; empty for all other messages
//! ```
//!
//! The first message is [`FeedMessage::Begin`]. Each side takes the end of the other as the end of
//! the feed, never of the event.

use std::fmt;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::de::DeserializeOwned;
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
        /// The greatest short side that its picture may have, in pixels.
        short_side: u16,
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
    /// The publisher sends further tracks of this kind: only the first is in the feed.
    Others {
        /// Of which kind.
        track: FeedTrack,
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
    /// Its picture is greater than its limits allow.
    TooLarge,
    /// Its times or its bytes contradict themselves.
    Malformed,
}

/// Bytes that are no frame of a feed.
#[derive(Debug, thiserror::Error)]
pub enum InvalidFrame {
    /// One of its lengths is above what is accepted.
    #[error("a frame with a head of {head} and a payload of {payload} bytes")]
    TooLong {
        /// The head's.
        head: u32,
        /// The payload's.
        payload: u32,
    },
    /// A head that says nothing known.
    #[error("the head of a frame cannot be read")]
    Head(#[from] serde_json::Error),
    /// Neither does one that should be a packet's.
    #[error("the head of a packet cannot be read")]
    Packet,
}

/// What a frame can say.
pub trait Head: Serialize + DeserializeOwned {
    /// Puts it behind the bytes of `out`: as JSON.
    ///
    /// # Errors
    ///
    /// [`InvalidFrame`] for what has no JSON; some of it may be in `out` then.
    fn write(&self, out: &mut BytesMut) -> Result<(), InvalidFrame> {
        Ok(serde_json::to_writer(out.writer(), self)?)
    }

    /// What `bytes` say.
    ///
    /// # Errors
    ///
    /// [`InvalidFrame`] if it is nothing known.
    fn read(bytes: &[u8]) -> Result<Self, InvalidFrame> {
        Ok(serde_json::from_slice(bytes)?)
    }
}

impl Head for FeedAnswer {}

/// What a packet's head begins with; JSON never does.
const PACKET: u8 = 1;
/// In the byte behind it.
const IS_AUDIO: u8 = 1;
const IS_KEY: u8 = 2;

impl Head for FeedMessage {
    /// A packet as few bytes: JSON for each took 6 to 7 % of what a publisher costs the door.
    fn write(&self, out: &mut BytesMut) -> Result<(), InvalidFrame> {
        let Self::Packet { track, dts, cts_offset, key } = *self else {
            return Ok(serde_json::to_writer(out.writer(), self)?);
        };
        let is_audio = if track == FeedTrack::Audio { IS_AUDIO } else { 0 };
        out.put_u8(PACKET);
        out.put_u8(is_audio | if key { IS_KEY } else { 0 });
        out.put_i32_le(cts_offset);
        out.put_i64_le(dts);
        Ok(())
    }

    fn read(bytes: &[u8]) -> Result<Self, InvalidFrame> {
        let Some((&PACKET, packet)) = bytes.split_first() else { return Ok(serde_json::from_slice(bytes)?) };
        let &[flags @ 0..=3, a, b, c, d, ref dts @ ..] = packet else { return Err(InvalidFrame::Packet) };
        let dts = i64::from_le_bytes(dts.try_into().map_err(|_| InvalidFrame::Packet)?);
        let track = if flags & IS_AUDIO != 0 { FeedTrack::Audio } else { FeedTrack::Video };
        let (cts_offset, key) = (i32::from_le_bytes([a, b, c, d]), flags & IS_KEY != 0);
        Ok(Self::Packet { track, dts, cts_offset, key })
    }
}

/// How many bytes stand before a head.
const LENGTHS: usize = 8;

/// Puts a frame behind the bytes of `out`: a [`FeedMessage`], a [`FeedAnswer`] or what else has a head, and its
/// payload.
///
/// # Errors
///
/// [`InvalidFrame::TooLong`] for what the other side would refuse; `out` is as before then.
pub fn write_frame(head: &impl Head, payload: &[u8], out: &mut BytesMut) -> Result<(), InvalidFrame> {
    let start = out.len();
    out.put_bytes(0, LENGTHS);
    let written = head.write(out);
    let head = u32::try_from(out.len() - start - LENGTHS).unwrap_or(u32::MAX);
    let payload_len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    if let Err(error) = written.and_then(|()| check(head, payload_len)) {
        out.truncate(start);
        return Err(error);
    }
    out[start..start + 4].copy_from_slice(&head.to_le_bytes());
    out[start + 4..start + LENGTHS].copy_from_slice(&payload_len.to_le_bytes());
    out.extend_from_slice(payload);
    Ok(())
}

/// Takes the frame at the beginning of `bytes`; `None`, and nothing taken, until all of it is there.
///
/// # Errors
///
/// [`InvalidFrame`] as soon as its lengths, or its head, are wrong; nothing that follows can be read.
pub fn read_frame<T: Head>(bytes: &mut BytesMut) -> Result<Option<(T, Bytes)>, InvalidFrame> {
    let Some((head, payload)) = bytes.first_chunk::<LENGTHS>().map(|lengths| {
        let [a, b, c, d, e, f, g, h] = *lengths;
        (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]))
    }) else {
        return Ok(None);
    };
    check(head, payload)?;
    let (head, payload) = (head as usize, payload as usize);
    if bytes.len() < LENGTHS + head + payload {
        return Ok(None);
    }
    bytes.advance(LENGTHS);
    let said = T::read(&bytes[..head])?;
    bytes.advance(head);
    Ok(Some((said, bytes.split_to(payload).freeze())))
}

fn check(head: u32, payload: u32) -> Result<(), InvalidFrame> {
    match head <= MAX_FEED_HEAD && payload <= MAX_FEED_PAYLOAD {
        true => Ok(()),
        false => Err(InvalidFrame::TooLong { head, payload }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> Vec<(FeedMessage, &'static [u8])> {
        let begin = FeedMessage::Begin {
            video: VideoId::from_bits(1),
            version: VersionId::from_bits(2),
            generation: 3,
            encoder: "Lavf59".to_owned(),
            short_side: 1080,
        };
        let packet = |track, key| FeedMessage::Packet { track, dts: i64::MIN + 90, cts_offset: -3600, key };
        vec![
            (begin, b""),
            (FeedMessage::Config(FeedConfig::Aac { asc: vec![0x11, 0x90] }), b""),
            (packet(FeedTrack::Video, true), b"\0\0\0\x01\x65"),
            (packet(FeedTrack::Video, false), b"\0\0\0\x01\x41"),
            (packet(FeedTrack::Audio, true), b"sound"),
            (FeedMessage::Others { track: FeedTrack::Audio }, b""),
            (FeedMessage::End, b""),
        ]
    }

    #[test]
    fn what_is_written_is_read_however_it_is_cut() {
        let mut wire = BytesMut::new();
        for (message, payload) in said() {
            write_frame(&message, payload, &mut wire).unwrap();
        }
        for piece in [1, 3, 8, 50, wire.len()] {
            let (mut here, mut read) = (BytesMut::new(), Vec::new());
            for bytes in wire.chunks(piece) {
                here.extend_from_slice(bytes);
                while let Some((message, payload)) = read_frame::<FeedMessage>(&mut here).unwrap() {
                    read.push((message, payload));
                }
            }
            let expected: Vec<_> =
                said().into_iter().map(|(message, payload)| (message, Bytes::from_static(payload))).collect();
            assert_eq!((read, here.len()), (expected, 0), "in pieces of {piece}");
        }
    }

    #[test]
    fn every_answer_comes_over() {
        use FeedOver::{EventEnded, Malformed, Superseded, TooLarge, TooMuch, Unsupported};
        let over = [Superseded, EventEnded, Unsupported, TooMuch, TooLarge, Malformed].map(FeedAnswer::Over);
        let mut wire = BytesMut::new();
        for answer in over.iter().chain([&FeedAnswer::Accepted]) {
            write_frame(answer, b"", &mut wire).unwrap();
            assert_eq!(read_frame(&mut wire).unwrap(), Some((answer.clone(), Bytes::new())));
        }
    }

    #[test]
    fn what_is_too_long_is_neither_written_nor_waited_for() {
        let mut wire = BytesMut::from("before");
        let long = FeedMessage::Config(FeedConfig::Aac { asc: vec![255; 20_000] });
        write_frame(&long, b"", &mut wire).unwrap_err();
        write_frame(&FeedMessage::End, &vec![0; MAX_FEED_PAYLOAD as usize + 1], &mut wire).unwrap_err();
        assert_eq!(&wire[..], b"before");
        for (head, payload) in [(MAX_FEED_HEAD + 1, 0), (2, MAX_FEED_PAYLOAD + 1), (u32::MAX, u32::MAX)] {
            let mut wire = BytesMut::new();
            wire.put_u32_le(head);
            wire.put_u32_le(payload);
            read_frame::<FeedMessage>(&mut wire).unwrap_err();
        }
    }

    #[test]
    fn a_head_that_says_nothing_is_an_error() {
        let packet = b"\x01\x02\0\0\0\0\x01\0\0\0\0\0\0\0";
        FeedMessage::read(packet).unwrap();
        let [longer, unknown] = [[&packet[..], b"\0"].concat(), [b"\x01\x04", &packet[2..]].concat()];
        for head in [&b"{}"[..], b"", b"\x01", b"\x02", &packet[..13], &longer, &unknown] {
            let mut wire = BytesMut::new();
            wire.put_u32_le(head.len() as u32);
            wire.put_u32_le(0);
            wire.put_slice(head);
            read_frame::<FeedMessage>(&mut wire).unwrap_err();
        }
    }
}
