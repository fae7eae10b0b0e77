//! A classic MP4 that exists nowhere: `moov` first, then one `mdat` whose bytes are ranges of the
//! chunks that players stream.
//!
//! ```text
//! [ftyp][moov: sample tables][mdat header][V0][A0][V1][A1]…   payload of segment 0, 1, …
//! ```
//!
//! The same index objects make the same bytes on every edge and in every process, so that a
//! download goes on anywhere: no time of day, no order of a map, no floating point is in them.

mod head;
mod tables;

use std::ops::Range;

use bytes::Bytes;
use model::{ChunkHash, ObjectKey, RenditionName, VersionId, VideoId};

use crate::{ChunkIndex, CmafError, RenditionIndex};

use head::write_head;
use tables::{Slice, Tables};

/// Changes whenever the same input would make other bytes; part of every `ETag`.
pub const BUILDER_VERSION: u32 = 1;

/// One track of the file to be.
#[derive(Debug, Clone, Copy)]
pub struct VirtualTrack<'a> {
    /// What the version's index says about it.
    pub rendition: &'a RenditionIndex,
    /// The initialisation segments of its formats, all of them, in order.
    pub inits: &'a [Bytes],
    /// The indexes of its chunks, all of them, in order.
    pub chunks: &'a [ChunkIndex],
}

/// A file of which only the head is held; the rest is a map onto objects.
#[derive(Debug, Clone)]
pub struct VirtualMp4 {
    head: Bytes,
    etag: String,
    objects: Vec<Vec<(RenditionName, u32, ChunkHash)>>,
    /// In the file's order; each begins where the one before it ends.
    payloads: Vec<Payload>,
    len: u64,
}

/// A contiguous part of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// These bytes of [`VirtualMp4::head`].
    Head(Range<usize>),
    /// These bytes of a chunk.
    Object {
        /// The chunk's rendition,
        rendition: RenditionName,
        /// its number
        number: u32,
        /// and its hash.
        hash: ChunkHash,
        /// Bytes of the object.
        range: Range<u64>,
    },
}

impl Piece {
    /// Bytes that the piece has.
    pub fn len(&self) -> u64 {
        match self {
            Self::Head(range) => range.len() as u64,
            Self::Object { range, .. } => range.end - range.start,
        }
    }

    /// Whether it has none; pieces of a file never are.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The object to read, if it is not the head.
    pub fn key(&self, video: VideoId, version: VersionId) -> Option<ObjectKey> {
        match *self {
            Self::Head(_) => None,
            Self::Object { rendition, number, hash, .. } => {
                Some(ObjectKey::Chunk { video, version, rendition, number, hash })
            }
        }
    }
}

impl VirtualMp4 {
    /// The file with these tracks, in this order: the picture and its sound, or a sound alone.
    ///
    /// # Errors
    /// When an initialisation segment or a chunk's index is broken, or does not fit what the
    /// version's index says.
    pub fn build(tracks: &[VirtualTrack<'_>]) -> Result<Self, CmafError> {
        if tracks.is_empty() {
            return Err(CmafError::malformed("virtual mp4", "no tracks"));
        }
        let tables = tracks.iter().map(Tables::of).collect::<Result<Vec<_>, _>>()?;
        let order = interleave(&tables);
        let payload_len: u64 = order.iter().map(|&(track, n)| tables[track].payloads[n].len).sum();

        // The length of the head depends on the width of its offsets, and on nothing else that is
        // not known yet; so it is written once to be measured and once to be right.
        let measure =
            |wide| Ok::<_, CmafError>(write_head(&tables, &order, 0, wide, payload_len)?.len() as u64);
        let narrow_len = measure(false)?;
        let wide = narrow_len + payload_len > u64::from(u32::MAX);
        let head_len = if wide { measure(true)? } else { narrow_len };
        let head = write_head(&tables, &order, head_len, wide, payload_len)?;

        let mut at = head_len;
        let payloads = order.iter().map(|&(track, n)| {
            let Slice { chunk, offset, len } = tables[track].payloads[n];
            let start = at;
            at += len;
            Payload { start, track, chunk, offset }
        });
        let object = |track: &VirtualTrack<'_>| {
            let chunks = track.rendition.chunks.iter();
            chunks.map(|chunk| (track.rendition.name, chunk.number, chunk.hash)).collect()
        };
        Ok(Self {
            etag: etag(tracks),
            objects: tracks.iter().map(object).collect(),
            payloads: payloads.collect(),
            len: head_len + payload_len,
            head: head.into(),
        })
    }

    /// Bytes of the whole file.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the file has no bytes; it always has a head.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// `ftyp`, `moov` and the header of `mdat`.
    pub fn head(&self) -> &Bytes {
        &self.head
    }

    /// The strong entity tag with its quotes: equal exactly when all bytes are.
    pub fn etag(&self) -> &str {
        &self.etag
    }

    /// The piece at the start of `range`, cut at its end; none if the range is empty or lies
    /// behind the file.
    pub fn piece(&self, range: Range<u64>) -> Option<Piece> {
        let end = range.end.min(self.len);
        if range.start >= end {
            return None;
        }
        let head_len = self.head.len() as u64;
        if range.start < head_len {
            return Some(Piece::Head(range.start as usize..end.min(head_len) as usize));
        }
        let n = self.payloads.partition_point(|payload| payload.start <= range.start) - 1;
        let payload = &self.payloads[n];
        let payload_end = self.payloads.get(n + 1).map_or(self.len, |next| next.start);
        let (rendition, number, hash) = self.objects[payload.track][payload.chunk];
        let start = payload.offset + (range.start - payload.start);
        let len = end.min(payload_end) - range.start;
        Some(Piece::Object { rendition, number, hash, range: start..start + len })
    }

    /// The pieces that make up `range`, in order.
    pub fn pieces(&self, range: Range<u64>) -> impl Iterator<Item = Piece> {
        let mut at = range.start;
        std::iter::from_fn(move || {
            let piece = self.piece(at..range.end)?;
            at += piece.len();
            Some(piece)
        })
    }
}

/// The payload of one segment in the file.
#[derive(Debug, Clone, Copy)]
struct Payload {
    /// Offset in the file.
    start: u64,
    track: usize,
    chunk: usize,
    /// Offset in the chunk.
    offset: u64,
}

/// Segment by segment, the tracks in turn: what is played together lies together.
fn interleave(tables: &[Tables]) -> Vec<(usize, usize)> {
    let longest = tables.iter().map(|table| table.payloads.len()).max().unwrap_or(0);
    let round =
        |n| (0..tables.len()).filter(move |&track| n < tables[track].payloads.len()).map(move |t| (t, n));
    (0..longest).flat_map(round).collect()
}

/// A hash over everything that the bytes depend on: this code's version, the configurations, and
/// the chunks with their indexes, which their own hashes cover.
fn etag(tracks: &[VirtualTrack<'_>]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"cocuyo virtual mp4\0").update(&BUILDER_VERSION.to_be_bytes());
    for track in tracks {
        hasher.update(format!("{}\0{}\0", track.rendition.name, track.rendition.chunks.len()).as_bytes());
        for (n, (format, init)) in track.rendition.formats().zip(track.inits).enumerate() {
            if n > 0 {
                hasher.update(format!("{}\0", format.segment).as_bytes());
            }
            hasher.update(ChunkHash::of(init).to_string().as_bytes());
        }
        for chunk in &track.rendition.chunks {
            hasher.update(chunk.hash.to_string().as_bytes());
        }
    }
    format!("\"{}\"", &hasher.finalize().to_hex()[..32])
}

#[cfg(test)]
mod tests;
