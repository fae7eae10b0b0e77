//! The sound of a feed: one decode, and per rendition one continuous encode whose frames are counted,
//! on the feed's clock.

use std::collections::VecDeque;
use std::sync::mpsc::Receiver;

use ffmpeg_next::Error;
use ffmpeg_next::decoder::Opened;
use model::cell::AudioPlan;
use model::cell::live::{LiveAudio, LiveReply, LiveSound, LiveTrack, MAX_SILENCE};
use model::feed::{FEED_TIMESCALE, FeedTrack};

use super::{Fed, decoding};
use crate::error::{CellError, Result};
use crate::libav::{Sound, SoundFormat};
use crate::reply::Replies;
use crate::sound_encoder::SoundEncoder;

const FRAME: i64 = AudioPlan::FRAME as i64;
const SECOND: i64 = FEED_TIMESCALE as i64;
/// Ticks by which timestamps may differ from the count of samples before they are believed: containers
/// round to milliseconds.
const JITTER: i64 = SECOND / 200;
/// Ticks of a pause that is one: more than a frame of any codec that a feed has. What is shorter is
/// a clock that drifts, and the resampler follows it.
const PAUSE: i64 = SECOND / 20;

/// The way from packets to the renditions.
pub(super) struct SoundWay<'a> {
    decoder: Opened,
    clock: Option<Clock>,
    voices: Vec<Voice<'a>>,
    damaged: u64,
    replies: &'a Replies,
}

/// Where the next sample is expected.
#[derive(Debug, Clone, Copy)]
struct Clock {
    format: SoundFormat,
    /// What was heard up to now ends then, in ticks,
    end: i64,
    /// by a count of samples since this moment: ticks are not fine enough to add up.
    since: i64,
    samples: i64,
}

/// What happens before some sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// It follows what came before, or nearly.
    Nothing,
    /// There is silence before it.
    Silence,
    /// It is too far away for that: it is told to be so.
    Leap,
    /// It is too late to be heard.
    Late,
}

impl Clock {
    fn new(format: SoundFormat, since: i64) -> Self {
        Self { format, end: since, since, samples: 0 }
    }

    /// What to do before sound that says it is heard at `said`.
    fn before(&self, said: i64) -> Before {
        match said.saturating_sub(self.end) {
            gap if gap <= -SECOND => Before::Late,
            gap if gap > MAX_SILENCE => Before::Leap,
            gap if gap > PAUSE => Before::Silence,
            _ => Before::Nothing,
        }
    }

    /// When sound that says it is heard at `said` is: then, or where the last ended.
    fn place(&self, said: i64) -> i64 {
        if said.abs_diff(self.end) > JITTER as u64 { said } else { self.end }
    }

    /// The clock behind `samples` of sound at `at`.
    fn after(self, format: SoundFormat, at: i64, samples: i64) -> Self {
        let is_same = self.format == format && at == self.end;
        let from = if is_same { self } else { Self::new(format, at) };
        let samples = from.samples + samples;
        Self { end: from.since + ticks(samples, format.sample_rate.into()), samples, ..from }
    }
}

/// Ticks of so many samples, to the nearest.
fn ticks(samples: i64, rate: i64) -> i64 {
    scale(samples, SECOND, rate)
}

/// `value * num / den`, to the nearest.
fn scale(value: i64, num: i64, den: i64) -> i64 {
    let (product, den) = (i128::from(value) * i128::from(num), i128::from(den.max(1)));
    i64::try_from((2 * product + den).div_euclid(2 * den)).unwrap_or(i64::MAX)
}

impl<'a> SoundWay<'a> {
    /// Opens all, and announces the renditions.
    pub(super) fn open(plan: &'a LiveAudio, replies: &'a Replies) -> Result<Self> {
        let decoder = decoding::open(&plan.config)?;
        let open = |rung| Voice::open(plan, rung, replies);
        let voices = plan.rungs.iter().map(open).collect::<Result<_>>()?;
        Ok(Self { decoder, clock: None, voices, damaged: 0, replies })
    }

    /// Encodes what is fed until it ends.
    pub(super) fn run(mut self, fed: Receiver<Fed>) -> Result<()> {
        for fed in fed {
            let sent = decoding::packet(&fed).map(|packet| self.decoder.send_packet(&packet));
            self.damaged += u64::from(!matches!(sent, Some(Ok(()))));
            self.decode()?;
            let passed = LiveReply::Passed { track: FeedTrack::Audio, dts: fed.dts, damaged: self.damaged };
            self.replies.send(&passed, &[])?;
        }
        let _ = self.decoder.send_eof();
        self.decode()?;
        self.voices.iter_mut().try_for_each(Voice::finish)
    }

    fn decode(&mut self) -> Result<()> {
        loop {
            let mut sound = Sound::empty();
            match self.decoder.receive_frame(sound.frame()) {
                Ok(()) => self.place(sound)?,
                Err(Error::Eof | Error::Other { errno: libc::EAGAIN }) => return Ok(()),
                // Each call takes a packet's worth of damage out of the decoder, so this ends.
                Err(_) => self.damaged += 1,
            }
        }
    }

    /// Gives a sound its place on the feed's clock and passes it on.
    fn place(&mut self, sound: Sound) -> Result<()> {
        let (format, samples) = (sound.format(), sound.samples() as i64);
        if format.sample_rate <= 0 || format.channels <= 0 || samples == 0 {
            self.damaged += 1;
            return Ok(());
        }
        let said = sound.timestamp();
        let clock = self.clock.unwrap_or_else(|| Clock::new(format, said.unwrap_or(0)));
        let said = said.unwrap_or(clock.end);
        let before = clock.before(said);
        if before == Before::Late {
            self.damaged += 1;
            return Ok(());
        }
        let at = clock.place(said);
        self.clock = Some(clock.after(format, at, samples));
        self.voices.iter_mut().try_for_each(|voice| voice.take(&sound, format, at, before))
    }
}

/// One rendition.
struct Voice<'a> {
    rung: &'a LiveSound,
    sample_rate: i64,
    encoder: SoundEncoder,
    /// From which sample on ticks count from which: the last that counts for what comes out, and those
    /// behind it.
    anchors: VecDeque<(i64, i64)>,
    /// Coded frames so far; the first is the encoder's priming.
    frames: i64,
    replies: &'a Replies,
}

impl<'a> Voice<'a> {
    fn open(plan: &LiveAudio, rung: &'a LiveSound, replies: &'a Replies) -> Result<Self> {
        let encoder = SoundEncoder::open(plan.sample_rate, rung.channels, rung.bit_rate_bps, u64::MAX)?;
        let (asc, channels) = (encoder.asc(), encoder.channels());
        let track = LiveTrack::Audio { asc, sample_rate: plan.sample_rate, channels };
        replies.send(&LiveReply::Init { rendition: rung.rendition, track }, &[])?;
        let (sample_rate, anchors) = (plan.sample_rate.into(), VecDeque::new());
        Ok(Self { rung, sample_rate, encoder, anchors, frames: 0, replies })
    }

    /// Takes sound that is heard at `at`.
    fn take(&mut self, sound: &Sound, format: SoundFormat, at: i64, before: Before) -> Result<()> {
        let mut sound = sound.share().map_err(CellError::libav("share sound"))?;
        if matches!(before, Before::Silence | Before::Leap) {
            self.encoder.flush()?;
        }
        if before == Before::Silence {
            self.encoder.be_silent_until(self.sample_at(at).max(0) as u64)?;
        }
        if before == Before::Leap {
            // Coded frames are whole, so the leap is between two of them.
            self.encoder.fill_up()?;
        }
        if self.anchors.is_empty() || before == Before::Leap {
            self.anchors.push_back((self.encoder.resampled() as i64, at));
        }
        // The filters count in samples of what comes, from where the track's first is.
        sound.set_pts(scale(self.sample_at(at), format.sample_rate.into(), self.sample_rate));
        self.encoder.put(sound, format)?;
        self.drain()
    }

    /// Which sample is heard at a moment, by the latest anchor.
    fn sample_at(&self, at: i64) -> i64 {
        let (sample, start) = self.anchors.back().copied().unwrap_or((0, at));
        sample + scale(at - start, self.sample_rate, SECOND)
    }

    /// When a sample of what comes out is heard.
    fn time_of(&self, sample: i64) -> i64 {
        let (from, start) = self.anchors.front().copied().unwrap_or((0, 0));
        start + ticks(sample - from, self.sample_rate)
    }

    fn drain(&mut self) -> Result<()> {
        while let Some(coded) = self.encoder.next() {
            let sample = (self.frames - 1) * FRAME;
            self.frames += 1;
            while self.anchors.get(1).is_some_and(|(from, _)| *from <= sample) {
                self.anchors.pop_front();
            }
            let (dts, end) = (self.time_of(sample), self.time_of(sample + FRAME));
            let duration = u32::try_from(end - dts).unwrap_or(0);
            let rendition = self.rung.rendition;
            let reply = LiveReply::Packet { rendition, dts, cts_offset: 0, key: true, duration };
            self.replies.send(&reply, coded.bytes.data().unwrap_or_default())?;
        }
        Ok(())
    }

    /// Says what is left; nothing, if nothing came.
    fn finish(&mut self) -> Result<()> {
        if self.anchors.is_empty() {
            return Ok(());
        }
        self.encoder.flush()?;
        self.encoder.fill_up()?;
        self.encoder.finish()?;
        self.drain()
    }
}
