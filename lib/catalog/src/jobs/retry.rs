use std::time::Duration;

use model::Timestamp;

/// A poison file gets this many crashes, then its reason; the queue moves on.
const MAX_CRASHES: i64 = 3;
/// Before the second attempt. Short: most crashes are a deployment or a reboot.
const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// What becomes of a job after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Again, not before `at`.
    Again { crashes: i64, at: Timestamp },
    /// Never.
    GiveUp,
}

/// Decides after one more crash, noticed at `at`, on top of `crashes`.
pub(super) fn after_crash(crashes: i64, at: Timestamp) -> Next {
    let crashes = crashes + 1;
    if crashes >= MAX_CRASHES {
        return Next::GiveUp;
    }
    // 5 s, then 30 s.
    let pause = FIRST_PAUSE * 6u32.pow(u32::try_from(crashes - 1).unwrap_or(0));
    Next::Again { crashes, at: at + pause }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_the_third_crash_is_the_last() {
        let at = Timestamp::from_seconds;
        assert_eq!(after_crash(0, at(100)), Next::Again { crashes: 1, at: at(105) });
        assert_eq!(after_crash(1, at(100)), Next::Again { crashes: 2, at: at(130) });
        assert_eq!(after_crash(2, at(100)), Next::GiveUp);
    }
}
