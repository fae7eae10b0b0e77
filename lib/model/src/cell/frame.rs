use serde::{Deserialize, Serialize};

/// The greatest head, in bytes, that either side accepts.
pub const MAX_HEAD: u32 = 1 << 20;
/// The greatest payload, in bytes, that either side accepts: a segment of 8 s at 100 Mbit/s.
pub const MAX_PAYLOAD: u32 = 100 << 20;

/// A frame that breaks the protocol.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// A length above the limit.
    #[error("frame of {head} + {payload} bytes is over the limit")]
    TooLong {
        /// Announced head.
        head: u32,
        /// Announced payload.
        payload: u32,
    },
    /// A head that is not the message it should be.
    #[error("frame head is not a message")]
    Head(#[from] serde_json::Error),
}

/// Lengths of a frame's two parts, read from its first eight bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameLengths {
    /// Bytes of JSON.
    pub head: u32,
    /// Bytes of payload.
    pub payload: u32,
}

impl FrameLengths {
    /// Bytes before the head.
    pub const SIZE: usize = 8;

    /// Reads and checks the lengths.
    pub fn parse(bytes: [u8; Self::SIZE]) -> Result<Self, FrameError> {
        let [a, b, c, d, e, f, g, h] = bytes;
        let (head, payload) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        if head > MAX_HEAD || payload > MAX_PAYLOAD {
            return Err(FrameError::TooLong { head, payload });
        }
        Ok(Self { head, payload })
    }
}

/// The lengths and head of a frame whose payload, of `payload_len` bytes, follows it.
pub fn encode_head(message: &impl Serialize, payload_len: usize) -> Result<Vec<u8>, FrameError> {
    let head = serde_json::to_vec(message)?;
    let too_long = || FrameError::TooLong { head: head.len() as u32, payload: payload_len as u32 };
    let lengths = [u32::try_from(head.len()), u32::try_from(payload_len)];
    let [Ok(head_len), Ok(payload_len)] = lengths else { return Err(too_long()) };
    let mut frame = Vec::with_capacity(FrameLengths::SIZE + head.len());
    frame.extend_from_slice(&head_len.to_le_bytes());
    frame.extend_from_slice(&payload_len.to_le_bytes());
    FrameLengths::parse(frame[..FrameLengths::SIZE].try_into().expect("eight bytes were written"))?;
    frame.extend_from_slice(&head);
    Ok(frame)
}

/// Reads a frame's head.
pub fn decode_head<'a, T: Deserialize<'a>>(head: &'a [u8]) -> Result<T, FrameError> {
    Ok(serde_json::from_slice(head)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RenditionName;
    use crate::cell::Reply;

    #[test]
    fn a_frame_reads_back() {
        let said = Reply::Segment { rendition: RenditionName::Video { height: 360 }, number: 7 };
        let frame = encode_head(&said, 5).unwrap();
        let lengths = FrameLengths::parse(frame[..8].try_into().unwrap()).unwrap();
        assert_eq!((lengths.head as usize, lengths.payload), (frame.len() - 8, 5));
        assert_eq!(decode_head::<Reply>(&frame[8..]).unwrap(), said);
    }

    #[test]
    fn a_length_over_the_limit_is_refused_before_memory_is_taken() {
        let mut bytes = [0xff; 8];
        assert!(matches!(FrameLengths::parse(bytes), Err(FrameError::TooLong { .. })));
        bytes[..4].copy_from_slice(&10u32.to_le_bytes());
        assert!(matches!(FrameLengths::parse(bytes), Err(FrameError::TooLong { .. })));
    }
}
