//! Whether what a cell sends is what the plan asked for.
//!
//! A cell that was taken over by its file can still only say segments, and only segments that
//! lie on the grid, in order, within their size and with the track they announced, get any
//! further than this module.

use std::fmt;
use std::time::Duration;

use cmaf::{ReadSegment, RenditionKind, Sample, Track};
use model::RenditionName;
use model::cell::{AudioPlan, AudioRung, EncodePlan, Ratio, VideoPlan, VideoRung};

/// How output breaks its plan; for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Breach(String);

impl Breach {
    pub(crate) fn new(how: impl Into<String>) -> Self {
        Self(how.into())
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn breach<T>(how: impl Into<String>) -> Result<T, Breach> {
    Err(Breach::new(how))
}

/// Samples of an AAC frame.
const AAC_FRAME: u64 = 1024;
/// The greatest distance of a sound segment's border from the grid, in AAC frames: half a frame
/// of rounding, one of priming on either side of it, and one for a resampler's delay.
const SLACK_FRAMES: u64 = 3;
/// More than the silence that fills a sound's last frames: decoders, resamplers and encoders each
/// work in frames of up to 2048 samples.
const FILL: Duration = Duration::from_millis(100);
/// Bytes of boxes that any segment may have on top of its samples.
const BOXES: u64 = 64 << 10;

/// What the segments of one rendition must look like.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    name: RenditionName,
    kind: ExpectedKind,
    /// Bytes of a segment at most.
    max_segment: u64,
}

#[derive(Debug, Clone)]
enum ExpectedKind {
    Video { width: u32, height: u32, frame_rate: Ratio, frames: u32 },
    Audio { channels: u16, sample_rate: u32, segment: Ratio },
}

impl Expected {
    /// What `plan` promises, rendition by rendition: sound first, the smallest first.
    pub(crate) fn of(plan: &EncodePlan) -> Vec<Self> {
        let audio =
            plan.audio.iter().flat_map(|audio| audio.rungs.iter().map(|rung| Self::audio(audio, rung)));
        let video =
            plan.video.iter().flat_map(|video| video.rungs.iter().map(|rung| Self::video(video, rung)));
        audio.chain(video).collect()
    }

    fn video(plan: &VideoPlan, rung: &VideoRung) -> Self {
        let Ratio { num, den } = plan.frame_rate;
        let seconds = f64::from(plan.segment_frames) / plan.frame_rate.as_f64();
        let bits = f64::from(rung.maxrate_bps) * seconds + f64::from(rung.bufsize_bits);
        Self {
            name: rung.rendition,
            kind: ExpectedKind::Video {
                width: rung.width,
                height: rung.height,
                frame_rate: Ratio::new(num, den * rung.frame_divisor),
                frames: plan.segment_frames / rung.frame_divisor,
            },
            max_segment: Self::ceiling(bits),
        }
    }

    fn audio(plan: &AudioPlan, rung: &AudioRung) -> Self {
        Self {
            name: rung.rendition,
            kind: ExpectedKind::Audio {
                channels: rung.channels,
                sample_rate: plan.sample_rate,
                segment: plan.segment,
            },
            max_segment: Self::ceiling(f64::from(rung.bit_rate_bps) * plan.segment.as_f64()),
        }
    }

    /// Twice what a well-behaved encoder spends: the ceiling is an encoder's aim, not its law.
    fn ceiling(bits: f64) -> u64 {
        (2.0 * bits / 8.0) as u64 + BOXES
    }

    /// Which rendition this is about.
    pub(crate) fn name(&self) -> RenditionName {
        self.name
    }

    /// What playlists say of it; the frame rate in lowest terms.
    pub(crate) fn index_kind(&self) -> RenditionKind {
        match self.kind {
            ExpectedKind::Video { width, height, frame_rate, .. } => RenditionKind::Video {
                width: u16::try_from(width).expect("plans have no wider rungs"),
                height: u16::try_from(height).expect("plans have no higher rungs"),
                frame_rate: crate::plan::reduced(frame_rate),
            },
            ExpectedKind::Audio { channels, sample_rate, .. } => {
                RenditionKind::Audio { channels, sample_rate }
            }
        }
    }

    /// Checks the track that an initialisation segment announces.
    pub(crate) fn check_track(&self, track: &Track) -> Result<(), Breach> {
        let name = self.name;
        match (&self.kind, track) {
            (ExpectedKind::Video { width, height, frame_rate, .. }, Track::Video(video)) => {
                if (u32::from(video.width), u32::from(video.height)) != (*width, *height) {
                    return breach(format!("{name} is {}x{}", video.width, video.height));
                }
                match ticks(video.timescale, *frame_rate) {
                    Some(_) => Ok(()),
                    None => breach(format!("a frame of {name} is no whole number of ticks")),
                }
            }
            (ExpectedKind::Audio { channels, sample_rate, .. }, Track::Audio(audio)) => {
                if (audio.channels, audio.sample_rate) == (*channels, *sample_rate) {
                    Ok(())
                } else {
                    breach(format!("{name} has {} channels at {}", audio.channels, audio.sample_rate))
                }
            }
            _ => breach(format!("{name} is the wrong kind of track")),
        }
    }

    /// Checks segment `number`, of `size` bytes; gives whether another one may follow it.
    pub(crate) fn check_segment(
        &self,
        track: &Track,
        number: u32,
        segment: &ReadSegment,
        size: usize,
    ) -> Result<MayFollow, Breach> {
        let at = format!("segment {number} of {}", self.name);
        if size as u64 > self.max_segment {
            return breach(format!("{at} has {size} bytes, more than {}", self.max_segment));
        }
        match self.kind {
            ExpectedKind::Video { frame_rate, frames, .. } => {
                let Some(tick) = ticks(track.timescale(), frame_rate) else {
                    return breach(format!("{at} has no frame rate"));
                };
                let start = u64::from(number) * u64::from(frames) * u64::from(tick);
                if segment.base_decode_time != start {
                    return breach(format!("{at} starts at {}, not {start}", segment.base_decode_time));
                }
                let count = segment.samples.len();
                if count > frames as usize || segment.samples.iter().any(|sample| sample.duration != tick) {
                    return breach(format!("{at} is not on the frame grid"));
                }
                if !shows_each_frame_once(&segment.samples, tick) {
                    return breach(format!("{at} does not show each of its frames once"));
                }
                Ok(if count == frames as usize { MayFollow::Yes } else { MayFollow::No })
            }
            ExpectedKind::Audio { sample_rate, segment: length, .. } => {
                let start = u128::from(number) * u128::from(length.num) * u128::from(sample_rate)
                    / u128::from(length.den);
                let distance = u128::from(segment.base_decode_time).abs_diff(start);
                if distance > u128::from(SLACK_FRAMES * AAC_FRAME) {
                    return breach(format!("{at} starts at {}, not {start}", segment.base_decode_time));
                }
                let whole = u64::from(length.num) * u64::from(sample_rate) / u64::from(length.den);
                if segment.duration() > whole + 2 * SLACK_FRAMES * AAC_FRAME {
                    return breach(format!("{at} lasts {} samples", segment.duration()));
                }
                let (last, before) = segment.samples.split_last().expect("a read segment has samples");
                let is_whole = before.iter().all(|sample| u64::from(sample.duration) == AAC_FRAME);
                if !is_whole || u64::from(last.duration) > AAC_FRAME {
                    return breach(format!("{at} has a frame of another length"));
                }
                Ok(if u64::from(last.duration) == AAC_FRAME { MayFollow::Yes } else { MayFollow::No })
            }
        }
    }
}

/// Whether a segment may have one behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MayFollow {
    Yes,
    No,
}

/// Ticks of one frame, if that is a whole number.
fn ticks(timescale: u32, frame_rate: Ratio) -> Option<u32> {
    let whole = u64::from(timescale) * u64::from(frame_rate.den);
    let num = u64::from(frame_rate.num);
    (num > 0 && whole.is_multiple_of(num)).then(|| u32::try_from(whole / num).ok())?
}

/// Whether the presentation times of a closed group are its decode times in some other order, so
/// that it neither lacks a frame nor shows one twice nor reaches into its neighbours.
fn shows_each_frame_once(samples: &[Sample], tick: u32) -> bool {
    let mut shown = vec![false; samples.len()];
    samples.iter().enumerate().all(|(n, sample)| {
        let time = n as i64 * i64::from(tick) + i64::from(sample.cts_offset);
        let is_on_grid = time >= 0 && time % i64::from(tick) == 0;
        let place = usize::try_from(time / i64::from(tick)).ok().filter(|_| is_on_grid);
        place.and_then(|place| shown.get_mut(place)).is_some_and(|slot| !std::mem::replace(slot, true))
    })
}

/// A rendition that is complete, for the checks across all of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whole {
    /// Which one.
    pub(crate) name: RenditionName,
    /// How many segments it has.
    pub(crate) segments: u32,
    /// How long it plays, without the sound's priming.
    pub(crate) duration: Duration,
}

/// What a rendition may differ by from `media`: one segment of rounding on top of a hundredth,
/// because the end of a track is where its last frame ends, and clips are short.
fn slack(media: Duration) -> Duration {
    media / 100 + Duration::from_secs(6)
}

/// How long a rendition may get when no media behind `max` is encoded.
pub(crate) fn longest(max: Duration) -> Duration {
    max + slack(max)
}

/// Checks the finished renditions against each other and against what the cell says that it
/// decoded; gives the length of the film.
pub(crate) fn check_whole(wholes: &[Whole], decoded: Duration, max: Duration) -> Result<Duration, Breach> {
    let videos = || wholes.iter().filter(|whole| whole.name.is_video());
    let Some(longest) = wholes.iter().map(|whole| whole.duration).max() else {
        return breach("no renditions");
    };
    if let Some(empty) = wholes.iter().find(|whole| whole.segments == 0) {
        return breach(format!("{} has no segments", empty.name));
    }
    if let Some(first) = videos().next()
        && let Some(other) = videos().find(|other| other.segments != first.segments)
    {
        return breach(format!(
            "{} has {} segments, {} has {}",
            first.name, first.segments, other.name, other.segments
        ));
    }
    let slack = slack(decoded);
    if longest.abs_diff(decoded) > slack || longest > max + slack {
        return breach(format!("{longest:?} were encoded of {decoded:?} decoded"));
    }
    // Silence that fills a sound up, and the second half of a slow rung's last frame, are no part
    // of the film; the greatest rung shows every frame of the grid.
    let picture = videos().next_back().map(|whole| whole.duration);
    Ok(picture.filter(|picture| longest.saturating_sub(*picture) < FILL).unwrap_or(longest))
}

#[cfg(test)]
mod tests;
