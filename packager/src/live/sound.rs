use std::time::Duration;

use cmaf::Opus;
use model::RenditionName;
use model::feed::{FEED_TIMESCALE, FeedConfig};

use super::ladder;
use super::lane::Frame;

/// Puts the frames of a sound one behind the other on its own clock, which counts samples.
///
/// A publisher's times are rounded to milliseconds and jitter; the sound itself does not. So each
/// frame begins where the one before it ended, unless the times say that something is missing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SoundClock {
    sample_rate: u32,
    coding: Coding,
    /// Where the next frame begins.
    next: Option<u64>,
}

/// How the frames of a sound are coded, as far as it says how long they last.
#[derive(Debug, Clone, Copy)]
enum Coding {
    Aac,
    Opus,
}

/// AAC-LC has 1024 samples in a frame (ISO/IEC 14496-3 §4.5.1.1).
const AAC_FRAME: u32 = 1024;
/// Opus may be in frames of 2.5 ms, and times in milliseconds jitter all the same: 20 ms, in parts of a
/// second.
const LEAST_TOLERANCE: u32 = 50;

impl SoundClock {
    /// The clock of AAC with so many samples a second.
    pub(crate) const fn aac(sample_rate: u32) -> Self {
        Self { sample_rate, coding: Coding::Aac, next: None }
    }

    /// The clock of a publisher's sound.
    pub(crate) const fn of(config: &FeedConfig, sample_rate: u32) -> Self {
        match config {
            FeedConfig::Opus { .. } => Self { sample_rate, coding: Coding::Opus, next: None },
            _ => Self::aac(sample_rate),
        }
    }

    /// The frame with its time in samples; `None` for one that there is no room for, or that is none.
    ///
    /// Off by more than one and a half frames, the publisher's time counts: what comes too late
    /// leaves a hole (the frame before it lasts longer), what comes too early is left out.
    pub(crate) fn place(&mut self, frame: Frame) -> Option<Frame> {
        let lasts = match self.coding {
            Coding::Aac => AAC_FRAME,
            Coding::Opus => Opus::samples(&frame.data)?,
        };
        let ideal = ticks(frame.time, self.sample_rate);
        let tolerance = u64::from((lasts * 3 / 2).max(self.sample_rate / LEAST_TOLERANCE));
        let time = match self.next {
            Some(next) if ideal + tolerance < next => return None,
            Some(next) if ideal <= next + tolerance => next,
            _ => ideal,
        };
        self.next = Some(time + u64::from(lasts));
        Some(Frame { time, ..frame })
    }
}

/// A publisher's sound is named by the next of these rates, in kbit/s.
const RATES: [u16; 7] = [64, 96, 128, 160, 192, 256, 320];

/// What a publisher's sound of so many bits a second is called: more than any that is encoded here of
/// it, whatever it has now. What is silent may be loud later, and the publisher's own is the best.
pub(crate) fn name(config: &FeedConfig, bps: u64) -> RenditionName {
    let kbps = (bps + 500) / 1000;
    let encoded = ladder::sounds(config).rungs.into_iter().map(|sound| sound.rendition).max();
    let name = |kbps| RenditionName::Audio { kbps };
    let fits = |rate: &u16| Some(name(*rate)) > encoded && u64::from(*rate) * 9 / 8 >= kbps;
    name(RATES.into_iter().find(fits).unwrap_or(320))
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
            let mut clock = SoundClock::aac(rate);
            for n in 0..200_000u64 {
                let ms = n * 1024 * 1000 / u64::from(rate);
                let placed = clock.place(at(ms)).unwrap();
                assert_eq!(placed.time, n * 1024, "{rate}: frame {n}");
            }
        }
    }

    #[test]
    fn a_hole_stays_a_hole_and_what_comes_twice_is_left_out() {
        let mut clock = SoundClock::aac(48_000);
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

    #[test]
    fn opus_lasts_as_long_as_its_packets_say() {
        let config = FeedConfig::Opus { head: Vec::new() };
        let mut clock = SoundClock::of(&config, Opus::SAMPLE_RATE);
        // 20 ms, 2.5 ms, 60 ms, 20 ms, each a bit off.
        for (ms, packet, expected) in [
            (1000, &[0xf8, 0][..], 48_000),
            (1021, &[0x80, 0], 48_960),
            (1022, &[0x18, 0], 49_080),
            (1083, &[0xf8, 0], 51_960),
        ] {
            let data = Bytes::copy_from_slice(packet);
            assert_eq!(clock.place(Frame { data, ..at(ms) }).unwrap().time, expected, "{ms}");
        }
        // What is no packet is left out; an outage of a second is one.
        let (none, packet) = (Bytes::from_static(&[0xfb, 0]), Bytes::from_static(&[0xf8, 0]));
        assert_eq!(clock.place(Frame { data: none, ..at(1103) }), None);
        assert_eq!(clock.place(Frame { data: packet, ..at(2100) }).unwrap().time, 100_800);
    }

    #[test]
    fn the_publishers_sound_is_above_what_is_encoded_of_it() {
        let aac = FeedConfig::Aac { asc: vec![0x11, 0x90] };
        let opus = |channels| FeedConfig::Opus { head: [b"OpusHead\x01".as_slice(), &[channels]].concat() };
        for (config, bps, expected) in [
            (&aac, 2_000, "a64"),
            (&aac, 96_000, "a96"),
            (&aac, 128_900, "a128"),
            (&aac, 512_000, "a320"),
            (&opus(2), 2_000, "a160"),
            (&opus(2), 96_000, "a160"),
            (&opus(2), 256_000, "a256"),
            (&opus(2), 510_000, "a320"),
            (&opus(1), 24_000, "a96"),
        ] {
            assert_eq!(name(config, bps).to_string(), expected, "{config:?} {bps}");
        }
    }

    /// A clock that is a bit slow: the skew stays within a frame and a half.
    #[test]
    fn a_slow_clock_is_followed() {
        let mut clock = SoundClock::aac(48_000);
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
