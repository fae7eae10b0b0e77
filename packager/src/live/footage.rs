//! What of an event is its film: what any rendition has of it, without outages, and where it breaks.
//!
//! A film breaks where its publisher came back with another format. There all renditions do, at the same
//! moment of the film, so each of them has a segment that begins there
//! (RFC 8216 §6.2.4: matching discontinuities).

use std::ops::Range;

use live::{Record, Segment};

/// The segments of the film.
#[derive(Debug, Default)]
pub(super) struct Footage {
    timescale: u64,
    shots: Vec<Shot>,
    /// Before which of them it breaks.
    breaks: Vec<u32>,
}

/// One segment of the leading rendition, which is a still in it if only others have it: somebody came
/// back without a picture.
#[derive(Debug)]
struct Shot {
    msn: u32,
    /// When it began in the event, in ticks,
    start: u64,
    /// and how much of the film is over then.
    begins: u64,
    duration: u32,
}

impl Footage {
    pub(super) fn of(record: &Record) -> Self {
        let Some(leader) = record.leader() else { return Self::default() };
        let mut footage = Self { timescale: leader.timescale().into(), ..Self::default() };
        let (mut begins, mut breaks) = (0, false);
        for (Segment { begun, duration, .. }, _) in &leader.segments {
            // Somebody may have come back and sent nothing.
            breaks |= begun.discontinuity;
            if begun.gap && !record.renditions.values().any(|one| one.has(begun.msn)) {
                continue;
            }
            if std::mem::take(&mut breaks) && !footage.shots.is_empty() {
                footage.breaks.push(begun.msn);
            }
            footage.shots.push(Shot { msn: begun.msn, start: begun.start, begins, duration: *duration });
            begins += u64::from(*duration);
        }
        footage
    }

    /// Whether segment `msn` is in the film.
    pub(super) fn has(&self, msn: u32) -> bool {
        self.shots.binary_search_by_key(&msn, |shot| shot.msn).is_ok()
    }

    /// What there is of the event between its outages, in milliseconds from its zero.
    pub(super) fn stretches(&self) -> Vec<Range<u64>> {
        let ms = |ticks: u64| ticks * 1000 / self.timescale.max(1);
        let mut stretches: Vec<Range<u64>> = Vec::new();
        for shot in &self.shots {
            let (start, end) = (ms(shot.start), ms(shot.start + u64::from(shot.duration)));
            match stretches.last_mut() {
                Some(last) if last.end == start => last.end = end,
                _ => stretches.push(start..end),
            }
        }
        stretches
    }

    /// Where the film breaks between a segment of a rendition and a later one, `msn`, which may be behind
    /// the break; without the former in all that is before.
    pub(super) fn breaks(&self, after: Option<u32>, msn: u32) -> impl Iterator<Item = u32> {
        self.breaks.iter().copied().filter(move |at| after < Some(*at) && *at <= msn)
    }

    /// What of the film a rendition lacks that begins with segment `msn`, or goes on with it behind a
    /// break: from one break to the next, and then up to `msn`. Nothing else is lacking: what a rendition
    /// lost in between is filled by the picture before.
    pub(super) fn before(&self, after: Option<u32>, msn: u32) -> Vec<Range<u32>> {
        let first = self.shots.first().map(|shot| shot.msn).filter(|_| after.is_none());
        let starts: Vec<u32> = first.into_iter().chain(self.breaks(after, msn)).collect();
        let ends = starts.iter().skip(1).copied().chain([msn]);
        starts.iter().zip(ends).map(|(start, end)| *start..end.max(*start)).collect()
    }

    /// How long these segments are, in ticks of `timescale`.
    pub(super) fn ticks(&self, msns: &Range<u32>, timescale: u64) -> u32 {
        let over = |msn: u32| {
            let place = self.shots.partition_point(|shot| shot.msn < msn);
            let last = self.shots.last().map_or(0, |shot| shot.begins + u64::from(shot.duration));
            let ticks = self.shots.get(place).map_or(last, |shot| shot.begins);
            ticks * timescale / self.timescale.max(1)
        };
        u32::try_from(over(msns.end).saturating_sub(over(msns.start))).unwrap_or(u32::MAX)
    }

    /// By how much the first sample of segment `msn` lasts longer on the shelf, where `after` is the
    /// segment before it there.
    pub(super) fn late(&self, after: Option<u32>, msn: u32, timescale: u64) -> u32 {
        self.before(after, msn).last().map_or(0, |lacking| self.ticks(lacking, timescale))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::testing::{OWN, SOUND, breaking, record, rendition};

    #[test]
    fn what_a_rendition_lacks_is_cut_where_the_film_breaks() {
        // Segments 2 and 3 are an outage; with 4 and 8 another format begins.
        let footage = Footage::of(&record([breaking(rendition(OWN, 0..12, &[2, 3]), &[4, 8])]));
        assert_eq!(footage.breaks(None, 11).collect::<Vec<_>>(), [4, 8]);
        type Case = (Option<u32>, u32, &'static [(u32, u32)], u32);
        let cases: [Case; 11] = [
            (None, 0, &[(0, 0)], 0),
            (None, 1, &[(0, 1)], 2000),
            (None, 4, &[(0, 4), (4, 4)], 0),
            (None, 5, &[(0, 4), (4, 5)], 2000),
            (None, 10, &[(0, 4), (4, 8), (8, 10)], 4000),
            (Some(0), 1, &[], 0),
            (Some(0), 3, &[], 0),
            (Some(0), 4, &[(4, 4)], 0),
            (Some(1), 6, &[(4, 6)], 4000),
            (Some(1), 9, &[(4, 8), (8, 9)], 2000),
            (Some(4), 7, &[], 0),
        ];
        for (after, msn, expected, late) in cases {
            let lacking: Vec<_> =
                footage.before(after, msn).iter().map(|msns| (msns.start, msns.end)).collect();
            assert_eq!(lacking, expected, "{after:?} {msn}");
            assert_eq!(footage.late(after, msn, 1000), late, "{after:?} {msn}");
        }
        assert_eq!(footage.ticks(&(0..12), 48_000), 48_000 * 20);
        assert_eq!(footage.ticks(&(1..5), 1000), 4000, "an outage is no part of the film");
    }

    #[test]
    fn a_break_is_where_the_film_goes_on() {
        let breaks = |gaps: &[u32], at: &[u32]| {
            Footage::of(&record([breaking(rendition(OWN, 0..6, gaps), at)]))
                .breaks(None, 6)
                .collect::<Vec<_>>()
        };
        assert_eq!(breaks(&[], &[3]), [3]);
        assert_eq!(breaks(&[2, 3], &[3]), [4], "nothing came of what came back");
        assert_eq!(breaks(&[], &[0]), [0; 0], "a film does not begin with a break");
        assert_eq!(breaks(&[0, 1], &[1]), [0; 0]);
        assert_eq!(breaks(&[3, 4, 5], &[4]), [0; 0], "nothing comes behind it");
        assert_eq!(breaks(&[], &[1, 2]), [1, 2]);
    }

    #[test]
    fn what_anybody_has_is_in_the_film() {
        let sound = rendition(SOUND, 0..10, &[2, 3, 8]);
        let footage = Footage::of(&record([rendition(OWN, 0..10, &[2, 3, 6, 7, 8]), sound]));
        let there: Vec<u32> = (0..10).filter(|msn| footage.has(*msn)).collect();
        assert_eq!(there, [0, 1, 4, 5, 6, 7, 9]);
        assert_eq!(footage.stretches(), [0..4000, 8000..16_000, 18_000..20_000]);
    }
}
