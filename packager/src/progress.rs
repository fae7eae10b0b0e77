//! How far a job is and how long it will take: pure, so that its promise can be tested.

use std::time::Duration;

use model::Timestamp;

/// After this time a measurement counts half: long enough to smooth a busy scene, short enough to
/// notice that another job began or ended.
const HALF_LIFE: Duration = Duration::from_secs(5);
/// In a long encode it is this part of the time since the start: who still waits an hour wants to
/// know the hour, not the scene.
const HALF_LIFE_PART: f64 = 0.15;
/// What the owner is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Estimate {
    /// From 0 to 99, never less than before; 100 is `Ready`.
    pub(crate) percent: u8,
    /// Seconds until it is done, where that can be said.
    pub(crate) eta_s: Option<u32>,
}

/// Follows the media time that is done.
#[derive(Debug)]
pub(crate) struct Estimator {
    expected_ms: u64,
    /// When the first media was done.
    started: Timestamp,
    position_ms: u64,
    /// When the position was last seen to move, and where it was.
    seen: (Timestamp, u64),
    /// Media done and time taken, both fading.
    done_ms: f64,
    taken_ms: f64,
    percent: u8,
}

impl Estimator {
    /// An encode of `expected_ms` of media, 0 if nobody knows, begins `now`.
    pub(crate) fn new(expected_ms: u64, now: Timestamp) -> Self {
        Self {
            expected_ms,
            started: now,
            position_ms: 0,
            seen: (now, 0),
            done_ms: 0.0,
            taken_ms: 0.0,
            percent: 0,
        }
    }

    /// Everything before `position_ms` is done at `now`.
    pub(crate) fn reached(&mut self, position_ms: u64, now: Timestamp) {
        if self.position_ms == 0 {
            // What went before, the opening of the file and the filling of the encoders'
            // look-ahead, does not come again: speed is measured from here.
            (self.started, self.seen) = (now, (now, position_ms));
        }
        self.position_ms = self.position_ms.max(position_ms);
        if let Some(percent) = (self.position_ms.saturating_mul(100)).checked_div(self.expected_ms) {
            self.percent = self.percent.max(u8::try_from(percent.min(99)).unwrap_or(99));
        }
    }

    /// What to show at `now`.
    pub(crate) fn estimate(&mut self, now: Timestamp) -> Estimate {
        let (since, before) = self.seen;
        let taken = now.since(since);
        // Positions come in steps; the time since the last one belongs to the step that follows.
        if self.position_ms > before && !taken.is_zero() {
            let half_life =
                HALF_LIFE.as_secs_f64().max(now.since(self.started).as_secs_f64() * HALF_LIFE_PART);
            let fading = 0.5f64.powf(taken.as_secs_f64() / half_life);
            self.done_ms = self.done_ms * fading + (self.position_ms - before) as f64;
            self.taken_ms = self.taken_ms * fading + taken.as_millis() as f64;
            self.seen = (now, self.position_ms);
        }
        let left_ms = self.expected_ms.saturating_sub(self.position_ms) as f64;
        let is_known = self.expected_ms > 0 && self.done_ms > 0.0;
        let eta_s = is_known.then(|| (left_ms * self.taken_ms / self.done_ms / 1000.0).ceil() as u32);
        Estimate { percent: self.percent, eta_s }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_is_said_about_a_film_of_unknown_length() {
        let mut estimator = Estimator::new(0, Timestamp::from_millis(0));
        estimator.reached(5000, Timestamp::from_millis(500));
        assert_eq!(estimator.estimate(Timestamp::from_millis(1000)), Estimate::default());
    }

    proptest! {
        /// An encode that begins with an opening and whose speed then wanders by an eighth around
        /// its mean, told four times a second, asked every five.
        #[test]
        fn after_a_fifth_the_eta_is_within_a_quarter(
            film_ms in 60_000u64..7_200_000,
            opening_ms in 0u64..8000,
            speed in 0.3f64..6.0,
            wander in 0.0f64..0.12,
            period_s in 2u64..120,
        ) {
            // Position as a function of time: constant speed, and a wave on top of it.
            let position = |ms: u64| {
                let (ms, period_ms) = (ms.saturating_sub(opening_ms) as f64, period_s as f64 * 1000.0);
                let turn = std::f64::consts::TAU;
                let wave = wander * period_ms / turn * (ms / period_ms * turn).sin();
                let told_every = 250.0 * speed;
                (((ms + wave) * speed).max(0.0) / told_every).floor() * told_every
            };
            let whole_ms = (0..).step_by(100).find(|ms| position(*ms) >= film_ms as f64).unwrap();
            let mut estimator = Estimator::new(film_ms, Timestamp::from_millis(0));
            let mut percent = 0;
            for now in (0..whole_ms).step_by(250) {
                estimator.reached(position(now) as u64, Timestamp::from_millis(now as i64));
                if now % 5000 > 0 {
                    continue;
                }
                let estimate = estimator.estimate(Timestamp::from_millis(now as i64));
                prop_assert!(estimate.percent >= percent && estimate.percent < 100);
                percent = estimate.percent;
                let left_s = (whole_ms - now) as f64 / 1000.0;
                // Near the end one question is more than a quarter.
                let slack = (left_s / 4.0).max(5.0);
                if percent > 20 {
                    let eta = f64::from(estimate.eta_s.unwrap());
                    prop_assert!((eta - left_s).abs() <= slack, "{} s told, {} s true at {}", eta, left_s, now);
                }
            }
        }

        #[test]
        fn percent_never_falls_whatever_a_cell_says(
            expected in any::<u64>(),
            positions in proptest::collection::vec(any::<u64>(), 0..50),
        ) {
            let mut estimator = Estimator::new(expected, Timestamp::from_millis(0));
            let mut percent = 0;
            for (n, position) in positions.into_iter().enumerate() {
                let now = Timestamp::from_millis(n as i64 * 500);
                estimator.reached(position, now);
                let estimate = estimator.estimate(now);
                prop_assert!((percent..100).contains(&estimate.percent));
                percent = estimate.percent;
            }
        }
    }
}
