//! Chunks: segments back to back, and behind them a `uuid` box with an index of every sample.
//!
//! Players and tools skip a `uuid` box (§11.1), so an initialisation segment followed by whole
//! chunks is a valid fragmented file. The last four bytes of the box, and so of the object, are its
//! length: the index can be read from the object's end.
//!
//! ```text
//! u32 BE  length of the box      'uuid'      16 bytes  USER_TYPE
//! u8      layout, 1
//! varint  segments, then for each of them
//!   zigzag  sequence number − (that of the segment before + 1)
//!   zigzag  decode time − (end of the segment before)
//!   varint  bytes of the segment        varint  offset of the payload in it
//!   varint  samples
//!   varint  runs of equal duration, then (varint samples, varint duration) for each
//!   varint  sync samples, then for each its distance from the one before
//!   u8      1 if composition offsets follow
//!   varint  size of each sample         zigzag  composition offset of each sample
//! u32 BE  length of the box
//! ```

use std::ops::Range;

use model::ChunkHash;

use crate::segment::{MAX_SAMPLES, check_samples, duration};
use crate::{ChunkRef, CmafError, ReadSegment, Sample, SegmentRef, read_segment};

/// Type of the `uuid` box: a random UUID of version 4.
const USER_TYPE: [u8; 16] =
    [0x9b, 0x6f, 0x3c, 0x1e, 0x52, 0xa7, 0x4d, 0x0e, 0x8c, 0x41, 0x6a, 0x0d, 0x1f, 0x7b, 0xe2, 0x53];
const LAYOUT: u8 = 1;
/// Header, type and layout before the index, and the length behind it.
const FRAME: usize = 8 + 16 + 1 + 4;

/// Checks and indexes the segments of one chunk while its bytes go elsewhere.
///
/// The caller writes the bytes of each segment that was accepted, then those of
/// [`FinishedChunk::tail`]; the hash is of exactly these.
#[derive(Debug)]
pub struct ChunkWriter {
    number: u32,
    hasher: blake3::Hasher,
    end: u64,
    index: ChunkIndex,
}

/// A chunk that is complete.
#[derive(Debug)]
pub struct FinishedChunk {
    /// The bytes to write behind the last segment.
    pub tail: Vec<u8>,
    /// What the version's index says about the chunk.
    pub chunk: ChunkRef,
    /// Decode time at which the next chunk begins.
    pub end: u64,
}

/// Every sample of a chunk.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChunkIndex {
    /// The segments in order; each lies behind the one before it.
    pub segments: Vec<SegmentSamples>,
}

/// The samples of one segment, and where their bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentSamples {
    /// The number in its `mfhd`.
    pub sequence: u32,
    /// Decode time of the first sample in ticks.
    pub base_decode_time: u64,
    /// Bytes of the segment, `moof` and `mdat`.
    pub size_bytes: u32,
    /// Offset in the segment of the samples' bytes, which lie back to back and end it.
    pub payload_offset: u32,
    /// The samples.
    pub samples: Vec<Sample>,
}

impl SegmentSamples {
    /// Bytes of all samples.
    pub fn payload_len(&self) -> u32 {
        self.size_bytes - self.payload_offset
    }

    /// Bytes from the segment's beginning to the end of its first sample: all that a decoder needs to show
    /// that one.
    pub fn first_frame_end(&self) -> Option<u32> {
        let first = self.samples.first().filter(|first| first.sync)?;
        self.payload_offset.checked_add(first.size).filter(|end| *end <= self.size_bytes)
    }

    /// Ticks from its first sample to the next segment's.
    pub fn duration(&self) -> u64 {
        duration(&self.samples)
    }
}

impl ChunkWriter {
    /// Begins chunk `number` of a rendition at decode time `start`.
    pub fn new(number: u32, start: u64) -> Self {
        Self { number, hasher: blake3::Hasher::new(), end: start, index: ChunkIndex::default() }
    }

    /// Takes the next segment.
    ///
    /// # Errors
    /// When it is not a segment of ours, or does not begin where the one before it ended.
    pub fn push(&mut self, segment: &[u8]) -> Result<SegmentRef, CmafError> {
        let ReadSegment { sequence, base_decode_time, samples, payload } = read_segment(segment)?;
        let broken = |fault| CmafError::malformed("segment", fault);
        if base_decode_time != self.end {
            return Err(broken("does not begin where the one before it ended"));
        }
        let size_bytes = u32::try_from(segment.len()).map_err(|_| broken("longer than a segment may be"))?;
        let payload_offset =
            u32::try_from(payload.start).map_err(|_| broken("longer than a segment may be"))?;
        let duration = u32::try_from(duration(&samples)).map_err(|_| broken("lasts longer than it may"))?;
        self.hasher.update(segment);
        self.end += u64::from(duration);
        self.index.segments.push(SegmentSamples {
            sequence,
            base_decode_time,
            size_bytes,
            payload_offset,
            samples,
        });
        Ok(SegmentRef { size_bytes, duration })
    }

    /// How many segments it has.
    pub fn segment_count(&self) -> usize {
        self.index.segments.len()
    }

    /// Decode time at which the next segment must begin.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Bytes of its segments so far.
    pub fn media_bytes(&self) -> u64 {
        self.index.segments.iter().map(|segment| u64::from(segment.size_bytes)).sum()
    }

    /// Ends the chunk.
    pub fn finish(mut self) -> FinishedChunk {
        let size_bytes = self.media_bytes();
        let tail = write_index(&self.index);
        self.hasher.update(&tail);
        let segment = |segment: &SegmentSamples| SegmentRef {
            size_bytes: segment.size_bytes,
            duration: u32::try_from(segment.duration()).expect("`push` refuses longer ones"),
        };
        let chunk = ChunkRef {
            number: self.number,
            hash: ChunkHash::from_blake3(self.hasher.finalize()),
            size_bytes: size_bytes + tail.len() as u64,
            index_bytes: u32::try_from(tail.len()).expect("an index has a few bytes per sample"),
            segments: self.index.segments.iter().map(segment).collect(),
        };
        FinishedChunk { tail, chunk, end: self.end }
    }
}

/// Reads a chunk's index from its last bytes; what lies before the index does not matter.
///
/// # Errors
/// When no whole, consistent index ends `tail`.
pub fn read_chunk_index(tail: &[u8]) -> Result<ChunkIndex, CmafError> {
    let (_, length) = tail.split_last_chunk::<4>().ok_or(broken("shorter than its length"))?;
    let length = u32::from_be_bytes(*length) as usize;
    let start = tail.len().checked_sub(length).ok_or(broken("longer than the bytes at hand"))?;
    let whole = &tail[start..];
    if whole.len() < FRAME {
        return Err(broken("shorter than its frame"));
    }
    let (head, rest) = whole.split_at(FRAME - 4);
    let body = &rest[..rest.len() - 4];
    if head[..4] != whole[length - 4..] || head[4..8] != *b"uuid" || head[8..24] != USER_TYPE {
        return Err(broken("not the box of an index"));
    }
    if head[24] != LAYOUT {
        return Err(broken("a layout that this release cannot read"));
    }
    let mut reader = Reader { bytes: body };
    let index = reader.index()?;
    if reader.bytes.is_empty() { Ok(index) } else { Err(broken("bytes left over")) }
}

fn broken(fault: &'static str) -> CmafError {
    CmafError::malformed("chunk index", fault)
}

fn write_index(index: &ChunkIndex) -> Vec<u8> {
    let samples: usize = index.segments.iter().map(|segment| segment.samples.len()).sum();
    let mut bytes = Vec::with_capacity(FRAME + 32 * index.segments.len() + 4 * samples);
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(b"uuid");
    bytes.extend_from_slice(&USER_TYPE);
    bytes.push(LAYOUT);
    put_varint(&mut bytes, index.segments.len() as u64);
    let (mut sequence, mut time) = (0, 0);
    for segment in &index.segments {
        put_zigzag(&mut bytes, i64::from(segment.sequence) - sequence);
        put_zigzag(&mut bytes, segment.base_decode_time.wrapping_sub(time).cast_signed());
        put_segment(&mut bytes, segment);
        sequence = i64::from(segment.sequence) + 1;
        time = segment.base_decode_time.wrapping_add(segment.duration());
    }
    let length = u32::try_from(bytes.len() + 4).expect("an index has a few bytes per sample").to_be_bytes();
    bytes[..4].copy_from_slice(&length);
    bytes.extend_from_slice(&length);
    bytes
}

fn put_segment(bytes: &mut Vec<u8>, segment: &SegmentSamples) {
    let samples = &segment.samples;
    put_varint(bytes, segment.size_bytes.into());
    put_varint(bytes, segment.payload_offset.into());
    put_varint(bytes, samples.len() as u64);
    let runs = samples.chunk_by(|a, b| a.duration == b.duration);
    put_varint(bytes, runs.clone().count() as u64);
    for run in runs {
        put_varint(bytes, run.len() as u64);
        put_varint(bytes, run[0].duration.into());
    }
    let syncs = || samples.iter().enumerate().filter(|(_, sample)| sample.sync).map(|(n, _)| n as u64);
    put_varint(bytes, syncs().count() as u64);
    syncs().fold(0, |before, n| {
        put_varint(bytes, n - before);
        n
    });
    let reordered = samples.iter().any(|sample| sample.cts_offset != 0);
    bytes.push(reordered.into());
    samples.iter().for_each(|sample| put_varint(bytes, sample.size.into()));
    if reordered {
        samples.iter().for_each(|sample| put_zigzag(bytes, sample.cts_offset.into()));
    }
}

/// LEB128: seven bits a byte, the least significant first.
fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// Signed numbers near 0 as unsigned numbers near 0.
fn put_zigzag(bytes: &mut Vec<u8>, value: i64) {
    put_varint(bytes, ((value << 1) ^ (value >> 63)).cast_unsigned());
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl Reader<'_> {
    fn index(&mut self) -> Result<ChunkIndex, CmafError> {
        let mut segments = Vec::new();
        let (mut sequence, mut time) = (0i64, 0u64);
        for _ in 0..self.varint()? {
            let number = sequence.checked_add(self.zigzag()?).and_then(|number| u32::try_from(number).ok());
            let number = number.ok_or(broken("a sequence number out of range"))?;
            let start = time.wrapping_add(self.zigzag()?.cast_unsigned());
            let segment = self.segment(number, start)?;
            sequence = i64::from(number) + 1;
            time = start.checked_add(segment.duration()).ok_or(broken("a time out of range"))?;
            segments.push(segment);
        }
        Ok(ChunkIndex { segments })
    }

    fn segment(&mut self, sequence: u32, base_decode_time: u64) -> Result<SegmentSamples, CmafError> {
        let (size_bytes, payload_offset) = (self.number()?, self.number()?);
        let payload_len =
            size_bytes.checked_sub(payload_offset).ok_or(broken("a payload behind its segment"))?;
        // Each sample takes at least one byte, so what is left bounds the memory.
        let count = self.count(self.bytes.len().min(MAX_SAMPLES))?;
        let mut samples = vec![Sample { size: 0, duration: 0, cts_offset: 0, sync: false }; count];
        let mut timed = 0;
        for _ in 0..self.varint()? {
            let (run, duration) = (self.count(count - timed)?, self.number()?);
            if run == 0 {
                return Err(broken("an empty run of durations"));
            }
            samples[timed..timed + run].iter_mut().for_each(|sample| sample.duration = duration);
            timed += run;
        }
        let mut at = 0;
        for _ in 0..self.count(count)? {
            at += self.count(count)?;
            samples.get_mut(at).ok_or(broken("a sync sample behind the last"))?.sync = true;
        }
        let reordered = match self.byte()? {
            0 => false,
            1 => true,
            _ => return Err(broken("a flag that is none")),
        };
        for sample in &mut samples {
            sample.size = self.number()?;
        }
        if reordered {
            for sample in &mut samples {
                sample.cts_offset =
                    i32::try_from(self.zigzag()?).map_err(|_| broken("a composition offset out of range"))?;
            }
        }
        check_samples(&samples, payload_len as usize)?;
        Ok(SegmentSamples { sequence, base_decode_time, size_bytes, payload_offset, samples })
    }

    fn byte(&mut self) -> Result<u8, CmafError> {
        let (first, rest) = self.bytes.split_first().ok_or(broken("ends too early"))?;
        self.bytes = rest;
        Ok(*first)
    }

    fn varint(&mut self) -> Result<u64, CmafError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits.leading_zeros() < shift {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(broken("a number out of range"))
    }

    fn zigzag(&mut self) -> Result<i64, CmafError> {
        let value = self.varint()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    fn number(&mut self) -> Result<u32, CmafError> {
        u32::try_from(self.varint()?).map_err(|_| broken("a number out of range"))
    }

    fn count(&mut self, limit: usize) -> Result<usize, CmafError> {
        let count = usize::try_from(self.varint()?).ok().filter(|count| *count <= limit);
        count.ok_or(broken("a count that its bytes cannot fill"))
    }
}

/// Where each segment lies in its chunk, from their sizes.
pub(crate) fn segment_ranges(index: &ChunkIndex) -> impl Iterator<Item = (Range<u64>, &SegmentSamples)> {
    index.segments.iter().scan(0, |at, segment| {
        let start = *at;
        *at += u64::from(segment.size_bytes);
        Some((start..*at, segment))
    })
}

#[cfg(test)]
mod tests;
