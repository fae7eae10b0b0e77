//! Decoded sound on its way to AAC: resampled, gathered into frames, encoded. Who uses it counts.

use std::collections::VecDeque;

use ffmpeg_next::ChannelLayout;
use model::cell::AudioPlan;

use crate::error::{CellError, Result};
use crate::filter;
use crate::libav::{Chain, Encoded, Encoder, Medium, Sound, SoundFormat};

const FRAME: usize = AudioPlan::FRAME as usize;
/// Bit/s from which the quick search for quantisers is as good as the slow one: its noise lies 1 dB
/// higher against what masks it at 32k mono, and alike at 64k and 128k stereo, for half the time.
const QUICK_FROM_BPS: u32 = 48_000;

/// One continuous encode.
pub(crate) struct SoundEncoder {
    sample_rate: u32,
    channels: usize,
    /// The graph that sound of this format goes through.
    chain: Option<(SoundFormat, Chain)>,
    /// Resampled sound that does not fill a frame yet, per channel.
    pending: Vec<Vec<f32>>,
    /// Samples that came out of the resampler, the silence between them included, at most so many,
    /// and how many of them went to the encoder.
    resampled: u64,
    most: u64,
    encoded: u64,
    encoder: Encoder,
    coded: VecDeque<Encoded>,
}

impl SoundEncoder {
    /// An encoder of one channel or two, at most so many samples of each.
    pub(crate) fn open(sample_rate: u32, channels: u16, bit_rate_bps: u32, most: u64) -> Result<Self> {
        let channels = usize::from(channels.clamp(1, 2));
        let bit_rate = bit_rate_bps.to_string();
        let coder = if bit_rate_bps < QUICK_FROM_BPS { "twoloop" } else { "fast" };
        let options = [("b", bit_rate.as_str()), ("aac_coder", coder), ("flags", "+global_header")];
        let encoder = Encoder::audio("aac", sample_rate, layout(channels), &options)
            .map_err(CellError::libav("open the sound encoder"))?;
        Ok(Self {
            sample_rate,
            channels,
            chain: None,
            pending: vec![Vec::new(); channels],
            resampled: 0,
            most,
            encoded: 0,
            encoder,
            coded: VecDeque::new(),
        })
    }

    /// The `AudioSpecificConfig`.
    pub(crate) fn asc(&self) -> Vec<u8> {
        self.encoder.header()
    }

    pub(crate) fn channels(&self) -> u16 {
        self.channels as u16
    }

    /// Samples that the encoder puts in front of the first real one.
    pub(crate) fn priming(&self) -> u32 {
        self.encoder.priming()
    }

    /// Samples so far, silence included.
    pub(crate) fn resampled(&self) -> u64 {
        self.resampled
    }

    /// Takes decoded sound, whose timestamp counts samples of its own rate.
    pub(crate) fn put(&mut self, mut sound: Sound, format: SoundFormat) -> Result<()> {
        if self.chain.as_ref().is_none_or(|(of, _)| *of != format) {
            self.flush()?;
            let filters =
                filter::to_sound_rung(&format, self.sample_rate, self.channels as u16, self.resampled);
            let chain = Chain::new(Medium::Sound, &filter::sound_source(&format), &filters, 1)
                .map_err(CellError::libav("build the sound's filters"))?;
            self.chain = Some((format, chain));
        }
        if let Some((_, chain)) = &mut self.chain {
            chain.put(sound.frame()).map_err(CellError::libav("resample sound"))?;
        }
        self.drain_chain()
    }

    /// Puts silence behind what came, up to this sample.
    pub(crate) fn be_silent_until(&mut self, sample: u64) -> Result<()> {
        let end = sample.min(self.most);
        while self.resampled < end {
            let length = (end - self.resampled).min(FRAME as u64) as usize;
            for plane in &mut self.pending {
                plane.resize(plane.len() + length, 0.0);
            }
            self.resampled += length as u64;
            self.encode_full_frames()?;
        }
        Ok(())
    }

    /// Takes what the resampler still holds out of it; the next sound gets another.
    pub(crate) fn flush(&mut self) -> Result<()> {
        if let Some((_, chain)) = &mut self.chain {
            chain.finish().map_err(CellError::libav("finish the sound's filters"))?;
        }
        self.drain_chain()?;
        self.chain = None;
        Ok(())
    }

    /// Fills the last frame up with silence, and encodes one of silence if there is none at all.
    pub(crate) fn fill_up(&mut self) -> Result<()> {
        if self.encoded == 0 || !self.pending[0].is_empty() {
            let missing = FRAME - self.pending[0].len();
            for plane in &mut self.pending {
                plane.resize(FRAME, 0.0);
            }
            self.resampled += missing as u64;
            self.encode_full_frames()?;
        }
        Ok(())
    }

    /// Has the encoder give what it still holds; nothing may be put into it any more.
    pub(crate) fn finish(&mut self) -> Result<()> {
        self.encoder.put(None).map_err(CellError::libav("finish the sound encoder"))?;
        self.drain_encoder()
    }

    /// The next coded frame, if there is one yet.
    pub(crate) fn next(&mut self) -> Option<Encoded> {
        self.coded.pop_front()
    }

    fn drain_chain(&mut self) -> Result<()> {
        loop {
            let Some((_, chain)) = &mut self.chain else { return Ok(()) };
            let mut sound = Sound::empty();
            if !chain.take(sound.frame()).map_err(CellError::libav("resample sound"))? {
                return Ok(());
            }
            // What is behind the planned end is not heard.
            let left = usize::try_from(self.most.saturating_sub(self.resampled)).unwrap_or(usize::MAX);
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
            self.coded.push_back(coded);
        }
        Ok(())
    }
}

fn layout(channels: usize) -> ChannelLayout {
    if channels == 1 { ChannelLayout::MONO } else { ChannelLayout::STEREO }
}
