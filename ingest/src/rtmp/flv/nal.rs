//! NAL units stand behind their lengths, of one to four bytes; a feed has them behind four.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use model::feed::{FeedConfig, MAX_FEED_PAYLOAD};

use crate::rtmp::error::RtmpError;

/// How many bytes the lengths have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LengthSize(usize);

/// The place of that number, less one, in the records of H.264 and HEVC.
const IN_AVCC: usize = 4;
const IN_HVCC: usize = 21;

/// What the lengths are before the packets of `config`, if it has NAL units, and the configuration
/// of a feed that it comes to.
pub(super) fn normal(mut config: FeedConfig) -> Result<(Option<LengthSize>, FeedConfig), RtmpError> {
    let byte = match &mut config {
        FeedConfig::H264 { avcc } => avcc.get_mut(IN_AVCC),
        FeedConfig::Hevc { hvcc } => hvcc.get_mut(IN_HVCC),
        FeedConfig::Av1 { .. } | FeedConfig::Aac { .. } | FeedConfig::Opus { .. } => {
            return Ok((None, config));
        }
    };
    let byte = byte.ok_or(RtmpError::Malformed("decoder configuration"))?;
    let size = usize::from(*byte & 3) + 1;
    *byte |= 3;
    if let FeedConfig::Hevc { hvcc } = &mut config {
        // Drafts had the same record as version 0.
        hvcc[0] = 1;
    }
    Ok((Some(LengthSize(size)), config))
}

impl LengthSize {
    /// `data` with lengths of four bytes; what has them already is only looked through.
    pub(super) fn normal(self, data: Bytes) -> Result<Bytes, RtmpError> {
        let Self(size) = self;
        let mut rest = &data[..];
        let mut units = 0;
        while !rest.is_empty() {
            next(size, &mut rest)?;
            units += 1;
        }
        if size == 4 {
            return Ok(data);
        }
        let length = data.len() + units * (4 - size);
        // Units without bytes become four times as long.
        if length > MAX_FEED_PAYLOAD as usize {
            return Err(RtmpError::TooMuch("NAL units"));
        }
        let mut wider = BytesMut::with_capacity(length);
        let mut rest = &data[..];
        while !rest.is_empty() {
            let unit = next(size, &mut rest)?;
            wider.put_u32(unit.len() as u32);
            wider.put_slice(unit);
        }
        Ok(wider.freeze())
    }
}

/// Takes the next unit out of `data`.
fn next<'a>(size: usize, data: &mut &'a [u8]) -> Result<&'a [u8], RtmpError> {
    let wrong = RtmpError::Malformed("lengths of NAL units");
    let mut length = data.split_off(..size).ok_or(wrong)?;
    data.split_off(..length.get_uint(size) as usize).ok_or(wrong)
}
