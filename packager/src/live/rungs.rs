use std::collections::BTreeMap;
use std::time::Duration;

use cmaf::{AudioConfig, AudioTrack, Bandwidth, RenditionKind, Track, VideoConfig, VideoTrack, init_segment};
use model::RenditionName;
use model::cell::Ratio;
use model::cell::live::{LivePlan, LiveTrack};
use model::feed::{FEED_TIMESCALE, FeedTrack, Packet};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::cell::{LiveCell, LiveEnding, LiveEvent, LiveStart, restart_after};
use super::feed::Feed;
use super::format::{Format, FormatError};
use super::ladder::{self, LagHistory, SourcePicture};
use super::lane::Frame;
use super::sound::SoundClock;
use super::{BacklogLimits, Shared};

/// The lower rungs of an event: the cell that makes them, while there is one, and what is remembered
/// of those before it.
#[derive(Debug, Default)]
pub(super) struct Rungs {
    working: Option<Working>,
    /// How cells kept up.
    pub(super) history: LagHistory,
    /// Cells in a row that ended by themselves before they had worked for long, and from when on another
    /// may begin.
    ended: u32,
    not_before: Option<Instant>,
    /// Nothing can be made of this feed.
    is_refused: bool,
}

#[derive(Debug)]
struct Working {
    cell: LiveCell,
    events: mpsc::Receiver<LiveEvent>,
    plan: LivePlan,
    /// Event time minus feed time.
    offset: i64,
    sounds: BTreeMap<RenditionName, SoundClock>,
    began: Instant,
    left_out: u64,
}

/// What came of a cell's word.
#[derive(Debug)]
pub(super) enum Came {
    /// A rendition begins, or goes on as it was.
    Format(RenditionName, Format, Bandwidth),
    /// The next frame of one, on its own clock.
    Frame(RenditionName, Frame),
    /// Nothing to do.
    Nothing,
}

/// The group of pictures with which a feed begins comes at once; above that the cell is too slow.
const LIMITS: BacklogLimits = BacklogLimits { behind: Duration::from_secs(4), bytes: 16 << 20 };
/// A cell that begins is behind by what the feed began with.
const WARM_UP: Duration = Duration::from_secs(6);

impl Rungs {
    /// Whether a cell is to be started with a key frame that comes now.
    pub(super) fn is_wanted(&self) -> bool {
        let may = self.not_before.is_none_or(|at| at <= Instant::now());
        self.working.is_none() && !self.is_refused && may
    }

    /// Starts a cell for a feed whose clock is `offset` behind the event's.
    pub(super) fn start(&mut self, shared: &Shared, plan: LivePlan, offset: i64) {
        if plan.video.is_none() && plan.audio.is_none() {
            self.is_refused = true;
            return;
        }
        let start = LiveStart {
            program: &shared.transcoder,
            folder: &shared.folder,
            limits: LIMITS,
            quiet: LiveStart::QUIET,
            tasks: &shared.tracker,
            stop: &shared.stop,
        };
        match LiveCell::start(start, plan.clone()) {
            Ok((cell, events)) => {
                let (sounds, began) = (BTreeMap::new(), Instant::now());
                let working = Working { cell, events, plan, offset, sounds, began, left_out: 0 };
                self.working = Some(working);
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "start the cell of an event");
                self.pause(Duration::ZERO);
            }
        }
    }

    /// Gives the cell a packet, if there is one.
    pub(super) fn feed(&self, packet: &Packet) {
        if let Some(working) = &self.working {
            let idr = packet.track == FeedTrack::Video && packet.key;
            working.cell.feed(packet.clone(), idr);
        }
    }

    /// The feed is over, or another one begins.
    pub(super) fn stop(&mut self) {
        self.working = None;
        (self.ended, self.not_before, self.is_refused) = (0, None, false);
    }

    /// The feed is over: what the cell holds is still wanted.
    pub(super) fn finish(&self) -> bool {
        if let Some(working) = &self.working {
            working.cell.finish();
        }
        self.working.is_some()
    }

    /// What the cell says next; never, without one.
    pub(super) async fn next(&mut self) -> LiveEvent {
        match &mut self.working {
            Some(working) => {
                let gone = || LiveEvent::Ended(LiveEnding::Stopped);
                working.events.recv().await.unwrap_or_else(gone)
            }
            None => std::future::pending().await,
        }
    }

    /// Understands what the cell said.
    ///
    /// # Errors
    /// When what it says of a rendition fits in no box.
    pub(super) fn hear(&mut self, event: LiveEvent) -> Result<Came, FormatError> {
        let Some(working) = &mut self.working else { return Ok(Came::Nothing) };
        match event {
            LiveEvent::Init { rendition, track } => working.begin(rendition, track),
            LiveEvent::Packet { rendition, dts, cts_offset, key, data, .. } => {
                let Ok(time) = u64::try_from(dts + working.offset) else { return Ok(Came::Nothing) };
                let frame = Frame { time, cts_offset, key, data };
                let frame = match working.sounds.get_mut(&rendition) {
                    Some(clock) => clock.place(frame),
                    None => Some(frame),
                };
                Ok(frame.map_or(Came::Nothing, |frame| Came::Frame(rendition, frame)))
            }
            LiveEvent::Ended(ending) => {
                self.end(ending);
                Ok(Came::Nothing)
            }
        }
    }

    /// Whether the cell has begun all that it makes, if there is one.
    pub(super) fn has_warmed_up(&self) -> bool {
        self.working.as_ref().is_none_or(|working| working.began.elapsed() >= WARM_UP)
    }

    /// A second has passed: whether the cell is to make fewer rungs, or more again.
    pub(super) fn after_second(&mut self) -> bool {
        let Some(working) = &mut self.working else { return false };
        if working.began.elapsed() < WARM_UP {
            return false;
        }
        let left_out = working.cell.left_out();
        let has_left_out = left_out > std::mem::replace(&mut working.left_out, left_out);
        let before = self.history;
        self.history = before.after_second(working.cell.behind(), has_left_out);
        self.history.given_up() != before.given_up()
    }

    /// How far the cell is behind, and what was left out for its sake.
    pub(super) fn load(&self) -> (Duration, u64) {
        self.working.as_ref().map_or((Duration::ZERO, 0), |one| (one.cell.behind(), one.cell.left_out()))
    }

    fn end(&mut self, ending: LiveEnding) {
        let worked = self.working.take().map_or(Duration::ZERO, |working| working.began.elapsed());
        match ending {
            LiveEnding::Finished | LiveEnding::Stopped => {}
            LiveEnding::Refused { reason, detail } => {
                tracing::warn!(?reason, %detail, "no lower rungs are made of a feed");
                self.is_refused = true;
            }
            ending => {
                tracing::warn!(?ending, "the cell of an event is gone; another one comes");
                self.pause(worked);
            }
        }
    }

    /// Lets no other cell begin for a while; the one that ended had `worked` for so long.
    fn pause(&mut self, worked: Duration) {
        self.ended = ended_after(self.ended, worked);
        self.not_before = Some(Instant::now() + restart_after(self.ended));
    }
}

/// How many cells ended in a row when one more does: one that had worked is the first.
fn ended_after(before: u32, worked: Duration) -> u32 {
    if worked >= WARM_UP { 1 } else { before + 1 }
}

/// What a cell makes of a feed, whose own renditions these are; nothing without cores.
pub(super) fn plan(
    feed: &Feed,
    picture: Option<&(u32, Format)>,
    sound: Option<RenditionName>,
    cores: usize,
    history: &LagHistory,
) -> LivePlan {
    if cores == 0 {
        return LivePlan { video: None, audio: None };
    }
    let source = picture.and_then(|(_, format)| match format.kind {
        RenditionKind::Video { width, height, frame_rate } => {
            Some(SourcePicture { width: width.into(), height: height.into(), frame_rate })
        }
        RenditionKind::Audio { .. } => None,
    });
    let video = feed.video.clone().zip(source);
    let mut plan = ladder::plan(video, feed.audio.as_ref(), cores, history);
    if let Some(audio) = &mut plan.audio {
        // The publisher's own sound has that name.
        audio.rungs.retain(|rung| Some(rung.rendition) != sound);
    }
    plan.audio.take_if(|audio| audio.rungs.is_empty());
    plan
}

impl Working {
    fn begin(&mut self, rendition: RenditionName, track: LiveTrack) -> Result<Came, FormatError> {
        let (track, kind, bps) = match track {
            LiveTrack::Video { avcc, width, height } => {
                let (frame_rate, bps) = self.rung(rendition);
                let config = VideoConfig::Avc(avcc);
                let track = VideoTrack { width, height, timescale: FEED_TIMESCALE, config, colour: None };
                (Track::Video(track), RenditionKind::Video { width, height, frame_rate }, bps)
            }
            LiveTrack::Audio { asc, sample_rate, channels } => {
                self.sounds.insert(rendition, SoundClock::aac(sample_rate));
                let config = AudioConfig::Aac(asc);
                let track = AudioTrack { channels, sample_rate, config, priming: 0 };
                (Track::Audio(track), RenditionKind::Audio { channels, sample_rate }, self.sound(rendition))
            }
        };
        let (init, codecs, timescale) = (init_segment(&track)?, track.codecs()?, track.timescale());
        let bandwidth = Bandwidth { peak_bps: bps, average_bps: bps };
        Ok(Came::Format(rendition, Format { init, codecs, timescale, kind }, bandwidth))
    }

    /// The frame rate of a rung, and what it does not exceed.
    fn rung(&self, name: RenditionName) -> (Ratio, u64) {
        let video = self.plan.video.as_ref();
        let rung = video.and_then(|video| video.rungs.iter().find(|rung| rung.rendition == name));
        match (video, rung) {
            (Some(video), Some(rung)) => {
                let Ratio { num, den } = video.frame_rate;
                let rate = Ratio::new(num, den * rung.frame_divisor.max(1));
                // Of a segment of two seconds that begins with a full buffer, and its boxes.
                let peak = u64::from(rung.maxrate_bps) + u64::from(rung.bufsize_bits) / 2 + 4_000;
                (rate, peak)
            }
            _ => (Ratio::new(30, 1), 0),
        }
    }

    fn sound(&self, name: RenditionName) -> u64 {
        let audio = self.plan.audio.as_ref();
        let sound = audio.and_then(|audio| audio.rungs.iter().find(|sound| sound.rendition == name));
        // Four bytes of boxes for a frame, and the frames of a constant rate vary a bit.
        sound.map_or(0, |sound| u64::from(sound.bit_rate_bps) * 21 / 20 + 2_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_cells_that_end_soon_after_each_other_are_waited_for() {
        let mut ended = 0;
        for (worked_s, waited_ms) in [(3600, 0), (0, 500), (5, 1000), (6, 0), (6, 0), (60, 0), (1, 500)] {
            ended = ended_after(ended, Duration::from_secs(worked_s));
            assert_eq!(restart_after(ended).as_millis(), waited_ms, "after {worked_s} s");
        }
    }
}
