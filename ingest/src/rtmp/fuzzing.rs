//! What is fuzzed from outside: everything that reads a publisher's bytes.

use bytes::Bytes;

use super::conversation::{Conversation, Event};
use super::flv::Demuxer;

/// Follows a connection that sends `bytes` behind its handshake, and may publish whatever it asks for.
pub fn connection(bytes: &[u8]) {
    let mut wire = vec![3];
    wire.resize(1 + 2 * 1536, 0);
    wire.extend_from_slice(bytes);
    let mut input = &wire[..];
    let (mut conversation, mut demuxer) = (Conversation::new(), Demuxer::default());
    while let Ok(Some(event)) = conversation.receive(&mut input) {
        let item = match event {
            Event::Publish(_) => {
                conversation.accept();
                continue;
            }
            Event::Audio(timestamp, body) => demuxer.audio(timestamp, body),
            Event::Video(timestamp, body) => demuxer.video(timestamp, body),
            Event::Finished | Event::Refused(_) => return,
        };
        if item.is_err() {
            return;
        }
    }
}

/// Reads bodies of FLV tags: each behind a byte that is odd for video, and one with its length.
pub fn tags(mut bytes: &[u8]) {
    let mut demuxer = Demuxer::default();
    let mut timestamp = 0u32;
    while let [kind, length, rest @ ..] = bytes {
        let (body, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        let body = Bytes::copy_from_slice(body);
        timestamp = timestamp.wrapping_add(u32::from(*kind) << 20);
        let _ = if kind & 1 == 1 { demuxer.video(timestamp, body) } else { demuxer.audio(timestamp, body) };
        bytes = rest;
    }
}
