//! How long a film really is: what its header says is a claim.
//!
//! Containers with an index are read from their last key frame on, which costs a moment and shows
//! that the end is there; all others, and those whose end is not where the header says, are read
//! whole, without decoding.

use std::collections::BTreeMap;

use ffmpeg_next::{Packet, Rational, packet::side_data};
use model::FailureReason;

use crate::error::{CellError, Result};
use crate::grid::{Belief, Seconds};
use crate::input::{Input, Next};
use crate::libav;

/// Containers, by libav's names, that say where their last key frame is.
const INDEXED: [&str; 2] = ["mp4", "matroska"];
/// Behind the end of any film.
const END: Seconds = Seconds { num: 30 * 86_400, den: 1 };
/// Of a hundred parts of the declared length, by how many the found one may differ.
const TOLERANCE_PERCENT: u64 = 2;
/// Of a hundred parts of what an index lists, how many must be there.
const WHOLE_PERCENT: u64 = 90;

/// Where the streams of a film end.
#[derive(Debug, Default)]
pub(crate) struct Ends(BTreeMap<u32, Seconds>);

impl Ends {
    /// When a stream ends, in microseconds from the film's zero.
    pub(crate) fn micros(&self, stream: u32, zero: Seconds) -> u64 {
        let end = self.0.get(&stream).map_or(0, |end| end.minus(zero).in_ticks(1, 1_000_000));
        u64::try_from(end).unwrap_or(0)
    }

    /// When the last of them ends, in milliseconds from the film's zero.
    pub(crate) fn longest_ms(&self, zero: Seconds) -> u64 {
        self.0.keys().map(|stream| self.micros(*stream, zero) / 1000).max().unwrap_or(0)
    }
}

/// Finds the ends of `streams`, the first of which is the one to seek by.
///
/// # Errors
/// `Truncated` when the file ends long before its end.
pub(crate) fn measure(mut input: Input, streams: &[u32], zero: Seconds) -> Result<Ends> {
    let declared_ms = declared_ms(&input, streams, zero)?;
    let is_indexed = input.container.format().name().split(',').any(|name| INDEXED.contains(&name));
    if let Some(first) = streams.first().filter(|_| is_indexed) {
        let base = input.stream(*first)?.time_base();
        if input.seek(*first, END.in_ticks(base.numerator(), base.denominator()))? {
            let ends = read(&mut input, streams, zero, Belief { declared_ms: Some(u64::MAX) })?;
            let is_whole = streams.iter().all(|stream| ends.0.contains_key(stream));
            let found = ends.longest_ms(zero);
            let agrees = declared_ms
                .is_some_and(|declared| found.abs_diff(declared) * 100 <= declared * TOLERANCE_PERCENT);
            if is_whole && agrees {
                return Ok(ends);
            }
        }
    }
    // Others have read on from the beginning by now.
    let mut input = input.restart()?;
    let ends = read(&mut input, streams, zero, Belief { declared_ms })?;
    let (found, promised) = (ends.longest_ms(zero), declared_ms.unwrap_or(0));
    if input.is_cut() && found < promised / 100 * WHOLE_PERCENT {
        let detail = format!("{found} ms of {promised} ms are there");
        return Err(CellError::refused(FailureReason::Truncated, detail));
    }
    Ok(ends)
}

/// Reads packets to the end of the file and notes the latest end of each stream.
fn read(input: &mut Input, streams: &[u32], zero: Seconds, belief: Belief) -> Result<Ends> {
    let mut clocks: BTreeMap<u32, Clock> = BTreeMap::new();
    for index in streams {
        let stream = input.stream(*index)?;
        clocks.insert(*index, Clock::of(&stream));
    }
    let mut ends = Ends::default();
    let mut last_ms = 0;
    loop {
        let packet = match input.next()? {
            Next::Packet(packet) => packet,
            Next::Damaged => continue,
            Next::End => break,
        };
        let index = packet.stream() as u32;
        let Some((at, end)) = clocks.get_mut(&index).and_then(|clock| clock.times(&packet)) else { continue };
        let millis = |moment: Seconds| u64::try_from(moment.minus(zero).as_millis()).unwrap_or(0);
        if !belief.takes(last_ms, millis(at)) {
            continue;
        }
        last_ms = last_ms.max(millis(at));
        // A duration is a timestamp too.
        let end = if belief.takes(last_ms, millis(end)) { end } else { at };
        let latest = ends.0.entry(index).or_insert(end);
        if latest.is_before(end) {
            *latest = end;
        }
    }
    for (index, end) in &mut ends.0 {
        *end = clocks.get(index).map_or(*end, |clock| end.plus(clock.lag()));
    }
    Ok(ends)
}

/// How a stream counts time.
struct Clock {
    base: Rational,
    /// Ticks of a frame whose packet does not say how long it is shown.
    frame: i64,
    /// By how many frames pictures are shown later than they are decoded.
    delay: i64,
    /// Whether packets only say when they are decoded, as in AVI.
    is_untimed: bool,
    /// Ticks at which the container says that the stream ends.
    declared_end: Option<i64>,
    is_sound: bool,
    sample_rate: i64,
}

impl Clock {
    fn of(stream: &ffmpeg_next::Stream<'_>) -> Self {
        let (base, rate) = (stream.time_base(), stream.avg_frame_rate());
        let frame = Seconds::of(rate.denominator().into(), 1, rate.numerator().max(1));
        let start = Some(stream.start_time()).filter(|start| *start != ffmpeg_next::ffi::AV_NOPTS_VALUE);
        let parameters = stream.parameters();
        Self {
            base,
            frame: frame.in_ticks(base.numerator(), base.denominator()),
            delay: libav::picture_delay(&parameters).into(),
            is_untimed: false,
            declared_end: Some(stream.duration())
                .filter(|duration| *duration > 0)
                .zip(start)
                .map(|(duration, start)| start.saturating_add(duration)),
            is_sound: parameters.medium() == ffmpeg_next::media::Type::Audio,
            sample_rate: libav::SoundShape::of(&parameters).sample_rate.max(1).into(),
        }
    }

    /// When a packet begins and ends to be seen or heard.
    fn times(&mut self, packet: &Packet) -> Option<(Seconds, Seconds)> {
        let duration = if packet.duration() > 0 { packet.duration() } else { self.frame };
        self.is_untimed |= packet.pts().is_none();
        let at = packet.pts().or(packet.dts())?;
        let mut end = at.saturating_add(duration);
        if self.is_sound {
            end = self.heard(packet, at, end);
        }
        let seconds = |ticks| Seconds::of(ticks, self.base.numerator(), self.base.denominator());
        Some((seconds(at), seconds(end)))
    }

    /// How much later than its last packet says the stream ends.
    fn lag(&self) -> Seconds {
        let ticks = if self.is_untimed { self.delay.saturating_mul(self.frame) } else { 0 };
        Seconds::of(ticks, self.base.numerator(), self.base.denominator())
    }

    /// Where the sound of a packet ends that is partly padding.
    fn heard(&self, packet: &Packet, at: i64, end: i64) -> i64 {
        if let Some(declared) = self.declared_end.filter(|declared| (at + 1..end).contains(declared)) {
            return declared;
        }
        // Samples to be dropped at the end: the second of two numbers.
        let padding = packet
            .side_data()
            .find(|data| data.kind() == side_data::Type::SkipSamples)
            .and_then(|data| Some(u32::from_le_bytes(data.data().get(4..8)?.try_into().ok()?)))
            .unwrap_or(0);
        let padding = Seconds::of(padding.into(), 1, self.sample_rate as i32);
        (end - padding.in_ticks(self.base.numerator(), self.base.denominator())).max(at)
    }
}

/// How long the file says that it is, in milliseconds from the film's zero, if it says so and not
/// only guesses: the greatest of what it lists and what its headers claim for these streams.
fn declared_ms(input: &Input, streams: &[u32], zero: Seconds) -> Result<Option<u64>> {
    if libav::duration_is_guessed(&input.container) {
        return Ok(None);
    }
    let whole = u64::try_from(input.container.duration() / 1000).ok().filter(|ms| *ms > 0);
    let mut listed = None;
    for index in streams {
        let stream = input.stream(*index)?;
        let base = stream.time_base();
        let last = libav::last_indexed(&stream)
            .map(|ticks| Seconds::of(ticks, base.numerator(), base.denominator()))
            .and_then(|last| u64::try_from(last.minus(zero).as_millis()).ok());
        listed = listed.max(last);
    }
    Ok(whole.max(listed))
}
