//! Which pictures of a feed a rung shows.

use model::cell::Ratio;
use model::feed::FEED_TIMESCALE;

/// Evenly every so manieth picture, by their times: a picture is shown if it is the first in its slot
/// of a grid that begins anew with each IDR picture. Those of a rung with twice the divisor are among
/// them, and which they are does not depend on where in the feed a cell began.
#[derive(Debug)]
pub(crate) struct Cadence {
    /// Ticks of a slot, and of half a picture of the source, as numerators over `den`.
    slot: i128,
    half: i128,
    den: i128,
    is_every: bool,
    /// When the grid begins, and the slot of the last picture that is shown.
    last: Option<(i64, i128)>,
}

impl Cadence {
    /// Of a feed with about so many pictures per second.
    pub(crate) fn new(frame_rate: Ratio, divisor: u32) -> Self {
        let divisor = i128::from(divisor.max(1));
        // In halves of ticks, so that all are whole numbers.
        let frame = 2 * i128::from(FEED_TIMESCALE) * i128::from(frame_rate.den.max(1));
        Self {
            slot: frame * divisor,
            half: frame / 2,
            den: 2 * i128::from(frame_rate.num.max(1)),
            is_every: divisor == 1,
            last: None,
        }
    }

    /// Ticks from one picture to the next, as a rule.
    pub(crate) fn usual(&self) -> u32 {
        u32::try_from((self.slot + self.den / 2) / self.den).unwrap_or(u32::MAX).max(1)
    }

    /// Whether the picture that is shown at `pts` is; to be asked once for each, in order.
    pub(crate) fn shows(&mut self, pts: i64, idr: bool) -> bool {
        let Some((start, last)) = self.last.filter(|_| !idr) else {
            self.last = Some((pts, 0));
            return true;
        };
        let ticks = i128::from(pts) - i128::from(start);
        let slot = (ticks * self.den + self.half).div_euclid(self.slot);
        let is_shown = self.is_every || slot > last;
        if is_shown {
            self.last = Some((start, slot));
        }
        is_shown
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(rate: Ratio, divisor: u32, pictures: &[(i64, bool)]) -> Vec<i64> {
        let mut cadence = Cadence::new(rate, divisor);
        pictures.iter().filter(|(pts, idr)| cadence.shows(*pts, *idr)).map(|(pts, _)| *pts).collect()
    }

    /// Pictures at a rate, their times rounded to milliseconds as RTMP does, an IDR every so many.
    fn pictures(rate: Ratio, count: i64, gop: i64) -> Vec<(i64, bool)> {
        let ms = |n: i64| (n * 1000 * i64::from(rate.den) + i64::from(rate.num) / 2) / i64::from(rate.num);
        (0..count).map(|n| (ms(n) * 90, n % gop == 0)).collect()
    }

    #[test]
    fn every_second_picture_is_shown_and_every_idr() {
        for rate in [Ratio::new(30, 1), Ratio::new(30_000, 1001), Ratio::new(24_000, 1001), Ratio::new(25, 1)]
        {
            let all = pictures(rate, 600, 60);
            let even: Vec<i64> = all.iter().step_by(2).map(|(pts, _)| *pts).collect();
            assert_eq!(shown(rate, 2, &all), even, "{rate:?}");
            assert_eq!(shown(rate, 1, &all).len(), 600, "{rate:?}");
            // A GOP of an odd number of pictures: the next one begins in step with its IDR.
            let odd = pictures(rate, 90, 45);
            let numbers: Vec<usize> = shown(rate, 2, &odd)
                .iter()
                .map(|pts| odd.iter().position(|(other, _)| other == pts).unwrap())
                .collect();
            let expected: Vec<usize> = (0..45).step_by(2).chain((45..90).step_by(2)).collect();
            assert_eq!(numbers, expected, "{rate:?}");
        }
    }

    #[test]
    fn a_source_that_is_quicker_than_it_says_is_thinned_to_what_was_planned() {
        let fast = pictures(Ratio::new(60, 1), 600, 600);
        assert_eq!(shown(Ratio::new(30, 1), 2, &fast).len(), 150);
        let slow = pictures(Ratio::new(15, 1), 600, 600);
        assert_eq!(shown(Ratio::new(30, 1), 2, &slow).len(), 600, "one that is slower is not");
    }

    #[test]
    fn what_is_usual_is_in_ticks() {
        for (rate, divisor, ticks) in [
            (Ratio::new(30, 1), 1, 3000),
            (Ratio::new(30, 1), 2, 6000),
            (Ratio::new(30_000, 1001), 1, 3003),
            (Ratio::new(24_000, 1001), 1, 3754),
            (Ratio::new(60, 1), 4, 6000),
            (Ratio::new(0, 0), 1, 90_000),
        ] {
            assert_eq!(Cadence::new(rate, divisor).usual(), ticks, "{rate:?} / {divisor}");
        }
    }

    proptest! {
        #[test]
        fn a_smaller_rung_shows_no_picture_that_a_greater_one_does_not(
            gaps in prop::collection::vec((1i64..20_000, prop::bool::weighted(0.05)), 1..300),
            start in -1_000_000i64..1_000_000,
        ) {
            let all: Vec<(i64, bool)> = gaps
                .iter()
                .scan(start, |pts, (gap, idr)| {
                    *pts += gap;
                    Some((*pts, *idr))
                })
                .collect();
            let rate = Ratio::new(30, 1);
            let [one, two, four] = [1, 2, 4].map(|divisor| shown(rate, divisor, &all));
            prop_assert_eq!(one.len(), all.len());
            prop_assert!(four.iter().all(|pts| two.contains(pts)));
            // Never more than the grid has slots, and every IDR.
            let idrs = all.iter().filter(|(_, idr)| *idr).count();
            let span = all.last().unwrap().0 - all[0].0;
            prop_assert!(two.len() as i64 <= span / 6000 + 2 + 2 * idrs as i64);
            prop_assert!(all.iter().all(|(pts, idr)| !idr || two.contains(pts)));
        }
    }
}
