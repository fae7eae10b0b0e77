//! The tables that say where the samples of a track are.

use std::mem::discriminant;

use mp4_atom::{
    Co64, Ctts, CttsEntry, FourCC, Sbgp, SbgpEntry, Stbl, Stco, Stsc, StscEntry, Stss, Stsz, StszSamples,
    Stts, SttsEntry,
};

use super::VirtualTrack;
use crate::boxes::{Timing, edit};
use crate::chunk::segment_ranges;
use crate::init::{roll, roll_distance};
use crate::{CmafError, Sample, Track, read_init};

/// The payload of one segment in its chunk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slice {
    pub(super) chunk: usize,
    pub(super) offset: u64,
    pub(super) len: u64,
}

/// What the `stbl` of a track will say, offsets excepted.
pub(super) struct Tables {
    /// Its sample entries: each of its formats once.
    pub(super) formats: Vec<Track>,
    /// Decode time of the first sample.
    pub(super) start: u64,
    pub(super) duration: u64,
    pub(super) sample_count: u32,
    pub(super) stts: Vec<SttsEntry>,
    pub(super) ctts: Vec<CttsEntry>,
    pub(super) stss: Vec<u32>,
    pub(super) stsc: Vec<StscEntry>,
    pub(super) sizes: Vec<u32>,
    pub(super) payloads: Vec<Slice>,
}

impl Tables {
    pub(super) fn of(source: &VirtualTrack<'_>) -> Result<Self, CmafError> {
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
    pub(super) fn stbl(&self, offsets: Vec<u64>, wide: bool) -> Stbl {
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
    pub(super) fn timescale(&self) -> u32 {
        self.formats.first().map_or(1, Track::timescale)
    }

    pub(super) fn is_sound(&self) -> bool {
        matches!(self.formats.first(), Some(Track::Audio(_)))
    }

    fn all_roll(&self) -> Sbgp {
        let entry = SbgpEntry { sample_count: self.sample_count, group_description_index: 1 };
        Sbgp { grouping_type: FourCC::new(b"roll"), grouping_type_parameter: None, entries: vec![entry] }
    }

    pub(super) fn timing(&self, movie_timescale: u32) -> Timing {
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
