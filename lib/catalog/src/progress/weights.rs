//! How dear the encoders of a plan are beside each other, in seconds of one machine of 2026 for a
//! second of film. Only the proportions matter, and those only until there is something to measure.

use std::ops::Range;

use model::Lane;
use model::cell::EncodePlan;

/// Seconds of `veryfast` for a million pixels.
const ENCODE_S: f64 = 0.013;
/// Seconds of decoding and scaling for a million pixels of the top rung.
const DECODE_S: f64 = 0.0021;
/// Seconds of a second's encode of one sound rendition.
const SOUND_S: f64 = 0.01;

/// What a second of film costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Weights {
    /// In sound.
    pub(super) sound: f64,
    /// In each lane, with its presets and with the quick ones.
    lanes: [(f64, f64); 2],
}

impl Weights {
    pub(super) fn of(plan: &EncodePlan) -> Self {
        let sound = plan.audio.as_ref().map_or(0, |audio| audio.rungs.len().max(1)) as f64 * SOUND_S;
        let Some(video) = &plan.video else { return Self { sound, lanes: [(0.0, 0.0); 2] } };
        let rate = video.frame_rate.as_f64();
        let megapixels = |width: u32, height: u32| f64::from(width) * f64::from(height) / 1e6;
        let top = video.rungs.iter().map(|rung| megapixels(rung.width, rung.height)).fold(0.0, f64::max);
        let lanes = Lane::ENCODED.map(|lane| {
            let rungs = video.rungs.iter().filter(|rung| Lane::of(rung.rendition) == lane);
            let decode = top * rate * DECODE_S;
            rungs.fold((decode, decode), |(usual, quick), rung| {
                let pace = rate / f64::from(rung.frame_divisor.max(1));
                let encode = megapixels(rung.width, rung.height) * pace * ENCODE_S;
                (usual + encode * slowness(&rung.preset), quick + encode * slowness(&rung.hurried_preset))
            })
        });
        Self { sound, lanes }
    }

    pub(super) fn lane(&self, lane: Lane, hurry: bool) -> f64 {
        let (usual, quick) = self.lanes[lane as usize];
        if hurry { quick } else { usual }
    }
}

/// How many times as long as `veryfast` an x264 preset takes.
fn slowness(preset: &str) -> f64 {
    match preset {
        "ultrafast" => 0.5,
        "superfast" => 0.7,
        "faster" => 1.5,
        "fast" => 2.0,
        "medium" => 2.5,
        "slow" => 3.3,
        "slower" => 6.5,
        "veryslow" => 12.0,
        _ => 1.0,
    }
}

/// Length of a run of segments in milliseconds.
pub(super) fn pictures_ms(plan: &EncodePlan, segments: Range<u32>) -> u64 {
    let frames = plan.video.as_ref().map_or(0, |video| video.frames);
    let at = |segment| plan.grid.seconds(plan.grid.start(segment).min(frames));
    ((at(segments.end) - at(segments.start)) * 1000.0).round() as u64
}

/// Length of the sound in milliseconds.
pub(super) fn sound_ms(plan: &EncodePlan) -> u64 {
    plan.audio
        .as_ref()
        .map_or(0, |audio| audio.samples.saturating_mul(1000) / u64::from(audio.sample_rate.max(1)))
}
