use bytes::{BufMut, Bytes, BytesMut};
use tempfile::TempDir;

use crate::run;

/// What ffmpeg published once, to be published again at other times: eight seconds of moving pictures,
/// a key frame every two, and of a tone, which can be repeated without a seam.
#[derive(Debug)]
pub struct Tape {
    /// What decoders must know.
    headers: Vec<Tag>,
    /// Everything else, by time.
    media: Vec<Tag>,
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

pub(crate) const AUDIO: u8 = 8;
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

    fn read(flv: &[u8]) -> Self {
        // A header of nine bytes, and the length of no tag.
        let mut rest = &flv[13..];
        let (mut headers, mut pictures, mut sounds) = (Vec::new(), Vec::new(), Vec::new());
        while let Some((head, after)) = rest.split_first_chunk::<11>() {
            let length = u32::from_be_bytes([0, head[1], head[2], head[3]]) as usize;
            let at = u32::from_be_bytes([head[7], head[4], head[5], head[6]]);
            let tag = Tag { kind: head[0], at, body: Bytes::copy_from_slice(&after[..length]) };
            // AVC and AAC say in their second byte whether this is media.
            match (tag.kind, tag.body[1]) {
                (AUDIO | VIDEO, 0) => headers.push(tag),
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
        let mut media = [pictures, sounds].concat();
        media.sort_by_key(|tag| tag.at);
        Self { headers, media }
    }

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

/// A message in chunks of `chunk_size`, the first with its whole header (RTMP 1.0 §5.3.1).
pub(crate) fn message(
    chunk_stream: u8,
    kind: u8,
    at: u32,
    stream: u32,
    body: &[u8],
    chunk_size: usize,
) -> Vec<u8> {
    const EXTENDED: u32 = 0xff_ffff;
    let mut out = vec![chunk_stream];
    out.put_uint(at.min(EXTENDED).into(), 3);
    out.put_uint(body.len() as u64, 3);
    out.put_u8(kind);
    out.put_u32_le(stream);
    for (n, chunk) in body.chunks(chunk_size).enumerate() {
        if n > 0 {
            out.put_u8(0xc0 | chunk_stream);
        }
        if at >= EXTENDED {
            out.put_u32(at);
        }
        out.put_slice(chunk);
    }
    out
}
