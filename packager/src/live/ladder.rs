//! What an event's cell makes of a source: pure functions.
//!
//! | question | decision |
//! |---|---|
//! | rungs | 144p always, then 360p, then 480p, as far as they are below the source and half of the cores carries them |
//! | a small source | one rung just below it, at least 16 lines |
//! | a rung's rate | the source's ÷ 1, 2 or 4: ≤ 15 for 144p, ≤ 30 above |
//! | too slow | the greatest rung goes, and comes back after five quiet minutes, then ten, then twenty… |
//! | sound | `a32` mono always; a better one too, unless the source's own is one that everybody plays |

use std::time::Duration;

use cmaf::AacLc;
use model::RenditionName;
use model::cell::Ratio;
use model::cell::live::{LiveAudio, LivePlan, LiveRung, LiveSound, LiveVideo};
use model::feed::FeedConfig;

use crate::plan::{Size, frame_rate};

/// The picture of a source, as it is to be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourcePicture {
    /// Width in square pixels.
    pub width: u32,
    /// Height in square pixels.
    pub height: u32,
    /// Pictures per second, as measured or announced.
    pub frame_rate: Ratio,
}

/// What a rung of some height is encoded with.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Row {
    height: u16,
    max_fps: u32,
    crf: f32,
    maxrate_bps: u32,
    bufsize_bits: u32,
    preset: &'static str,
    profile: &'static str,
    look_ahead: u32,
    /// Thousandths of a core that a million pixels in a second cost.
    cost: u64,
}

/// The rows, smallest first; what they cost is measured (docs/design/0011-live-cell.md).
///
/// Segments have 2 s, and one that begins with a full buffer has the ceiling's bits and the buffer's:
/// of 144p (2 × 36k + 24k) ÷ 2 = 48 kbit/s, which with 34 of sound and 7 of boxes around parts is below
/// 90. A buffer of less than 24 kbit would not hold a good key frame.
///
/// 144p is for slow links and not for the last half second: three of its pictures to look ahead, 0.2 s,
/// are worth a tenth of its bits and a decibel. The others do not lag.
const ROWS: [Row; 3] = [
    Row {
        height: 144,
        max_fps: 15,
        crf: 29.0,
        maxrate_bps: 36_000,
        bufsize_bits: 24_000,
        preset: "medium",
        profile: "main",
        look_ahead: 3,
        cost: 40,
    },
    Row {
        height: 360,
        max_fps: 30,
        crf: 25.0,
        maxrate_bps: 600_000,
        bufsize_bits: 600_000,
        preset: "veryfast",
        profile: "high",
        look_ahead: 0,
        cost: 14,
    },
    Row {
        height: 480,
        max_fps: 30,
        crf: 24.0,
        maxrate_bps: 1_100_000,
        bufsize_bits: 1_100_000,
        preset: "veryfast",
        profile: "high",
        look_ahead: 0,
        cost: 13,
    },
];
/// Thousandths of a core that it costs to decode a million pixels in a second, and to scale them.
const SOURCE_COST: u64 = 3;
/// Lines below which no rung is worth it.
const LEAST: u16 = 16;
/// Output samples per second where the source's rate is none that every phone plays.
const SAMPLE_RATE: u32 = 48_000;

/// The rungs of a source, smallest first, on `cores` that the event has for itself.
pub fn ladder(cores: usize, source: &SourcePicture) -> Vec<LiveRung> {
    let size = Size { width: source.width, height: source.height };
    let rate = nominal(source);
    let megapixels =
        |size: Size, fps: f64| (f64::from(size.width) * f64::from(size.height) * fps / 1e6).ceil() as u64;
    let fps = rate.as_f64();
    let mut left = (cores as u64 * 500).saturating_sub(SOURCE_COST * megapixels(size, fps));
    let mut rungs = Vec::new();
    for (n, row) in ROWS.iter().enumerate() {
        let is_least = n == 0;
        let Some(height) = row.height_in(size.short(), is_least) else { break };
        let scaled = size.scaled_to(height);
        let frame_divisor = frame_rate::divisor(rate, row.max_fps);
        let cost = row.cost * megapixels(scaled, fps / f64::from(frame_divisor));
        if cost > left && !is_least {
            break;
        }
        left = left.saturating_sub(cost);
        rungs.push(row.rung(height, scaled, frame_divisor));
    }
    rungs
}

/// The rungs of a source when this is remembered of how its cell kept up.
pub fn rungs_for(cores: usize, source: &SourcePicture, history: &LagHistory) -> Vec<LiveRung> {
    let mut rungs = ladder(cores, source);
    rungs.truncate(rungs.len().saturating_sub(history.given_up).max(1));
    rungs
}

/// The sound renditions of a feed with this configuration.
pub fn sounds(config: &FeedConfig) -> LiveAudio {
    let (plain, channels) = match config {
        FeedConfig::Aac { asc } => {
            let plain = AacLc::read(asc).filter(|aac| matches!(aac.sample_rate, 44_100 | 48_000));
            (plain, plain.map_or(2, |aac| aac.channels))
        }
        // Channels stand behind the magic and the version (RFC 7845 §5.1).
        FeedConfig::Opus { head } => (None, if head.get(9) == Some(&1) { 1 } else { 2 }),
        _ => (None, 2),
    };
    let sound = |kbps: u16, channels| LiveSound {
        rendition: RenditionName::Audio { kbps },
        channels,
        bit_rate_bps: u32::from(kbps) * 1000,
    };
    let better = match (plain, channels) {
        (Some(_), _) => None,
        (None, 1) => Some(sound(64, 1)),
        (None, _) => Some(sound(128, 2)),
    };
    LiveAudio {
        config: config.clone(),
        sample_rate: plain.map_or(SAMPLE_RATE, |aac| aac.sample_rate),
        rungs: [sound(32, 1)].into_iter().chain(better).collect(),
    }
}

/// What a cell is started with. A picture that no rung fits below has none.
pub fn plan(
    video: Option<(FeedConfig, SourcePicture)>,
    audio: Option<&FeedConfig>,
    cores: usize,
    history: &LagHistory,
) -> LivePlan {
    let video = video.and_then(|(config, source)| {
        let rungs = rungs_for(cores, &source, history);
        (!rungs.is_empty()).then(|| LiveVideo { config, frame_rate: nominal(&source), rungs })
    });
    LivePlan { video, audio: audio.map(sounds) }
}

/// The broadcast rate next to a source's: it is part of what decoders are told, and the same after a
/// cell was started anew.
fn nominal(source: &SourcePicture) -> Ratio {
    frame_rate::grid(source.frame_rate, 60)
}

impl Row {
    /// Pixels of the short side of the row's rung of a source with so many; none if it does not fit
    /// below it.
    fn height_in(&self, short: u32, is_least: bool) -> Option<u16> {
        if u32::from(self.height) < short {
            return Some(self.height);
        }
        let below = u16::try_from(short.saturating_sub(1) & !1).ok()?;
        Some(below).filter(|below| is_least && *below >= LEAST)
    }

    fn rung(&self, height: u16, size: Size, frame_divisor: u32) -> LiveRung {
        LiveRung {
            rendition: RenditionName::Video { height },
            width: size.width,
            height: size.height,
            frame_divisor,
            crf: self.crf,
            maxrate_bps: self.maxrate_bps,
            bufsize_bits: self.bufsize_bits,
            preset: self.preset.to_owned(),
            profile: self.profile.to_owned(),
            look_ahead: self.look_ahead,
        }
    }
}

/// What is remembered of how a cell kept up; begins as one that always did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LagHistory {
    /// Rungs of the ladder that are not made, from the top.
    given_up: usize,
    /// Late seconds, less the quiet ones since, and quiet ones in a row.
    late_s: u32,
    quiet_s: u32,
    /// How often a rung was given up.
    falls: u32,
}

impl LagHistory {
    /// How many rungs of the ladder are not made, from the top.
    pub fn given_up(&self) -> usize {
        self.given_up
    }

    /// A second in which the cell was behind by more than this is a late one,
    const LATE: Duration = Duration::from_millis(500);
    /// and by less than this a quiet one.
    const QUIET: Duration = Duration::from_millis(200);
    /// So many late seconds cost a rung: a moment in which something else had the processor does not.
    const LATE_S: u32 = 3;
    /// Quiet seconds after which one comes back, the first time; then twice as many, up to 16 times.
    const QUIET_S: u32 = 300;

    /// After one more second, at whose end the cell was `behind`, and in which packets were left out for
    /// its sake or not.
    pub fn after_second(mut self, behind: Duration, has_left_out: bool) -> Self {
        if has_left_out || behind > Self::LATE {
            (self.late_s, self.quiet_s) = (self.late_s + 1, 0);
        } else if behind < Self::QUIET {
            (self.late_s, self.quiet_s) = (self.late_s.saturating_sub(1), self.quiet_s + 1);
        }
        if self.late_s >= Self::LATE_S {
            self.given_up = (self.given_up + 1).min(ROWS.len() - 1);
            (self.late_s, self.falls) = (0, self.falls + 1);
        }
        let patience = Self::QUIET_S << self.falls.saturating_sub(1).min(4);
        if self.given_up > 0 && self.quiet_s >= patience {
            (self.given_up, self.quiet_s) = (self.given_up - 1, 0);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(width: u32, height: u32, num: u32, den: u32) -> SourcePicture {
        SourcePicture { width, height, frame_rate: Ratio::new(num, den) }
    }

    fn shape(rungs: &[LiveRung]) -> Vec<(String, u32, u32, u32)> {
        let shape =
            |rung: &LiveRung| (rung.rendition.to_string(), rung.width, rung.height, rung.frame_divisor);
        rungs.iter().map(shape).collect()
    }

    fn heights(rungs: &[LiveRung]) -> Vec<u16> {
        rungs.iter().map(|rung| rung.rendition.height()).collect()
    }

    #[test]
    fn rungs_are_below_the_source_and_as_many_as_the_cores_carry() {
        for (cores, (width, height, fps), expected) in [
            (2, (1280, 720, 30), &[144, 360, 480][..]),
            (2, (1920, 1080, 30), &[144, 360, 480]),
            (1, (1280, 720, 30), &[144, 360, 480]),
            (1, (2560, 1440, 30), &[144, 360]),
            (1, (1920, 1080, 60), &[144]),
            (2, (1920, 1080, 60), &[144, 360, 480]),
            (2, (3840, 2160, 60), &[144]),
            (64, (3840, 2160, 60), &[144, 360, 480]),
            (1, (3840, 2160, 60), &[144]),
            // Never as large as the source, nor larger.
            (8, (854, 480, 30), &[144, 360]),
            (8, (640, 360, 30), &[144]),
            (8, (256, 144, 30), &[142]),
            (8, (160, 120, 30), &[118]),
            (8, (320, 16, 30), &[]),
            (8, (0, 0, 30), &[]),
        ] {
            let found = heights(&ladder(cores, &source(width, height, fps, 1)));
            assert_eq!(found, expected, "{width}x{height} at {fps} on {cores}");
        }
    }

    #[test]
    fn sizes_are_even_and_rates_are_whole_parts_of_the_sources() {
        let rung = |name: &str, width, height, divisor| (name.to_owned(), width, height, divisor);
        for (of, expected) in [
            (
                source(1280, 720, 30, 1),
                [rung("144p", 256, 144, 2), rung("360p", 640, 360, 1), rung("480p", 854, 480, 1)],
            ),
            (
                source(1080, 1920, 30_000, 1001),
                [rung("144p", 144, 256, 2), rung("360p", 360, 640, 1), rung("480p", 480, 854, 1)],
            ),
            (
                source(1440, 1080, 50, 1),
                [rung("144p", 192, 144, 4), rung("360p", 480, 360, 2), rung("480p", 640, 480, 2)],
            ),
            (
                source(1280, 720, 24, 1),
                [rung("144p", 256, 144, 2), rung("360p", 640, 360, 1), rung("480p", 854, 480, 1)],
            ),
        ] {
            assert_eq!(shape(&ladder(64, &of)), expected, "{of:?}");
        }
    }

    #[test]
    fn the_least_rung_and_its_sound_fit_a_90_kbit_link() {
        let rungs = ladder(1, &source(1280, 720, 30, 1));
        let LiveRung { maxrate_bps, bufsize_bits, .. } = rungs[0];
        // The peak of a segment of 2 s, and six heads of parts in it for each track, with eight bytes
        // for a picture and four for a frame of sound.
        let boxes = |samples: u32, bytes: u32| (6 * 110 + samples * bytes) * 8 / 2;
        let peak = (2 * maxrate_bps + bufsize_bits) / 2 + boxes(30, 8) + 34_000 + boxes(94, 4);
        assert!(peak <= 90_000, "{peak}");
        assert!(rungs.iter().all(|rung| rung.bufsize_bits <= rung.maxrate_bps), "a second at most");
    }

    #[test]
    fn sound_that_every_phone_plays_is_only_made_smaller() {
        let aac = |asc: &[u8]| FeedConfig::Aac { asc: asc.to_vec() };
        let opus = |channels| FeedConfig::Opus { head: [b"OpusHead\x01".as_slice(), &[channels]].concat() };
        for (config, rate, names) in [
            (aac(&[0x11, 0x90]), 48_000, &["a32"][..]),
            (aac(&[0x12, 0x08]), 44_100, &["a32"]),
            // HE-AAC; 32 kHz.
            (aac(&[0x2b, 0x11, 0x88, 0x00]), 48_000, &["a32", "a128"]),
            (aac(&[0x12, 0x90]), 48_000, &["a32", "a128"]),
            (opus(2), 48_000, &["a32", "a128"]),
            (opus(1), 48_000, &["a32", "a64"]),
        ] {
            let plan = sounds(&config);
            let found: Vec<_> = plan.rungs.iter().map(|rung| rung.rendition.to_string()).collect();
            assert_eq!(plan.sample_rate, rate, "{config:?}");
            assert_eq!(found, names, "{config:?}");
        }
    }

    #[test]
    fn a_slow_machine_gives_up_480p_then_360p_and_never_144p() {
        let all = source(1280, 720, 30, 1);
        let ms = Duration::from_millis;
        let mut history = LagHistory::default();
        let mut run = |seconds: u32, behind, has_left_out| {
            for _ in 0..seconds {
                history = history.after_second(ms(behind), has_left_out);
            }
            heights(&rungs_for(2, &all, &history))
        };
        for (seconds, behind, has_left_out, expected) in [
            (3600, 50, false, &[144, 360, 480][..]),
            // A hiccup of two seconds is forgotten.
            (2, 900, true, &[144, 360, 480]),
            (2, 50, false, &[144, 360, 480]),
            (2, 900, false, &[144, 360, 480]),
            (1, 0, true, &[144, 360]),
            (2, 600, false, &[144, 360]),
            (1, 600, false, &[144]),
            (60, 5000, true, &[144]),
            // Neither late nor quiet: it stays.
            (10_000, 300, false, &[144]),
        ] {
            assert_eq!(run(seconds, behind, has_left_out), expected, "{seconds} s at {behind} ms");
        }
    }

    #[test]
    fn what_was_given_up_comes_back_after_longer_and_longer_quiet() {
        let all = source(1280, 720, 30, 1);
        let fallen = (0..3)
            .fold(LagHistory::default(), |history, _| history.after_second(Duration::from_secs(1), false));
        let quiet = |history: LagHistory, seconds: u32| {
            (0..seconds).fold(history, |history, _| history.after_second(Duration::ZERO, false))
        };
        let count = |history: &LagHistory| rungs_for(2, &all, history).len();
        assert_eq!([0, 299, 300].map(|seconds| count(&quiet(fallen, seconds))), [2, 2, 3]);
        let again =
            (0..3).fold(quiet(fallen, 300), |history, _| history.after_second(Duration::from_secs(1), false));
        assert_eq!([0, 599, 600].map(|seconds| count(&quiet(again, seconds))), [2, 2, 3]);
    }
}
