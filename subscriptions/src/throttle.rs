use std::time::Duration;

use model::Timestamp;

/// Failed sign-ins under one name, whether an account has it or not.
///
/// Strangers can slow a name down but not lock it: the wait has a ceiling, tries made while
/// waiting don't count, and a quarter of an hour without failures forgets them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Failures {
    /// How many, each within [`WINDOW`] of the one before.
    pub(crate) count: u32,
    /// When the last one was.
    pub(crate) last: Timestamp,
}

/// Failures older than this are forgotten.
pub(crate) const WINDOW: Duration = Duration::from_secs(15 * 60);
/// Sessions that one account may begin within [`WINDOW`]: every edge is told of each that was
/// signed out.
pub(crate) const SESSIONS: u64 = 30;
/// Tries that cost nothing but their hash.
const FREE: u32 = 10;
/// The wait after the tenth failure; each further one doubles it, up to [`WINDOW`].
const FIRST_WAIT: Duration = Duration::from_secs(30);

impl Failures {
    /// How long the next try must wait; `None` when it may be made now.
    pub(crate) fn wait(self, now: Timestamp) -> Option<Duration> {
        if self.count < FREE {
            return None;
        }
        let doublings = (self.count - FREE).min(16);
        let delay = FIRST_WAIT.saturating_mul(1 << doublings).min(WINDOW);
        delay.checked_sub(now.since(self.last)).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_seconds(1_000_000);

    fn failed(count: u32) -> Failures {
        Failures { count, last: START }
    }

    #[test]
    fn ten_failures_are_free_and_each_further_one_doubles_the_wait() {
        assert_eq!(failed(9).wait(START), None);
        let waits = (10..=17).map(|count| failed(count).wait(START).map(|wait| wait.as_secs()));
        assert_eq!(waits.collect::<Vec<_>>(), [30, 60, 120, 240, 480, 900, 900, 900].map(Some));
    }

    #[test]
    fn a_wait_ends_and_is_never_longer_than_a_quarter_of_an_hour() {
        assert_eq!(failed(10).wait(START + Duration::from_millis(29_999)), Some(Duration::from_millis(1)));
        assert_eq!(failed(10).wait(START + Duration::from_secs(30)), None);
        assert_eq!(failed(u32::MAX).wait(START + WINDOW), None);
    }
}
