use std::time::Duration;

use model::feed::FEED_TIMESCALE;

use super::lane::Frame;

/// Puts the frames of a sound one behind the other on its own clock, which counts samples.
///
/// A publisher's times are rounded to milliseconds and jitter; the sound itself does not. So each
/// frame begins where the one before it ended, unless the times say that something is missing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SoundClock {
    sample_rate: u32,
    /// Samples in a frame.
    frame: u32,
    /// Where the next frame begins.
    next: Option<u64>,
}

/// AAC-LC has 1024 samples in a frame (ISO/IEC 14496-3 §4.5.1.1).
pub(crate) const AAC_FRAME: u32 = 1024;

impl SoundClock {
    /// The clock of a sound with so many samples a second, and in a frame.
    pub(crate) const fn new(sample_rate: u32, frame: u32) -> Self {
        Self { sample_rate, frame, next: None }
    }

    /// The frame with its time in samples; `None` for one that there is no room for.
    ///
    /// Off by more than one and a half frames, the publisher's time counts: what comes too late
    /// leaves a hole (the frame before it lasts longer), what comes too early is left out.
    pub(crate) fn place(&mut self, frame: Frame) -> Option<Frame> {
        let ideal = ticks(frame.time, self.sample_rate);
        let tolerance = u64::from(self.frame) * 3 / 2;
        let time = match self.next {
            Some(next) if ideal + tolerance < next => return None,
            Some(next) if ideal <= next + tolerance => next,
            _ => ideal,
        };
        self.next = Some(time + u64::from(self.frame));
        Some(Frame { time, ..frame })
    }
}

/// A stretch of the clock on the wall as one of the event, in ticks of a feed.
pub(crate) fn elapsed(stretch: Duration) -> u64 {
    let ms = u64::try_from(stretch.as_millis()).unwrap_or(u64::MAX);
    ms.saturating_mul(u64::from(FEED_TIMESCALE) / 1000)
}

/// A stretch of the event as one of the clock on the wall.
pub(crate) fn stretch(ticks: u64) -> Duration {
    Duration::from_millis(ticks / (u64::from(FEED_TIMESCALE) / 1000))
}

/// A time of the event in ticks of `timescale`, rounded to the nearest.
pub(crate) fn ticks(time: u64, timescale: u32) -> u64 {
    let feed = u64::from(FEED_TIMESCALE);
    (time * u64::from(timescale) + feed / 2) / feed
}

/// Ticks of `timescale` as a time of the event, rounded up: what begins at or behind it.
pub(crate) fn time(ticks: u64, timescale: u32) -> u64 {
    (ticks * u64::from(FEED_TIMESCALE)).div_ceil(u64::from(timescale.max(1)))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn at(ms: u64) -> Frame {
        Frame { time: ms * 90, cts_offset: 0, key: true, data: Bytes::from_static(b"x") }
    }

    #[test]
    fn hours_of_rounded_times_do_not_drift() {
        for rate in [44_100, 48_000, 22_050] {
            let mut clock = SoundClock::new(rate, AAC_FRAME);
            for n in 0..200_000u64 {
                let ms = n * 1024 * 1000 / u64::from(rate);
                let placed = clock.place(at(ms)).unwrap();
                assert_eq!(placed.time, n * 1024, "{rate}: frame {n}");
            }
        }
    }

    #[test]
    fn a_hole_stays_a_hole_and_what_comes_twice_is_left_out() {
        let mut clock = SoundClock::new(48_000, AAC_FRAME);
        assert_eq!(clock.place(at(1000)).unwrap().time, 48_000);
        // Jitter of a frame and a half.
        assert_eq!(clock.place(at(1050)).unwrap().time, 49_024);
        assert_eq!(clock.place(at(1011)).unwrap().time, 50_048);
        // Half a second is missing.
        assert_eq!(clock.place(at(1564)).unwrap().time, 75_072);
        // It comes again.
        assert_eq!(clock.place(at(1064)), None);
        assert_eq!(clock.place(at(1585)).unwrap().time, 76_096);
    }

    /// A clock that is a bit slow: the skew stays within a frame and a half.
    #[test]
    fn a_slow_clock_is_followed() {
        let mut clock = SoundClock::new(48_000, AAC_FRAME);
        let mut left_out = 0;
        for n in 0..100_000u64 {
            // A thousandth slow.
            let ms = n * 1024 * 1000 / 48_048;
            match clock.place(at(ms)) {
                Some(frame) => {
                    let skew = frame.time as i64 - (ms * 48) as i64;
                    assert!(skew.abs() <= 1600, "frame {n}: {skew}");
                }
                None => left_out += 1,
            }
        }
        assert!((90..=110).contains(&left_out), "{left_out}");
    }
}
