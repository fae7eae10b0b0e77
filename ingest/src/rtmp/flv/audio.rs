//! Audio tags (FLV 10.1 §E.4.2, and enhanced RTMP 2).

use bytes::Bytes;

use super::enhanced::{self, Media};
use super::{Body, Codec, number};
use crate::rtmp::error::{Codec as Unsupported, RtmpError};

const ENHANCED: u8 = 9;
const AAC: u8 = 10;
/// The kind of enhanced packets that have several tracks in them.
const MULTITRACK: u8 = 5;
/// The second header of Opus in Ogg, which says nothing that a decoder needs.
const OPUS_COMMENT: &[u8] = b"OpusTags";

/// What a tag comes to; `others` is set where it has media of other tracks than the first.
pub(super) fn read(mut body: Bytes, others: &mut bool) -> Result<Body, RtmpError> {
    if body.is_empty() {
        return Ok(Body::Nothing);
    }
    let first = number(&mut body, 1)? as u8;
    match first >> 4 {
        ENHANCED => enhanced(first & 15, body, others),
        // Rate and channels of the tag are not true for AAC.
        AAC => match number(&mut body, 1)? {
            0 => Codec::Aac.config(&body).map(Body::Config),
            1 => Ok(packet(Codec::Aac, 0, body)),
            _ => Err(RtmpError::Malformed("AAC packet")),
        },
        format => Err(RtmpError::Unsupported(Unsupported::Named(name(format)))),
    }
}

fn enhanced(kind: u8, mut body: Bytes, others: &mut bool) -> Result<Body, RtmpError> {
    let Some(media) = enhanced::read(kind, MULTITRACK, &mut body, others)? else { return Ok(Body::Nothing) };
    let Media { kind, four_cc, nanos, data } = media;
    let codec = match &four_cc {
        b"mp4a" => Codec::Aac,
        b"Opus" => Codec::Opus,
        _ => return Err(RtmpError::Unsupported(Unsupported::FourCc(four_cc))),
    };
    match kind {
        enhanced::SEQUENCE_START if codec == Codec::Opus && data.starts_with(OPUS_COMMENT) => {
            Ok(Body::Nothing)
        }
        enhanced::SEQUENCE_START => codec.config(&data).map(Body::Config),
        enhanced::CODED_FRAMES => Ok(packet(codec, nanos, data)),
        enhanced::SEQUENCE_END => Ok(Body::Nothing),
        _ => Err(RtmpError::Malformed("audio packet")),
    }
}

const fn packet(codec: Codec, nanos: u32, data: Bytes) -> Body {
    Body::Packet { codec, key: true, cts_ms: 0, nanos, data }
}

const fn name(format: u8) -> &'static str {
    match format {
        0 | 3 => "PCM audio",
        1 => "ADPCM audio",
        2 | 14 => "MP3 audio",
        4..=6 => "Nellymoser audio",
        7 | 8 => "G.711 audio",
        11 => "Speex audio",
        _ => "an unknown audio codec",
    }
}
