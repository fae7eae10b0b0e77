//! The frame grid of a plan.

use model::cell::Ratio;

/// The rates that cameras, broadcasters and screens use. A source is put on the nearest one, so
/// that a phone's 29.83 becomes an even 30 and not a limp.
const RATES: [Ratio; 13] = [
    Ratio::new(10, 1),
    Ratio::new(12, 1),
    Ratio::new(25, 2),
    Ratio::new(15, 1),
    Ratio::new(20, 1),
    Ratio::new(24_000, 1001),
    Ratio::new(24, 1),
    Ratio::new(25, 1),
    Ratio::new(30_000, 1001),
    Ratio::new(30, 1),
    Ratio::new(50, 1),
    Ratio::new(60_000, 1001),
    Ratio::new(60, 1),
];
/// Slower is a slide show, which keeps its own rate: frames that repeat cost bytes.
const SLIDES_BELOW: f64 = 9.5;
/// Faster is a container's tick taken for a rate, as with streams whose rate is unknown.
const BELIEVED_BELOW: f64 = 1000.0;
/// What a film of unknown rate is taken for.
const UNKNOWN: Ratio = Ratio::new(30, 1);
/// Wished length of a segment in seconds.
const SEGMENT_S: f64 = 4.0;
/// The greatest divisor of any rung; segments hold a multiple of it.
const MAX_DIVISOR: u32 = 4;

/// The grid for a source of rate `source`, at most `max` frames per second.
pub(crate) fn grid(source: Ratio, max: u32) -> Ratio {
    let fps = if source.den == 0 { 0.0 } else { source.as_f64() };
    if !(f64::MIN_POSITIVE..BELIEVED_BELOW).contains(&fps) {
        return UNKNOWN;
    }
    if fps < SLIDES_BELOW {
        // A fraction with a small denominator, and not less than one frame in a second: a segment
        // of four frames must not last a minute.
        return reduced((fps.max(1.0) * 1000.0).round() as u64, 1000);
    }
    // Halving keeps the distance between frames even: 120 becomes 60, 50 becomes 25.
    let mut wished = fps;
    while wished > f64::from(max) * 1.01 {
        wished /= 2.0;
    }
    let distance = |rate: &Ratio| (rate.as_f64() / wished).ln().abs();
    RATES
        .into_iter()
        .filter(|rate| rate.as_f64() <= f64::from(max))
        .min_by(|a, b| distance(a).total_cmp(&distance(b)))
        .expect("there is a rate below every maximum")
}

/// Grid frames of a segment: about 4 s, a multiple of every divisor.
pub(super) fn segment_frames(grid: Ratio) -> u32 {
    let groups = (SEGMENT_S * grid.as_f64() / f64::from(MAX_DIVISOR)).round().max(1.0);
    groups as u32 * MAX_DIVISOR
}

/// Every how manieth grid frame a rung of at most `max` frames per second shows: 1, 2 or 4.
pub(crate) fn divisor(grid: Ratio, max: u32) -> u32 {
    [1, 2]
        .into_iter()
        .find(|divisor| grid.as_f64() / f64::from(*divisor) <= f64::from(max) * 1.01)
        .unwrap_or(MAX_DIVISOR)
}

/// `num / den` in lowest terms.
pub(super) fn reduced(num: u64, den: u64) -> Ratio {
    let (mut a, mut b) = (num, den);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    let lowest = |n: u64| u32::try_from(n / a.max(1)).expect("terms of rates and segments are small");
    Ratio::new(lowest(num), lowest(den))
}
