use std::collections::VecDeque;
use std::time::Duration;

use cmaf::RenditionKind;
use model::feed::{FEED_TIMESCALE, FeedTrack, Packet};
use model::{Health, HealthWarning, PictureHealth, Timestamp};

use super::feed::Feed;
use super::going::Going;

/// Watches the packets of a feed: what its publisher may want to know.
///
/// Moments are times since any fixed one.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    /// What came in lately: when, of which track, how many bytes.
    recent: VecDeque<(Duration, FeedTrack, usize)>,
    video: Option<Last>,
    audio: Option<Last>,
    /// The last key frame, and how far it was from the one before it, in ticks.
    key: Option<(Last, Option<i64>)>,
    began: Option<Duration>,
    jumped: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Last {
    at: Duration,
    dts: i64,
}

/// What is told of a feed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Felt {
    pub(crate) bitrate_kbps: u32,
    pub(crate) fps: f64,
    pub(crate) gop_s: f64,
    pub(crate) skew_ms: i32,
    pub(crate) warnings: Vec<HealthWarning>,
}

/// What the event knows and the packets do not tell.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Expected {
    /// Whether there is a picture, and a sound.
    pub(crate) picture: bool,
    pub(crate) sound: bool,
    /// Frames in a second, once that is settled.
    pub(crate) fps: Option<f64>,
    /// Whether the event has parts; `None` before it has begun.
    pub(crate) low_latency: Option<bool>,
    /// The target duration of its segments, in seconds.
    pub(crate) target_duration_s: Option<u32>,
}

const WINDOW: Duration = Duration::from_secs(5);
const NO_KEY: Duration = Duration::from_secs(10);
const JUMP_SHOWN: Duration = Duration::from_secs(60);
/// Encoders interleave within some hundred milliseconds; more is heard.
const SKEWED_MS: i32 = 800;

impl Pulse {
    pub(crate) fn beat(&mut self, packet: &Packet, now: Duration) {
        self.began.get_or_insert(now);
        self.recent.push_back((now, packet.track, packet.data.len()));
        while self.recent.front().is_some_and(|(at, ..)| *at + WINDOW < now) {
            self.recent.pop_front();
        }
        let last = Last { at: now, dts: packet.dts };
        match packet.track {
            FeedTrack::Audio => self.audio = Some(last),
            FeedTrack::Video => {
                self.video = Some(last);
                if packet.key {
                    let group = self.key.map(|(before, _)| packet.dts - before.dts);
                    self.key = Some((last, group));
                }
            }
        }
    }

    /// Its times jumped.
    pub(crate) fn jump(&mut self, now: Duration) {
        // What was counted has nothing to do with what follows.
        *self = Self { began: Some(now), jumped: Some(now), ..Self::default() };
    }

    pub(crate) fn felt(&self, expected: Expected, now: Duration) -> Felt {
        let began = self.began.unwrap_or(now);
        let span = now.saturating_sub(began).min(WINDOW).as_secs_f64().max(0.5);
        let recent = || self.recent.iter().filter(|(at, ..)| *at + WINDOW >= now);
        let bytes: usize = recent().map(|(.., bytes)| bytes).sum();
        let frames = recent().filter(|(_, track, _)| *track == FeedTrack::Video).count();
        let fps = frames as f64 / span;
        let gop_s = self.key.and_then(|(_, group)| group).map_or(0.0, seconds);
        let skew_ms = match (self.audio, self.video) {
            (Some(audio), Some(video)) => {
                // What has come of each by the same moment.
                let ahead = seconds(audio.dts - video.dts) * 1000.0;
                let waited = video.at.as_secs_f64() - audio.at.as_secs_f64();
                (ahead + waited * 1000.0).clamp(-1e6, 1e6).round() as i32
            }
            _ => 0,
        };
        let quiet = |track: Option<Last>| track.is_none_or(|last| last.at + WINDOW < now);
        let has_run = now.saturating_sub(began) >= WINDOW;
        let no_key = self.key.map_or(began, |(last, _)| last.at) + NO_KEY < now;
        let is_long = expected.target_duration_s.is_some_and(|target_s| gop_s > f64::from(target_s) + 0.5);
        let warnings = [
            (HealthWarning::NoKeyFrame, expected.picture && no_key),
            (HealthWarning::LatencyOff, expected.low_latency == Some(false)),
            (HealthWarning::LongGop, expected.low_latency == Some(true) && is_long),
            (HealthWarning::TimesJumped, self.jumped.is_some_and(|at| at + JUMP_SHOWN > now)),
            (HealthWarning::Skewed, expected.picture && expected.sound && skew_ms.abs() > SKEWED_MS),
            (
                HealthWarning::FewFrames,
                has_run && expected.picture && expected.fps.is_some_and(|usual| fps < usual * 0.8),
            ),
            (HealthWarning::NoSound, has_run && quiet(self.audio)),
            (HealthWarning::NoPicture, has_run && quiet(self.video)),
        ];
        Felt {
            bitrate_kbps: (bytes as f64 * 8.0 / span / 1000.0).round() as u32,
            fps,
            gop_s,
            skew_ms,
            warnings: warnings.into_iter().filter(|(_, holds)| *holds).map(|(warning, _)| warning).collect(),
        }
    }
}

impl Felt {
    /// The picture's share of it.
    pub(crate) fn picture(&self, codec: &str, width: u16, height: u16) -> PictureHealth {
        PictureHealth {
            codec: codec.to_owned(),
            width: width.into(),
            height: height.into(),
            fps: (self.fps * 10.0).round() / 10.0,
            gop_s: (self.gop_s * 100.0).round() / 100.0,
        }
    }
}

/// What the studio is told of a feed, of which `elapsed` says how long it has been watched.
pub(super) fn told(feed: &Feed, going: Option<&Going>, elapsed: Duration, now: Timestamp) -> Health {
    let picture = going.and_then(|going| going.formats.get(&going.picture?));
    let size = picture.map(|(_, format)| (format.codecs.as_str(), format.kind));
    let timing = going.map(|going| going.on_air.broadcast.event().timing);
    let expected = Expected {
        picture: feed.video.is_some(),
        sound: feed.audio.is_some(),
        fps: size.and_then(|(_, kind)| match kind {
            RenditionKind::Video { frame_rate, .. } => Some(frame_rate.as_f64()),
            RenditionKind::Audio { .. } => None,
        }),
        low_latency: timing.map(|timing| timing.part_target_ms.is_some()),
        target_duration_s: timing.map(|timing| timing.target_duration_s),
    };
    let mut felt = feed.pulse.felt(expected, elapsed);
    let (behind, left_out) = going.map(|going| going.rungs.load()).unwrap_or_default();
    if going.is_some_and(|going| going.rungs.history.given_up() > 0) {
        felt.warnings.push(HealthWarning::FewerRenditions);
    }
    if feed.has_others {
        felt.warnings.push(HealthWarning::OneTrack);
    }
    if size.is_some_and(|(codecs, _)| !codecs.starts_with("avc1")) {
        felt.warnings.push(HealthWarning::RareCodec);
    }
    let picture = match size {
        Some((codecs, RenditionKind::Video { width, height, .. })) => {
            Some(felt.picture(codecs, width, height))
        }
        _ => None,
    };
    let renditions = going.map(|going| going.on_air.broadcast.event().renditions.clone());
    Health {
        at: now,
        encoder: feed.encoder.clone(),
        bitrate_kbps: felt.bitrate_kbps,
        picture,
        skew_ms: felt.skew_ms,
        queue_ms: u32::try_from(behind.as_millis()).unwrap_or(u32::MAX),
        dropped: left_out,
        renditions: renditions.unwrap_or_default().into_iter().map(|offered| offered.name).collect(),
        warnings: felt.warnings,
    }
}

fn seconds(ticks: i64) -> f64 {
    ticks as f64 / f64::from(FEED_TIMESCALE)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn packet(track: FeedTrack, ms: u64, key: bool, len: usize) -> Packet {
        let data = Bytes::from(vec![0; len]);
        Packet { track, dts: ms.cast_signed() * 90, cts_offset: 0, key, data }
    }

    const EXPECTED: Expected = Expected {
        picture: true,
        sound: true,
        fps: Some(25.0),
        low_latency: Some(true),
        target_duration_s: Some(2),
    };

    /// A feed of 25 pictures a second, 5,000 bytes each, and of sound.
    fn fed(seconds: u64, group_ms: u64, with_sound: bool) -> Pulse {
        let mut pulse = Pulse::default();
        for ms in (0..seconds * 1000).step_by(40) {
            let now = Duration::from_millis(ms);
            pulse.beat(&packet(FeedTrack::Video, ms, ms % group_ms == 0, 5000), now);
            if with_sound {
                pulse.beat(&packet(FeedTrack::Audio, ms, true, 0), now);
            }
        }
        pulse
    }

    #[test]
    fn a_sound_feed_has_no_warnings() {
        let felt = fed(20, 2000, true).felt(EXPECTED, Duration::from_secs(20));
        assert_eq!((felt.warnings.as_slice(), felt.skew_ms), (&[][..], 0));
        assert!((990..=1010).contains(&felt.bitrate_kbps), "{felt:?}");
        assert!((felt.fps - 25.0).abs() < 0.3 && (felt.gop_s - 2.0).abs() < 0.01, "{felt:?}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let warned = |pulse: Pulse, expected, s| pulse.felt(expected, Duration::from_secs(s)).warnings;
        assert_eq!(warned(fed(20, 2000, false), EXPECTED, 20), [HealthWarning::NoSound]);
        assert_eq!(warned(fed(20, 4000, true), EXPECTED, 20), [HealthWarning::LongGop]);
        let off = Expected { low_latency: Some(false), target_duration_s: Some(8), ..EXPECTED };
        assert_eq!(warned(fed(20, 8000, true), off, 20), [HealthWarning::LatencyOff]);
        assert_eq!(warned(fed(20, 60_000, true), EXPECTED, 20), [HealthWarning::NoKeyFrame]);
        let fast = Expected { fps: Some(50.0), ..EXPECTED };
        assert_eq!(warned(fed(20, 2000, true), fast, 20), [HealthWarning::FewFrames]);
        let mut jumped = fed(20, 2000, true);
        jumped.jump(Duration::from_secs(20));
        assert_eq!(warned(jumped, EXPECTED, 20), [HealthWarning::TimesJumped]);
        // A publisher that only now begins is not blamed for what did not come yet.
        assert_eq!(warned(Pulse::default(), EXPECTED, 0), []);
    }

    #[test]
    fn a_sound_that_lags_is_seen() {
        let mut pulse = Pulse::default();
        for ms in (0..10_000).step_by(40) {
            let now = Duration::from_millis(ms);
            pulse.beat(&packet(FeedTrack::Video, ms, ms % 2000 == 0, 5000), now);
            pulse.beat(&packet(FeedTrack::Audio, ms.saturating_sub(1500), true, 100), now);
        }
        let felt = pulse.felt(EXPECTED, Duration::from_secs(10));
        assert_eq!((felt.skew_ms, felt.warnings), (-1500, vec![HealthWarning::Skewed]));
    }
}
