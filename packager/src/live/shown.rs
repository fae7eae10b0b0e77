//! What viewers have seen of a segment that is not closed: each part is in a file before it is shown, so
//! that a process that is started again goes on with everything that was listed. The file is not synced:
//! it outlives a killed process, not a machine that lost its power.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use bytes::{Bytes, BytesMut};
use cmaf::{CmafError, ReadSegment, Sample, read_part};
use live::{Begun, OpenSegment, Part, Record, Recorded, Segment};
use model::RenditionName;
use model::feed::{read_frame, write_frame};
use serde::{Deserialize, Serialize};

use super::lane::{Made, assemble};
use super::sound::{ticks, time};

/// Of so many segments before the one that grows the parts are known, too: longer than they are listed.
const BEFORE: usize = 8;

/// A frame of the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Noted {
    /// Segments that were closed before; the first frame.
    Before(Vec<OpenSegment>),
    /// The segment begins that the rest is about.
    Begun(Begun),
    /// It has a part, whose bytes are the payload.
    Part(Part),
}

/// What was shown of one rendition.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    /// The parts of the last segments before the one that grows.
    pub(crate) before: Vec<OpenSegment>,
    /// The segment that grows, and the bytes of its parts.
    pub(crate) open: Option<(OpenSegment, Vec<Bytes>)>,
}

/// Writes down what is shown of one rendition.
#[derive(Debug)]
pub(crate) struct Notes {
    file: File,
    before: VecDeque<OpenSegment>,
    open: Option<OpenSegment>,
}

impl Notes {
    /// Goes on behind what was shown `before`.
    pub(crate) fn create(path: &Path, before: &[OpenSegment]) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self { file, before: before.iter().cloned().collect(), open: None })
    }

    /// Takes what is about to be shown.
    pub(crate) fn take(&mut self, made: &Made) -> io::Result<()> {
        let mut bytes = BytesMut::new();
        match made {
            Made::Begun(begun) => {
                self.before.extend(self.open.take());
                while self.before.len() > BEFORE {
                    self.before.pop_front();
                }
                // What was open is closed, and written down as such.
                self.file.set_len(0)?;
                put(&Noted::Before(self.before.iter().cloned().collect()), &[], &mut bytes)?;
                put(&Noted::Begun(*begun), &[], &mut bytes)?;
                self.open = Some(OpenSegment { begun: *begun, parts: Vec::new() });
            }
            Made::Part(part, payload) => {
                put(&Noted::Part(*part), payload, &mut bytes)?;
                if let Some(open) = &mut self.open {
                    open.parts.push(*part);
                }
            }
            Made::Closed(_) => {}
        }
        self.file.write_all(&bytes)
    }
}

fn put(noted: &Noted, payload: &[u8], bytes: &mut BytesMut) -> io::Result<()> {
    write_frame(noted, payload, bytes).map_err(io::Error::other)
}

impl Shown {
    /// Reads a file, up to where it is whole.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let (mut bytes, mut shown) = (BytesMut::from(bytes), Self::default());
        while let Ok(Some((noted, payload))) = read_frame(&mut bytes) {
            match noted {
                Noted::Before(before) => shown.before = before,
                Noted::Begun(begun) => {
                    shown.open = Some((OpenSegment { begun, parts: Vec::new() }, Vec::new()));
                }
                Noted::Part(part) => {
                    if let Some((open, payloads)) = &mut shown.open {
                        open.parts.push(part);
                        payloads.push(payload);
                    }
                }
            }
        }
        shown
    }
}

/// A segment that is closed after the fact.
pub(crate) type Mended = (RenditionName, Segment, Bytes);

/// Closes what grew when the process was killed, with the parts that were shown of it. All renditions end
/// where the longest of them does, or where their next segment begins: what one lacks are gaps, and its
/// last frame lasts longer.
///
/// # Errors
/// When what was written down cannot be read.
pub(crate) fn mend(
    record: &Record,
    shown: &BTreeMap<RenditionName, Shown>,
) -> Result<Vec<Mended>, CmafError> {
    let mut open = Vec::new();
    for (name, recorded) in &record.renditions {
        let grown = shown.get(name).and_then(|shown| shown.open.as_ref());
        let grown =
            grown.filter(|(grown, _)| !grown.parts.is_empty() && next_msn(recorded) == Some(grown.begun.msn));
        let timescale = recorded.tracks.first().map_or(1, |track| track.timescale);
        open.extend(grown.map(|(grown, bytes)| (*name, timescale, grown, bytes)));
    }
    let end = open.iter().map(|(_, timescale, grown, _)| time(end_of(grown), *timescale)).max().unwrap_or(0);
    // Where a segment ends in a rendition in which the next one has begun, or it is closed.
    let ends = |msn: u32| {
        let growing = open.iter().find(|(.., grown, _)| grown.begun.msn == msn + 1);
        let growing = growing.map(|(_, timescale, grown, _)| time(grown.begun.start, *timescale));
        growing.or_else(|| {
            record.renditions.values().rev().find_map(|recorded| {
                let timescale = recorded.tracks.first()?.timescale;
                let first = recorded.segments.first()?.0.begun.msn;
                let (segment, _) = recorded.segments.get(usize::try_from(msn.checked_sub(first)?).ok()?)?;
                Some(time(segment.begun.start + u64::from(segment.duration), timescale))
            })
        })
    };
    let target_ms = u64::from(record.timing.part_target_ms.unwrap_or(u32::MAX));
    let mended = open.iter().map(|(name, timescale, grown, bytes)| {
        let until = ticks(ends(grown.begun.msn).unwrap_or(end), *timescale);
        let target = (target_ms * u64::from(*timescale) / 1000).max(1);
        let (segment, bytes) = closed(grown, bytes, until, target)?;
        Ok((*name, segment, bytes))
    });
    mended.collect()
}

fn next_msn(recorded: &Recorded) -> Option<u32> {
    let behind = recorded.segments.last().map(|(last, _)| last.begun.msn + 1);
    behind.or_else(|| Some(recorded.tracks.first()?.first_msn))
}

fn end_of(open: &OpenSegment) -> u64 {
    open.begun.start + open.parts.iter().map(|part| u64::from(part.duration)).sum::<u64>()
}

/// The segment with its parts, and gaps of at most `target` ticks up to `until`.
fn closed(
    open: &OpenSegment,
    bytes: &[Bytes],
    until: u64,
    target: u64,
) -> Result<(Segment, Bytes), CmafError> {
    let mut samples: Vec<(Sample, Bytes)> = Vec::new();
    let mut end = open.begun.start;
    for part in bytes.iter().filter(|part| !part.is_empty()) {
        let (start, of_part) = samples_of(part)?;
        if let Some((last, _)) = samples.last_mut() {
            // A frame may last longer than its part.
            last.duration += u32::try_from(start.saturating_sub(end)).unwrap_or(0);
        }
        end = start + of_part.iter().map(|(sample, _)| u64::from(sample.duration)).sum::<u64>();
        samples.extend(of_part);
    }
    let mut parts = open.parts.clone();
    let mut lacks = until.saturating_sub(end_of(open));
    if let Some((last, _)) = samples.last_mut() {
        last.duration += u32::try_from(until.saturating_sub(end)).unwrap_or(0);
    }
    while lacks > 0 {
        let duration = lacks.min(target);
        parts.push(Part { duration: duration as u32, size_bytes: 0, independent: false });
        lacks -= duration;
    }
    let bytes = match samples.is_empty() {
        true => Bytes::new(),
        false => assemble(open.begun.msn + 1, open.begun.start, &samples)?,
    };
    let duration = parts.iter().map(|part| part.duration).sum();
    let size_bytes = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    Ok((Segment { begun: open.begun, duration, size_bytes, parts }, bytes))
}

/// The parts of a closed segment, cut out of it again; none for those that are gaps.
///
/// # Errors
/// When the segment cannot be read.
pub(crate) fn cut(segment: &Segment, bytes: &Bytes) -> Result<Vec<Bytes>, CmafError> {
    let (start, samples) = samples_of(bytes)?;
    let (mut from, mut at, mut until) = (0, start, start);
    let mut cut = Vec::with_capacity(segment.parts.len());
    for part in &segment.parts {
        until += u64::from(part.duration);
        let (mut to, begins) = (from, at);
        while part.size_bytes > 0 && to < samples.len() && at < until {
            at += u64::from(samples[to].0.duration);
            to += 1;
        }
        cut.push(match from == to {
            true => Bytes::new(),
            false => assemble(segment.begun.msn + 1, begins, &samples[from..to])?,
        });
        from = to;
    }
    Ok(cut)
}

/// When a fragment begins, and its samples.
fn samples_of(fragment: &Bytes) -> Result<(u64, Vec<(Sample, Bytes)>), CmafError> {
    let ReadSegment { base_decode_time, samples, payload, .. } = read_part(fragment)?;
    let mut rest = fragment.slice(payload);
    // `read_part` checked that the samples fill the payload.
    let bytes = samples.into_iter().map(|sample| (sample, rest.split_to(sample.size as usize)));
    Ok((base_decode_time, bytes.collect()))
}

#[cfg(test)]
mod tests {
    use cmaf::RenditionKind;
    use live::{Timing, Track};
    use model::cell::Ratio;
    use model::{Timestamp, VersionId, VideoId};

    use super::*;
    use crate::live::lane::{Frame, Lane};

    const PICTURE: RenditionName = RenditionName::Video { height: 360 };
    const LOW: RenditionName = RenditionName::Video { height: 144 };

    fn track(rendition: RenditionName) -> Track {
        let kind = RenditionKind::Video { width: 640, height: 360, frame_rate: Ratio::new(30, 1) };
        Track { rendition, init: 0, first_msn: 7, codecs: "avc1".to_owned(), timescale: 90_000, kind }
    }

    fn record() -> Record {
        let timing =
            Timing { zero: Timestamp::from_millis(0), target_duration_s: 2, part_target_ms: Some(350) };
        let one = |name| (name, Recorded { tracks: vec![track(name)], ..Recorded::default() });
        let (video, version) = (VideoId::from_bits(1), VersionId::from_bits(2));
        Record { video, version, timing, renditions: [one(PICTURE), one(LOW)].into(), ended: false }
    }

    /// What is made of so many frames of segment 7.
    fn made(name: RenditionName, frames: u64) -> Vec<Made> {
        let mut lane = Lane::new(name, 90_000, Some(350));
        lane.begin(Begun { msn: 7, start: 900_000, init: 0, discontinuity: false, gap: false });
        for n in 0..frames {
            let data = Bytes::from(vec![n as u8; 20]);
            lane.push(Frame { time: 900_000 + n * 3000, cts_offset: 0, key: n == 0, data }).unwrap();
        }
        lane.take()
    }

    fn written(made: &[Made]) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shown");
        let mut notes = Notes::create(&path, &[]).unwrap();
        made.iter().for_each(|made| notes.take(made).unwrap());
        std::fs::read(&path).unwrap()
    }

    #[test]
    fn what_was_shown_is_read_as_far_as_it_was_written() {
        let made = made(PICTURE, 45);
        let bytes = written(&made);
        let whole = Shown::read(&bytes);
        let (open, payloads) = whole.open.clone().unwrap();
        assert_eq!((open.begun.msn, open.parts.len(), payloads.len()), (7, 4, 4));
        let parts: Vec<&Bytes> = made
            .iter()
            .filter_map(|made| if let Made::Part(_, bytes) = made { Some(bytes) } else { None })
            .collect();
        assert_eq!(payloads.iter().collect::<Vec<_>>(), parts);
        for len in 0..bytes.len() {
            let torn = Shown::read(&bytes[..len]);
            let parts = torn.open.map_or(0, |(open, _)| open.parts.len());
            assert!(parts < 4 && torn.before.is_empty(), "{len}");
        }
    }

    #[test]
    fn the_parts_of_segments_before_are_known() {
        let mut all = made(PICTURE, 61);
        for msn in 8..30 {
            all.push(Made::Closed(Bytes::new()));
            all.push(Made::Begun(Begun { msn, start: 0, init: 0, discontinuity: false, gap: true }));
        }
        let shown = Shown::read(&written(&all));
        assert_eq!(
            shown.before.iter().map(|one| one.begun.msn).collect::<Vec<_>>(),
            (21..29).collect::<Vec<_>>()
        );
        assert_eq!(shown.open.unwrap().0.begun.msn, 29);
    }

    #[test]
    fn renditions_that_were_cut_apart_end_together() {
        let shown = [(PICTURE, made(PICTURE, 45)), (LOW, made(LOW, 25))];
        let shown = shown.map(|(name, made)| (name, Shown::read(&written(&made)))).into();
        let mended = mend(&record(), &shown).unwrap();
        let durations: Vec<_> = mended.iter().map(|(name, segment, _)| (*name, segment.duration)).collect();
        // Four parts of ten frames, and the smaller one's two and a gap.
        assert_eq!(durations, [(LOW, 120_000), (PICTURE, 120_000)]);
        let (_, low, bytes) = &mended[0];
        let sizes: Vec<bool> = low.parts.iter().map(|part| part.size_bytes > 0).collect();
        assert_eq!(sizes, [true, true, false, false]);
        assert!(low.parts.iter().all(|part| part.duration <= 31_500), "{low:?}");
        let read = cmaf::read_segment(bytes).unwrap();
        assert_eq!((read.samples.len(), read.duration(), read.base_decode_time), (20, 120_000, 900_000));
        let cut = cut(low, bytes).unwrap();
        let counts: Vec<usize> = cut
            .iter()
            .map(|part| if part.is_empty() { 0 } else { read_part(part).unwrap().samples.len() })
            .collect();
        assert_eq!(counts, [10, 10, 0, 0]);
    }

    #[test]
    fn what_others_have_closed_ends_where_it_ended_there() {
        let mut record = record();
        let begun = Begun { msn: 7, start: 900_000, init: 0, discontinuity: false, gap: false };
        let closed = Segment { begun, duration: 100_000, size_bytes: 1, parts: Vec::new() };
        record.renditions.get_mut(&PICTURE).unwrap().segments.push((closed, 0));
        let shown = [(LOW, Shown::read(&written(&made(LOW, 25))))].into();
        let mended = mend(&record, &shown).unwrap();
        assert_eq!(mended.iter().map(|(_, segment, _)| segment.duration).collect::<Vec<_>>(), [100_000]);
    }

    #[test]
    fn what_is_closed_already_is_left_alone() {
        let mut record = record();
        let shown: BTreeMap<_, _> = [(PICTURE, Shown::read(&written(&made(PICTURE, 45))))].into();
        let (_, segment, _) = mend(&record, &shown).unwrap().remove(0);
        record.renditions.get_mut(&PICTURE).unwrap().segments.push((segment, 0));
        assert_eq!(mend(&record, &shown).unwrap(), []);
        assert_eq!(mend(&record, &BTreeMap::new()).unwrap(), []);
    }
}
