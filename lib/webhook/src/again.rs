use std::time::Duration;

use model::Timestamp;

/// Pauses behind the first tries; then one every three hours.
const PAUSES_S: [u64; 6] = [5, 30, 120, 600, 1800, 3600];
const LAST_PAUSE: Duration = Duration::from_secs(3 * 3600);
/// For so long it is tried.
const PATIENCE: Duration = Duration::from_secs(48 * 3600);

/// When a delivery that first was due at `since`, and has just failed for the `tries`-th time, is
/// tried again; `None` when it is given up. `spread`, 0 to 1, keeps those that failed together apart.
pub fn next_try(tries: u32, since: Timestamp, now: Timestamp, spread: f64) -> Option<Timestamp> {
    let place = usize::try_from(tries.saturating_sub(1)).unwrap_or(usize::MAX);
    let pause = PAUSES_S.get(place).map_or(LAST_PAUSE, |s| Duration::from_secs(*s));
    let next = now + pause.mul_f64(1.0 + 0.25 * spread.clamp(0.0, 1.0));
    (next.since(since) <= PATIENCE).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_may_be_away_for_more_than_a_day() {
        let since = Timestamp::from_seconds(1_000_000);
        let (mut now, mut tries) = (since, 0);
        while let Some(next) = next_try(tries + 1, since, now, 0.0) {
            assert!(next > now);
            (now, tries) = (next, tries + 1);
        }
        let tried_for = now.since(since).as_secs();
        assert!((24 * 3600..=48 * 3600).contains(&tried_for) && tries < 30, "{tries} in {tried_for} s");
        assert_eq!(next_try(1, since, since, 0.0), Some(since + Duration::from_secs(5)));
        assert_eq!(next_try(1, since, since, 1.0), Some(since + Duration::from_millis(6250)));
        assert_eq!(next_try(1, since, since, f64::NAN.max(9.0)), Some(since + Duration::from_millis(6250)));
    }
}
