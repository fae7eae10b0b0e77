use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{CodedSound, Ratio};
use crate::{Lane, RenditionName, SegmentGrid};

/// What to make of a file: complete, so that the cell decides nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EncodePlan {
    /// Where segments begin, and how long the film is.
    pub grid: SegmentGrid,
    /// The picture renditions, absent for sound alone.
    pub video: Option<VideoPlan>,
    /// The sound renditions, absent for silent films.
    pub audio: Option<AudioPlan>,
    /// Length in milliseconds, for progress.
    pub expected_ms: u64,
    /// The encode stops with `TooLarge` behind this much media time, in milliseconds.
    pub max_ms: u64,
}

/// Frames on an absolute grid: source frame at `pts` becomes grid frame
/// `n = round((pts - t0) * frame_rate)`; gaps are filled, doubles dropped, so nothing drifts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VideoPlan {
    /// Index of the stream in the container.
    pub stream: u32,
    /// The grid: the greatest rate of any rung.
    pub frame_rate: Ratio,
    /// Length of the picture in grid frames.
    pub frames: u64,
    /// Grid frames per segment, where the grid is even; a multiple of every rung's divisor. Each
    /// segment begins with a closed GOP.
    pub segment_frames: u32,
    /// Clockwise rotation to apply: 0, 90, 180 or 270.
    pub rotation: u16,
    /// Whether to deinterlace first.
    pub deinterlace: bool,
    /// Whether to map HDR to BT.709.
    pub tone_map: bool,
    /// The rungs that are encoded, smallest first.
    pub rungs: Vec<VideoRung>,
    /// The one above them that is not, if there is one: its key frames decide where all segments
    /// begin.
    pub copied: Option<CopiedRung>,
    /// Box into which the poster fits (width), height following the picture.
    pub poster_width: u32,
    /// The same for the thumbnail.
    pub thumbnail_width: u32,
}

/// One H.264 rendition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VideoRung {
    /// Its name.
    pub rendition: RenditionName,
    /// Encoded width in pixels, even.
    pub width: u32,
    /// Encoded height in pixels, even.
    pub height: u32,
    /// Every how manieth grid frame it shows: 1 for all, 2 for half the rate.
    pub frame_divisor: u32,
    /// Quality target of the capped constant rate factor.
    pub crf: f32,
    /// The target for a chunk that somebody waits for: quick presets need a better one to look
    /// the same.
    pub hurried_crf: f32,
    /// Ceiling in bit/s.
    pub maxrate_bps: u32,
    /// Decoder buffer in bits.
    pub bufsize_bits: u32,
    /// x264 preset.
    pub preset: String,
    /// The preset for a chunk that somebody waits for; its stream parameters are the same.
    pub hurried_preset: String,
    /// Reference frames, whatever the preset says: they are part of the stream parameters.
    pub references: u32,
    /// Frames in a row at most that nothing but their like refers to.
    pub b_frames: u32,
    /// x264 profile: `main` or `high`.
    pub profile: String,
}

/// A rendition that is the source's own coded pictures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopiedRung {
    /// Its name.
    pub rendition: RenditionName,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The id of the pictures' track in the file.
    pub track: u32,
    /// The `AVCDecoderConfigurationRecord`.
    pub avcc: Vec<u8>,
    /// The rate of its busiest segments in bit/s, boxes included,
    pub peak_bps: u64,
    /// and of all of it.
    pub average_bps: u64,
}

/// One continuous encode of a sound track per rung, or the track's own coded frames.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioPlan {
    /// Index of the stream in the container.
    pub stream: u32,
    /// Output samples per second.
    pub sample_rate: u32,
    /// Length of the sound in output samples: the encode is cut or filled up with silence.
    pub samples: u64,
    /// Length of a segment; sound segments end on the AAC frame nearest to the grid.
    pub segment: Ratio,
    /// The rungs, smallest first.
    pub rungs: Vec<AudioRung>,
}

impl AudioPlan {
    /// Samples of an AAC-LC frame (ISO/IEC 14496-3 §4.5.1.1).
    pub const FRAME: u32 = 1024;

    /// How many coded frames a rendition has: the first is priming, the last is filled up.
    pub fn coded_frames(&self) -> u64 {
        1 + self.samples.div_ceil(Self::FRAME.into()).max(1)
    }

    /// The coded frames of segment `n`: it begins with the one that is heard nearest to the
    /// grid, frame `k` being heard from sample `(k - 1) * 1024`. Empty behind the end.
    pub fn frames_of(&self, grid: &SegmentGrid, n: u32) -> Range<u64> {
        let start = |n: u32| {
            if n == 0 {
                return 0;
            }
            let samples =
                u128::from(grid.start(n)) * u128::from(grid.rate.den) * u128::from(self.sample_rate);
            let frame = u128::from(grid.rate.num.max(1)) * u128::from(Self::FRAME);
            let nearest = (2 * samples + frame) / (2 * frame) + 1;
            u64::try_from(nearest).unwrap_or(u64::MAX).min(self.coded_frames())
        };
        start(n)..start(n + 1)
    }

    /// How many segments a rendition has.
    pub fn segment_count(&self, grid: &SegmentGrid) -> u32 {
        let heard = (self.coded_frames() - 2) * u64::from(Self::FRAME);
        let frame = u128::from(heard) * u128::from(grid.rate.num)
            / (u128::from(self.sample_rate.max(1)) * u128::from(grid.rate.den.max(1)));
        let near = grid.segment_of(u64::try_from(frame).unwrap_or(u64::MAX));
        // Rounding to coded frames moves a border by half a frame at most.
        (near.saturating_sub(1)..near + 2).find(|n| self.frames_of(grid, *n).is_empty()).unwrap_or(near + 2)
    }
}

impl VideoPlan {
    /// The encoded rung called `name`.
    pub fn rung(&self, name: RenditionName) -> Option<&VideoRung> {
        self.rungs.iter().find(|rung| rung.rendition == name)
    }

    /// The copied rung, if it is called `name`.
    pub fn copied(&self, name: RenditionName) -> Option<&CopiedRung> {
        self.copied.as_ref().filter(|copied| copied.rendition == name)
    }

    /// The names of all picture renditions, smallest first.
    pub fn renditions(&self) -> impl Iterator<Item = RenditionName> + '_ {
        let encoded = self.rungs.iter().map(|rung| rung.rendition);
        encoded.chain(self.copied.iter().map(|copied| copied.rendition))
    }

    /// With which others a picture rendition is made.
    pub fn lane(&self, name: RenditionName) -> Lane {
        if self.copied(name).is_some() { Lane::Copied } else { Lane::of(name) }
    }

    /// Ticks in a second and ticks of a frame of a rendition that shows every `divisor`th frame of
    /// the grid: fine enough to mix with sound, and a whole number of them per frame.
    pub fn timescale(&self, divisor: u32) -> (u32, u32) {
        let Ratio { num, den } = self.frame_rate;
        let fine = if num < 1000 { 1000 } else { 1 };
        (num * fine, den * divisor.max(1) * fine)
    }
}

/// One AAC-LC rendition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioRung {
    /// Its name.
    pub rendition: RenditionName,
    /// 1 or 2.
    pub channels: u16,
    /// Target in bit/s.
    pub bit_rate_bps: u32,
    /// What is copied instead of encoded, if it is; plans of earlier releases do not say it.
    #[serde(default)]
    pub copied: Option<CodedSound>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_segments_hold_every_coded_frame_once() {
        for samples in [0, 1, 1024, 48_000, 192_000, 192_001, 1_000_000, 12_345_678] {
            for rate in [Ratio::new(25, 1), Ratio::new(30_000, 1001), Ratio::new(1000, 1)] {
                let every = 4 * rate.num / rate.den;
                let grid = SegmentGrid::even(rate, every, 100);
                let plan = AudioPlan {
                    stream: 1,
                    sample_rate: 48_000,
                    samples,
                    segment: Ratio::new(4, 1),
                    rungs: Vec::new(),
                };
                let segments: Vec<_> =
                    (0..plan.segment_count(&grid)).map(|n| plan.frames_of(&grid, n)).collect();
                assert!(segments.iter().all(|frames| !frames.is_empty()), "{samples} at {rate:?}");
                let all: Vec<_> = segments.into_iter().flatten().collect();
                assert_eq!(all, (0..plan.coded_frames()).collect::<Vec<_>>(), "{samples} at {rate:?}");
            }
        }
    }

    #[test]
    fn a_plan_of_an_earlier_release_encodes_its_sound() {
        let rung = r#"{"rendition":"a32","channels":1,"bit_rate_bps":32000}"#;
        assert_eq!(serde_json::from_str::<AudioRung>(rung).unwrap().copied, None);
    }
}
