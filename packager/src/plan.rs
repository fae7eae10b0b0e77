//! What to make of a file: a pure function from what the probe found to a complete plan.
//!
//! | question | decision |
//! |---|---|
//! | upright size | stored width × pixel shape, then the sides swap for 90° and 270° |
//! | rungs | the rows of [`ladder::ROWS`] up to the source's short side; never upscaled |
//! | odd sources | no row within 20 % below the source: a top rung at its own even size |
//! | tiny sources | shorter than 144: one rung at its own even size, at least 16 × 16 |
//! | empty pixels | above 1080p a rung goes when the whole file has under a quarter of its ceiling (twice as much for HEVC, VP9 and AV1, here and in the next line) |
//! | small steps | 480p and 1440p go from between their neighbours when the file's rate and a tenth is under the ceiling of the rung below: the one above is no dearer |
//! | grid | the source's rate snapped to a broadcast rate, ≤ 60, ≤ 30 when no rung reaches 720; below 9.5 a slide show keeps its own rate, at least 1 |
//! | a rung's rate | the grid ÷ 1, 2 or 4: ≤ 15 for 144p, ≤ 30 below 720p, ≤ 60 above |
//! | segments | 4 s of grid frames, rounded to a multiple of 4 so that every divisor fits |
//! | good pictures | what is good already is copied as the top rung, and its key frames are where segments begin: [`copied`] |
//! | sound | 48 kHz, or what a copy has; `a32` mono always, `a64` from 240p up or alone, `a128` for stereo from 480p up or alone |
//! | good sound | what is good already is copied as the top sound rung: [`copied_sound`] |
//! | refused | over 12 h or 8192 × 4608 pixels: too large; neither picture nor sound: nothing to play |
//!
//! The cell decides nothing: whatever depends on the source is settled here.

mod copied;
mod copied_sound;
pub(crate) mod frame_rate;
pub mod ladder;

use model::cell::{AudioPlan, AudioRung, AudioStream, EncodePlan, Probe, Ratio, VideoPlan, VideoStream};
use model::{FailureReason, RenditionName, SegmentGrid, SegmentStarts};
use serde::{Deserialize, Serialize};

/// The greatest files that are packaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The longest film, in milliseconds.
    pub max_duration_ms: u64,
    /// The largest picture, in pixels.
    pub max_pixels: u64,
    /// The highest rung, in pixels of the short side; at most 2160.
    pub max_height: u16,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_duration_ms: 12 * 3600 * 1000, max_pixels: 8192 * 4608, max_height: 2160 }
    }
}

/// The longest side that H.264 encoders and phones take, in pixels.
const MAX_SIDE: u32 = 16_384;
/// Output samples per second of sound that is encoded: what every phone plays without resampling.
const SAMPLE_RATE: u32 = 48_000;
/// The grid of a film without a picture.
const MILLISECONDS: Ratio = Ratio::new(1000, 1);
/// The poster at player size: larger than most phones show, small enough for a slow link.
pub(crate) const POSTER_WIDTH: u32 = 1280;
/// The card of a list on a dense screen.
pub(crate) const THUMBNAIL_WIDTH: u32 = 480;

/// Decides what to make of the file that `probe` describes.
///
/// # Errors
///
/// The reason, for the owner, why nothing will be made of it.
pub fn plan(probe: &Probe, limits: &Limits) -> Result<EncodePlan, FailureReason> {
    if probe.duration_ms.is_some_and(|duration_ms| duration_ms > limits.max_duration_ms) {
        return Err(FailureReason::TooLarge);
    }
    let (video, starts) = match &probe.video {
        Some(stream) if stream.width > 0 && stream.height > 0 => {
            let (video, starts) = plan_video(stream, probe.bit_rate_bps, limits)?;
            (Some(video), starts)
        }
        _ => (None, SegmentStarts::Every(4000)),
    };
    let audio = probe.audio.first().map(|stream| plan_audio(stream, video.as_ref()));
    let end_us = probe.audio.first().map_or(0, |stream| stream.end_us);
    let grid = match &video {
        Some(video) => {
            let frames = video.frames.max(frames_in(end_us, video.frame_rate));
            SegmentGrid { rate: video.frame_rate, frames, starts }
        }
        None if audio.is_some() => {
            SegmentGrid { rate: MILLISECONDS, frames: end_us.div_ceil(1000).max(1), starts }
        }
        None => return Err(FailureReason::NothingToPlay),
    };
    Ok(EncodePlan {
        grid,
        video,
        audio,
        expected_ms: probe.duration_ms.unwrap_or(0),
        max_ms: limits.max_duration_ms,
    })
}

fn plan_video(
    stream: &VideoStream,
    file_bps: Option<u64>,
    limits: &Limits,
) -> Result<(VideoPlan, SegmentStarts), FailureReason> {
    let upright = Size::upright(stream);
    let stored = u64::from(stream.width) * u64::from(stream.height);
    if stored.max(upright.pixels()) > limits.max_pixels || upright.long() > MAX_SIDE {
        return Err(FailureReason::TooLarge);
    }
    let worth_bps = file_bps.map(|bps| ladder::worth_bps(&stream.codec, bps));
    let rows = ladder::rows_for(upright.short(), worth_bps, limits.max_height);
    let top = rows.last().map_or(0, |row| row.height);
    let frame_rate = frame_rate::grid(stream.frame_rate, if top >= 720 { 60 } else { 30 });
    let rungs = rows.iter().map(|row| row.rung(upright.scaled_to(row.height), frame_rate)).collect();
    let mut video = VideoPlan {
        stream: stream.stream,
        frame_rate,
        segment_frames: frame_rate::segment_frames(frame_rate),
        frames: frames_in(stream.end_us, frame_rate).max(1),
        rotation: turn(stream.rotation),
        deinterlace: stream.interlaced,
        tone_map: stream.hdr,
        rungs,
        copied: None,
        poster_width: POSTER_WIDTH.min(upright.even().width),
        thumbnail_width: THUMBNAIL_WIDTH.min(upright.even().width),
    };
    let ceiling_bps = rows.last().map_or(0, |row| row.maxrate_bps);
    let starts = match copied::copied(stream, &video, ceiling_bps) {
        Ok(copied) => {
            video.rungs.pop();
            (video.copied, video.frames) = (Some(copied.rung), copied.frames);
            copied.starts
        }
        Err(_why) => SegmentStarts::Every(video.segment_frames),
    };
    Ok((video, starts))
}

fn plan_audio(stream: &AudioStream, video: Option<&VideoPlan>) -> AudioPlan {
    let segment = video.map_or(Ratio::new(4, 1), |video| {
        frame_rate::reduced(
            u64::from(video.segment_frames) * u64::from(video.frame_rate.den),
            u64::from(video.frame_rate.num),
        )
    });
    // Sound alone has no picture to save bytes for.
    let top =
        video.map_or(u16::MAX, |video| video.renditions().map(RenditionName::height).max().unwrap_or(0));
    let is_stereo = stream.channels >= 2;
    let mut rungs = vec![audio_rung(32, 1)];
    if top >= 240 {
        rungs.push(audio_rung(64, if is_stereo { 2 } else { 1 }));
    }
    if top >= 480 && is_stereo {
        rungs.push(audio_rung(128, 2));
    }
    let (sample_rate, samples) = match copied_sound::copied(stream, &rungs) {
        Ok(copied) => {
            rungs.last_mut().expect("a copy is in place of a rung").copied = Some(copied.sound);
            (copied.sample_rate, copied.samples)
        }
        Err(_why) => (SAMPLE_RATE, frames_in(stream.end_us, Ratio::new(SAMPLE_RATE, 1))),
    };
    AudioPlan { stream: stream.stream, sample_rate, samples, segment, rungs }
}

/// How many whole steps of `rate` fit best into a time in microseconds.
fn frames_in(time_us: u64, rate: Ratio) -> u64 {
    let num = u128::from(time_us) * u128::from(rate.num);
    let den = u128::from(rate.den.max(1)) * 1_000_000;
    u64::try_from((num + den / 2) / den).unwrap_or(u64::MAX)
}

fn audio_rung(kbps: u16, channels: u16) -> AudioRung {
    let rendition = RenditionName::Audio { kbps };
    AudioRung { rendition, channels, bit_rate_bps: u32::from(kbps) * 1000, copied: None }
}

/// A rotation that the encoder knows; the probe read it from a stranger's file.
fn turn(rotation: u16) -> u16 {
    if matches!(rotation, 90 | 180 | 270) { rotation } else { 0 }
}

/// A picture's size in square pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl Size {
    /// The smallest picture that H.264 decoders in hardware take.
    pub(crate) const MIN_SIDE: u32 = 16;

    /// The size in which a stream is to be seen.
    fn upright(stream: &VideoStream) -> Self {
        let Ratio { num, den } = stream.pixel_aspect;
        let (num, den) = (u64::from(num), u64::from(den));
        // A pixel eight times wider than high is a broken header, not a film.
        let is_sane = num > 0 && den > 0 && num <= 8 * den && den <= 8 * num;
        let width = u64::from(stream.width);
        let width = if is_sane { (width * num + den / 2) / den } else { width };
        let width = u32::try_from(width).unwrap_or(u32::MAX).max(1);
        match turn(stream.rotation) {
            90 | 270 => Self { width: stream.height, height: width },
            _ => Self { width, height: stream.height },
        }
    }

    pub(crate) fn short(self) -> u32 {
        self.width.min(self.height)
    }

    fn long(self) -> u32 {
        self.width.max(self.height)
    }

    fn pixels(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// The same size with even sides, rounded down: 4:2:0 has no half chroma sample.
    fn even(self) -> Self {
        let even = |side: u32| (side & !1).max(Self::MIN_SIDE);
        Self { width: even(self.width), height: even(self.height) }
    }

    /// The picture with its short side scaled to `height`, the long one to the nearest even number.
    pub(crate) fn scaled_to(self, height: u16) -> Self {
        let even = self.even();
        if u32::from(height) == even.short() {
            return even;
        }
        let short = u32::from(height);
        let (long, scale) = (u64::from(self.long()), u64::from(self.short()));
        // Round half to even numbers: 2 × round(long × short / (2 × scale)).
        let scaled = 2 * ((long * u64::from(short) + scale) / (2 * scale));
        let long = u32::try_from(scaled).unwrap_or(MAX_SIDE).max(short).min(even.long());
        if self.width >= self.height {
            Self { width: long, height: short }
        } else {
            Self { width: short, height: long }
        }
    }
}

#[cfg(test)]
mod tests;
