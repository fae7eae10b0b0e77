//! A stretch of a film, at the borders of its segments.

use std::ops::Range;

use model::RenditionName;

use crate::{Format, RenditionIndex, VersionIndex};

/// What of a version is in a stretch of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The stretch, in milliseconds.
    pub ms: Range<u64>,
    /// Which segments of each rendition these are, in the order of the index.
    pub segments: Vec<(RenditionName, Range<u32>)>,
}

/// How far apart the borders of two renditions may be to be the same, in milliseconds: sound begins
/// at a frame of its own, which has 46 ms at 22.05 kHz.
const SAME_MS: u64 = 50;

impl VersionIndex {
    /// The smallest stretch around `ms` that begins and ends where segments of all renditions do;
    /// `None` when nothing of the film is in it.
    pub fn cut(&self, ms: Range<u64>) -> Option<Cut> {
        let leader = self.videos().next_back().or_else(|| self.audios().next_back())?;
        let borders: Vec<Vec<u64>> = self.renditions.iter().map(borders).collect();
        let own = self.renditions.iter().position(|rendition| rendition.name == leader.name)?;
        // Where each rendition has a border that is this one.
        let all_at = |at: u64| -> Option<Vec<u32>> { borders.iter().map(|own| near(own, at)).collect() };
        let end_ms = *borders[own].last()?;
        if ms.is_empty() || ms.start >= end_ms {
            return None;
        }
        // All renditions begin together, and where they end is the film's end.
        let start = borders[own].iter().rev().filter(|at| **at <= ms.start);
        let (start_ms, starts) = start.filter_map(|at| Some((*at, all_at(*at)?))).next()?;
        let ends = borders[own].iter().filter(|at| **at >= ms.end && **at < end_ms);
        let (stop_ms, stops) = ends.filter_map(|at| Some((*at, all_at(*at)?))).next().unwrap_or_else(|| {
            (end_ms, borders.iter().map(|own| own.len().saturating_sub(1) as u32).collect())
        });
        let ranges = starts.into_iter().zip(stops).map(|(start, stop)| start..stop);
        let names = self.renditions.iter().map(|rendition| rendition.name);
        let segments: Vec<_> = names.zip(ranges).collect();
        segments.iter().all(|(_, range)| !range.is_empty()).then_some(Cut { ms: start_ms..stop_ms, segments })
    }
}

impl RenditionIndex {
    /// The formats of a stretch of its segments. They count from the first of these; the numbers are
    /// those that the formats have in the whole.
    pub fn formats_in(&self, segments: &Range<u32>) -> Vec<Format<'_>> {
        let mut formats: Vec<Format<'_>> = Vec::new();
        for format in self.formats().filter(|format| format.segment < segments.end) {
            if format.segment <= segments.start {
                formats.clear();
            }
            formats.push(Format { segment: format.segment.saturating_sub(segments.start), ..format });
        }
        formats
    }

    /// Its breaks in such a stretch.
    pub fn breaks_in(&self, segments: &Range<u32>) -> Vec<u32> {
        let within = self.breaks.iter().filter(|at| segments.start < **at && **at < segments.end);
        within.map(|at| at - segments.start).collect()
    }
}

/// Where a rendition's segments begin, and where the last one ends, in milliseconds.
fn borders(rendition: &RenditionIndex) -> Vec<u64> {
    let ms = |ticks: u64| ticks * 1000 / u64::from(rendition.timescale);
    let ends = rendition.segments().map(|segment| ms(segment.start + u64::from(segment.duration)));
    std::iter::once(0).chain(ends).collect()
}

/// The border that is as good as at `at`.
fn near(borders: &[u64], at: u64) -> Option<u32> {
    let behind = borders.partition_point(|border| *border < at);
    let nearest = [behind.checked_sub(1), Some(behind)].into_iter().flatten();
    let nearest = nearest.filter(|n| *n < borders.len()).min_by_key(|n| borders[*n].abs_diff(at))?;
    (borders[nearest].abs_diff(at) <= SAME_MS).then(|| u32::try_from(nearest).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use model::cell::Ratio;
    use model::{ChunkHash, VersionId, VideoId};

    use super::*;
    use crate::{Bandwidth, Change, ChunkRef, RenditionKind, SegmentRef};

    /// A rendition with segments of so many milliseconds.
    fn rendition(name: &str, lengths_ms: &[u32]) -> RenditionIndex {
        let name: RenditionName = name.parse().unwrap();
        let segments: Vec<_> =
            lengths_ms.iter().map(|ms| SegmentRef { size_bytes: 10, duration: *ms }).collect();
        let kind = if name.is_video() {
            RenditionKind::Video { width: 640, height: 360, frame_rate: Ratio::new(25, 1) }
        } else {
            RenditionKind::Audio { channels: 2, sample_rate: 1000 }
        };
        let size_bytes = 10 * segments.len() as u64 + 5;
        let hash = ChunkHash::of(b"");
        RenditionIndex {
            name,
            codecs: String::new(),
            timescale: 1000,
            kind,
            bandwidth: Bandwidth::default(),
            init_size: 1,
            init_hash: hash,
            chunks: vec![ChunkRef { number: 0, hash, size_bytes, index_bytes: 5, segments }],
            changes: Vec::new(),
            breaks: Vec::new(),
        }
    }

    fn film(renditions: Vec<RenditionIndex>) -> VersionIndex {
        VersionIndex::new(VideoId::from_bits(1), VersionId::from_bits(1), renditions)
    }

    fn cut(film: &VersionIndex, ms: Range<u64>) -> Option<(Range<u64>, Vec<Range<u32>>)> {
        film.cut(ms).map(|cut| (cut.ms, cut.segments.into_iter().map(|(_, range)| range).collect()))
    }

    #[test]
    fn a_stretch_grows_outward_to_whole_segments() {
        let film = film(vec![
            rendition("a128", &[2020, 1990, 2005, 2000, 1900]),
            rendition("360p", &[2000, 2000, 2000, 2000, 2000]),
        ]);
        type Case = (Range<u64>, Option<(Range<u64>, Range<u32>)>);
        let cases: [Case; 9] = [
            (0..10_000, Some((0..10_000, 0..5))),
            (0..1, Some((0..2000, 0..1))),
            (2000..4000, Some((2000..4000, 1..2))),
            (1999..4001, Some((0..6000, 0..3))),
            (3000..7999, Some((2000..8000, 1..4))),
            (9000..9500, Some((8000..10_000, 4..5))),
            (9000..u64::MAX, Some((8000..10_000, 4..5))),
            (10_000..11_000, None),
            (5000..5000, None),
        ];
        for (ms, expected) in cases {
            let expected = expected.map(|(ms, range)| (ms, vec![range.clone(), range]));
            assert_eq!(cut(&film, ms.clone()), expected, "{ms:?}");
        }
    }

    #[test]
    fn a_border_that_one_rendition_lacks_is_none() {
        // In the second one two segments were joined.
        let film = film(vec![
            rendition("a64", &[2000, 2000, 2000, 2000]),
            rendition("144p", &[2000, 4000, 2000]),
            rendition("360p", &[2000, 2000, 2000, 2000]),
        ]);
        assert_eq!(cut(&film, 4500..5000), Some((2000..6000, vec![1..3, 1..2, 1..3])));
        assert_eq!(cut(&film, 0..3000), Some((0..6000, vec![0..3, 0..2, 0..3])));
    }

    #[test]
    fn a_stretch_has_the_formats_and_the_breaks_that_are_in_it() {
        let mut film = rendition("360p", &[2000; 9]);
        let change = |segment| {
            let RenditionIndex { codecs, kind, init_size, init_hash, .. } = rendition("360p", &[]);
            Change { segment, codecs, kind, init_size, init_hash }
        };
        (film.changes, film.breaks) = (vec![change(3), change(6)], vec![3, 5, 6]);
        type Case = (Range<u32>, &'static [(u32, u32)], &'static [u32]);
        let cases: [Case; 8] = [
            (0..9, &[(0, 0), (1, 3), (2, 6)], &[3, 5, 6]),
            (0..3, &[(0, 0)], &[]),
            (1..4, &[(0, 0), (1, 2)], &[2]),
            (2..9, &[(0, 0), (1, 1), (2, 4)], &[1, 3, 4]),
            (3..6, &[(1, 0)], &[2]),
            (4..9, &[(1, 0), (2, 2)], &[1, 2]),
            (6..9, &[(2, 0)], &[]),
            (8..9, &[(2, 0)], &[]),
        ];
        for (segments, formats, breaks) in cases {
            let found: Vec<_> =
                film.formats_in(&segments).iter().map(|format| (format.number, format.segment)).collect();
            assert_eq!((&found[..], &film.breaks_in(&segments)[..]), (formats, breaks), "{segments:?}");
        }
    }

    #[test]
    fn sound_alone_is_cut_at_its_own_borders() {
        let film = film(vec![rendition("a32", &[4000, 4000]), rendition("a64", &[4010, 3990])]);
        assert_eq!(cut(&film, 4500..5000), Some((4010..8000, vec![1..2, 1..2])));
    }
}
