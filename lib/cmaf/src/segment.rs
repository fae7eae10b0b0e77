//! Media segments: `moof` + `mdat`, one track, one run, starting with a sync sample.

use std::ops::Range;

use bytes::Bytes;
use mp4_atom::{Mfhd, Moof, Tfdt, Tfhd, Traf, Trun, TrunEntry};

use crate::CmafError;
use crate::boxes::{Child, leaf, only, put, walk};
use crate::init::TRACK_ID;

/// The most samples of one segment; 8 s of sound at 192 kHz have 1,500.
pub(crate) const MAX_SAMPLES: usize = 10_000;
/// `sample_depends_on` = 2: on no other (§8.8.3.1).
const SYNC: u32 = 0x0200_0000;
/// `sample_depends_on` = 1, `sample_is_non_sync_sample` = 1 (§8.8.3.1).
const NON_SYNC: u32 = 0x0101_0000;

/// One frame of picture or sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Bytes, never 0.
    pub size: u32,
    /// Ticks until the next sample is decoded, never 0.
    pub duration: u32,
    /// Presentation time minus decode time in ticks; negative where frames are reordered.
    pub cts_offset: i32,
    /// Whether decoding can start here.
    pub sync: bool,
}

/// A segment that was read: its samples, and where in its bytes their payload lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadSegment {
    /// The number in its `mfhd`.
    pub sequence: u32,
    /// Decode time of the first sample in ticks.
    pub base_decode_time: u64,
    /// Its samples, at least one; the first of a segment is a sync sample.
    pub samples: Vec<Sample>,
    /// The bytes of the samples, back to back, within the segment.
    pub payload: Range<usize>,
}

impl ReadSegment {
    /// Ticks from its first sample to the next segment's.
    pub fn duration(&self) -> u64 {
        duration(&self.samples)
    }
}

/// Ticks that `samples` take.
pub(crate) fn duration(samples: &[Sample]) -> u64 {
    samples.iter().map(|sample| u64::from(sample.duration)).sum()
}

/// The segment whose samples, back to back, are `payload`.
///
/// What all samples share stands once in `tfhd`, so that a video sample costs eight bytes (size
/// and composition offset) and a sound sample four.
///
/// # Errors
/// When the samples do not add up to the payload, or the first is not a sync sample.
pub fn media_segment(
    sequence: u32,
    base_decode_time: u64,
    samples: &[Sample],
    payload: &[u8],
) -> Result<Bytes, CmafError> {
    let mut bytes = segment_head(sequence, base_decode_time, samples, payload.len())?;
    bytes.extend_from_slice(payload);
    Ok(bytes.into())
}

/// What stands before the payload of a segment, see [`media_segment`]: for whoever need not have
/// both in one piece.
///
/// # Errors
/// Those of [`media_segment`].
pub fn segment_head(
    sequence: u32,
    base_decode_time: u64,
    samples: &[Sample],
    payload_len: usize,
) -> Result<Vec<u8>, CmafError> {
    check_samples(samples, payload_len)?;
    head(sequence, base_decode_time, samples, payload_len)
}

/// What stands before the payload of a part of a live segment: like [`segment_head`], but decoding
/// need not be possible from it.
///
/// # Errors
/// When the samples do not add up to the payload.
pub fn part_head(
    sequence: u32,
    base_decode_time: u64,
    samples: &[Sample],
    payload_len: usize,
) -> Result<Vec<u8>, CmafError> {
    check_sums(samples, payload_len)?;
    head(sequence, base_decode_time, samples, payload_len)
}

fn head(
    sequence: u32,
    base_decode_time: u64,
    samples: &[Sample],
    payload_len: usize,
) -> Result<Vec<u8>, CmafError> {
    let mut moof =
        Moof { mfhd: Mfhd { sequence_number: sequence }, traf: vec![traf(base_decode_time, samples)] };
    let mut bytes = Vec::with_capacity(128 + 16 * samples.len());
    put("moof", &moof, &mut bytes)?;
    // The payload begins behind the `moof` and the header of the `mdat`, counted from the `moof`
    // (`default-base-is-moof`, §8.8.7); the length of the box does not depend on the value.
    let mdat_size = u32::try_from(payload_len + 8)
        .map_err(|_| CmafError::malformed("mdat", "longer than a segment may be"))?;
    moof.traf[0].trun[0].data_offset = i32::try_from(bytes.len() + 8).ok();
    bytes.clear();
    put("moof", &moof, &mut bytes)?;
    bytes.extend_from_slice(&mdat_size.to_be_bytes());
    bytes.extend_from_slice(b"mdat");
    Ok(bytes)
}

/// Reads a segment as [`media_segment`] writes them; a `styp` before it is allowed.
///
/// # Errors
/// Every length, offset or count that does not fit the bytes that are there.
pub fn read_segment(bytes: &[u8]) -> Result<ReadSegment, CmafError> {
    let segment = read_part(bytes)?;
    check_samples(&segment.samples, segment.payload.len())?;
    Ok(segment)
}

/// Reads a part as [`part_head`] begins them: like [`read_segment`], but decoding need not be
/// possible from its first sample.
///
/// # Errors
/// Every length, offset or count that does not fit the bytes that are there.
pub fn read_part(bytes: &[u8]) -> Result<ReadSegment, CmafError> {
    let boxes: Vec<Child> = walk("segment", bytes).take(4).collect::<Result<_, _>>()?;
    let kinds: Vec<&[u8; 4]> = boxes.iter().map(|child| &child.kind).collect();
    let (moof, mdat) = match kinds[..] {
        [b"moof", b"mdat"] => (boxes[0], boxes[1]),
        [b"styp", b"moof", b"mdat"] => (boxes[1], boxes[2]),
        _ => return Err(CmafError::malformed("segment", "not one `moof` and one `mdat`")),
    };
    let mfhd: Mfhd = leaf("mfhd", only("moof", moof.body, b"mfhd")?.body)?;
    let traf = only("moof", moof.body, b"traf")?.body;
    let tfhd: Tfhd = leaf("tfhd", only("traf", traf, b"tfhd")?.body)?;
    if tfhd.track_id != TRACK_ID || !tfhd.default_base_is_moof || tfhd.base_data_offset.is_some() {
        return Err(CmafError::malformed("tfhd", "not track 1 with `default-base-is-moof`"));
    }
    let tfdt: Tfdt = leaf("tfdt", only("traf", traf, b"tfdt")?.body)?;
    let trun: Trun = leaf("trun", only("traf", traf, b"trun")?.body)?;

    let payload = mdat.end - mdat.body.len()..mdat.end;
    if trun.data_offset.and_then(|offset| usize::try_from(offset).ok()) != Some(payload.start - moof.start) {
        return Err(CmafError::malformed("trun", "the data offset is not the start of `mdat`"));
    }
    if trun.samples.len() > MAX_SAMPLES {
        return Err(CmafError::malformed("trun", "more samples than a segment may have"));
    }
    let samples: Option<Vec<Sample>> = trun.samples.iter().map(|entry| resolve(entry, &tfhd)).collect();
    let samples =
        samples.ok_or(CmafError::malformed("trun", "a sample lacks a value, or it is out of range"))?;
    check_sums(&samples, mdat.body.len())?;
    let base_decode_time = tfdt.base_media_decode_time;
    base_decode_time
        .checked_add(duration(&samples))
        .ok_or(CmafError::malformed("tfdt", "later than any time"))?;
    Ok(ReadSegment { sequence: mfhd.sequence_number, base_decode_time, samples, payload })
}

/// The rules that hold for every segment, written or read.
pub(crate) fn check_samples(samples: &[Sample], payload_len: usize) -> Result<(), CmafError> {
    match samples {
        [first, ..] if !first.sync => {
            Err(CmafError::malformed("trun", "the first sample is not a sync sample"))
        }
        _ => check_sums(samples, payload_len),
    }
}

/// The rules that hold for parts, too.
fn check_sums(samples: &[Sample], payload_len: usize) -> Result<(), CmafError> {
    let fault = match samples {
        [] => "no samples",
        _ if samples.len() > MAX_SAMPLES => "more samples than a segment may have",
        _ if samples.iter().any(|sample| sample.size == 0 || sample.duration == 0) => {
            "a sample without bytes or duration"
        }
        _ if samples.iter().map(|sample| u64::from(sample.size)).sum::<u64>() != payload_len as u64 => {
            "the sizes of the samples do not add up to the payload"
        }
        _ => return Ok(()),
    };
    Err(CmafError::malformed("trun", fault))
}

fn traf(base_decode_time: u64, samples: &[Sample]) -> Traf {
    let flags = |sample: &Sample| if sample.sync { SYNC } else { NON_SYNC };
    let shared_duration = shared(samples.iter().map(|sample| sample.duration));
    let shared_size = shared(samples.iter().map(|sample| sample.size));
    // The first sample of a segment is a sync sample by rule; mostly it is the only one, or all are.
    let first_flags = samples.first().map(flags);
    let shared_flags = shared(samples.iter().skip(1).map(flags));
    let default_flags = if samples.len() == 1 { first_flags } else { shared_flags };
    let reordered = samples.iter().any(|sample| sample.cts_offset != 0);
    let entry = |(n, sample): (usize, &Sample)| TrunEntry {
        duration: shared_duration.is_none().then_some(sample.duration),
        size: shared_size.is_none().then_some(sample.size),
        flags: match default_flags {
            None => Some(flags(sample)),
            Some(default) => first_flags.filter(|first| n == 0 && *first != default),
        },
        cts: reordered.then_some(sample.cts_offset.into()),
    };
    Traf {
        tfhd: Tfhd {
            track_id: TRACK_ID,
            default_sample_duration: shared_duration,
            default_sample_size: shared_size,
            default_sample_flags: default_flags,
            default_base_is_moof: true,
            ..Tfhd::default()
        },
        tfdt: Some(Tfdt { base_media_decode_time: base_decode_time }),
        trun: vec![Trun {
            data_offset: Some(0),
            samples: samples.iter().enumerate().map(entry).collect::<Vec<_>>().into(),
        }],
        ..Traf::default()
    }
}

/// The value that all items have, if they have one.
fn shared(mut items: impl Iterator<Item = u32>) -> Option<u32> {
    let first = items.next()?;
    items.all(|item| item == first).then_some(first)
}

fn resolve(entry: TrunEntry, tfhd: &Tfhd) -> Option<Sample> {
    let flags = entry.flags.or(tfhd.default_sample_flags)?;
    Some(Sample {
        size: entry.size.or(tfhd.default_sample_size)?,
        duration: entry.duration.or(tfhd.default_sample_duration)?,
        cts_offset: i32::try_from(entry.cts.unwrap_or(0)).ok()?,
        sync: flags & 0x0001_0000 == 0,
    })
}

#[cfg(test)]
mod tests;
