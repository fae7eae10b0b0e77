//! Where frames stand: an absolute grid, so that nothing is lost, doubled or drifts.
//!
//! Frame `n` of the grid is shown at `n / rate` seconds behind the grid's zero. Zero is the start
//! of the earliest stream, moved by at most half a frame so that the first picture stands exactly
//! on the grid: sound is placed relative to the same zero, and a file whose timestamps are
//! rounded to milliseconds does not flicker between two grid frames.

use std::ops::Range;

use model::cell::Ratio;

/// A number of seconds as a fraction: libav's time bases and what is computed from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seconds {
    pub(crate) num: i128,
    /// Never 0, never negative.
    pub(crate) den: i128,
}

impl Seconds {
    pub(crate) const ZERO: Self = Self { num: 0, den: 1 };

    /// `ticks` of a time base of `num / den` seconds; what lies further than a year away is moved
    /// there, so that a stranger's timestamps overflow nothing.
    pub(crate) fn of(ticks: i64, num: i32, den: i32) -> Self {
        let den = i128::from(den.max(1));
        let year = den * 366 * 86_400;
        Self { num: (i128::from(ticks) * i128::from(num)).clamp(-year, year), den }
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        let num = self.num.saturating_mul(other.den).saturating_sub(other.num.saturating_mul(self.den));
        Self { num, den: self.den.saturating_mul(other.den) }
    }

    pub(crate) fn is_before(self, other: Self) -> bool {
        self.minus(other).num < 0
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        self.minus(Self { num: -other.num, ..other })
    }

    /// A part of it.
    pub(crate) fn over(self, parts: u32) -> Self {
        Self { den: self.den * i128::from(parts.max(1)), ..self }
    }

    /// The last tick of a time base at or before this moment.
    pub(crate) fn in_ticks(self, num: i32, den: i32) -> i64 {
        let ticks = self.num.saturating_mul(den.max(1).into());
        let ticks = ticks.div_euclid(self.den.saturating_mul(num.max(1).into()).max(1));
        ticks.clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }

    /// How many times `1 / rate` seconds this is, rounded to the nearest, halves down: of two
    /// frames that fall on one place of the grid, the one that was there first is kept.
    pub(crate) fn in_frames(self, rate: Ratio) -> i64 {
        let num = self.num.saturating_mul(i128::from(rate.num) * 2);
        let den = self.den.saturating_mul(rate.den.max(1).into()).min(i128::MAX / 4);
        let nearest = -(den.saturating_sub(num).div_euclid(2 * den));
        nearest.clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }

    pub(crate) fn as_millis(self) -> i64 {
        self.in_frames(Ratio::new(1000, 1))
    }
}

/// The place of every picture of one stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grid {
    rate: Ratio,
    zero: Seconds,
}

impl Grid {
    /// The grid of a film whose first picture is at `first` and whose earliest stream, sound or
    /// picture, starts at `start`.
    pub(crate) fn new(rate: Ratio, first: Seconds, start: Seconds) -> Self {
        let lead = if start.is_before(first) { first.minus(start).in_frames(rate) } else { 0 };
        let lead = Seconds { num: i128::from(lead) * i128::from(rate.den), den: rate.num.max(1).into() };
        Self { rate, zero: first.minus(lead) }
    }

    /// The moment that is shown as 0.
    pub(crate) fn zero(&self) -> Seconds {
        self.zero
    }

    /// The grid frame of a moment; negative before the first.
    pub(crate) fn frame_at(&self, moment: Seconds) -> i64 {
        moment.minus(self.zero).in_frames(self.rate)
    }

    /// How long so many frames are shown.
    pub(crate) fn frames(&self, count: i64) -> Seconds {
        Seconds { num: i128::from(count) * i128::from(self.rate.den), den: self.rate.num.max(1).into() }
    }

    /// When a grid frame is shown.
    pub(crate) fn moment(&self, n: i64) -> Seconds {
        self.frames(n).plus(self.zero)
    }
}

/// Which moments are believed: one damaged timestamp must not make hours out of a clip.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Belief {
    /// How long the file says that it is.
    pub(crate) declared_ms: Option<u64>,
}

impl Belief {
    /// A pause that needs no explanation, in milliseconds.
    const PAUSE: u64 = 10_000;
    /// The longest picture of a slide show whose length nobody knows, in milliseconds.
    const SLIDE: u64 = 600_000;

    /// Whether something may stand at `at` milliseconds when what came before it ended at `before`.
    pub(crate) fn takes(self, before: u64, at: u64) -> bool {
        let pause = match self.declared_ms {
            Some(declared) if at <= declared.saturating_add(Self::PAUSE) => return true,
            Some(_) => Self::PAUSE,
            None => Self::SLIDE,
        };
        at <= before.saturating_add(pause)
    }
}

/// Fills a stretch of the grid without gap or overlap: each picture is held until the next one
/// comes.
#[derive(Debug)]
pub(crate) struct Holder<T> {
    frames: Range<u64>,
    /// Where the picture stands, and from where on it is shown.
    held: Option<(i64, u64, T)>,
}

impl<T> Holder<T> {
    pub(crate) fn new(frames: Range<u64>) -> Self {
        Self { frames, held: None }
    }

    /// Takes a picture at `n` and gives the one before it with its part of the stretch, unless it
    /// has none. The first picture is shown from the stretch's start, wherever it stands; one that
    /// comes too late is dropped.
    pub(crate) fn put(&mut self, n: i64, picture: T) -> Option<(Range<u64>, T)> {
        if self.held.as_ref().is_some_and(|(at, ..)| n <= *at) {
            return None;
        }
        let shown = match self.held {
            Some(_) => u64::try_from(n).unwrap_or(0).clamp(self.frames.start, self.frames.end),
            None => self.frames.start,
        };
        let (_, from, before) = self.held.replace((n, shown, picture))?;
        (from < shown).then_some((from..shown, before))
    }

    /// Gives the last picture, which is shown until the stretch's end.
    pub(crate) fn finish(self) -> Option<(Range<u64>, T)> {
        let (_, from, last) = self.held?;
        (from < self.frames.end).then_some((from..self.frames.end, last))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stretches(rate: Ratio, moments: &[Seconds], end: Seconds) -> Vec<(Range<u64>, usize)> {
        let grid = Grid::new(rate, moments[0], moments[0]);
        let frames = 0..u64::try_from(grid.frame_at(end)).unwrap().max(1);
        show(frames, moments.iter().map(|at| grid.frame_at(*at)))
    }

    fn show(frames: Range<u64>, places: impl Iterator<Item = i64>) -> Vec<(Range<u64>, usize)> {
        let mut holder = Holder::new(frames);
        let mut out: Vec<_> = places.enumerate().filter_map(|(i, n)| holder.put(n, i)).collect();
        out.extend(holder.finish());
        out
    }

    #[test]
    fn twice_the_rate_keeps_every_second_frame() {
        let moments: Vec<_> = (0..6).map(|n| Seconds::of(n, 1, 60)).collect();
        let shown = stretches(Ratio::new(30, 1), &moments, Seconds::of(6, 1, 60));
        assert_eq!(shown, [(0..1, 0), (1..2, 2), (2..3, 4)]);
    }

    #[test]
    fn gaps_repeat_and_the_last_frame_lasts() {
        let moments = [0, 40, 200].map(|ms| Seconds::of(ms, 1, 1000));
        let shown = stretches(Ratio::new(25, 1), &moments, Seconds::of(280, 1, 1000));
        assert_eq!(shown, [(0..1, 0), (1..5, 1), (5..7, 2)]);
    }

    #[test]
    fn one_frame_without_duration_is_one_frame() {
        let shown = stretches(Ratio::new(25, 1), &[Seconds::of(-9, 1, 7)], Seconds::of(-9, 1, 7));
        assert_eq!(shown, [(0..1, 0)]);
    }

    #[test]
    fn a_late_picture_is_shown_from_the_start_and_stands_on_the_grid() {
        // Sound starts 1.01 s before the picture: 25 frames, and zero moves by 10 ms.
        let (first, start) = (Seconds::of(1010, 1, 1000), Seconds::ZERO);
        let grid = Grid::new(Ratio::new(25, 1), first, start);
        assert_eq!((grid.frame_at(first), grid.zero().as_millis()), (25, 10));
        let mut holder = Holder::new(0..100);
        assert_eq!(holder.put(25, 'a'), None);
        assert_eq!(holder.put(26, 'b'), Some((0..26, 'a')));
    }

    #[test]
    fn a_stretch_begins_with_what_was_shown_before_it_and_ends_where_it_must() {
        assert_eq!(show(10..15, [3, 8, 12, 13, 20].into_iter()), [(10..12, 1), (12..13, 2), (13..15, 3)]);
        assert_eq!(show(10..15, [10, 9, 14].into_iter()), [(10..14, 0), (14..15, 2)]);
        assert_eq!(show(10..15, [20].into_iter()), [(10..15, 0)]);
        assert_eq!(show(10..15, [].into_iter()), []);
    }

    #[test]
    fn a_moment_is_found_again() {
        let grid = Grid::new(Ratio::new(30_000, 1001), Seconds::of(1234, 1, 90_000), Seconds::ZERO);
        for n in [-7, 0, 1, 100_000] {
            assert_eq!(grid.frame_at(grid.moment(n)), n);
        }
        assert_eq!(Seconds::of(-1, 1, 3).in_ticks(1, 1000), -334);
        assert_eq!(Seconds::of(1, 1, 2).plus(Seconds::of(1, 1, 3)).in_ticks(1, 6), 5);
    }

    #[test]
    fn jumps_are_believed_within_the_declared_length_only() {
        let said = Belief { declared_ms: Some(60_000) };
        assert!(said.takes(0, 70_000) && !said.takes(0, 70_001));
        // A film that is longer than it says goes on.
        assert!(said.takes(80_000, 90_000) && !said.takes(80_000, 90_001));
        let silent = Belief { declared_ms: None };
        assert!(silent.takes(0, 600_000) && !silent.takes(0, 600_001));
    }

    proptest! {
        #[test]
        fn stretches_partition_the_timeline(
            mut ticks in prop::collection::vec(0i64..200_000, 1..200), num in 1u32..60_001, den in 1u32..1002,
        ) {
            ticks.sort_unstable();
            let moments: Vec<_> = ticks.iter().map(|t| Seconds::of(*t, 1, 90_000)).collect();
            let rate = Ratio::new(num, den);
            let grid = Grid::new(rate, moments[0], moments[0]);
            let last = grid.frame_at(*moments.last().unwrap());
            // One frame later, so that the last picture is seen.
            let shown = stretches(rate, &moments, grid.moment(last + 1));
            prop_assert_eq!(shown[0].0.start, 0);
            for pair in shown.windows(2) {
                prop_assert_eq!(pair[0].0.end, pair[1].0.start);
                prop_assert!(pair[0].1 < pair[1].1);
            }
            prop_assert!(shown.iter().all(|(range, _)| !range.is_empty()));
        }

        #[test]
        fn millisecond_timestamps_keep_every_frame(phase in 0i64..40, rate in prop::sample::select(vec![
            (24_000, 1001), (24, 1), (25, 1), (30_000, 1001), (30, 1), (50, 1), (60_000, 1001), (60, 1),
        ])) {
            let rate = Ratio::new(rate.0, rate.1);
            let moment = |n: i64| {
                let exact = 1000.0 * n as f64 * f64::from(rate.den) / f64::from(rate.num);
                Seconds::of(exact.round() as i64 + phase, 1, 1000)
            };
            let grid = Grid::new(rate, moment(0), Seconds::ZERO);
            let first = grid.frame_at(moment(0));
            for n in 0..2000 {
                prop_assert_eq!(grid.frame_at(moment(n)), first + n);
            }
        }
    }
}
