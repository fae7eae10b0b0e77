//! A classic MP4 that exists nowhere: `moov` first, then one `mdat` whose bytes are ranges of the
//! chunks that players stream.
//!
//! ```text
//! [ftyp][moov: sample tables][mdat header][V0][A0][V1][A1]…   payload of segment 0, 1, …
//! ```
//!
//! The same index objects make the same bytes on every edge and in every process, so that a
//! download goes on anywhere: no time of day, no order of a map, no floating point is in them.

use std::mem::discriminant;
use std::ops::Range;

use bytes::Bytes;
use model::{ChunkHash, ObjectKey, RenditionName, VersionId, VideoId};
use mp4_atom::{
    Co64, Ctts, CttsEntry, FourCC, Ftyp, Moov, Mvhd, Sbgp, SbgpEntry, Stbl, Stco, Stsc, StscEntry, Stss,
    Stsz, StszSamples, Stts, SttsEntry,
};

use crate::boxes::{Timing, edit, put, trak};
use crate::chunk::segment_ranges;
use crate::init::{movie_header, roll, roll_distance};
use crate::{
    AudioConfig, AudioTrack, ChunkIndex, CmafError, RenditionIndex, Sample, Track, VideoConfig, VideoTrack,
    read_init,
};

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

/// The payload of one segment in its chunk.
#[derive(Debug, Clone, Copy)]
struct Slice {
    chunk: usize,
    offset: u64,
    len: u64,
}

/// What the `stbl` of a track will say, offsets excepted.
struct Tables {
    /// Its sample entries: each of its formats once.
    formats: Vec<Track>,
    /// Decode time of the first sample.
    start: u64,
    duration: u64,
    sample_count: u32,
    stts: Vec<SttsEntry>,
    ctts: Vec<CttsEntry>,
    stss: Vec<u32>,
    stsc: Vec<StscEntry>,
    sizes: Vec<u32>,
    payloads: Vec<Slice>,
}

impl Tables {
    fn of(source: &VirtualTrack<'_>) -> Result<Self, CmafError> {
        let broken = |fault| CmafError::malformed("virtual mp4", fault);
        let entries = Entries::of(source)?;
        if source.chunks.len() != source.rendition.chunks.len() {
            return Err(broken("not one index for each chunk"));
        }
        let mut tables = Self {
            formats: Vec::new(),
            start: 0,
            duration: 0,
            sample_count: 0,
            stts: Vec::new(),
            ctts: Vec::new(),
            stss: Vec::new(),
            stsc: Vec::new(),
            sizes: Vec::new(),
            payloads: Vec::new(),
        };
        for (number, (index, chunk)) in source.chunks.iter().zip(&source.rendition.chunks).enumerate() {
            if index.segments.len() != chunk.segments.len() {
                return Err(broken("the indexes of chunk and version differ"));
            }
            for ((range, segment), reference) in segment_ranges(index).zip(&chunk.segments) {
                if segment.size_bytes != reference.size_bytes
                    || segment.duration() != u64::from(reference.duration)
                {
                    return Err(broken("the indexes of chunk and version differ"));
                }
                if tables.payloads.is_empty() {
                    tables.start = segment.base_decode_time;
                }
                if segment.base_decode_time != tables.start + tables.duration {
                    return Err(broken("a segment does not begin where the one before it ended"));
                }
                let entry = entries.at(tables.payloads.len());
                tables.payloads.push(Slice {
                    chunk: number,
                    offset: range.start + u64::from(segment.payload_offset),
                    len: segment.payload_len().into(),
                });
                tables.add_run(&segment.samples, entry).ok_or(broken("more samples than a file can have"))?;
            }
        }
        if tables.payloads.is_empty() {
            return Err(broken("a track without segments"));
        }
        tables.formats = entries.formats;
        Ok(tables)
    }

    /// Adds the samples of one segment, which is one chunk in the sense of `stsc` (§8.7.4), with the
    /// number of their sample entry.
    fn add_run(&mut self, samples: &[Sample], entry: u32) -> Option<()> {
        let count = u32::try_from(samples.len()).ok()?;
        let first_chunk = u32::try_from(self.payloads.len()).ok()?;
        let run = StscEntry { first_chunk, samples_per_chunk: count, sample_description_index: entry };
        let is_same = |last: &StscEntry| StscEntry { first_chunk, ..last.clone() } == run;
        if !self.stsc.last().is_some_and(is_same) {
            self.stsc.push(run);
        }
        self.sample_count.checked_add(count)?;
        for sample in samples {
            self.sample_count += 1;
            self.duration += u64::from(sample.duration);
            self.sizes.push(sample.size);
            if sample.sync {
                self.stss.push(self.sample_count);
            }
            match self.stts.last_mut() {
                Some(run) if run.sample_delta == sample.duration => run.sample_count += 1,
                _ => self.stts.push(SttsEntry { sample_count: 1, sample_delta: sample.duration }),
            }
            let sample_offset = i64::from(sample.cts_offset);
            match self.ctts.last_mut() {
                Some(run) if run.sample_offset == sample_offset => run.sample_count += 1,
                _ => self.ctts.push(CttsEntry { sample_count: 1, sample_offset }),
            }
        }
        Some(())
    }

    /// The `stbl` with these offsets.
    fn stbl(&self, offsets: Vec<u64>, wide: bool) -> Stbl {
        let distances = self.formats.iter().filter_map(|format| match format {
            Track::Audio(audio) => Some(roll_distance(audio)),
            Track::Video(_) => None,
        });
        // The longest does for all.
        let roll = distances.min().map(roll);
        let (stco, co64) = if wide {
            (None, Some(Co64 { entries: offsets }))
        } else {
            // Before the head is measured offsets may be anything; afterwards they fit.
            (Some(Stco { entries: offsets.into_iter().map(|offset| offset as u32).collect() }), None)
        };
        let reordered = self.ctts.iter().any(|run| run.sample_offset != 0);
        let all_sync = self.stss.len() == self.sizes.len();
        Stbl {
            stts: Stts { entries: self.stts.clone() },
            ctts: reordered.then(|| Ctts { entries: self.ctts.clone() }),
            // Absent means that every sample is one (§8.6.2.1).
            stss: (!all_sync).then(|| Stss { entries: self.stss.clone() }),
            stsc: Stsc { entries: self.stsc.clone() },
            stsz: Stsz { samples: StszSamples::Different { sizes: self.sizes.clone() } },
            stco,
            co64,
            sbgp: roll.iter().map(|_| self.all_roll()).collect(),
            sgpd: roll.into_iter().collect(),
            ..Stbl::default()
        }
    }

    /// Ticks per second, the same in all formats.
    fn timescale(&self) -> u32 {
        self.formats.first().map_or(1, Track::timescale)
    }

    fn is_sound(&self) -> bool {
        matches!(self.formats.first(), Some(Track::Audio(_)))
    }

    fn all_roll(&self) -> Sbgp {
        let entry = SbgpEntry { sample_count: self.sample_count, group_description_index: 1 };
        Sbgp { grouping_type: FourCC::new(b"roll"), grouping_type_parameter: None, entries: vec![entry] }
    }

    fn timing(&self, movie_timescale: u32) -> Timing {
        let skipped = match self.formats.first() {
            Some(Track::Audio(audio)) => u64::from(audio.priming),
            _ => 0,
        };
        // Rounded up: an edit that ends early would cost the last frame.
        let movie = |ticks: u64| {
            let scaled = u128::from(ticks) * u128::from(movie_timescale);
            scaled.div_ceil(self.timescale().into()) as u64
        };
        let (delay, shown) = (movie(self.start), movie(self.duration.saturating_sub(skipped)));
        let mut edits = Vec::new();
        if delay > 0 {
            edits.push(edit(delay, None));
        }
        if delay > 0 || skipped > 0 {
            edits.push(edit(shown, Some(skipped)));
        }
        Timing { movie_duration: delay + shown, media_duration: self.duration, edits }
    }
}

/// Segment by segment, the tracks in turn: what is played together lies together.
fn interleave(tables: &[Tables]) -> Vec<(usize, usize)> {
    let longest = tables.iter().map(|table| table.payloads.len()).max().unwrap_or(0);
    let round =
        |n| (0..tables.len()).filter(move |&track| n < tables[track].payloads.len()).map(move |t| (t, n));
    (0..longest).flat_map(round).collect()
}

fn write_head(
    tables: &[Tables],
    order: &[(usize, usize)],
    head_len: u64,
    wide: bool,
    payload_len: u64,
) -> Result<Vec<u8>, CmafError> {
    let mut offsets = vec![Vec::new(); tables.len()];
    let mut at = head_len;
    for &(track, n) in order {
        offsets[track].push(at);
        at += tables[track].payloads[n].len;
    }
    // The sound's rate, so that its edit is exact to the sample.
    let sound = tables.iter().find(|table| table.is_sound());
    let timescale = sound.or(tables.first()).map_or(1, Tables::timescale);
    let mut traks = Vec::with_capacity(tables.len());
    let mut longest = 0;
    for ((table, offsets), id) in tables.iter().zip(offsets).zip(1..) {
        let timing = table.timing(timescale);
        longest = longest.max(timing.movie_duration);
        traks.push(trak(&table.formats, id, timing, table.stbl(offsets, wide))?);
    }
    let next_track_id = traks.len() as u32 + 1;
    let moov = Moov {
        mvhd: Mvhd { next_track_id, ..movie_header(timescale, longest) },
        trak: traks,
        ..Moov::default()
    };
    let brands = brands(tables.iter().flat_map(|table| &table.formats));
    let ftyp = Ftyp {
        major_brand: FourCC::new(brands[0]),
        minor_version: 0,
        compatible_brands: brands.iter().map(|brand| FourCC::new(brand)).collect(),
    };
    let mut bytes = Vec::new();
    put("ftyp", &ftyp, &mut bytes)?;
    put("moov", &moov, &mut bytes)?;
    // Always with a `largesize` (§4.2.2), so that the header's length is the same for all films.
    bytes.extend_from_slice(&1u32.to_be_bytes());
    bytes.extend_from_slice(b"mdat");
    bytes.extend_from_slice(&(16 + payload_len).to_be_bytes());
    Ok(bytes)
}

/// What kinds of file it is (§4.3). `iso4`: version 1 of `ctts` (annex E.6).
fn brands<'a>(mut formats: impl Iterator<Item = &'a Track> + Clone) -> &'static [&'static [u8; 4]] {
    let mut pictures = formats.clone().filter_map(|format| match format {
        Track::Video(VideoTrack { config, .. }) => Some(config),
        Track::Audio(_) => None,
    });
    let is_aac = |format| matches!(format, &Track::Audio(AudioTrack { config: AudioConfig::Aac(_), .. }));
    match pictures.next() {
        Some(VideoConfig::Avc(_)) if pictures.all(|config| matches!(config, VideoConfig::Avc(_))) => {
            &[b"isom", b"iso4", b"avc1", b"mp41"]
        }
        Some(VideoConfig::Av1(_)) if pictures.all(|config| matches!(config, VideoConfig::Av1(_))) => {
            &[b"isom", b"iso4", b"av01", b"mp41"]
        }
        Some(_) => &[b"isom", b"iso4", b"mp41"],
        None if formats.all(is_aac) => &[b"M4A ", b"isom", b"mp42"],
        None => &[b"isom", b"mp42"],
    }
}

/// The sample entries of a track.
struct Entries {
    /// Each of its formats, once.
    formats: Vec<Track>,
    /// From which of its segments on which of them holds, counted from 1.
    from: Vec<(usize, u32)>,
}

impl Entries {
    fn of(source: &VirtualTrack<'_>) -> Result<Self, CmafError> {
        let broken = |fault| CmafError::malformed("virtual mp4", fault);
        if source.inits.len() != source.rendition.changes.len() + 1 {
            return Err(broken("not one initialisation segment for each format"));
        }
        let mut entries = Self { formats: Vec::new(), from: Vec::new() };
        for (format, init) in source.rendition.formats().zip(source.inits) {
            let track = read_init(init)?;
            if track.timescale() != source.rendition.timescale {
                return Err(broken("the timescales of index and initialisation segment differ"));
            }
            if entries.formats.first().is_some_and(|first| discriminant(first) != discriminant(&track)) {
                return Err(broken("a picture among sounds, or a sound among pictures"));
            }
            // What came back in a format of before needs no second entry.
            let known = entries.formats.iter().position(|format| *format == track);
            let place = known.unwrap_or(entries.formats.len());
            if known.is_none() {
                entries.formats.push(track);
            }
            let number = u32::try_from(place + 1).map_err(|_| broken("more formats than a file can have"))?;
            entries.from.push((format.segment as usize, number));
        }
        Ok(entries)
    }

    /// The number of the entry that segment `n` needs.
    fn at(&self, n: usize) -> u32 {
        self.from.iter().rev().find(|(from, _)| *from <= n).map_or(1, |(_, number)| *number)
    }
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
