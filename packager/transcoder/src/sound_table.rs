//! The coded sound of an MP4 as its tables list it: AAC frames, one behind the other. Nothing is
//! decoded.

use std::io;

use cmaf::{AacLc, Configuration, SampleTable};
use model::cell::{AudioPlan, CodedSound};

use crate::boxes;
use crate::media::Media;

const FRAME: i64 = AudioPlan::FRAME as i64;
/// Bytes of a frame per channel at most: what the decoder's buffer holds (ISO/IEC 14496-3 §4.5.3.1).
const MAX_FRAME: u32 = 768;
/// The longest configuration that is copied: a plain one has two bytes, or five.
const MAX_ASC: usize = 16;
/// Frames that are looked into: about as many reads as for pictures,
const LOOKED_AT: usize = 2000;
/// and where each is a request to a store.
const LOOKED_AT_FROM_AFAR: usize = 64;
/// Seconds that count as the busiest: half a segment, the shortest that a peak rate is measured of.
const BUSY_S: u32 = 2;

/// AAC-LC frames of one length without a gap.
pub(crate) struct SoundTable {
    /// Where each begins, and its bytes.
    frames: Vec<(u64, u32)>,
    asc: Vec<u8>,
    form: AacLc,
}

impl SoundTable {
    /// Reads the tables of a track; `None` if its sound is not such.
    pub(crate) fn read(media: &mut Media, track: u32) -> io::Result<Option<Self>> {
        Ok(boxes::sample_table(media, track)?.and_then(Self::of))
    }

    fn of(table: SampleTable) -> Option<Self> {
        let Configuration::Aac(asc) = table.configuration else { return None };
        let form = AacLc::read(&asc).filter(|form| form.sample_rate == table.timescale)?;
        let max = MAX_FRAME * u32::from(form.channels);
        let is_plain = table
            .samples
            .iter()
            .zip(0..)
            .all(|(sample, n)| (sample.dts, sample.pts) == (n * FRAME, n * FRAME) && sample.size <= max);
        let frames = table.samples.iter().map(|sample| (sample.offset, sample.size)).collect();
        (is_plain && asc.len() <= MAX_ASC).then_some(Self { frames, asc, form })
    }

    /// What its frames decode to.
    pub(crate) fn form(&self) -> AacLc {
        self.form
    }

    /// With which sample the frame begins that is stored at `offset`.
    pub(crate) fn sample_at(&self, offset: u64) -> Option<i64> {
        let n = self.frames.iter().position(|(at, _)| *at == offset)?;
        Some(n as i64 * FRAME)
    }

    /// How many frames there are.
    pub(crate) fn len(&self) -> i64 {
        self.frames.len() as i64
    }

    /// The bytes of frame `n`: silence before the first; `None` behind the last.
    pub(crate) fn get(&self, media: &mut Media, n: i64) -> io::Result<Option<Vec<u8>>> {
        let Ok(n) = usize::try_from(n) else { return Ok(Some(silence(self.form.channels).to_vec())) };
        let Some((offset, size)) = self.frames.get(n) else { return Ok(None) };
        let bytes = media.peek(*offset, *size as usize)?;
        if bytes.len() == *size as usize { Ok(Some(bytes)) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// What a plan has to know of it, if this sample is heard at the film's zero and what its frames
    /// begin with is sound; `None`, too, if it would take too long to look at enough of them.
    pub(crate) fn copyable(
        &self,
        media: &mut Media,
        track: u32,
        zero: i64,
    ) -> io::Result<Option<CodedSound>> {
        let first = zero.div_euclid(FRAME) - 1;
        let start = usize::try_from(first).unwrap_or(0);
        let Some(heard) = self.frames.get(start..).filter(|heard| !heard.is_empty()) else { return Ok(None) };
        let most = if media.is_far() { LOOKED_AT_FROM_AFAR } else { LOOKED_AT };
        let looked_at = heard.iter().step_by(heard.len().div_ceil(most));
        let looked_at: Vec<u64> = looked_at.map(|(offset, _)| *offset).collect();
        let channels = self.form.channels;
        let is_sound = media.look_at(&looked_at, |media, number| {
            Ok(begins_with_sound(&media.peek(looked_at[number], 1)?, channels))
        })?;
        if !is_sound {
            return Ok(None);
        }
        let sizes: Vec<u32> = heard.iter().map(|(_, size)| *size).collect();
        let busy = self.form.sample_rate * BUSY_S / AudioPlan::FRAME;
        Ok(Some(CodedSound {
            track,
            asc: self.asc.clone(),
            first,
            priming: (FRAME + zero.rem_euclid(FRAME)) as u32,
            frames: self.len().saturating_sub(first).unsigned_abs(),
            peak_bps: self.rate(&sizes, busy as usize),
            average_bps: self.rate(&sizes, sizes.len()),
        }))
    }

    /// The greatest rate of at least so many frames in a row, in bit/s.
    fn rate(&self, sizes: &[u32], count: usize) -> u64 {
        let ends: Vec<u64> = std::iter::once(0)
            .chain(sizes.iter().scan(0, |sum, size| {
                *sum += u64::from(*size);
                Some(*sum)
            }))
            .collect();
        let count = count.clamp(1, sizes.len().max(1));
        // Those of more than twice as many consist of shorter ones, of which one is as busy.
        let lengths = count..(2 * count).min(sizes.len() + 1);
        let rate = |frames: usize| {
            let bytes = ends.iter().zip(ends.iter().skip(frames)).map(|(start, end)| end - start).max();
            let bits = 8 * u128::from(bytes.unwrap_or(0)) * u128::from(self.form.sample_rate);
            bits.div_ceil(frames as u128 * FRAME as u128) as u64
        };
        lengths.map(rate).max().unwrap_or(0)
    }
}

/// Elements of a frame (`id_syn_ele`, ISO/IEC 14496-3 table 4.85): one channel, two, words, filling.
const SINGLE: u8 = 0;
const PAIR: u8 = 1;
const DATA: u8 = 4;
const FILL: u8 = 6;

/// Whether a frame may begin so.
fn begins_with_sound(bytes: &[u8], channels: u16) -> bool {
    let own = if channels == 1 { SINGLE } else { PAIR };
    bytes.first().is_some_and(|byte| [own, DATA, FILL].contains(&(byte >> 5)))
}

/// A frame without any sound, as players put them into gaps: one band, and nothing in it.
const fn silence(channels: u16) -> &'static [u8] {
    if channels == 1 {
        &[0x00, 0xc8, 0x00, 0x80, 0x23, 0x80]
    } else {
        &[0x21, 0x00, 0x49, 0x90, 0x02, 0x19, 0x00, 0x23, 0x80]
    }
}

#[cfg(test)]
mod tests;
