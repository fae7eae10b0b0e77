//! Bjøntegaard's comparison of two encoders: how many bytes one needs for the quality of the other
//! (VCEG-M33), with monotone cubics through the points instead of one polynomial.

/// Bits and quality of one encode.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    /// Bytes or bit/s, the same on both sides.
    pub(super) rate: f64,
    /// Higher is better.
    pub(super) quality: f64,
}

/// Steps of the integral: far finer than any encoder's curve.
const STEPS: u32 = 1000;
/// Where both curves have less than this in common, nothing is said.
const LEAST_OVERLAP: f64 = 2.0;

/// Bytes of `ours` ÷ bytes of `theirs` at equal quality, as a mean over the range of quality that
/// both have; `None` where they have next to nothing in common.
pub(super) fn ratio(ours: &[Point], theirs: &[Point]) -> Option<f64> {
    let (ours, theirs) = (Curve::through(ours)?, Curve::through(theirs)?);
    let (low, high) = (ours.low().max(theirs.low()), ours.high().min(theirs.high()));
    if high - low < LEAST_OVERLAP {
        return None;
    }
    let step = (high - low) / f64::from(STEPS);
    let middle = |n: u32| low + (f64::from(n) + 0.5) * step;
    let sum: f64 = (0..STEPS).map(|n| ours.log_rate(middle(n)) - theirs.log_rate(middle(n))).sum();
    Some((sum / f64::from(STEPS)).exp())
}

/// The logarithm of the rate over quality, by monotone cubic pieces (Fritsch and Carlson, 1980).
struct Curve {
    quality: Vec<f64>,
    log_rate: Vec<f64>,
    slope: Vec<f64>,
}

impl Curve {
    fn through(points: &[Point]) -> Option<Self> {
        let mut points = points.to_vec();
        points.sort_by(|a, b| a.quality.total_cmp(&b.quality));
        points.dedup_by(|b, a| b.quality - a.quality < 1e-6);
        if points.len() < 2 {
            return None;
        }
        let quality: Vec<f64> = points.iter().map(|point| point.quality).collect();
        let log_rate: Vec<f64> = points.iter().map(|point| point.rate.ln()).collect();
        let rise = |n: usize| (log_rate[n + 1] - log_rate[n]) / (quality[n + 1] - quality[n]);
        let last = points.len() - 1;
        let slope = (0..=last).map(|n| match n {
            0 => rise(0),
            n if n == last => rise(last - 1),
            n if rise(n - 1) * rise(n) <= 0.0 => 0.0,
            n => 2.0 / (1.0 / rise(n - 1) + 1.0 / rise(n)),
        });
        let slope = slope.collect();
        Some(Self { quality, log_rate, slope })
    }

    fn low(&self) -> f64 {
        self.quality.first().copied().unwrap_or(f64::INFINITY)
    }

    fn high(&self) -> f64 {
        self.quality.last().copied().unwrap_or(f64::NEG_INFINITY)
    }

    fn log_rate(&self, quality: f64) -> f64 {
        let behind = self.quality.partition_point(|start| *start <= quality);
        let n = behind.clamp(1, self.quality.len() - 1) - 1;
        let width = self.quality[n + 1] - self.quality[n];
        let t = (quality - self.quality[n]) / width;
        // The cubic Hermite basis.
        let (t2, t3) = (t * t, t * t * t);
        (2.0 * t3 - 3.0 * t2 + 1.0) * self.log_rate[n]
            + (t3 - 2.0 * t2 + t) * width * self.slope[n]
            + (3.0 * t2 - 2.0 * t3) * self.log_rate[n + 1]
            + (t3 - t2) * width * self.slope[n + 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(scale: f64) -> Vec<Point> {
        [(100.0, 40.0), (180.0, 55.0), (350.0, 72.0), (800.0, 88.0)]
            .map(|(rate, quality)| Point { rate: rate * scale, quality })
            .to_vec()
    }

    #[test]
    fn half_the_bytes_at_every_quality_is_one_half() {
        let found = ratio(&points(0.5), &points(1.0)).unwrap();
        assert!((found - 0.5).abs() < 1e-9, "{found}");
    }

    #[test]
    fn curves_go_through_their_points_and_nothing_is_said_without_common_ground() {
        let curve = Curve::through(&points(1.0)).unwrap();
        for Point { rate, quality } in points(1.0) {
            assert!((curve.log_rate(quality) - rate.ln()).abs() < 1e-9);
        }
        let better: Vec<_> =
            points(1.0).into_iter().map(|point| Point { quality: point.quality + 50.0, ..point }).collect();
        assert_eq!(ratio(&better, &points(1.0)), None);
        assert_eq!(ratio(&points(1.0)[..1], &points(1.0)), None);
    }
}
