use bytes::BytesMut;
use cmaf::Sample;
use live::Segment;

use crate::live::footage::Footage;

/// Segments that become one of a chunk: together they begin with a key frame.
pub(super) struct Joined {
    pub(super) span: (u32, u32),
    pub(super) base: u64,
    pub(super) samples: Vec<Sample>,
    pub(super) payload: BytesMut,
}

impl Joined {
    /// Its last sample lasts longer, also through segment `msn`. `false` if it would be too long: the
    /// ticks of a segment are a `u32`, half a day of 90 kHz.
    pub(super) fn wait(&mut self, msn: u32, ticks: u32) -> bool {
        let fits = u32::try_from(ticks_of(&self.samples) + u64::from(ticks)).is_ok();
        if let Some(sample) = self.samples.last_mut().filter(|_| fits) {
            sample.duration += ticks;
            self.span.1 = msn;
        }
        fits
    }

    /// Its first sample once more, which can be decoded by itself, for segment `msn` that begins at `base`.
    pub(super) fn again(&self, msn: u32, base: u64, ticks: u32) -> Self {
        let first = self.samples.first().map(|first| Sample { duration: ticks, ..*first });
        let len = first.map_or(0, |first| first.size as usize);
        let (samples, payload) = (first.into_iter().collect(), BytesMut::from(&self.payload[..len]));
        Self { span: (msn, msn), base, samples, payload }
    }

    /// The first segment of a chunk, behind `after`, with what the rendition lacks of the film in between:
    /// its first picture is there so much longer. Where the film broke meanwhile, that is a segment of its
    /// own for each piece.
    pub(super) fn behind(mut self, after: Option<u32>, footage: &Footage, timescale: u64) -> Vec<Self> {
        let mut lacking = footage.before(after, self.span.0);
        let late = lacking.pop().map_or(0, |msns| footage.ticks(&msns, timescale));
        let room = u64::from(u32::MAX).saturating_sub(ticks_of(&self.samples));
        let Some(first) = self.samples.first_mut() else { return vec![self] };
        let still = *first;
        first.duration += u32::try_from(room).unwrap_or(u32::MAX).min(late);
        let picture = BytesMut::from(self.payload.get(..still.size as usize).unwrap_or_default());
        let mut all = Vec::with_capacity(lacking.len() + 1);
        for msns in lacking {
            let duration = footage.ticks(&msns, timescale).max(1);
            let samples = vec![Sample { duration, ..still }];
            all.push(Self {
                span: (msns.start, msns.start),
                base: self.base,
                samples,
                payload: picture.clone(),
            });
            self.base += u64::from(duration);
        }
        all.push(self);
        all
    }
}

/// What lacks here the sample before lasts through, or the picture of its segment once more. How long that is.
pub(super) fn last_through(joined: &mut Vec<Joined>, segment: &Segment, end: u64) -> u64 {
    let Some(before) = joined.last_mut() else { return 0 };
    let (msn, ticks) = (segment.begun.msn, segment.duration);
    if !before.wait(msn, ticks) {
        let again = before.again(msn, end, ticks);
        joined.push(again);
    }
    ticks.into()
}

pub(super) fn ticks_of(samples: &[Sample]) -> u64 {
    samples.iter().map(|sample| u64::from(sample.duration)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_of_half_a_day_is_in_several_pieces() {
        let sample = |duration, size| Sample { size, duration, cts_offset: 0, sync: size == 2 };
        let mut before = Joined {
            span: (1, 1),
            base: 0,
            samples: vec![sample(3000, 2), sample(3000, 1)],
            payload: BytesMut::from(&b"abc"[..]),
        };
        assert!(before.wait(2, u32::MAX - 6000));
        assert!(!before.wait(3, 1));
        assert_eq!((before.span, ticks_of(&before.samples)), ((1, 2), u64::from(u32::MAX)));
        let again = before.again(3, u64::from(u32::MAX), 180_000);
        assert_eq!((again.span, again.base), ((3, 3), u64::from(u32::MAX)));
        assert_eq!((&again.samples[..], &again.payload[..]), (&[sample(180_000, 2)][..], &b"ab"[..]));
    }
}
