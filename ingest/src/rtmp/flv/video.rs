//! Video tags (FLV 10.1 §E.4.3, and enhanced RTMP 2).

use bytes::Bytes;

use super::enhanced::{self, Media};
use super::{Body, Codec, cts, number, take};
use crate::rtmp::error::{Codec as Unsupported, RtmpError};

/// The first bit: what follows is enhanced.
const IS_ENHANCED: u8 = 0x80;
/// Kinds of frames.
const KEY: u8 = 1;
const GENERATED_KEY: u8 = 4;
const COMMAND: u8 = 5;
/// The kind of enhanced packets that have several tracks in them.
const MULTITRACK: u8 = 6;

/// What a tag comes to; `others` is set where it has media of other tracks than the first.
pub(super) fn read(mut body: Bytes, others: &mut bool) -> Result<Body, RtmpError> {
    if body.is_empty() {
        return Ok(Body::Nothing);
    }
    let first = number(&mut body, 1)? as u8;
    let frame = first >> 4 & 7;
    let key = matches!(frame, KEY | GENERATED_KEY);
    if first & IS_ENHANCED != 0 {
        // What is told of colours the stream has in itself, and a command is a seek of the client's.
        return match frame == COMMAND {
            true => Ok(Body::Nothing),
            false => enhanced(first & 15, key, body, others),
        };
    }
    let codec = match first & 15 {
        7 => Codec::H264,
        // Not in any specification: OBS wrote HEVC so before there was enhanced RTMP.
        12 => Codec::Hevc,
        _ if frame == COMMAND => return Ok(Body::Nothing),
        number => return Err(RtmpError::Unsupported(Unsupported::Named(name(number)))),
    };
    if frame == COMMAND {
        return Ok(Body::Nothing);
    }
    let kind = number(&mut body, 1)?;
    let cts_ms = cts(&mut body)?;
    match kind {
        0 => codec.config(&body).map(Body::Config),
        1 => Ok(Body::Packet { codec, key, cts_ms, nanos: 0, data: body }),
        _ => Ok(Body::Nothing),
    }
}

fn enhanced(kind: u8, key: bool, mut body: Bytes, others: &mut bool) -> Result<Body, RtmpError> {
    let Some(media) = enhanced::read(kind, MULTITRACK, &mut body, others)? else { return Ok(Body::Nothing) };
    let Media { kind, four_cc, nanos, mut data } = media;
    let codec = match &four_cc {
        b"avc1" => Codec::H264,
        b"hvc1" => Codec::Hevc,
        b"av01" => Codec::Av1,
        _ => return Err(RtmpError::Unsupported(Unsupported::FourCc(four_cc))),
    };
    let has_offset = !matches!(codec, Codec::Av1);
    match kind {
        enhanced::SEQUENCE_START => codec.config(&data).map(Body::Config),
        enhanced::CODED_FRAMES => {
            let cts_ms = if has_offset { cts(&mut data)? } else { 0 };
            Ok(Body::Packet { codec, key, cts_ms, nanos, data })
        }
        enhanced::CODED_FRAMES_X => Ok(Body::Packet { codec, key, cts_ms: 0, nanos, data }),
        enhanced::SEQUENCE_END => Ok(Body::Nothing),
        _ => Err(RtmpError::Malformed("video packet")),
    }
}

const fn name(codec: u8) -> &'static str {
    match codec {
        1 => "JPEG",
        2 => "Sorenson H.263",
        3 | 6 => "Screen Video",
        4 | 5 => "VP6",
        _ => "an unknown video codec",
    }
}

/// Takes the four letters of a codec.
pub(super) fn four_cc(body: &mut Bytes) -> Result<[u8; 4], RtmpError> {
    let letters = take(body, 4)?;
    Ok([letters[0], letters[1], letters[2], letters[3]])
}
