//! How much a publisher sends.

use std::time::Duration;

use crate::live::FeedLimits;

/// A bucket that is emptied at the rate that is allowed, and holds a window's worth.
#[derive(Debug)]
pub(crate) struct Rate {
    bytes_per_s: f64,
    level: f64,
    at: Duration,
}

impl Rate {
    pub(crate) fn new(bits_per_s: u64) -> Self {
        Self { bytes_per_s: bits_per_s as f64 / 8.0, level: 0.0, at: Duration::ZERO }
    }

    /// Counts `bytes` that came at `now`, counted from the beginning; whether that is still allowed.
    pub(crate) fn takes(&mut self, bytes: usize, now: Duration) -> bool {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.at = now;
        self.level = (self.level - passed * self.bytes_per_s).max(0.0) + bytes as f64;
        self.level <= self.bytes_per_s * FeedLimits::WINDOW.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_back_may_come_at_once_and_more_may_not() {
        let second = |n: u64| Duration::from_secs(n);
        let mut rate = Rate::new(8_000);
        assert!((0..100).all(|n| rate.takes(1000, second(n))), "at the rate for ever");
        assert!(rate.takes(9_000, second(105)), "after five seconds of silence");
        let mut rate = Rate::new(8_000);
        assert!((0..9).all(|n| rate.takes(2_000, second(n))), "twice the rate for a window");
        assert!(!(9..12).all(|n| rate.takes(2_000, second(n))), "and no longer");
        assert!(!Rate::new(8_000).takes(10_001, second(0)));
        assert!(Rate::new(u64::MAX).takes(usize::MAX >> 1, second(0)), "no limit");
    }
}
