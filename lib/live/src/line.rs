//! The log of an event: what its packager writes down before it shows it, line by line, so that an
//! event goes on where it was after any crash.

use std::collections::BTreeMap;

use cmaf::{ChunkRef, RenditionKind};
use model::{RenditionName, VersionId, VideoId};
use serde::{Deserialize, Serialize};

use crate::{Segment, Timing};

/// One line, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// The first line, and only that.
    Began {
        /// The event's video,
        video: VideoId,
        /// and the version that it grows.
        version: VersionId,
        /// What never changes.
        timing: Timing,
    },
    /// A rendition begins, or goes on in another format.
    Track(Track),
    /// A segment was closed; its bytes are in the spool.
    Segment {
        /// Of this rendition.
        rendition: RenditionName,
        /// Where in the rendition's spool file its bytes begin; as many as `segment.size_bytes`.
        offset: u64,
        /// The segment, without parts.
        segment: Segment,
    },
    /// Segments are in the store.
    Sealed {
        /// Of this rendition.
        rendition: RenditionName,
        /// For each segment of the chunk the first and the last of the event's that it holds.
        spans: Vec<(u32, u32)>,
        /// The object.
        chunk: ChunkRef,
    },
    /// The event is over: what follows is only what goes into the store.
    Ended,
}

/// A rendition's format from some segment on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Track {
    /// Whose.
    pub rendition: RenditionName,
    /// The number of its initialisation segment, from 0.
    pub init: u32,
    /// The first segment that it may have.
    pub first_msn: u32,
    /// The codec as playlists name it.
    pub codecs: String,
    /// Ticks per second; the same in all formats of a rendition.
    pub timescale: u32,
    /// What only a picture or only a sound has.
    #[serde(flatten)]
    pub kind: RenditionKind,
}

/// What the lines of an event add up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The event's video,
    pub video: VideoId,
    /// and the version that it grows.
    pub version: VersionId,
    /// What never changes.
    pub timing: Timing,
    /// Its renditions.
    pub renditions: BTreeMap<RenditionName, Recorded>,
    /// Whether it is over.
    pub ended: bool,
}

/// What is written down of one rendition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recorded {
    /// Its formats, in order.
    pub tracks: Vec<Track>,
    /// Its segments, each with where its bytes begin in the spool.
    pub segments: Vec<(Segment, u64)>,
    /// What of it is in the store: the spans of each chunk's segments, and the chunk.
    pub sealed: Vec<(Vec<(u32, u32)>, ChunkRef)>,
}

/// A log that was not written by this code.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A line before the last is none.
    #[error("line {number} cannot be read")]
    Unreadable {
        /// Its number, from 1.
        number: usize,
        /// Why not.
        source: serde_json::Error,
    },
    /// A line that does not follow from those before it.
    #[error("line {number}: {fault}")]
    Contradiction {
        /// Its number, from 1.
        number: usize,
        /// What is wrong.
        fault: &'static str,
    },
    /// There is not even a first line.
    #[error("it has no first line")]
    Empty,
}

impl Line {
    /// The line with its end.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).expect("every field has a JSON form");
        bytes.push(b'\n');
        bytes
    }
}

impl Record {
    /// The rendition that has all of the event's segments: the publisher's picture, or the sound.
    pub fn leader(&self) -> Option<&Recorded> {
        self.renditions.values().next_back()
    }

    /// Reads a log, and how many of its bytes are whole lines: whatever a power cut left behind
    /// them is to be cut off before the next is written.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn read(log: &[u8]) -> Result<(Self, usize), RecordError> {
        let whole = log.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let mut record: Option<Self> = None;
        for (line, number) in log[..whole].split_inclusive(|byte| *byte == b'\n').zip(1..) {
            let line =
                serde_json::from_slice(line).map_err(|source| RecordError::Unreadable { number, source })?;
            let added = match (&mut record, line) {
                (None, Line::Began { video, version, timing }) => {
                    let renditions = BTreeMap::new();
                    record = Some(Self { video, version, timing, renditions, ended: false });
                    Ok(())
                }
                (None, _) => Err("the event has not begun"),
                (Some(record), line) => record.add(line),
            };
            added.map_err(|fault| RecordError::Contradiction { number, fault })?;
        }
        Ok((record.ok_or(RecordError::Empty)?, whole))
    }

    /// Takes a further line.
    ///
    /// # Errors
    /// What is wrong with a line that does not follow from those before it.
    pub fn add(&mut self, line: Line) -> Result<(), &'static str> {
        match line {
            Line::Began { .. } => return Err("the event begins twice"),
            Line::Track(_) | Line::Segment { .. } if self.ended => return Err("the event is over already"),
            Line::Track(track) => {
                let recorded = self.renditions.entry(track.rendition).or_default();
                match recorded.tracks.last() {
                    Some(last) if track.init != last.init + 1 => return Err("a format is left out"),
                    Some(last) if track.timescale != last.timescale => return Err("a clock changes"),
                    _ => recorded.tracks.push(track),
                }
            }
            Line::Segment { rendition, offset, segment } => {
                let recorded = self.renditions.get_mut(&rendition).ok_or("a rendition without a format")?;
                let next = recorded.next_msn().ok_or("a rendition without a format")?;
                if segment.begun.msn != next {
                    return Err("a segment does not follow the one before it");
                }
                recorded.segments.push((segment, offset));
            }
            Line::Sealed { rendition, spans, chunk } => {
                let recorded = self.renditions.get_mut(&rendition).ok_or("a rendition without a format")?;
                if spans.len() != chunk.segments.len() {
                    return Err("a chunk without its segments");
                }
                recorded.sealed.push((spans, chunk));
            }
            Line::Ended => self.ended = true,
        }
        Ok(())
    }
}

impl Recorded {
    /// Ticks per second, in all its formats.
    pub fn timescale(&self) -> u32 {
        self.tracks.first().map_or(1, |track| track.timescale.max(1))
    }

    /// Ticks in milliseconds.
    pub fn ms(&self, ticks: u64) -> u64 {
        ticks * 1000 / u64::from(self.timescale())
    }

    /// Whether it has something in segment `msn`: that is there, and no gap.
    pub fn has(&self, msn: u32) -> bool {
        self.segment(msn).is_some_and(|(segment, _)| !segment.begun.gap)
    }

    /// The segment `msn`, and where its bytes begin in the spool.
    pub fn segment(&self, msn: u32) -> Option<&(Segment, u64)> {
        let first = self.segments.first()?.0.begun.msn;
        self.segments.get(usize::try_from(msn.checked_sub(first)?).ok()?)
    }

    /// The segment that is written down next; `None` while there is no format.
    pub fn next_msn(&self) -> Option<u32> {
        let behind = self.segments.last().map(|(last, _)| last.begun.msn + 1);
        behind.or_else(|| Some(self.tracks.first()?.first_msn))
    }

    /// Decode time at which its last segment ends, in ticks.
    pub fn end(&self) -> Option<u64> {
        self.segments.last().map(|(last, _)| last.begun.start + u64::from(last.duration))
    }
}

#[cfg(test)]
mod tests {
    use cmaf::SegmentRef;
    use model::ChunkHash;
    use model::cell::Ratio;

    use super::*;
    use crate::samples::{TIMING, closed};

    fn lines() -> Vec<Line> {
        let rendition = RenditionName::Video { height: 360 };
        let kind = RenditionKind::Video { width: 640, height: 360, frame_rate: Ratio { num: 30, den: 1 } };
        let track = |init, first_msn| {
            let codecs = "avc1.64001f".to_owned();
            Line::Track(Track { rendition, init, first_msn, codecs, timescale: 90_000, kind })
        };
        let segments = closed(4, &[1], &[2]);
        let segment = |n: u32| {
            let segment = segments.segment(n).unwrap().clone();
            Line::Segment { rendition, offset: u64::from(n) * 60_000, segment }
        };
        let (video, version) = (VideoId::from_bits(1), VersionId::from_bits(2));
        vec![
            Line::Began { video, version, timing: TIMING },
            track(0, 0),
            segment(0),
            segment(1),
            track(1, 2),
            segment(2),
            segment(3),
            Line::Ended,
        ]
    }

    #[test]
    fn a_log_is_read_up_to_where_it_was_torn() {
        let lines: Vec<Vec<u8>> = lines().iter().map(Line::to_bytes).collect();
        let log = lines.concat();
        let (whole, len) = Record::read(&log).unwrap();
        assert_eq!(len, log.len());
        let recorded = &whole.renditions[&RenditionName::Video { height: 360 }];
        assert_eq!((recorded.tracks.len(), recorded.segments.len(), whole.ended), (2, 4, true));
        assert_eq!((recorded.next_msn(), recorded.end()), (Some(4), Some(720_000)));
        let found =
            [0, 3, 4].map(|msn| recorded.segment(msn).map(|(segment, offset)| (segment.begun.msn, *offset)));
        assert_eq!(found, [Some((0, 0)), Some((3, 180_000)), None]);
        assert_eq!([0, 1, 2, 3, 4].map(|msn| recorded.has(msn)), [true, false, true, true, false]);
        assert_eq!((recorded.ms(720_000), whole.leader()), (8000, Some(recorded)));
        let ends: Vec<usize> = lines
            .iter()
            .scan(0, |end, line| {
                *end += line.len();
                Some(*end)
            })
            .collect();
        for cut in 0..log.len() {
            let before = ends.iter().rev().find(|end| **end <= cut);
            match (Record::read(&log[..cut]), before) {
                (Ok((_, len)), Some(before)) => assert_eq!(len, *before),
                (Err(RecordError::Empty), None) => {}
                (read, _) => panic!("cut at {cut}: {read:?}"),
            }
        }
    }

    #[test]
    fn behind_the_end_chunks_go_into_the_store_and_nothing_else_happens() {
        let mut lines = lines();
        let rendition = RenditionName::Video { height: 360 };
        let segments = vec![SegmentRef { size_bytes: 60_000, duration: 180_000 }; 2];
        let hash = ChunkHash::of(b"chunk");
        let chunk = ChunkRef { number: 0, hash, size_bytes: 120_010, index_bytes: 10, segments };
        lines.push(Line::Sealed { rendition, spans: vec![(0, 0), (2, 2)], chunk });
        lines.push(Line::Ended);
        let read = |lines: &[Line]| Record::read(&lines.iter().flat_map(Line::to_bytes).collect::<Vec<_>>());
        let (record, _) = read(&lines).unwrap();
        assert!(record.ended && record.renditions[&rendition].sealed.len() == 1);
        lines.push(lines[6].clone());
        assert!(read(&lines).is_err());
    }

    #[test]
    fn a_log_that_contradicts_itself_is_refused() {
        let all = lines();
        for left_out in [0, 1, 2, 3] {
            let log: Vec<u8> = all
                .iter()
                .enumerate()
                .filter(|(n, _)| *n != left_out)
                .flat_map(|(_, line)| line.to_bytes())
                .collect();
            assert!(Record::read(&log).is_err(), "without line {left_out}");
        }
        let twice: Vec<u8> = [&all[..], &all[..]].concat().iter().flat_map(Line::to_bytes).collect();
        assert!(Record::read(&twice).is_err());
        assert!(matches!(Record::read(b"{}\n"), Err(RecordError::Unreadable { number: 1, .. })));
    }
}
