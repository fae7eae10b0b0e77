//! One sound rendition: resample, encode, cut.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;

use cmaf::AudioTrack;
use ffmpeg_next::ChannelLayout;
use model::SegmentGrid;
use model::cell::{AudioPlan, AudioRung, Reply};

use crate::error::{CellError, Result};
use crate::filter;
use crate::libav::{Chain, Encoder, Medium, Sound, SoundFormat};
use crate::reply::{Replies, Track};
use crate::sound_segments::SoundSegments;

const FRAME: usize = AudioPlan::FRAME as usize;
/// Bit/s from which the quick search for quantisers is as good as the slow one: its noise lies 1 dB
/// higher against what masks it at 32k mono, and alike at 64k and 128k stereo, for half the time.
const QUICK_FROM_BPS: u32 = 48_000;

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
    channels: usize,
    /// The graph that sound of this format goes through.
    chain: Option<(SoundFormat, Chain)>,
    /// Resampled sound that does not fill a frame yet, per channel.
    pending: Vec<Vec<f32>>,
    /// Samples that came out of the resampler, and how many went to the encoder.
    resampled: u64,
    encoded: u64,
    encoder: Encoder,
    segments: SoundSegments<'a>,
    replies: &'a Replies,
    track: Track,
}

/// Opens a rendition's encoder and announces it.
pub(crate) fn announce(plan: &AudioPlan, rung: &AudioRung, replies: &Replies) -> Result<Encoder> {
    let channels = rung.channels.clamp(1, 2);
    let bit_rate = rung.bit_rate_bps.to_string();
    let coder = if rung.bit_rate_bps < QUICK_FROM_BPS { "twoloop" } else { "fast" };
    let options = [("b", bit_rate.as_str()), ("aac_coder", coder), ("flags", "+global_header")];
    let encoder = Encoder::audio("aac", plan.sample_rate, layout(channels.into()), &options)
        .map_err(CellError::libav("open the sound encoder"))?;
    let track = AudioTrack {
        channels,
        sample_rate: plan.sample_rate,
        asc: encoder.header(),
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
        let channels = rung.channels.clamp(1, 2).into();
        Ok(Self {
            plan,
            channels,
            chain: None,
            pending: vec![Vec::new(); channels],
            resampled: 0,
            encoded: 0,
            encoder: announce(plan, rung, replies)?,
            segments: SoundSegments::new(grid, plan, rung, replies),
            replies,
            track: replies.track(),
        })
    }

    /// Takes pieces until there are no more and, if the source is over then, fills the track up and
    /// says how many samples of it there were.
    pub(crate) fn run(mut self, pieces: Receiver<Piece>, is_over: &AtomicBool) -> Result<u64> {
        for piece in pieces {
            if let Some(sample) = piece.silent_until {
                self.flush_chain()?;
                self.be_silent_until(sample)?;
            }
            self.take(piece)?;
        }
        if !is_over.load(Ordering::Acquire) {
            return Err(CellError::Stopped);
        }
        self.flush_chain()?;
        let length = self.resampled.min(self.plan.samples);
        self.be_silent_until(self.plan.samples)?;
        // The last frame is filled up; a track of nothing is one frame of silence, so that the
        // rendition exists.
        if self.encoded == 0 || !self.pending[0].is_empty() {
            for plane in &mut self.pending {
                plane.resize(FRAME, 0.0);
            }
            self.encode_full_frames()?;
        }
        self.encoder.put(None).map_err(CellError::libav("finish the sound encoder"))?;
        self.drain_encoder()?;
        self.segments.finish()?;
        self.replies.end(self.track)?;
        Ok(length)
    }

    /// Takes decoded sound.
    fn take(&mut self, Piece { mut sound, format, .. }: Piece) -> Result<()> {
        if self.chain.as_ref().is_none_or(|(of, _)| *of != format) {
            self.flush_chain()?;
            let filters =
                filter::to_sound_rung(&format, self.plan.sample_rate, self.channels as u16, self.resampled);
            let chain = Chain::new(Medium::Sound, &filter::sound_source(&format), &filters, 1)
                .map_err(CellError::libav("build the sound's filters"))?;
            self.chain = Some((format, chain));
        }
        if let Some((_, chain)) = &mut self.chain {
            chain.put(sound.frame()).map_err(CellError::libav("resample sound"))?;
        }
        self.drain_chain()
    }

    fn be_silent_until(&mut self, sample: u64) -> Result<()> {
        while self.resampled < sample.min(self.plan.samples) {
            let length = (sample.min(self.plan.samples) - self.resampled).min(FRAME as u64) as usize;
            for plane in &mut self.pending {
                plane.resize(plane.len() + length, 0.0);
            }
            self.resampled += length as u64;
            self.encode_full_frames()?;
        }
        Ok(())
    }

    fn flush_chain(&mut self) -> Result<()> {
        if let Some((_, chain)) = &mut self.chain {
            chain.finish().map_err(CellError::libav("finish the sound's filters"))?;
        }
        self.drain_chain()?;
        self.chain = None;
        Ok(())
    }

    fn drain_chain(&mut self) -> Result<()> {
        loop {
            let Some((_, chain)) = &mut self.chain else { return Ok(()) };
            let mut sound = Sound::empty();
            if !chain.take(sound.frame()).map_err(CellError::libav("resample sound"))? {
                return Ok(());
            }
            // What is behind the planned end is not heard.
            let left =
                usize::try_from(self.plan.samples.saturating_sub(self.resampled)).unwrap_or(usize::MAX);
            for (channel, plane) in self.pending.iter_mut().enumerate() {
                plane.extend_from_slice(&sound.plane(channel)[..sound.samples().min(left)]);
            }
            self.resampled += sound.samples() as u64;
            self.encode_full_frames()?;
        }
    }

    fn encode_full_frames(&mut self) -> Result<()> {
        let full = self.pending[0].len() / FRAME;
        for index in 0..full {
            let frame = index * FRAME..(index + 1) * FRAME;
            let planes: Vec<&[f32]> = self.pending.iter().map(|plane| &plane[frame.clone()]).collect();
            let mut frame = Sound::of_planes(&planes, layout(self.channels));
            frame.set_pts(self.encoded as i64);
            self.encoder.put(Some(frame.frame())).map_err(CellError::libav("encode sound"))?;
            self.encoded += FRAME as u64;
            self.drain_encoder()?;
        }
        for plane in &mut self.pending {
            plane.drain(..full * FRAME);
        }
        Ok(())
    }

    fn drain_encoder(&mut self) -> Result<()> {
        while let Some(coded) = self.encoder.take().map_err(CellError::libav("encode sound"))? {
            self.segments.push(coded.bytes.data().unwrap_or_default())?;
            let heard = self.segments.total().saturating_sub(1) * FRAME as u64;
            self.replies.advance(self.track, heard * 1000 / u64::from(self.plan.sample_rate.max(1)))?;
        }
        Ok(())
    }
}

fn layout(channels: usize) -> ChannelLayout {
    if channels == 1 { ChannelLayout::MONO } else { ChannelLayout::STEREO }
}
