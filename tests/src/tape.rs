use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use tempfile::TempDir;

use crate::rtmp::{CHUNK_SIZE, message};
use crate::run;

/// What ffmpeg published once, to be published again at other times: eight seconds of moving pictures,
/// a key frame every two, and of a tone, which can be repeated without a seam.
#[derive(Debug, Clone)]
pub struct Tape {
    /// What decoders must know.
    headers: Arc<[Tag]>,
    /// Everything else, by time.
    media: Arc<[Tag]>,
}

/// The body of an FLV tag, and when it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Tag {
    /// 8 for sound, 9 for pictures.
    pub(crate) kind: u8,
    /// Milliseconds.
    pub(crate) at: u32,
    pub(crate) body: Bytes,
}

const AUDIO: u8 = 8;
pub(crate) const VIDEO: u8 = 9;
/// Its length in milliseconds, and how many frames of AAC at 48 kHz these are.
const LENGTH_MS: u32 = 8000;
const SOUNDS: usize = 375;

impl Tape {
    /// Lets ffmpeg publish into a file.
    pub fn record() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let file = folder.path().join("tape.flv");
        let (sources, flv) = (["testsrc2=size=640x360:rate=30", "sine=440:r=48000"], file.to_string_lossy());
        let arguments = format!(
            "-nostdin -loglevel error -f lavfi -i {} -f lavfi -i {} -t 9 -c:v libx264 -preset ultrafast -bf 0 \
             -g 60 -sc_threshold 0 -b:v 500k -pix_fmt yuv420p -c:a aac -b:a 96k {flv}",
            sources[0], sources[1],
        );
        run("ffmpeg", &arguments.split(' ').collect::<Vec<_>>()).ok();
        Self::read(&std::fs::read(&file).expect("ffmpeg wrote it"))
    }

    /// Eight seconds out of a file that ffmpeg wrote, which has nine, H.264 and AAC at 48 kHz.
    pub fn read(flv: &[u8]) -> Self {
        // A header of nine bytes, and the length of no tag.
        let mut rest = &flv[13..];
        let (mut headers, mut pictures, mut sounds) = (Vec::new(), Vec::new(), Vec::new());
        while let Some((head, after)) = rest.split_first_chunk::<11>() {
            let length = u32::from_be_bytes([0, head[1], head[2], head[3]]) as usize;
            let at = u32::from_be_bytes([head[7], head[4], head[5], head[6]]);
            let tag = Tag { kind: head[0], at, body: Bytes::copy_from_slice(&after[..length]) };
            // AVC and AAC say in their second byte whether this is media.
            match (tag.kind, tag.body[1]) {
                (AUDIO | VIDEO, 0) => headers.push(Tag { at: 0, ..tag }),
                (AUDIO, 1) => sounds.push(tag),
                (VIDEO, 1) => pictures.push(tag),
                _ => {}
            }
            rest = &after[length + 4..];
        }
        for tags in [&mut pictures, &mut sounds] {
            let first = tags[0].at;
            tags.iter_mut().for_each(|tag| tag.at -= first);
        }
        pictures.retain(|tag| tag.at < LENGTH_MS);
        sounds.truncate(SOUNDS);
        assert!(headers.len() == 2 && sounds.len() == SOUNDS, "not what was to be recorded");
        let mut media = [pictures, sounds].concat();
        media.sort_by_key(|tag| tag.at);
        Self { headers: headers.into(), media: media.into() }
    }

    /// Puts chunks of the messages from the `from`th on that are due at `now` ms behind `out`; where the
    /// next goes on. Before the first come the headers.
    pub fn due(&self, from: usize, now: u32, out: &mut BytesMut) -> usize {
        if from == 0 {
            self.headers.iter().for_each(|tag| out.put_slice(&tag.chunks(0)));
        }
        let mut next = from;
        loop {
            let (at, tag) = self.tag(next);
            if at > u64::from(now) {
                return next;
            }
            out.put_slice(&tag.chunks(at as u32));
            next += 1;
        }
    }

    /// What decoders must know.
    pub(crate) fn headers(&self) -> &[Tag] {
        &self.headers
    }

    /// The `n`th tag of an endless repetition, at its time.
    pub(crate) fn tag(&self, n: usize) -> (u64, &Tag) {
        let (round, tag) = (n / self.media.len(), &self.media[n % self.media.len()]);
        (round as u64 * u64::from(LENGTH_MS) + u64::from(tag.at), tag)
    }
}

impl Tag {
    /// Its message at `at`, in chunks.
    pub(crate) fn chunks(&self, at: u32) -> Vec<u8> {
        message(if self.kind == VIDEO { 6 } else { 4 }, self.kind, at, 1, &self.body, CHUNK_SIZE)
    }

    /// As a picture that says of itself that decoding cannot begin with it.
    pub(crate) fn without_key(&self) -> Self {
        let mut body = BytesMut::from(&self.body[..]);
        if self.kind == VIDEO {
            // The upper half of the first byte: 1 for a key frame, 2 for others.
            body[0] = body[0] & 0x0f | 0x20;
        }
        Self { body: body.freeze(), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tape_goes_round() {
        let tag = |kind, at, second| Tag { kind, at, body: Bytes::copy_from_slice(&[0x17, second, 5]) };
        let tape = Tape {
            headers: [tag(VIDEO, 0, 0)].into(),
            media: [tag(VIDEO, 0, 1), tag(AUDIO, 10, 1), tag(VIDEO, 4000, 1)].into(),
        };
        let mut out = BytesMut::new();
        assert_eq!(tape.due(0, 10, &mut out), 2);
        assert_eq!(out.len(), 3 * (12 + 3));
        let mut out = BytesMut::new();
        assert_eq!(tape.due(2, 8010, &mut out), 5);
        assert_eq!(&out[15..19], &[6, 0, 0x1f, 0x40], "8000 ms");
    }
}
