//! The coded pictures of an MP4 as its tables list them: whether each stands on its place of an even
//! grid, and which could begin a segment. Nothing is decoded.

use std::io;

use cmaf::{Configuration, SampleTable, StoredSample, Track, VideoConfig, VideoTrack};
use model::cell::{Copyable, Ratio};

use crate::boxes;
use crate::h264::{self, ParameterSets};
use crate::media::Media;

/// How far from its place on the grid a picture may be, as a part of a second.
const TOLERANCE: i128 = 1000;
/// The most pictures that a film's end may lack or lose: as many as H.264 reorders (§A.3.1).
const MAX_LOST: usize = Copyable::MAX_LOST as usize;

/// The longest set of parameters that is read: its length in a record has 16 bits.
const MAX_SET: u64 = 1 << 16;

/// Pictures of an even rate without a gap, none shown twice.
///
/// A film that was cut where it was decoded, and not where it is shown, lacks pictures before its
/// last ones. These are left out.
pub(crate) struct Coded {
    table: SampleTable,
    /// Which frame of the film each is.
    shown: Vec<u32>,
    frame_rate: Ratio,
}

impl Coded {
    /// Reads the tables of a track; `None` if its pictures are not such.
    pub(crate) fn read(media: &mut Media, track: u32) -> io::Result<Option<Self>> {
        Ok(boxes::sample_table(media, track)?.and_then(|mut table| {
            let (shown, frame_rate) = places(&table)?;
            table.samples.truncate(shown.len());
            Some(Self { table, shown, frame_rate })
        }))
    }

    /// How many pictures there are.
    pub(crate) fn len(&self) -> u64 {
        self.shown.len() as u64
    }

    /// The picture that is decoded as the `n`th, and which frame of the film it is.
    pub(crate) fn get(&self, n: u64) -> Option<(StoredSample, u64)> {
        let n = usize::try_from(n).ok()?;
        Some((*self.table.samples.get(n)?, u64::from(*self.shown.get(n)?)))
    }

    /// What a plan has to know of them, if there is one set of parameters for all and they begin with
    /// an IDR picture; `None`, too, if it would take too long to look at all that could be one.
    pub(crate) fn copyable(&self, media: &mut Media, track: u32) -> io::Result<Option<Copyable>> {
        let Some(avcc) = normal(&self.table.configuration) else { return Ok(None) };
        let Some(sets) = ParameterSets::of(&avcc) else { return Ok(None) };
        let (cuts, bytes) = self.cuts();
        if cuts.len() > Copyable::MAX_IDRS {
            return Ok(None);
        }
        let offsets: Vec<u64> = cuts.iter().map(|cut| cut.sample.offset).collect();
        let mut idrs = Vec::new();
        let seen_all = media.look_at(&offsets, |media, number| {
            let Cut { frame, before, sample } = &cuts[number];
            let kind = kind_of(media, sample, &sets)?;
            if kind == Kind::Idr {
                idrs.push((*frame, *before));
            }
            Ok(kind != Kind::OtherSets)
        })?;
        if !seen_all {
            return Ok(None);
        }
        let found = Copyable { track, avcc, frame_rate: self.frame_rate, frames: self.len(), bytes, idrs };
        Ok(Some(found).filter(|found| found.idrs.first().is_some_and(|(frame, _)| *frame == 0)))
    }

    /// The pictures that are said to be key frames and before which everything is shown that is
    /// stored before them, and the bytes of all pictures.
    fn cuts(&self) -> (Vec<Cut>, u64) {
        let (mut cuts, mut bytes, mut latest) = (Vec::new(), 0, None);
        for (n, (sample, shown)) in (0u64..).zip(self.table.samples.iter().zip(&self.shown)) {
            if sample.sync && u64::from(*shown) == n && latest < Some(*shown) {
                cuts.push(Cut { frame: n, before: bytes, sample: *sample });
            }
            latest = latest.max(Some(*shown));
            bytes += u64::from(sample.size);
        }
        (cuts, bytes)
    }
}

/// Where a film may be cut, if the picture there is an IDR picture.
struct Cut {
    /// Its number, where it is decoded and where it is shown.
    frame: u64,
    /// Bytes of all pictures before it.
    before: u64,
    sample: StoredSample,
}

/// Which frame of the film each sample is, up to the last that has all before it, and how many are
/// shown in a second. `None` if the times are not even, or an edit list leaves pictures out.
fn places(table: &SampleTable) -> Option<(Vec<u32>, Ratio)> {
    let samples = &table.samples;
    let (start, end) = (samples.first()?.dts, samples.last()?.dts);
    let steps = i128::try_from(samples.len()).ok()? - 1;
    let (span, scale) = (i128::from(end) - i128::from(start), i128::from(table.timescale));
    if steps < 1 || span < steps {
        return None;
    }
    let first = samples.iter().map(|sample| sample.pts).min()?;
    // Behind this the edit list would begin with the second picture.
    let trimmed = table.start.map_or(0, |start| i128::from(start) - i128::from(first));
    if 2 * trimmed * steps > span {
        return None;
    }
    let mut is_taken = vec![false; samples.len() + MAX_LOST];
    let place = |sample: &StoredSample| {
        let at = i128::from(sample.pts) - i128::from(first);
        let n = (2 * at * steps + span) / (2 * span);
        let is_near = (at * steps - n * span).abs() * TOLERANCE <= scale * steps;
        let is_free = is_near && !std::mem::replace(is_taken.get_mut(usize::try_from(n).ok()?)?, true);
        is_free.then_some(n as u32)
    };
    let mut shown = samples.iter().map(place).collect::<Option<Vec<_>>>()?;
    let (mut whole, mut latest) = (0, 0);
    for (count, n) in (1..).zip(&shown) {
        latest = latest.max(*n as usize);
        whole = if latest + 1 == count { count } else { whole };
    }
    if whole + MAX_LOST < shown.len() {
        return None;
    }
    shown.truncate(whole);
    Some((shown, ratio(steps * scale, span)))
}

/// A fraction in small terms; of great ones the last bits do not matter.
fn ratio(num: i128, den: i128) -> Ratio {
    let (mut a, mut b) = (num, den);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    let (mut num, mut den) = (num / a.max(1), den / a.max(1));
    while num.max(den) > i128::from(u32::MAX) {
        (num, den) = (num >> 1, den >> 1);
    }
    Ratio::new(num as u32, den.max(1) as u32)
}

/// The configuration record as our boxes write it; `None` if they cannot.
fn normal(configuration: &Configuration) -> Option<Vec<u8>> {
    let Configuration::Avc(avcc) = configuration else { return None };
    let config = VideoConfig::Avc(avcc.clone());
    let track = VideoTrack { width: 2, height: 2, timescale: 1, config, colour: None };
    let init = cmaf::init_segment(&Track::Video(track)).ok()?;
    match cmaf::read_init(&init).ok()? {
        Track::Video(VideoTrack { config: VideoConfig::Avc(avcc), .. }) => Some(avcc),
        _ => None,
    }
}

/// What a sample holds that is said to be a key frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A picture behind which nothing refers to what is before it.
    Idr,
    /// A picture behind which something may.
    Other,
    /// Other sets of parameters than those of the track.
    OtherSets,
}

fn kind_of(media: &mut Media, sample: &StoredSample, sets: &ParameterSets<'_>) -> io::Result<Kind> {
    let (mut at, end) = (sample.offset, sample.offset + u64::from(sample.size));
    while at < end {
        let head = media.peek(at, sets.length_size + 1)?;
        let Some((unit, length)) = sets.unit(&head).filter(|(_, length)| *length > 0) else { break };
        let start = at + sets.length_size as u64;
        at = start.saturating_add(length);
        match unit {
            h264::IDR_SLICE => return Ok(Kind::Idr),
            1..h264::IDR_SLICE => return Ok(Kind::Other),
            h264::SPS | h264::PPS
                if length > MAX_SET || !sets.holds(&media.peek(start, length as usize)?) =>
            {
                return Ok(Kind::OtherSets);
            }
            _ => {}
        }
    }
    Ok(Kind::Other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(timescale: u32, start: Option<u64>, samples: Vec<StoredSample>) -> SampleTable {
        SampleTable { timescale, configuration: Configuration::Avc(Vec::new()), start, samples }
    }

    /// Where samples stand that are decoded every `step` ticks and shown at these moments.
    fn placed(
        timescale: u32,
        start: Option<u64>,
        step: i64,
        times: &[i64],
    ) -> Option<(Vec<u32>, (u32, u32))> {
        let sample =
            |(dts, pts): (i64, &i64)| StoredSample { offset: 0, size: 1, dts, pts: *pts, sync: true };
        let samples = (0..).map(|n| n * step).zip(times).map(sample).collect();
        let (shown, rate) = places(&table(timescale, start, samples))?;
        Some((shown, (rate.num, rate.den)))
    }

    #[test]
    fn even_pictures_have_places_in_the_order_in_which_they_are_shown() {
        let reordered = [2002, 5005, 3003, 4004, 6006];
        let film = Some((vec![0, 3, 1, 2, 4], (30_000, 1001)));
        assert_eq!(placed(30_000, Some(2002), 1001, &reordered), film);
        assert_eq!(placed(12_800, None, 512, &[0, 512, 1024]), Some((vec![0, 1, 2], (25, 1))));
        // Rounded to milliseconds.
        let rounded: Vec<i64> = (0..300).map(|n| (n * 125 + 1) / 3).collect();
        let sample = |pts: &i64| StoredSample { offset: 0, size: 1, dts: *pts, pts: *pts, sync: true };
        let samples = rounded.iter().map(sample).collect();
        let (shown, rate) = places(&table(1000, None, samples)).unwrap();
        assert_eq!(shown, (0..300).collect::<Vec<_>>());
        assert!((rate.as_f64() - 24.0).abs() < 0.001, "{rate:?}");
    }

    #[test]
    fn gaps_doubles_drift_and_trimmed_pictures_have_none() {
        let gap: Vec<i64> = (0..40).map(|n| 40 * n + if n < 20 { 0 } else { 40 }).collect();
        for (times, start, why) in [
            (&gap[..], None, "a gap"),
            (&[0, 40, 40, 120], None, "a double"),
            (&[0, 40, 85, 120], None, "a picture 5 ms late"),
            (&[0, 40, 80, 120], Some(40), "the first is trimmed"),
            (&[0], None, "one picture has no rate"),
            (&[], None, "nothing"),
        ] {
            assert_eq!(placed(1000, start, 40, times), None, "{why}");
        }
        assert_eq!(placed(1000, None, 0, &[0, 0]), None, "no time at all");
        assert!(placed(1000, Some(19), 40, &[0, 40, 80, 120]).is_some(), "less than half a picture");
    }

    #[test]
    fn what_a_careless_cut_leaves_behind_a_hole_is_left_out() {
        // Of the last group 40, 42 and 43 were cut off.
        let mut times: Vec<i64> = (0..40).map(|n| 40 * n).collect();
        times.extend([44 * 40, 41 * 40]);
        let (shown, rate) = placed(1000, None, 40, &times).unwrap();
        assert_eq!((shown, rate), ((0..40).collect(), (25, 1)));
    }

    #[test]
    fn great_terms_lose_their_last_bits_only() {
        let Ratio { num, den } = ratio(90_000 * 107_999, 323_672_999);
        assert!((f64::from(num) / f64::from(den) - 90_000.0 * 107_999.0 / 323_672_999.0).abs() < 1e-6);
        assert_eq!(ratio(60_000, 2002), Ratio::new(30_000, 1001));
    }
}
