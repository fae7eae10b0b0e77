//! What an encoder sent, to be sent again by as many publishers as are wanted.

use std::sync::Arc;

use anyhow::{Context, ensure};
use bytes::{BufMut, Bytes, BytesMut};
use tempfile::TempDir;

use super::encoder::film;

/// The body of an FLV tag, and when it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag {
    /// 8 for sound, 9 for pictures.
    pub(super) kind: u8,
    /// Milliseconds.
    pub(super) at: u32,
    /// What the message carries.
    pub(super) body: Bytes,
}

/// Eight seconds, which are whole frames of picture and of sound, so that they can be repeated without a
/// seam.
#[derive(Debug, Clone)]
pub(super) struct Capture {
    /// What decoders must know.
    headers: Arc<[Tag]>,
    /// Everything else, by time.
    media: Arc<[Tag]>,
}

/// Its length in milliseconds, and how many frames of AAC at 48 kHz these are.
const LENGTH_MS: u32 = 8000;
const SOUNDS: usize = 375;
const AUDIO: u8 = 8;
const VIDEO: u8 = 9;
/// Bytes of media in a chunk, as OBS has it.
pub(super) const CHUNK_SIZE: usize = 4096;

impl Capture {
    /// What ffmpeg sends at so many kbit/s.
    pub(super) fn make(size: &str, kbps: u32) -> anyhow::Result<Self> {
        let home = TempDir::with_prefix("cocuyo-bench-").context("make a folder")?;
        let file = home.path().join("capture.flv");
        film(&file, LENGTH_MS / 1000 + 1, size, kbps)?;
        Self::read(&std::fs::read(&file).context("read the capture")?)
    }

    fn read(flv: &[u8]) -> anyhow::Result<Self> {
        let mut rest = flv.get(13..).context("an FLV has a header")?;
        let (mut headers, mut pictures, mut sounds) = (Vec::new(), Vec::new(), Vec::new());
        while let Some((head, after)) = rest.split_first_chunk::<11>() {
            let length = u32::from_be_bytes([0, head[1], head[2], head[3]]) as usize;
            let at = u32::from_be_bytes([head[7], head[4], head[5], head[6]]);
            let Some(body) = after.get(..length) else { break };
            let tag = Tag { kind: head[0], at, body: Bytes::copy_from_slice(body) };
            // AVC and AAC say in their second byte whether this is media.
            match (tag.kind, body.get(1)) {
                (AUDIO | VIDEO, Some(0)) => headers.push(Tag { at: 0, ..tag }),
                (AUDIO, Some(1)) => sounds.push(tag),
                (VIDEO, Some(1)) => pictures.push(tag),
                _ => {}
            }
            rest = after.get(length + 4..).unwrap_or_default();
        }
        rebase(&mut pictures);
        rebase(&mut sounds);
        pictures.retain(|tag| tag.at < LENGTH_MS);
        sounds.truncate(SOUNDS);
        ensure!(
            headers.len() == 2 && sounds.len() == SOUNDS && !pictures.is_empty(),
            "not what was to be captured"
        );
        let mut media = [pictures, sounds].concat();
        media.sort_by_key(|tag| tag.at);
        Ok(Self { headers: headers.into(), media: media.into() })
    }

    /// Puts chunks of the messages from the `from`th on that are due at `now` ms behind `out`; where the next
    /// goes on. Before the first come the headers.
    pub(super) fn due(&self, from: usize, now: u32, out: &mut BytesMut) -> usize {
        if from == 0 {
            self.headers.iter().for_each(|tag| chunks(tag, 0, out));
        }
        let mut next = from;
        loop {
            let (round, place) = (next / self.media.len(), next % self.media.len());
            let tag = &self.media[place];
            let at = tag.at + round as u32 * LENGTH_MS;
            if at > now {
                return next;
            }
            chunks(tag, at, out);
            next += 1;
        }
    }
}

fn rebase(tags: &mut [Tag]) {
    let first = tags.first().map_or(0, |tag| tag.at);
    tags.iter_mut().for_each(|tag| tag.at -= first);
}

/// The message of `tag` at `at`, in message stream 1.
fn chunks(tag: &Tag, at: u32, out: &mut BytesMut) {
    let stream = if tag.kind == VIDEO { 6 } else { 4 };
    message(stream, tag.kind, at, 1, &tag.body, CHUNK_SIZE, out);
}

/// A message in chunks, the first with its whole header (RTMP 1.0 §5.3.1).
pub(super) fn message(
    chunk_stream: u8,
    kind: u8,
    at: u32,
    stream: u32,
    body: &[u8],
    chunk_size: usize,
    out: &mut BytesMut,
) {
    // Runs of hours would want the extended timestamp.
    out.put_u8(chunk_stream);
    out.put_uint(u64::from(at.min(0xff_fffe)), 3);
    out.put_uint(body.len() as u64, 3);
    out.put_u8(kind);
    out.put_u32_le(stream);
    for (n, chunk) in body.chunks(chunk_size).enumerate() {
        if n > 0 {
            out.put_u8(0xc0 | chunk_stream);
        }
        out.put_slice(chunk);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_goes_round() {
        let tag = |kind, at, second| Tag { kind, at, body: Bytes::copy_from_slice(&[0x17, second, 5]) };
        let capture = Capture {
            headers: [tag(VIDEO, 0, 0)].into(),
            media: [tag(VIDEO, 0, 1), tag(AUDIO, 10, 1), tag(VIDEO, 4000, 1)].into(),
        };
        let mut out = BytesMut::new();
        assert_eq!(capture.due(0, 10, &mut out), 2);
        assert_eq!(out.len(), 3 * (12 + 3));
        let mut out = BytesMut::new();
        assert_eq!(capture.due(2, 8010, &mut out), 5);
        assert_eq!(&out[15..19], &[6, 0, 0x1f, 0x40], "8000 ms");
    }

    #[test]
    fn a_long_message_is_cut() {
        let mut out = BytesMut::new();
        message(3, 20, 0, 0, &[7; 300], 128, &mut out);
        assert_eq!(out.len(), 12 + 300 + 2);
        assert_eq!((out[12 + 128], out[12 + 257]), (0xc3, 0xc3));
    }
}
