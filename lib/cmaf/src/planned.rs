//! What an encode plan says about each of its renditions before anything is encoded.

use model::cell::{AudioPlan, AudioRung, CopiedRung, EncodePlan, Ratio, VideoPlan, VideoRung};
use model::{RenditionName, SegmentGrid, SegmentStarts};

use crate::{Bandwidth, RenditionKind};

/// How much the sound of one segment may exceed its rate.
const SOUND_OVER_RATE: f64 = 1.05;
/// Bytes of a segment's boxes, `trun` entries excepted, at most.
const BOXES: u64 = 136;
/// Bytes of a `trun` entry: size and composition offset of a picture, size of a sound.
const PICTURE_ENTRY: u64 = 8;
const SOUND_ENTRY: u64 = 4;

/// A rendition of a plan.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Planned<'a> {
    Picture(&'a SegmentGrid, &'a VideoPlan, &'a VideoRung),
    Copied(&'a SegmentGrid, &'a VideoPlan, &'a CopiedRung),
    Sound(&'a SegmentGrid, &'a AudioPlan, &'a AudioRung),
}

/// The names of a plan's renditions: sound first, then picture, the smallest first.
pub(crate) fn names(plan: &EncodePlan) -> impl Iterator<Item = RenditionName> + '_ {
    let sounds = plan.audio.iter().flat_map(|audio| audio.rungs.iter().map(|rung| rung.rendition));
    let pictures = plan.video.iter().flat_map(VideoPlan::renditions);
    sounds.chain(pictures)
}

impl<'a> Planned<'a> {
    /// The rendition called `name`.
    pub(crate) fn of(plan: &'a EncodePlan, name: RenditionName) -> Option<Self> {
        if name.is_video() {
            let video = plan.video.as_ref()?;
            let copied = || Some(Self::Copied(&plan.grid, video, video.copied(name)?));
            video.rung(name).map(|rung| Self::Picture(&plan.grid, video, rung)).or_else(copied)
        } else {
            let audio = plan.audio.as_ref()?;
            let rung = audio.rungs.iter().find(|rung| rung.rendition == name)?;
            Some(Self::Sound(&plan.grid, audio, rung))
        }
    }

    /// How many segments it has.
    pub(crate) fn segment_count(&self) -> u32 {
        match *self {
            Self::Picture(grid, video, rung) => {
                // A rung of half the rate may have no frame in the film's last segment.
                let divisor = divisor(rung);
                grid.count(video.frames.checked_sub(1).map_or(0, |last| last / divisor * divisor + 1))
            }
            Self::Copied(grid, video, _) => grid.count(video.frames),
            Self::Sound(grid, audio, _) => audio.segment_count(grid),
        }
    }

    /// Ticks per second: for a picture fine enough to mix with sound, with a whole number of
    /// them per frame.
    pub(crate) fn timescale(&self) -> u32 {
        match *self {
            Self::Picture(_, video, _) | Self::Copied(_, video, _) => video.timescale(1).0,
            Self::Sound(_, audio, _) => audio.sample_rate,
        }
    }

    /// How many samples segment `n` has; none behind the end.
    pub(crate) fn samples(&self, n: u32) -> u64 {
        match *self {
            Self::Picture(grid, video, rung) => {
                let frames = grid.frames_of(n, video.frames);
                frames.end.div_ceil(divisor(rung)) - frames.start.div_ceil(divisor(rung))
            }
            Self::Copied(grid, video, _) => {
                let frames = grid.frames_of(n, video.frames);
                frames.end - frames.start
            }
            Self::Sound(grid, audio, _) => {
                let frames = audio.frames_of(grid, n);
                frames.end - frames.start
            }
        }
    }

    /// How long one sample lasts, in seconds as a fraction.
    fn sample(&self) -> Ratio {
        match *self {
            Self::Picture(_, video, rung) => {
                Ratio::new(video.frame_rate.den * rung.frame_divisor.max(1), video.frame_rate.num)
            }
            Self::Copied(_, video, _) => Ratio::new(video.frame_rate.den, video.frame_rate.num),
            Self::Sound(_, audio, _) => Ratio::new(AudioPlan::FRAME, audio.sample_rate),
        }
    }

    /// How long segment `n` lasts, in ticks of `timescale`.
    pub(crate) fn ticks(&self, n: u32, timescale: u32) -> u32 {
        let Ratio { num, den } = self.sample();
        let ticks =
            u128::from(self.samples(n)) * u128::from(num) * u128::from(timescale) / u128::from(den.max(1));
        u32::try_from(ticks).unwrap_or(u32::MAX)
    }

    /// What only a picture or only a sound has; absent where a side is longer than any box holds.
    pub(crate) fn kind(&self) -> Option<RenditionKind> {
        Some(match *self {
            Self::Picture(_, video, rung) => RenditionKind::Video {
                width: u16::try_from(rung.width).ok()?,
                height: u16::try_from(rung.height).ok()?,
                frame_rate: Ratio::new(
                    video.frame_rate.num,
                    video.frame_rate.den * rung.frame_divisor.max(1),
                ),
            },
            Self::Copied(_, video, copied) => RenditionKind::Video {
                width: u16::try_from(copied.width).ok()?,
                height: u16::try_from(copied.height).ok()?,
                frame_rate: video.frame_rate,
            },
            Self::Sound(_, audio, rung) => {
                RenditionKind::Audio { channels: rung.channels, sample_rate: audio.sample_rate }
            }
        })
    }

    /// Rates that its segments will not exceed, boxes included.
    pub(crate) fn cap(&self) -> Bandwidth {
        let seconds = self.whole_segment_s();
        let (average, peak, entry) = match *self {
            Self::Copied(_, _, copied) => {
                return Bandwidth { peak_bps: copied.peak_bps, average_bps: copied.average_bps };
            }
            Self::Picture(_, _, rung) => {
                let rate = f64::from(rung.maxrate_bps);
                // A segment may begin with a full buffer.
                (rate, rate + f64::from(rung.bufsize_bits) / seconds, PICTURE_ENTRY)
            }
            Self::Sound(_, _, AudioRung { copied: Some(coded), .. }) => {
                (coded.average_bps as f64, coded.peak_bps as f64, SOUND_ENTRY)
            }
            Self::Sound(_, _, rung) => {
                let rate = f64::from(rung.bit_rate_bps) * SOUND_OVER_RATE;
                (rate, rate, SOUND_ENTRY)
            }
        };
        let samples_per_s = 1.0 / self.sample().as_f64();
        let boxes = 8.0 * (BOXES as f64 / seconds + entry as f64 * samples_per_s);
        let rounded = |bps: f64| (bps + boxes).ceil() as u64;
        Bandwidth { peak_bps: rounded(peak), average_bps: rounded(average) }
    }

    /// The shortest segment that counts by itself in a peak rate, in seconds; the film's end does
    /// not decide about all of it.
    fn whole_segment_s(&self) -> f64 {
        let grid = match self {
            Self::Picture(grid, ..) | Self::Copied(grid, ..) | Self::Sound(grid, ..) => grid,
        };
        let lengths = match &grid.starts {
            SegmentStarts::Every(frames) => vec![u64::from(*frames)],
            SegmentStarts::At { frames, then } => {
                frames.windows(2).map(|pair| pair[1] - pair[0]).chain([u64::from(*then)]).collect()
            }
        };
        let longest = lengths.iter().copied().max().unwrap_or(1);
        let shortest = lengths.into_iter().filter(|length| length * 2 >= longest).min().unwrap_or(1);
        grid.seconds(shortest.max(1))
    }
}

fn divisor(rung: &VideoRung) -> u64 {
    rung.frame_divisor.max(1).into()
}
