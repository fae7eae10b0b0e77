//! Whether the source's own sound is the top sound rendition, and how long all are then.
//!
//! | question | decision |
//! |---|---|
//! | rung | the highest of the plan, if it is not also the lowest: that one is for slow links |
//! | coding | AAC-LC without SBR and PS, in frames of 1024 samples, with the rung's channels |
//! | rate | 48 or 44.1 kHz; those that are encoded then have the same, so that players can switch |
//! | bytes | on average 1.25 times the rung's rate at most, in its busiest two seconds twice |
//! | end | with the source's last frame, and less than a frame sooner than was measured |
//!
//! An encode of ours could only be worse, and 160 kbit/s in place of 128 is what a copy may cost.

use cmaf::AacLc;
use model::cell::{AudioPlan, AudioRung, AudioStream, CodedSound, Ratio};

use super::frames_in;

/// Samples per second that every phone plays.
const RATES: [u32; 2] = [48_000, 44_100];
/// How many times the rung's rate the frames may have, on average and at their peak.
const AVERAGE: f64 = 1.25;
const PEAK: f64 = 2.0;

/// The sound that is copied, and what it asks of all sound renditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Copied {
    pub(super) sound: CodedSound,
    pub(super) sample_rate: u32,
    /// How long each is, in samples: whole frames of the copy.
    pub(super) samples: u64,
}

/// The top one of `rungs`, smallest first, as a copy.
///
/// # Errors
///
/// Why it is encoded.
pub(super) fn copied(stream: &AudioStream, rungs: &[AudioRung]) -> Result<Copied, &'static str> {
    let source = stream.copyable.as_ref().ok_or("not in tables, or with gaps")?;
    let [_, .., top] = rungs else { return Err("one rung, for slow links") };
    let form = AacLc::read(&source.asc).ok_or("not plain AAC-LC")?;
    if form.channels != top.channels {
        return Err("other channels than the rung's");
    }
    if !RATES.contains(&form.sample_rate) {
        return Err("a rate that not all play");
    }
    let times = |factor: f64| (f64::from(top.bit_rate_bps) * factor) as u64;
    if source.average_bps > times(AVERAGE) || source.peak_bps > times(PEAK) {
        return Err("too many bytes");
    }
    let frame = u64::from(AudioPlan::FRAME);
    let priming = u64::from(source.priming);
    if !(frame..2 * frame).contains(&priming) {
        return Err("no frame before the film");
    }
    let measured = frames_in(stream.end_us, Ratio::new(form.sample_rate, 1)).max(1);
    let planned = measured.saturating_add(priming).div_ceil(frame).min(source.frames);
    let samples = planned.saturating_mul(frame).saturating_sub(priming);
    if samples == 0 || samples.saturating_add(frame) <= measured {
        return Err("frames missing at its end");
    }
    Ok(Copied { sound: source.clone(), sample_rate: form.sample_rate, samples })
}

#[cfg(test)]
mod tests;
