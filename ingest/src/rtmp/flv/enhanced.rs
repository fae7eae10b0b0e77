//! What enhanced RTMP puts before a packet, which is the same for both tracks.

use bytes::Bytes;

use super::number;
use super::video::four_cc;
use crate::rtmp::error::RtmpError;

/// Kinds of packets.
pub(super) const SEQUENCE_START: u8 = 0;
pub(super) const CODED_FRAMES: u8 = 1;
pub(super) const SEQUENCE_END: u8 = 2;
/// Without an offset of composition; of video only.
pub(super) const CODED_FRAMES_X: u8 = 3;
/// Metadata of video, channels of audio.
pub(super) const DESCRIPTION: u8 = 4;
const EXTENSION: u8 = 7;

/// Of extensions only this is known: how much later than its milliseconds a packet is.
const NANOSECONDS: u8 = 0;

/// How a packet says which tracks are in it.
const ONE_TRACK: u8 = 0;
const MANY_TRACKS: u8 = 1;
const MANY_CODECS: u8 = 2;
/// The one that a program without a choice takes.
const FIRST_TRACK: u32 = 0;

/// A packet of the first track.
pub(super) struct Media {
    pub(super) kind: u8,
    pub(super) four_cc: [u8; 4],
    /// See [`NANOSECONDS`].
    pub(super) nanos: u32,
    pub(super) data: Bytes,
}

/// Reads a tag's body behind its first byte, which says `kind`; with the kind `multitrack` it may have
/// several tracks in it. `None` if there is no media of the first one; `others` is set where there is
/// some of others.
pub(super) fn read(
    mut kind: u8,
    multitrack: u8,
    body: &mut Bytes,
    others: &mut bool,
) -> Result<Option<Media>, RtmpError> {
    let mut nanos = 0;
    while kind == EXTENSION {
        let mut size = number(body, 1)? as usize + 1;
        if size == 256 {
            size = number(body, 2)? as usize + 1;
        }
        let mut extension = super::take(body, size)?;
        let next = number(body, 1)? as u8;
        kind = next & 15;
        if next >> 4 == NANOSECONDS {
            // Less than a millisecond, or it would be in the milliseconds.
            nanos = number(&mut extension, 3)?.min(999_999);
        }
    }
    if kind == DESCRIPTION {
        return Ok(None);
    }
    if kind != multitrack {
        return Ok(Some(Media { kind, four_cc: four_cc(body)?, nanos, data: std::mem::take(body) }));
    }
    let tracks = number(body, 1)? as u8;
    kind = tracks & 15;
    if kind == DESCRIPTION {
        return Ok(None);
    }
    let mut codec = match tracks >> 4 {
        ONE_TRACK | MANY_TRACKS => four_cc(body)?,
        MANY_CODECS => [0; 4],
        _ => return Err(RtmpError::Malformed("kind of tracks")),
    };
    let mut media = None;
    while !body.is_empty() {
        if tracks >> 4 == MANY_CODECS {
            codec = four_cc(body)?;
        }
        let track = number(body, 1)?;
        let size = match tracks >> 4 {
            ONE_TRACK => body.len(),
            _ => number(body, 3)? as usize,
        };
        let data = super::take(body, size)?;
        if track == FIRST_TRACK {
            media.get_or_insert(Media { kind, four_cc: codec, nanos, data });
        } else {
            *others = true;
        }
    }
    Ok(media)
}
