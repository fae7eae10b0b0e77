//! The sound of a film: one decode, and per rendition one continuous encode of the whole track, on
//! a thread of its own. Sound is never encoded in pieces: pieces click and drift. A rendition that is
//! copied keeps pace with the decoder.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use ffmpeg_next::decoder::Opened;
use ffmpeg_next::{Error, Packet, Rational};
use model::FailureReason;
use model::cell::{AudioPlan, EncodePlan, Ratio, Reply};

use crate::damage::Damage;
use crate::error::{CellError, Result};
use crate::grid::Seconds;
use crate::input::{Input, Next};
use crate::libav::{Sound, SoundFormat};
use crate::reply::Replies;
use crate::sound_copy::SoundCopy;
use crate::sound_rung::{Piece, SoundRung};
use crate::zero::zero_of;

const FRAME: u64 = AudioPlan::FRAME as u64;
/// Pieces of sound on their way to an encoder: a second or two.
const PIECES: usize = 64;
/// Parts of a second by which timestamps may differ from the count of samples before they are
/// believed: containers round to milliseconds.
const JITTER: u32 = 200;

/// Encodes a film's sound and says `Done`.
pub(crate) fn sound(mut input: Input, plan: &EncodePlan, replies: &Replies) -> Result<()> {
    let nothing = || CellError::refused(FailureReason::Internal, "a plan without sound");
    let audio = plan.audio.as_ref().ok_or_else(nothing)?;
    let zero = zero_of(&input, plan)?;
    input.read_only(audio.stream);
    let stream = input.stream(audio.stream)?;
    let (decoder, time_base) = (input.decoder(&stream, "1")?, stream.time_base());
    let damage = Damage::default();
    let copied = audio.rungs.iter().find_map(|rung| Some((rung, rung.copied.as_ref()?)));
    let copy = |(rung, coded)| {
        let media = input.again().map_err(CellError::Read)?;
        SoundCopy::open(media, (&plan.grid, audio), rung, coded, replies)
    };
    let copy = copied.map(copy).transpose()?;
    // Whether the source has come to its end, and not only to where it cannot be read.
    let is_over = AtomicBool::new(false);
    let (missing_ms, ended) = thread::scope(|scope| {
        let (mut lanes, mut rungs) = (Vec::new(), Vec::new());
        for rung in audio.rungs.iter().filter(|rung| rung.copied.is_none()) {
            let rung = SoundRung::open(&plan.grid, audio, rung, replies)?;
            let (sender, pieces) = sync_channel(PIECES);
            rungs.push(sender);
            let is_over = &is_over;
            lanes.push(scope.spawn(move || rung.run(pieces, is_over)));
        }
        let mut way = Way {
            decoder,
            time_base,
            zero,
            plan: audio,
            damage: &damage,
            expected: None,
            missing_ms: 0,
            rungs,
            copy,
        };
        let read = way.run(&mut input).map(|()| way.missing_ms);
        is_over.store(read.is_ok(), Ordering::Release);
        drop(way);
        lanes.into_iter().fold(read.map(|missing_ms| (missing_ms, u64::MAX)), |read, lane| {
            let ended = lane.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            match (read, ended) {
                (Ok((missing_ms, end)), Ok(own)) => Ok((missing_ms, end.min(own))),
                // Those that were stopped by another say nothing.
                (Ok(_) | Err(CellError::Stopped), Err(error)) => Err(error),
                (read, _) => read,
            }
        })
    })?;
    let millis = |samples: u64| samples * 1000 / u64::from(audio.sample_rate.max(1));
    // What fills up the last coded frame was never there.
    let missing = Some(audio.samples.saturating_sub(ended)).filter(|missing| *missing >= FRAME);
    let missing_ms = missing_ms + millis(missing.unwrap_or(0));
    let duration_ms = millis(audio.samples).saturating_sub(missing_ms);
    replies.send(&Reply::Done { duration_ms, damaged: damage.total(), missing_ms }, &[])
}

/// The way from packets to the renditions.
struct Way<'a> {
    decoder: Opened,
    time_base: Rational,
    /// The moment that is heard as 0.
    zero: Seconds,
    plan: &'a AudioPlan,
    damage: &'a Damage,
    /// Where the next sound is expected, in samples of its own rate, and the damage so far.
    expected: Option<(SoundFormat, i64, u64)>,
    /// Length of what could not be decoded.
    missing_ms: u64,
    rungs: Vec<SyncSender<Piece>>,
    copy: Option<SoundCopy<'a>>,
}

impl Way<'_> {
    fn run(&mut self, input: &mut Input) -> Result<()> {
        loop {
            match input.next()? {
                Next::Packet(packet) if packet.stream() == self.plan.stream as usize => self.take(&packet)?,
                Next::Packet(_) => {}
                Next::Damaged => self.damage.count(true),
                Next::End => {
                    let _ = self.decoder.send_eof();
                    self.decode()?;
                    return self.copy.take().map_or(Ok(()), SoundCopy::finish);
                }
            }
        }
    }

    fn take(&mut self, packet: &Packet) -> Result<()> {
        self.damage.count(packet.is_corrupt());
        self.damage.count(self.decoder.send_packet(packet).is_err());
        self.decode()
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
            Some((of, next, _)) if of == format => Some(next),
            // Another rate: count on from the same moment.
            Some((of, next, _)) => Some(next * i64::from(rate) / i64::from(of.sample_rate.max(1))),
            None => None,
        };
        let at = match (said, follows) {
            (Some(said), Some(next)) if said.abs_diff(next) > u64::from(rate / JITTER) => said,
            (_, Some(next)) => next,
            (Some(said), None) => said,
            (None, None) => 0,
        };
        let before = follows.unwrap_or(0);
        let in_output = |sample: i64| {
            u128::from(sample.max(0) as u64) * u128::from(self.plan.sample_rate) / u128::from(rate)
        };
        // Sound that says it is heard a second before what was heard last is not; nor is any
        // behind the film's end.
        let is_late = at + i64::from(rate) < before;
        if is_late || in_output(at) >= self.plan.samples.into() {
            self.damage.count(is_late);
            return Ok(());
        }
        let gap = at - before;
        let damage = self.damage.total();
        if gap > 0 && damage > self.expected.map_or(0, |(.., damage)| damage) {
            self.missing_ms += gap as u64 * 1000 / u64::from(rate);
        }
        self.expected = Some((format, at + length, damage));
        sound.set_pts(at);
        // The resampler would hold all of a long gap in memory.
        let silent_until = (gap > i64::from(rate)).then(|| in_output(at) as u64);
        for rung in &self.rungs {
            let sound = sound.share().map_err(CellError::libav("share sound"))?;
            rung.send(Piece { sound, format, silent_until }).map_err(|_| CellError::Stopped)?;
        }
        self.copy.as_mut().map_or(Ok(()), |copy| copy.copy_until(in_output(at + length) as u64))
    }
}
