//! Sound from packets to segments: one decode, and per rung one continuous encode of the whole
//! track. Sound is never encoded in pieces: pieces click and drift.

use std::sync::mpsc::Receiver;

use cmaf::AudioTrack;
use ffmpeg_next::decoder::Opened;
use ffmpeg_next::{ChannelLayout, Error, Packet, Rational};
use model::FailureReason;
use model::cell::{AudioPlan, AudioRung, Ratio, Reply};

use crate::damage::Damage;
use crate::error::{CellError, Result};
use crate::filter;
use crate::grid::{Belief, Seconds};
use crate::libav::{Chain, Encoder, Medium, Sound, SoundFormat};
use crate::reply::{Replies, Track};
use crate::segments::Segments;

/// Samples of an AAC-LC frame (ISO/IEC 14496-3 §4.5.1.1).
const FRAME: usize = 1024;
/// Parts of a second by which timestamps may differ from the count of samples before they are
/// believed: containers round to milliseconds.
const JITTER: u32 = 200;

/// The sound lane, on a thread of its own.
pub(crate) struct SoundLane<'a> {
    decoder: Opened,
    time_base: Rational,
    /// The moment that is heard as 0.
    zero: Seconds,
    belief: Belief,
    max_ms: u64,
    damage: &'a Damage,
    /// Where the next sound is expected, in samples of its own rate.
    expected: Option<(SoundFormat, i64)>,
    rungs: Vec<SoundRung<'a>>,
}

impl<'a> SoundLane<'a> {
    #[expect(clippy::too_many_arguments, reason = "one caller, and each is a thing of its own")]
    pub(crate) fn open(
        decoder: Opened,
        time_base: Rational,
        zero: Seconds,
        belief: Belief,
        plan: &'a AudioPlan,
        max_ms: u64,
        damage: &'a Damage,
        replies: &'a Replies,
    ) -> Result<Self> {
        let rungs =
            plan.rungs.iter().map(|rung| SoundRung::open(plan, rung, replies)).collect::<Result<_>>()?;
        Ok(Self { decoder, time_base, zero, belief, max_ms, damage, expected: None, rungs })
    }

    /// Takes packets until there are no more, and gives the length of the sound in milliseconds.
    pub(crate) fn run(mut self, packets: Receiver<Packet>) -> Result<u64> {
        for packet in packets {
            self.damage.count(packet.is_corrupt());
            if self.decoder.send_packet(&packet).is_err() {
                self.damage.count(true);
            }
            self.decode()?;
        }
        let _ = self.decoder.send_eof();
        self.decode()?;
        self.rungs.into_iter().try_fold(0, |longest, rung| Ok(rung.finish()?.max(longest)))
    }

    fn decode(&mut self) -> Result<()> {
        loop {
            let mut sound = Sound::empty();
            match self.decoder.receive_frame(sound.frame()) {
                Ok(()) => self.place(sound)?,
                Err(Error::Eof | Error::Other { errno: libc::EAGAIN }) => return Ok(()),
                // Each call takes a packet's worth of damage out of the decoder, so this ends.
                Err(_) => self.damage.count(true),
            }
        }
    }

    /// Gives a sound its place on the track and passes it on.
    fn place(&mut self, mut sound: Sound) -> Result<()> {
        let format = sound.format();
        let length = sound.samples() as i64;
        if format.sample_rate <= 0 || format.channels <= 0 || length == 0 {
            self.damage.count(true);
            return Ok(());
        }
        let rate = format.sample_rate as u32;
        let (num, den) = (self.time_base.numerator(), self.time_base.denominator());
        let said = sound
            .timestamp()
            .map(|pts| Seconds::of(pts, num, den).minus(self.zero).in_frames(Ratio::new(rate, 1)));
        let follows = match self.expected {
            Some((of, next)) if of == format => Some(next),
            // Another rate: count on from the same moment.
            Some((of, next)) => Some(next * i64::from(rate) / i64::from(of.sample_rate.max(1))),
            None => None,
        };
        let at = match (said, follows) {
            (Some(said), Some(next)) if said.abs_diff(next) > u64::from(rate / JITTER) => said,
            (_, Some(next)) => next,
            (Some(said), None) => said,
            (None, None) => 0,
        };
        let millis = |sample: i64| sample.max(0) as u64 / u64::from(rate) * 1000;
        let before = follows.unwrap_or(0);
        // Sound that says it is heard a second before what was heard last is not.
        if at + i64::from(rate) < before || !self.belief.takes(millis(before), millis(at)) {
            self.damage.count(true);
            return Ok(());
        }
        if millis(at) > self.max_ms {
            let detail = format!("sound behind {} ms", self.max_ms);
            return Err(CellError::refused(FailureReason::TooLarge, detail));
        }
        let gap = at - before;
        self.expected = Some((format, at + length));
        sound.set_pts(at);
        for rung in &mut self.rungs {
            if gap > i64::from(rate) {
                rung.be_silent_until(
                    (at as i128 * i128::from(rung.plan.sample_rate) / i128::from(rate)) as u64,
                )?;
            }
            let shared = sound.share().map_err(CellError::libav("share sound"))?;
            rung.take(shared, format)?;
        }
        Ok(())
    }
}

/// One sound rendition.
struct SoundRung<'a> {
    plan: &'a AudioPlan,
    channels: usize,
    /// The graph that sound of this format goes through.
    chain: Option<(SoundFormat, Chain)>,
    /// Resampled sound that does not fill a frame yet, per channel.
    pending: Vec<Vec<f32>>,
    /// Samples that came out of the resampler, and of them how many went to the encoder.
    resampled: u64,
    encoded: u64,
    encoder: Encoder,
    segments: Segments<'a>,
    replies: &'a Replies,
    track: Track,
}

impl<'a> SoundRung<'a> {
    fn open(plan: &'a AudioPlan, rung: &AudioRung, replies: &'a Replies) -> Result<Self> {
        let channels = rung.channels.clamp(1, 2);
        let bit_rate = rung.bit_rate_bps.to_string();
        let options = [("b", bit_rate.as_str()), ("flags", "+global_header")];
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
        Ok(Self {
            plan,
            channels: channels.into(),
            chain: None,
            pending: vec![Vec::new(); channels.into()],
            resampled: 0,
            encoded: 0,
            encoder,
            segments: Segments::new(replies, rung.rendition, FRAME as u32, (0, 0)),
            replies,
            track: replies.track(plan.stream),
        })
    }

    /// Takes decoded sound.
    fn take(&mut self, mut sound: Sound, format: SoundFormat) -> Result<()> {
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

    /// Fills a long gap; the resampler would hold all of it in memory.
    fn be_silent_until(&mut self, sample: u64) -> Result<()> {
        self.flush_chain()?;
        while self.resampled < sample {
            let length = (sample - self.resampled).min(FRAME as u64) as usize;
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
            for (channel, plane) in self.pending.iter_mut().enumerate() {
                plane.extend_from_slice(sound.plane(channel));
            }
            self.resampled += sound.samples() as u64;
            self.encode_full_frames()?;
        }
    }

    fn encode_full_frames(&mut self) -> Result<()> {
        while self.pending[0].len() >= FRAME {
            let planes: Vec<&[f32]> = self.pending.iter().map(|plane| &plane[..FRAME]).collect();
            let mut frame = Sound::of_planes(&planes, layout(self.channels));
            frame.set_pts(self.encoded as i64);
            self.encoder.put(Some(frame.frame())).map_err(CellError::libav("encode sound"))?;
            self.encoded += FRAME as u64;
            for plane in &mut self.pending {
                plane.drain(..FRAME);
            }
            self.drain_encoder()?;
        }
        Ok(())
    }

    fn drain_encoder(&mut self) -> Result<()> {
        while let Some(coded) = self.encoder.take().map_err(CellError::libav("encode sound"))? {
            let place = self.segments.total();
            if place == self.segment_start(self.segments.number() + 1) {
                self.segments.cut()?;
            }
            self.segments.push(place, true, coded.bytes.data().unwrap_or_default())?;
            let heard = self.segments.total().saturating_sub(1) * FRAME as u64;
            self.replies.advance(self.track, heard * 1000 / u64::from(self.plan.sample_rate.max(1)))?;
        }
        Ok(())
    }

    /// The AAC frame with which a segment starts: the one that is heard nearest to the grid. The
    /// first frame of the track is priming, so frame `k` is heard from sample `(k - 1) * 1024`.
    fn segment_start(&self, number: u32) -> u64 {
        let samples = u64::from(number) * u64::from(self.plan.segment.num) * u64::from(self.plan.sample_rate);
        let den = u64::from(self.plan.segment.den.max(1)) * FRAME as u64;
        (2 * samples + den) / (2 * den) + 1
    }

    /// Encodes what is left and gives the length in milliseconds.
    fn finish(mut self) -> Result<u64> {
        self.flush_chain()?;
        let length = self.resampled;
        // The last frame is filled up; a track of which nothing could be decoded is one frame of
        // silence, so that the rendition exists.
        let rest = self.pending[0].len();
        if rest > 0 || self.encoded == 0 {
            for plane in &mut self.pending {
                plane.resize(FRAME, 0.0);
            }
            self.encode_full_frames()?;
        }
        self.encoder.put(None).map_err(CellError::libav("finish the sound encoder"))?;
        self.drain_encoder()?;
        self.segments.cut()?;
        self.replies.end(self.track)?;
        Ok(length * 1000 / u64::from(self.plan.sample_rate.max(1)))
    }
}

fn layout(channels: usize) -> ChannelLayout {
    if channels == 1 { ChannelLayout::MONO } else { ChannelLayout::STEREO }
}
