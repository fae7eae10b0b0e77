use std::ops::Add;

use serde::{Deserialize, Serialize};

use crate::SegmentRef;

/// The measured rates of a rendition, as `BANDWIDTH` and `AVERAGE-BANDWIDTH` mean them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Bandwidth {
    /// The peak segment bit rate in bit/s, rounded up.
    pub peak_bps: u64,
    /// All bytes over all time in bit/s, rounded up.
    pub average_bps: u64,
}

impl Bandwidth {
    /// Measures segments that follow each other, in ticks of `timescale`.
    ///
    /// The peak is that of RFC 8216 §4.1: over every run of segments that lasts between half and
    /// one and a half target durations. So a last segment of two frames, which is all key frame,
    /// counts together with the one before it and not as a rate of its own.
    pub fn measure(timescale: u32, segments: impl IntoIterator<Item = SegmentRef>) -> Self {
        let segments: Vec<SegmentRef> = segments.into_iter().collect();
        let target = u64::from(target_duration_s(timescale, &segments)) * u64::from(timescale);
        let whole = Run::of(&segments);
        let mut peak_bps = 0;
        for first in 0..segments.len() {
            let mut run = Run::default();
            for segment in &segments[first..] {
                run.add(*segment);
                if run.duration * 2 > target * 3 {
                    break;
                }
                if run.duration * 2 >= target {
                    peak_bps = peak_bps.max(run.rate(timescale));
                }
            }
        }
        let average_bps = whole.rate(timescale);
        // Less than half a target duration in all: the whole is the only run.
        Self { peak_bps: peak_bps.max(average_bps), average_bps }
    }
}

/// Playing two renditions at once: their rates add up, the peaks because they may coincide
/// (RFC 8216 §4.3.4.2: "the largest sum of peak segment bit rates").
impl Add for Bandwidth {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            peak_bps: self.peak_bps.saturating_add(other.peak_bps),
            average_bps: self.average_bps.saturating_add(other.average_bps),
        }
    }
}

/// The greatest duration in whole seconds, rounded to the nearest, at least 1 (§4.3.3.1).
pub(crate) fn target_duration_s(timescale: u32, segments: &[SegmentRef]) -> u32 {
    let longest = segments.iter().map(|segment| u64::from(segment.duration)).max().unwrap_or(0);
    let timescale = u64::from(timescale.max(1));
    u32::try_from((longest + timescale / 2) / timescale).unwrap_or(u32::MAX).max(1)
}

/// Segments one behind the other.
#[derive(Default)]
struct Run {
    bytes: u64,
    duration: u64,
}

impl Run {
    fn of(segments: &[SegmentRef]) -> Self {
        segments.iter().fold(Self::default(), |mut run, segment| {
            run.add(*segment);
            run
        })
    }

    fn add(&mut self, segment: SegmentRef) {
        self.bytes += u64::from(segment.size_bytes);
        self.duration += u64::from(segment.duration);
    }

    fn rate(&self, timescale: u32) -> u64 {
        let bits = u128::from(self.bytes) * 8 * u128::from(timescale);
        u64::try_from(bits.div_ceil(u128::from(self.duration.max(1)))).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(segments: &[(u32, u32)]) -> (u64, u64) {
        let segments = segments.iter().map(|&(size_bytes, duration)| SegmentRef { size_bytes, duration });
        let Bandwidth { peak_bps, average_bps } = Bandwidth::measure(10, segments);
        (peak_bps, average_bps)
    }

    #[test]
    fn the_peak_is_over_runs_of_half_to_one_and_a_half_target_durations() {
        // (bytes, tenths of a second) …                                          peak, average in bit/s
        assert_eq!(measure(&[(500, 40)]), (1000, 1000), "one segment");
        assert_eq!(measure(&[(500, 40), (1000, 40)]), (2000, 1500), "the greater of two");
        assert_eq!(measure(&[(500, 40), (200, 2)]), (1334, 1334), "a short tail counts with its neighbour");
        assert_eq!(measure(&[(500, 40), (500, 20)]), (2000, 1334), "half a target counts alone");
        assert_eq!(measure(&[(100, 2)]), (4000, 4000), "a clip shorter than half a second");
        assert_eq!(measure(&[]), (0, 0), "nothing");
    }

    #[test]
    fn rates_round_up_and_add_up() {
        let one = Bandwidth::measure(3, [SegmentRef { size_bytes: 1, duration: 7 }]);
        assert_eq!(one.average_bps, 4, "24 bits over 7 s");
        assert_eq!(one + one, Bandwidth { peak_bps: 8, average_bps: 8 });
    }
}
