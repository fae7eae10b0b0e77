use model::feed::FEED_TIMESCALE;

/// Ticks of a feed in a millisecond.
const TICKS_PER_MS: i64 = FEED_TIMESCALE as i64 / 1000;

/// One for all tracks of a connection: its 32 bits of milliseconds go round after 49.7 days.
#[derive(Debug, Default)]
pub(crate) struct FeedClock {
    last_ms: Option<i64>,
}

impl FeedClock {
    /// The ticks of `timestamp`, on a line without end. Times of two tracks cross each other a little,
    /// and an encoder may go back: whichever way is shorter is taken.
    pub(crate) fn ticks(&mut self, timestamp: u32) -> i64 {
        let ms = match self.last_ms {
            None => i64::from(timestamp),
            Some(last) => last + i64::from(timestamp.wrapping_sub(last as u32) as i32),
        };
        self.last_ms = Some(ms);
        ms * TICKS_PER_MS
    }
}

/// Milliseconds as ticks.
pub(crate) const fn from_ms(ms: i32) -> i32 {
    // 24 bits on the wire.
    ms * TICKS_PER_MS as i32
}

/// Nanoseconds, of which there are less than a millisecond's, as ticks.
pub(crate) const fn from_nanos(nanos: u32) -> i64 {
    nanos as i64 * FEED_TIMESCALE as i64 / 1_000_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_when_its_32_bits_are_over() {
        let mut clock = FeedClock::default();
        let start = u32::MAX - 10;
        for (timestamp, since_start) in [
            (start, 0),
            (start + 5, 5),
            (start.wrapping_add(40), 40),
            // The other track is behind.
            (start.wrapping_add(7), 7),
            (start.wrapping_add(43), 43),
            (start.wrapping_add(3_600_000), 3_600_000),
            (start.wrapping_add(1_000), 1_000),
        ] {
            assert_eq!(clock.ticks(timestamp), (i64::from(start) + since_start) * 90, "{timestamp}");
        }
    }

    #[test]
    fn a_second_time_round_is_later_too() {
        let mut clock = FeedClock::default();
        for n in 0..20i64 {
            let ms = n * 1_000_000_000;
            assert_eq!(clock.ticks(ms as u32), ms * 90);
        }
    }

    #[test]
    fn parts_of_a_millisecond_are_ticks() {
        assert_eq!((from_ms(-40), from_nanos(333_333), from_nanos(999_999)), (-3600, 29, 89));
    }
}
