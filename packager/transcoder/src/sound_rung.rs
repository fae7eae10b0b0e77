//! One sound rendition: resample, encode, cut.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;

use cmaf::{AudioConfig, AudioTrack};
use model::SegmentGrid;
use model::cell::{AudioPlan, AudioRung, Reply};

use crate::error::{CellError, Result};
use crate::libav::{Sound, SoundFormat};
use crate::reply::{Replies, Track};
use crate::sound_encoder::SoundEncoder;
use crate::sound_segments::SoundSegments;

const FRAME: u64 = AudioPlan::FRAME as u64;

/// A decoded piece of sound; its timestamp counts samples of its own rate from the film's zero.
pub(crate) struct Piece {
    pub(crate) sound: Sound,
    pub(crate) format: SoundFormat,
    /// The output sample up to which there is silence before it, where that is long.
    pub(crate) silent_until: Option<u64>,
}

/// One rendition at work, on a thread of its own.
pub(crate) struct SoundRung<'a> {
    plan: &'a AudioPlan,
    encoder: SoundEncoder,
    segments: SoundSegments<'a>,
    replies: &'a Replies,
    track: Track,
}

/// Opens a rendition's encoder and announces it.
pub(crate) fn announce(plan: &AudioPlan, rung: &AudioRung, replies: &Replies) -> Result<SoundEncoder> {
    let encoder = SoundEncoder::open(plan.sample_rate, rung.channels, rung.bit_rate_bps, plan.samples)?;
    let track = AudioTrack {
        channels: encoder.channels(),
        sample_rate: plan.sample_rate,
        config: AudioConfig::Aac(encoder.asc()),
        priming: encoder.priming(),
    };
    let init = cmaf::init_segment(&cmaf::Track::Audio(track))?;
    replies.send(&Reply::Init { rendition: rung.rendition }, &init)?;
    Ok(encoder)
}

impl<'a> SoundRung<'a> {
    pub(crate) fn open(
        grid: &'a SegmentGrid,
        plan: &'a AudioPlan,
        rung: &AudioRung,
        replies: &'a Replies,
    ) -> Result<Self> {
        Ok(Self {
            plan,
            encoder: announce(plan, rung, replies)?,
            segments: SoundSegments::new(grid, plan, rung, replies),
            replies,
            track: replies.track(),
        })
    }

    /// Takes pieces until there are no more and, if the source is over then, fills the track up and
    /// says how many samples of it there were.
    pub(crate) fn run(mut self, pieces: Receiver<Piece>, is_over: &AtomicBool) -> Result<u64> {
        for Piece { sound, format, silent_until } in pieces {
            if let Some(sample) = silent_until {
                self.encoder.flush()?;
                self.drain()?;
                self.be_silent_until(sample)?;
            }
            self.encoder.put(sound, format)?;
            self.drain()?;
        }
        if !is_over.load(Ordering::Acquire) {
            return Err(CellError::Stopped);
        }
        self.encoder.flush()?;
        let length = self.encoder.resampled().min(self.plan.samples);
        self.be_silent_until(self.plan.samples)?;
        // The last frame is filled up; a track of nothing is one frame of silence, so that the
        // rendition exists.
        self.encoder.fill_up()?;
        self.encoder.finish()?;
        self.drain()?;
        self.segments.finish()?;
        self.replies.end(self.track)?;
        Ok(length)
    }

    /// Silence of hours is cut as it is made.
    fn be_silent_until(&mut self, sample: u64) -> Result<()> {
        while self.encoder.resampled() < sample.min(self.plan.samples) {
            self.encoder.be_silent_until(sample.min(self.encoder.resampled() + FRAME))?;
            self.drain()?;
        }
        Ok(())
    }

    fn drain(&mut self) -> Result<()> {
        while let Some(coded) = self.encoder.next() {
            self.segments.push(coded.bytes.data().unwrap_or_default())?;
            let heard = self.segments.total().saturating_sub(1) * FRAME;
            self.replies.advance(self.track, heard * 1000 / u64::from(self.plan.sample_rate.max(1)))?;
        }
        Ok(())
    }
}
