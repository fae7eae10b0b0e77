//! The bodies of FLV tags, plain and enhanced, become packets of a feed. Pure.

mod audio;
mod enhanced;
mod nal;
#[cfg(test)]
mod tests;
mod video;

use bytes::{Buf, Bytes};
use model::feed::{FeedConfig, FeedTrack, Packet};

use super::clock::{self, FeedClock};
use super::error::RtmpError;
use crate::live::Item;
use nal::LengthSize;

/// A decoder configuration of more bytes than any encoder makes; twice as many would be no frame of
/// a feed.
const MAX_CONFIG: usize = 8 << 10;

/// What the body of a tag comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Body {
    /// A new decoder configuration.
    Config(FeedConfig),
    /// A packet of the codec `codec`.
    Packet { codec: Codec, key: bool, cts_ms: i32, nanos: u32, data: Bytes },
    /// Nothing that a feed has a word for.
    Nothing,
}

/// The codecs of a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Codec {
    H264,
    Hevc,
    Av1,
    Aac,
    Opus,
}

/// Makes items of tags, for one connection.
#[derive(Debug, Default)]
pub(crate) struct Demuxer {
    clock: FeedClock,
    video: Option<Track>,
    audio: Option<Track>,
    /// Whether there are others than the first of video, and of audio; and whether that was told.
    others: [bool; 2],
    told: [bool; 2],
}

/// What is known of a track.
#[derive(Debug)]
struct Track {
    /// As the publisher sent it,
    config: FeedConfig,
    codec: Codec,
    /// and how long the lengths of its NAL units are.
    lengths: Option<LengthSize>,
}

impl Demuxer {
    /// An audio tag's body, at `timestamp`.
    pub(crate) fn audio(&mut self, timestamp: u32, body: Bytes) -> Result<Option<Item>, RtmpError> {
        let body = audio::read(body, &mut self.others[FeedTrack::Audio as usize])?;
        self.item(FeedTrack::Audio, timestamp, body)
    }

    /// A video tag's body, at `timestamp`.
    pub(crate) fn video(&mut self, timestamp: u32, body: Bytes) -> Result<Option<Item>, RtmpError> {
        let body = video::read(body, &mut self.others[FeedTrack::Video as usize])?;
        self.item(FeedTrack::Video, timestamp, body)
    }

    /// A kind of track of which a further one came, once for each.
    pub(crate) fn take_others(&mut self) -> Option<FeedTrack> {
        let is_news = |track: &FeedTrack| self.others[*track as usize] && !self.told[*track as usize];
        let track = [FeedTrack::Video, FeedTrack::Audio].into_iter().find(is_news)?;
        self.told[track as usize] = true;
        Some(track)
    }

    fn item(&mut self, track: FeedTrack, timestamp: u32, body: Body) -> Result<Option<Item>, RtmpError> {
        let known = match track {
            FeedTrack::Video => &mut self.video,
            FeedTrack::Audio => &mut self.audio,
        };
        match body {
            Body::Nothing => Ok(None),
            // Encoders repeat it; it is new when its value is.
            Body::Config(config) if known.as_ref().is_some_and(|known| known.config == config) => Ok(None),
            Body::Config(config) => {
                let (lengths, said) = nal::normal(config.clone())?;
                *known = Some(Track { codec: Codec::of(&config), config, lengths });
                Ok(Some(Item::Config(said)))
            }
            Body::Packet { codec, key, cts_ms, nanos, data } => {
                // Without its configuration, or behind another codec's, nobody could decode it.
                let Some(known) = known.as_ref().filter(|known| known.codec == codec) else {
                    return Ok(None);
                };
                if data.is_empty() {
                    return Ok(None);
                }
                let data = match known.lengths {
                    Some(lengths) => lengths.normal(data)?,
                    None => data,
                };
                let dts = self.clock.ticks(timestamp) + clock::from_nanos(nanos);
                let cts_offset = clock::from_ms(cts_ms);
                Ok(Some(Item::Packet(Packet { track, dts, cts_offset, key, data })))
            }
        }
    }
}

impl Codec {
    const fn of(config: &FeedConfig) -> Self {
        match config {
            FeedConfig::H264 { .. } => Self::H264,
            FeedConfig::Hevc { .. } => Self::Hevc,
            FeedConfig::Av1 { .. } => Self::Av1,
            FeedConfig::Aac { .. } => Self::Aac,
            FeedConfig::Opus { .. } => Self::Opus,
        }
    }

    /// The configuration that `record` is.
    fn config(self, record: &[u8]) -> Result<FeedConfig, RtmpError> {
        let is_whole = match self {
            Self::H264 => record.len() >= 7 && record[0] == 1,
            Self::Hevc => record.len() >= 23 && record[0] <= 1,
            Self::Av1 => record.len() >= 4 && record[0] == 0x81,
            Self::Aac => record.len() >= 2,
            Self::Opus => record.len() >= 19 && record.starts_with(b"OpusHead"),
        };
        if !is_whole || record.len() > MAX_CONFIG {
            return Err(RtmpError::Malformed("decoder configuration"));
        }
        let record = record.to_vec();
        Ok(match self {
            Self::H264 => FeedConfig::H264 { avcc: record },
            Self::Hevc => FeedConfig::Hevc { hvcc: record },
            Self::Av1 => FeedConfig::Av1 { av1c: record },
            Self::Aac => FeedConfig::Aac { asc: record },
            Self::Opus => FeedConfig::Opus { head: record },
        })
    }
}

/// Takes `length` bytes from the beginning of `body`.
fn take(body: &mut Bytes, length: usize) -> Result<Bytes, RtmpError> {
    has(body, length)?;
    Ok(body.split_to(length))
}

fn has(body: &Bytes, length: usize) -> Result<(), RtmpError> {
    match body.len() >= length {
        true => Ok(()),
        false => Err(RtmpError::Malformed("tag that ends early")),
    }
}

/// Takes a number of `size` bytes.
fn number(body: &mut Bytes, size: usize) -> Result<u32, RtmpError> {
    has(body, size)?;
    Ok(body.get_uint(size) as u32)
}

/// Takes milliseconds in three bytes, which may be negative.
fn cts(body: &mut Bytes) -> Result<i32, RtmpError> {
    has(body, 3)?;
    Ok(body.get_int(3) as i32)
}
