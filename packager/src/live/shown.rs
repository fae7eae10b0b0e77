//! What viewers have seen of segments that are not in the log: each part is in a file before it is shown,
//! so that a process that is started again goes on with everything that was listed. The file is not
//! synced: it outlives a killed process, not a machine that lost its power.
//!
//! It is the segment that grows, and behind a disk that did not take them those before it, too.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::OpenOptions;
use std::io;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use cmaf::{CmafError, ReadSegment, Sample, read_part};
use live::{Begun, OpenSegment, Part, Record, Segment};
use model::RenditionName;
use model::feed::{Head, read_frame, write_frame};
use serde::{Deserialize, Serialize};

use super::grown::Grown;
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
    /// A segment begins that the next frames are about.
    Begun(Begun),
    /// It has a part, whose bytes are the payload.
    Part(Part),
}

impl Head for Noted {}

/// What was shown of one rendition.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    /// The parts of the last segments before these.
    pub(crate) before: Vec<OpenSegment>,
    /// The segments that were not written down as closed, in order, and the bytes of their parts: the
    /// last of them grows.
    pub(crate) open: Vec<(OpenSegment, Vec<Bytes>)>,
}

/// Writes down what is shown of one rendition.
#[derive(Debug)]
pub(crate) struct Notes {
    file: Grown,
    before: VecDeque<OpenSegment>,
    open: Option<OpenSegment>,
    /// The disk did not take all of the segment that grows: what follows of it would be read as if
    /// nothing were missing.
    is_torn: bool,
}

impl Notes {
    /// Goes on behind what was shown `before`.
    pub(crate) fn create(path: &Path, before: &[OpenSegment]) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        let before = before.iter().cloned().collect();
        // Nothing is noted of a segment of which the beginning is not.
        Ok(Self { file: Grown::new(file)?, before, open: None, is_torn: true })
    }

    /// Takes what is about to be shown. `is_written` says whether all that was closed before is in the
    /// log: what is not must be read here after a crash.
    pub(crate) fn take(&mut self, made: &Made, is_written: bool) -> io::Result<()> {
        let taken = match made {
            Made::Begun(begun) => {
                self.before.extend(self.open.take());
                while self.before.len() > BEFORE {
                    self.before.pop_front();
                }
                self.open = Some(OpenSegment { begun: *begun, parts: Vec::new() });
                self.begin(begun, is_written)
            }
            Made::Part(part, payload) => {
                if let Some(open) = &mut self.open {
                    open.parts.push(*part);
                }
                match self.is_torn {
                    true => Ok(()),
                    false => self.write(&[(&Noted::Part(*part), payload)]),
                }
            }
            Made::Closed(_) => Ok(()),
        };
        self.is_torn |= taken.is_err();
        taken
    }

    fn begin(&mut self, begun: &Begun, is_written: bool) -> io::Result<()> {
        let begins = (&Noted::Begun(*begun), &[][..]);
        if is_written {
            self.file.clear()?;
            let before = Noted::Before(self.before.iter().cloned().collect());
            self.write(&[(&before, &[]), begins])?;
        } else {
            self.write(&[begins])?;
        }
        self.is_torn = false;
        Ok(())
    }

    fn write(&mut self, frames: &[(&Noted, &[u8])]) -> io::Result<()> {
        let mut bytes = BytesMut::new();
        frames.iter().try_for_each(|(noted, payload)| put(noted, payload, &mut bytes))?;
        let written = self.file.write(&bytes);
        match written {
            Ok(_) => self.file.keep(),
            Err(_) => self.file.undo(),
        }
        written.map(|_| ())
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
                    shown.open.push((OpenSegment { begun, parts: Vec::new() }, Vec::new()));
                }
                Noted::Part(part) => {
                    if let Some((open, payloads)) = shown.open.last_mut() {
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

/// Closes what was not written down as closed when the process was killed, with the parts that were shown
/// of it. All renditions end where the longest of them does, or where their next segment begins: what one
/// lacks are gaps, and its last frame lasts longer. What cannot be read is left out.
pub(crate) fn mend(record: &Record, shown: &BTreeMap<RenditionName, Shown>) -> Vec<Mended> {
    let mut open = Vec::new();
    for (name, recorded) in &record.renditions {
        let timescale = recorded.timescale();
        let mut next = recorded.next_msn();
        for (grown, bytes) in shown.get(name).into_iter().flat_map(|shown| &shown.open) {
            if !grown.parts.is_empty() && next == Some(grown.begun.msn) {
                open.push((*name, timescale, grown, bytes));
                next = grown.begun.msn.checked_add(1);
            }
        }
    }
    let end = open.iter().map(|(_, timescale, grown, _)| time(end_of(grown), *timescale)).max().unwrap_or(0);
    // Where a segment ends in a rendition in which the next one has begun, or it is closed.
    let ends = |msn: u32| {
        let growing = open.iter().find(|(.., grown, _)| grown.begun.msn == msn + 1);
        let growing = growing.map(|(_, timescale, grown, _)| time(grown.begun.start, *timescale));
        growing.or_else(|| {
            record.renditions.values().rev().find_map(|recorded| {
                let (segment, _) = recorded.segment(msn)?;
                Some(time(segment.begun.start + u64::from(segment.duration), recorded.timescale()))
            })
        })
    };
    let target_ms = u64::from(record.timing.part_target_ms.unwrap_or(u32::MAX));
    let mut mended: Vec<Mended> = Vec::with_capacity(open.len());
    let mut unreadable = BTreeSet::new();
    for (name, timescale, grown, bytes) in &open {
        let until = ticks(ends(grown.begun.msn).unwrap_or(end), *timescale);
        let target = (target_ms * u64::from(*timescale) / 1000).max(1);
        match closed(grown, bytes, until, target) {
            // Nothing follows what is not there.
            Ok(_) if unreadable.contains(name) => {}
            Ok((segment, bytes)) => mended.push((*name, segment, bytes)),
            Err(error) => {
                let (msn, error) = (grown.begun.msn, &error as &dyn std::error::Error);
                tracing::warn!(error, "segment {msn} of {name} is not what was shown: it is lost");
                unreadable.insert(*name);
            }
        }
    }
    mended
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
            let more = u32::try_from(start.saturating_sub(end)).unwrap_or(0);
            last.duration = last.duration.saturating_add(more);
        }
        end = start + of_part.iter().map(|(sample, _)| u64::from(sample.duration)).sum::<u64>();
        samples.extend(of_part);
    }
    let mut parts = open.parts.clone();
    let mut lacks = until.saturating_sub(end_of(open));
    if let Some((last, _)) = samples.last_mut() {
        let more = u32::try_from(until.saturating_sub(end)).unwrap_or(0);
        last.duration = last.duration.saturating_add(more);
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
    use live::{Recorded, Timing, Track};
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
        made.iter().for_each(|made| notes.take(made, true).unwrap());
        std::fs::read(&path).unwrap()
    }

    /// The segment that grows.
    fn growing(shown: &Shown) -> &(OpenSegment, Vec<Bytes>) {
        shown.open.last().unwrap()
    }

    #[test]
    fn what_was_shown_is_read_as_far_as_it_was_written() {
        let made = made(PICTURE, 45);
        let bytes = written(&made);
        let whole = Shown::read(&bytes);
        let (open, payloads) = growing(&whole);
        assert_eq!((open.begun.msn, open.parts.len(), payloads.len()), (7, 4, 4));
        let parts: Vec<&Bytes> = made
            .iter()
            .filter_map(|made| if let Made::Part(_, bytes) = made { Some(bytes) } else { None })
            .collect();
        assert_eq!(payloads.iter().collect::<Vec<_>>(), parts);
        for len in 0..bytes.len() {
            let torn = Shown::read(&bytes[..len]);
            let parts = torn.open.last().map_or(0, |(open, _)| open.parts.len());
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
        assert_eq!((shown.open.len(), growing(&shown).0.begun.msn), (1, 29));
    }

    #[test]
    fn renditions_that_were_cut_apart_end_together() {
        let shown = [(PICTURE, made(PICTURE, 45)), (LOW, made(LOW, 25))];
        let shown = shown.map(|(name, made)| (name, Shown::read(&written(&made)))).into();
        let mended = mend(&record(), &shown);
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
        let mended = mend(&record, &shown);
        assert_eq!(mended.iter().map(|(_, segment, _)| segment.duration).collect::<Vec<_>>(), [100_000]);
    }

    #[test]
    fn what_is_closed_already_is_left_alone() {
        let mut record = record();
        let shown: BTreeMap<_, _> = [(PICTURE, Shown::read(&written(&made(PICTURE, 45))))].into();
        let (_, segment, _) = mend(&record, &shown).remove(0);
        record.renditions.get_mut(&PICTURE).unwrap().segments.push((segment, 0));
        assert_eq!(mend(&record, &shown), []);
        assert_eq!(mend(&record, &BTreeMap::new()), []);
    }
    /// Segments 7 to 9 of two seconds each, and what grows of 10.
    fn three_and_a_bit(name: RenditionName) -> Vec<Made> {
        let mut lane = Lane::new(name, 90_000, Some(350));
        for msn in 7..=10u32 {
            let start = 900_000 + u64::from(msn - 7) * 180_000;
            lane.close(start).unwrap();
            lane.begin(Begun { msn, start, init: 0, discontinuity: false, gap: false });
            for n in 0..if msn < 10 { 60 } else { 25 } {
                let data = Bytes::from(vec![msn as u8; 20]);
                lane.push(Frame { time: start + n * 3000, cts_offset: 0, key: n == 0, data }).unwrap();
            }
        }
        lane.take()
    }

    #[test]
    fn what_the_log_did_not_take_is_read_from_the_notes() {
        let folder = tempfile::tempdir().unwrap();
        let shown = [PICTURE, LOW].map(|name| {
            let path = folder.path().join(name.to_string());
            let mut notes = Notes::create(&path, &[]).unwrap();
            let mut closed = 0;
            for made in three_and_a_bit(name) {
                closed += u32::from(matches!(made, Made::Closed(_)));
                // Segment 7 is written down, those behind it are not.
                notes.take(&made, closed <= 1).unwrap();
            }
            (name, Shown::read(&std::fs::read(&path).unwrap()))
        });
        let shown: BTreeMap<_, _> = shown.into();
        let begun: Vec<u32> = shown[&PICTURE].open.iter().map(|(open, _)| open.begun.msn).collect();
        assert_eq!(begun, [8, 9, 10]);
        let mut record = record();
        let begun = Begun { msn: 7, start: 900_000, init: 0, discontinuity: false, gap: false };
        for recorded in record.renditions.values_mut() {
            let closed = Segment { begun, duration: 180_000, size_bytes: 1, parts: Vec::new() };
            recorded.segments.push((closed, 0));
        }
        let mended = mend(&record, &shown);
        let told: Vec<_> = mended
            .iter()
            .map(|(name, segment, bytes)| {
                let read = cmaf::read_segment(bytes).unwrap();
                (*name, segment.begun.msn, segment.duration, read.samples.len())
            })
            .collect();
        let each = |name| [(name, 8, 180_000, 60), (name, 9, 180_000, 60), (name, 10, 60_000, 20)];
        assert_eq!(told, [each(LOW), each(PICTURE)].concat());
        // Without the one in the middle the last does not follow.
        let mut torn = shown.clone();
        torn.get_mut(&PICTURE).unwrap().open.remove(1);
        let msns = |mended: &[Mended]| {
            let of_picture = mended.iter().filter(|(name, ..)| *name == PICTURE);
            of_picture.map(|(_, segment, _)| segment.begun.msn).collect::<Vec<_>>()
        };
        assert_eq!(msns(&mend(&record, &torn)), [8]);
        // Nor without the bytes of the first.
        let mut spoilt = shown;
        spoilt.get_mut(&PICTURE).unwrap().open[0].1[2] = Bytes::from_static(b"spoilt");
        assert_eq!(msns(&mend(&record, &spoilt)), [] as [u32; 0]);
    }

    #[test]
    fn what_a_full_disk_did_not_take_of_a_segment_leaves_no_hole() {
        let folder = tempfile::tempdir().unwrap();
        let Some(disk) = storage::testing::SmallDisk::mount(folder.path(), "16k") else { return };
        let path = folder.path().join("shown");
        let mut notes = Notes::create(&path, &[]).unwrap();
        let part = |size_bytes: u32| {
            let part = Part { duration: 30_000, size_bytes, independent: true };
            Made::Part(part, Bytes::from(vec![7; size_bytes as usize]))
        };
        let begun = |msn| Made::Begun(Begun { msn, start: 0, init: 0, discontinuity: false, gap: false });
        notes.take(&begun(7), true).unwrap();
        notes.take(&part(9000), true).unwrap();
        notes.take(&part(9001), true).unwrap_err();
        disk.resize("1m");
        notes.take(&part(9002), true).unwrap();
        let sizes = |(open, _): &(OpenSegment, Vec<Bytes>)| {
            open.parts.iter().map(|part| part.size_bytes).collect::<Vec<_>>()
        };
        let read = || {
            let shown = Shown::read(&std::fs::read(&path).unwrap());
            shown.open.iter().map(sizes).collect::<Vec<_>>()
        };
        assert_eq!(read(), [vec![9000]]);
        notes.take(&begun(8), false).unwrap();
        notes.take(&part(5), false).unwrap();
        assert_eq!(read(), [vec![9000], vec![5]]);
    }
}
