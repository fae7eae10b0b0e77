//! What messages say beside media and commands (RTMP 1.0 §5.4, §6.2, §7.1). Pure.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::chunk::Message;
use super::error::RtmpError;

/// Kinds of messages.
pub(crate) mod kind {
    pub(crate) const SET_CHUNK_SIZE: u8 = 1;
    pub(crate) const ABORT: u8 = 2;
    pub(crate) const ACKNOWLEDGEMENT: u8 = 3;
    pub(crate) const USER_CONTROL: u8 = 4;
    pub(crate) const WINDOW_SIZE: u8 = 5;
    pub(crate) const PEER_BANDWIDTH: u8 = 6;
    pub(crate) const AUDIO: u8 = 8;
    pub(crate) const VIDEO: u8 = 9;
    pub(crate) const DATA_AMF3: u8 = 15;
    pub(crate) const COMMAND_AMF3: u8 = 17;
    pub(crate) const DATA: u8 = 18;
    pub(crate) const COMMAND: u8 = 20;
    pub(crate) const AGGREGATE: u8 = 22;
}

const STREAM_BEGIN: u16 = 0;
const PING_REQUEST: u16 = 6;
const PING_RESPONSE: u16 = 7;

/// A message of the connection itself.
pub(crate) fn control(kind: u8, payload: &[u8]) -> Message {
    Message { kind, stream: 0, timestamp: 0, payload: Bytes::copy_from_slice(payload) }
}

/// "What is in this message stream begins."
pub(crate) fn stream_begin(stream: u32) -> Message {
    user_control(STREAM_BEGIN, &stream.to_be_bytes())
}

/// The answer to a ping; nothing else in user control asks for one.
pub(crate) fn pong(payload: &[u8]) -> Option<Message> {
    let (event, time) = payload.split_first_chunk()?;
    (u16::from_be_bytes(*event) == PING_REQUEST).then(|| user_control(PING_RESPONSE, time))
}

fn user_control(event: u16, data: &[u8]) -> Message {
    let mut payload = BytesMut::with_capacity(2 + data.len());
    payload.put_u16(event);
    payload.put_slice(data);
    Message { kind: kind::USER_CONTROL, stream: 0, timestamp: 0, payload: payload.freeze() }
}

/// The number that a message of the connection consists of.
pub(crate) fn number(payload: &[u8]) -> Result<u32, RtmpError> {
    payload
        .first_chunk()
        .map(|bytes| u32::from_be_bytes(*bytes))
        .ok_or(RtmpError::Malformed("control message"))
}

/// Takes the first message out of an aggregate, which has a time of its own and FLV tags in it.
/// `base` is the time of the aggregate's first tag, once that is known: theirs are relative to it.
pub(crate) fn unpack(aggregate: &mut Message, base: &mut Option<u32>) -> Result<Option<Message>, RtmpError> {
    /// Kind, length, time and stream of a tag.
    const TAG: usize = 11;
    /// The length of the tag before.
    const BACK: usize = 4;
    let tags = &mut aggregate.payload;
    if tags.is_empty() {
        return Ok(None);
    }
    let malformed = RtmpError::Malformed("aggregate");
    if tags.len() < TAG {
        return Err(malformed);
    }
    let kind = tags.get_u8() & 0x1f;
    let length = tags.get_uint(3) as usize;
    let time = tags.get_uint(3) as u32 | u32::from(tags.get_u8()) << 24;
    tags.advance(3);
    if tags.len() < length {
        return Err(malformed);
    }
    let payload = tags.split_to(length);
    // Some leave the last one out.
    tags.advance(tags.len().min(BACK));
    if !matches!(kind, kind::AUDIO | kind::VIDEO | kind::DATA) {
        return Err(malformed);
    }
    let since = time.wrapping_sub(*base.get_or_insert(time));
    let timestamp = aggregate.timestamp.wrapping_add(since);
    Ok(Some(Message { kind, stream: aggregate.stream, timestamp, payload }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aggregate(payload: Vec<u8>) -> Message {
        Message { kind: kind::AGGREGATE, stream: 1, timestamp: 1000, payload: payload.into() }
    }

    fn tag(kind: u8, time: u32, payload: &[u8]) -> Vec<u8> {
        let mut tag = BytesMut::new();
        tag.put_u8(kind);
        tag.put_uint(payload.len() as u64, 3);
        tag.put_uint(u64::from(time & 0xff_ffff), 3);
        tag.put_u8((time >> 24) as u8);
        tag.put_uint(0, 3);
        tag.put_slice(payload);
        tag.put_u32(11 + payload.len() as u32);
        tag.to_vec()
    }

    fn unpacked(mut message: Message) -> Result<Vec<(u8, u32, Bytes)>, RtmpError> {
        let (mut base, mut tags) = (None, Vec::new());
        while let Some(tag) = unpack(&mut message, &mut base)? {
            tags.push((tag.kind, tag.timestamp, tag.payload));
        }
        Ok(tags)
    }

    #[test]
    fn an_aggregate_has_messages_in_it() {
        let tags = [tag(8, 0x0100_0005, b"one"), tag(9, 0x0100_0026, b"two")].concat();
        let expected = Ok(vec![(8, 1000, "one".into()), (9, 1033, "two".into())]);
        assert_eq!(unpacked(aggregate(tags.clone())), expected);
        assert_eq!(unpacked(aggregate(tags[..tags.len() - 4].to_vec())), expected, "without its last length");
        for payload in [tags[..20].to_vec(), tags[..30].to_vec(), tag(20, 0, b"no"), tag(22, 0, b"no")] {
            unpacked(aggregate(payload)).unwrap_err();
        }
        model::testing::mutants(&tags, 5000, |mutant| drop(unpacked(aggregate(mutant.to_vec()))));
    }

    #[test]
    fn a_ping_is_answered_and_nothing_else() {
        let ping = [0, 6, 1, 2, 3, 4];
        assert_eq!(pong(&ping).unwrap().payload, &[0, 7, 1, 2, 3, 4][..]);
        for other in [&[][..], &[0], &[0, 3, 0, 0, 0, 1, 0, 0, 1, 0], &[0, 7, 1, 2, 3, 4]] {
            assert_eq!(pong(other), None);
        }
    }
}
