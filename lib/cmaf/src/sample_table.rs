//! The sample tables of a classic MP4: where the coded pictures or the coded sound of one of its
//! tracks are.

use mp4_atom::{Co64, Ctts, Elst, FixedPoint, Stco, Stsc, Stss, Stsz, StszSamples, Stts, Tkhd};

use crate::CmafError;
use crate::boxes::{leaf, maybe, only, walk};
use crate::init::{AUDIO_ENTRY, Media, VISUAL_ENTRY, asc};

/// The most samples of a track that are read: twelve hours at 60 a second.
const MAX_SAMPLES: u32 = 12 * 3600 * 60;
/// Bytes that QuickTime's version 1 of an `AudioSampleEntry` has more than version 0.
const VERSION_1: usize = 16;

/// An `avc1` or `mp4a` track of a file that is not fragmented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleTable {
    /// Ticks per second.
    pub timescale: u32,
    /// What its decoder is told.
    pub configuration: Configuration,
    /// With which moment of the media the film begins, where an edit list says so.
    pub start: Option<u64>,
    /// The samples in the order of decoding.
    pub samples: Vec<StoredSample>,
}

/// What the decoder of a track is told before its first sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Configuration {
    /// The `AVCDecoderConfigurationRecord` of H.264.
    Avc(Vec<u8>),
    /// The `AudioSpecificConfig` of AAC.
    Aac(Vec<u8>),
}

/// One sample, and where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredSample {
    /// Of its first byte in the file.
    pub offset: u64,
    /// Its bytes.
    pub size: u32,
    /// When it is decoded,
    pub dts: i64,
    /// and when it is shown, in ticks of the media.
    pub pts: i64,
    /// Whether the file says that decoding can start here.
    pub sync: bool,
}

impl StoredSample {
    /// Where its bytes end in the file.
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.size.into())
    }
}

impl SampleTable {
    /// Reads the track with this id from the inside of a `moov`.
    ///
    /// # Errors
    /// When there is none, it is neither `avc1` nor `mp4a` with all its samples in tables, its tables
    /// contradict each other, or its edit list does more than to say when it begins and ends.
    pub fn read(moov: &[u8], track: u32) -> Result<Self, CmafError> {
        let trak = trak(moov, track)?;
        let Media { timescale, stbl, entry } = Media::of(trak)?;
        let configuration = match &entry.kind {
            b"avc1" => Configuration::Avc(avcc(entry.body)?),
            b"mp4a" => Configuration::Aac(asc(esds(entry.body)?)?),
            _ => return Err(CmafError::malformed("stsd", "a codec that is neither `avc1` nor `mp4a`")),
        };
        Ok(Self { timescale, configuration, start: start(trak)?, samples: samples(stbl)? })
    }
}

fn avcc(entry: &[u8]) -> Result<Vec<u8>, CmafError> {
    let short = CmafError::malformed("avc1", "shorter than a visual sample entry");
    let children = entry.get(VISUAL_ENTRY..).ok_or(short)?;
    Ok(only("avc1", children, b"avcC")?.body.to_vec())
}

/// The body of the `esds`; QuickTime's entry is longer and has it in a `wave` box.
fn esds(entry: &[u8]) -> Result<&[u8], CmafError> {
    let broken = |fault| CmafError::malformed("mp4a", fault);
    let (head, children) =
        entry.split_first_chunk::<AUDIO_ENTRY>().ok_or(broken("shorter than an audio sample entry"))?;
    let children = match u16::from_be_bytes([head[8], head[9]]) {
        0 => Some(children),
        1 => children.get(VERSION_1..),
        _ => None,
    };
    let children = children.ok_or(broken("an audio sample entry of a strange version"))?;
    match maybe("mp4a", children, b"wave")? {
        Some(wave) => Ok(only("wave", wave.body, b"esds")?.body),
        None => Ok(only("mp4a", children, b"esds")?.body),
    }
}

fn trak(moov: &[u8], track: u32) -> Result<&[u8], CmafError> {
    for child in walk("moov", moov) {
        let child = child?;
        if &child.kind == b"trak" {
            let tkhd: Tkhd = leaf("tkhd", only("trak", child.body, b"tkhd")?.body)?;
            if tkhd.track_id == track {
                return Ok(child.body);
            }
        }
    }
    Err(CmafError::malformed("moov", "no such track"))
}

/// What the edit list (§8.6.6) says about the beginning: an empty edit only moves it in time.
fn start(trak: &[u8]) -> Result<Option<u64>, CmafError> {
    let Some(edts) = maybe("trak", trak, b"edts")? else { return Ok(None) };
    let Some(elst) = maybe("edts", edts.body, b"elst")? else { return Ok(None) };
    let elst: Elst = leaf("elst", elst.body)?;
    let normal = FixedPoint::new(1, 0);
    let (first, media) = match &elst.entries[..] {
        [] => return Ok(None),
        [media] => (None, media),
        [first, media] => (Some(first), media),
        _ => return Err(CmafError::malformed("elst", "several parts of the media")),
    };
    if first.is_some_and(|first| first.media_time.is_some()) || media.media_rate != normal {
        return Err(CmafError::malformed("elst", "more than a beginning"));
    }
    media.media_time.map(Some).ok_or(CmafError::malformed("elst", "none of the media"))
}

fn samples(stbl: &[u8]) -> Result<Vec<StoredSample>, CmafError> {
    let broken = |fault| CmafError::malformed("stbl", fault);
    let table = |kind| Ok::<_, CmafError>(maybe("stbl", stbl, kind)?.map(|child| child.body));
    let required = |kind| Ok::<_, CmafError>(only("stbl", stbl, kind)?.body);
    let sizes = match leaf::<Stsz>("stsz", required(b"stsz")?)?.samples {
        StszSamples::Different { sizes } => sizes,
        StszSamples::Identical { count, size } => vec![size; count.min(MAX_SAMPLES + 1) as usize],
    };
    if sizes.len() > MAX_SAMPLES as usize {
        return Err(broken("more samples than any film has"));
    }
    let chunks: Vec<u64> = match (table(b"stco")?, table(b"co64")?) {
        (Some(stco), None) => leaf::<Stco>("stco", stco)?.entries.into_iter().map(u64::from).collect(),
        (None, Some(co64)) => leaf::<Co64>("co64", co64)?.entries,
        _ => return Err(broken("not one table of offsets")),
    };
    let offsets = offsets(&sizes, &chunks, &leaf("stsc", required(b"stsc")?)?)?;
    let decoded: Stts = leaf("stts", required(b"stts")?)?;
    let mut deltas = runs(decoded.entries.iter().map(|run| (run.sample_count, i64::from(run.sample_delta))));
    let shown: Option<Ctts> = table(b"ctts")?.map(|ctts| leaf("ctts", ctts)).transpose()?;
    let shown = shown.map(|ctts| ctts.entries);
    // Version 0 has no signs, and is written with them all the same.
    let signed = |offset: i64| if offset > i64::from(i32::MAX) { offset - (1 << 32) } else { offset };
    let mut ahead = runs(shown.iter().flatten().map(|run| (run.sample_count, signed(run.sample_offset))));
    let sync: Option<Stss> = table(b"stss")?.map(|stss| leaf("stss", stss)).transpose()?;
    let mut sync = sync.map(|stss| stss.entries.into_iter().peekable());

    let (mut dts, mut samples) = (0i64, Vec::with_capacity(sizes.len()));
    for ((size, offset), number) in sizes.into_iter().zip(offsets).zip(1u32..) {
        let ahead = if shown.is_some() { ahead.next() } else { Some(0) };
        let (delta, ahead) = deltas.next().zip(ahead).ok_or(broken("a sample without time"))?;
        let sync = sync.as_mut().is_none_or(|sync| sync.next_if_eq(&number).is_some());
        samples.push(StoredSample { offset, size, dts, pts: dts + ahead, sync });
        dts += delta;
    }
    let is_spent = deltas.next().is_none() && ahead.next().is_none();
    let is_spent = is_spent && sync.is_none_or(|mut sync| sync.next().is_none());
    if is_spent { Ok(samples) } else { Err(broken("tables of other samples")) }
}

/// Where each sample is (§8.7.4): chunks, each with so many samples one behind the other.
fn offsets(sizes: &[u32], chunks: &[u64], stsc: &Stsc) -> Result<Vec<u64>, CmafError> {
    let broken = |fault| CmafError::malformed("stsc", fault);
    let (mut runs, mut each) = (stsc.entries.iter().peekable(), 0);
    let (mut sizes, mut offsets) = (sizes.iter(), Vec::with_capacity(sizes.len()));
    for (chunk, number) in chunks.iter().zip(1u32..) {
        if let Some(run) = runs.next_if(|run| run.first_chunk == number) {
            if run.sample_description_index != 1 {
                return Err(broken("another sample entry"));
            }
            each = run.samples_per_chunk;
        }
        let mut at = *chunk;
        for size in sizes.by_ref().take(each as usize) {
            offsets.push(at);
            at = at.checked_add(u64::from(*size)).ok_or(broken("behind any file"))?;
        }
    }
    let is_spent = runs.next().is_none() && sizes.next().is_none();
    if is_spent { Ok(offsets) } else { Err(broken("other samples than there are")) }
}

/// Each value as often as its run says.
fn runs(runs: impl Iterator<Item = (u32, i64)>) -> impl Iterator<Item = i64> {
    runs.flat_map(|(count, value)| std::iter::repeat_n(value, count as usize))
}

#[cfg(test)]
mod tests;
