use bytes::{Bytes, BytesMut};
use cmaf::{CmafError, Sample, part_head, segment_head};
use live::{Begun, Part};
use model::RenditionName;

/// A coded frame on the clock of its rendition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Decode time in ticks.
    pub(crate) time: u64,
    /// Presentation minus decode time in ticks.
    pub(crate) cts_offset: i32,
    /// Whether decoding can start here.
    pub(crate) key: bool,
    /// Its bytes, never none.
    pub(crate) data: Bytes,
}

/// What becomes of the frames of one rendition, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Made {
    /// A segment begins.
    Begun(Begun),
    /// It has a further part, with these bytes; none in a gap.
    Part(Part, Bytes),
    /// It is closed, and these are its bytes as one; none of a gap.
    Closed(Bytes),
}

/// Of their target parts last as much at least, if they are not the last of their segment (§4.4.4.9).
const LEAST_PERCENT: u64 = 85;

/// One rendition on its way into parts and segments.
///
/// A frame lasts until the next one, so the last is held until that is known.
#[derive(Debug)]
pub(crate) struct Lane {
    name: RenditionName,
    timescale: u32,
    /// No part lasts longer, in ticks; without one a segment is one part.
    part_target: Option<u64>,
    begun: Option<Begun>,
    /// Whether anything was made of it.
    is_shown: bool,
    held: Option<Frame>,
    /// The frames of the segment so far, and of its parts.
    samples: Vec<(Sample, Bytes)>,
    /// How many of them are in parts already.
    parted: usize,
    /// Decode time behind the last of them.
    end: u64,
    /// How long the last frame lasted.
    usual: u32,
    /// Numbers fragments, as `mfhd` wants it.
    sequence: u32,
    made: Vec<Made>,
}

impl Lane {
    /// A rendition of which nothing is there yet.
    pub(crate) fn new(name: RenditionName, timescale: u32, part_target_ms: Option<u32>) -> Self {
        let part_target = part_target_ms.map(|ms| u64::from(ms) * u64::from(timescale) / 1000);
        Self {
            name,
            timescale,
            part_target,
            begun: None,
            is_shown: false,
            held: None,
            samples: Vec::new(),
            parted: 0,
            end: 0,
            usual: 1,
            sequence: 0,
            made: Vec::new(),
        }
    }

    pub(crate) fn name(&self) -> RenditionName {
        self.name
    }

    /// The segment that grows.
    pub(crate) fn begun(&self) -> Option<&Begun> {
        self.begun.as_ref()
    }

    /// Decode time behind its last frame, which most likely lasts as long as the one before it.
    pub(crate) fn expected_end(&self) -> u64 {
        self.held.as_ref().map_or(self.end, |held| held.time + u64::from(self.usual))
    }

    /// Whether the segment has a frame.
    pub(crate) fn has_frames(&self) -> bool {
        self.held.is_some() || !self.samples.is_empty()
    }

    /// What was made since the last call.
    pub(crate) fn take(&mut self) -> Vec<Made> {
        std::mem::take(&mut self.made)
    }

    /// A segment begins; nobody hears of it before it has a part.
    pub(crate) fn begin(&mut self, begun: Begun) {
        (self.begun, self.is_shown) = (Some(begun), false);
        self.end = begun.start;
    }

    /// The segment that grows, of which nothing was made, is to be another one.
    pub(crate) fn abandon(&mut self) {
        debug_assert!(!self.is_shown && !self.has_frames());
        self.begun = None;
    }

    /// The next frame, which begins when the one before it ends.
    ///
    /// # Errors
    /// When a value does not fit its box.
    pub(crate) fn push(&mut self, frame: Frame) -> Result<(), CmafError> {
        debug_assert!(self.begun.is_some() && !frame.data.is_empty());
        self.let_go(frame.time)?;
        self.held = Some(frame);
        Ok(())
    }

    /// A segment without anything lasts longer, in a gap.
    pub(crate) fn pass(&mut self, duration: u32) {
        self.end += u64::from(duration);
        self.show();
        // A gap has parts of at most their target, too (§4.4.4.9).
        let mut rest = u64::from(duration);
        while rest > 0 {
            let lasts = rest.min(self.part_target.unwrap_or(rest).max(1));
            rest -= lasts;
            let duration = u32::try_from(lasts).unwrap_or(u32::MAX);
            let part = Part { duration, size_bytes: 0, independent: false };
            self.made.push(Made::Part(part, Bytes::new()));
        }
    }

    /// The segment ends at `time`. If nothing came, it is a gap.
    ///
    /// # Errors
    /// When a value does not fit its box.
    pub(crate) fn close(&mut self, time: u64) -> Result<(), CmafError> {
        let Some(mut begun) = self.begun else { return Ok(()) };
        self.let_go(time)?;
        self.part()?;
        if !self.is_shown {
            begun.gap = true;
            self.begun = Some(begun);
            self.pass(u32::try_from(time.saturating_sub(begun.start)).unwrap_or(u32::MAX));
        }
        self.begun = None;
        self.parted = 0;
        let samples = std::mem::take(&mut self.samples);
        if samples.is_empty() {
            self.made.push(Made::Closed(Bytes::new()));
            return Ok(());
        }
        let bytes = assemble(self.sequence, begun.start, &samples)?;
        self.made.push(Made::Closed(bytes));
        Ok(())
    }

    /// The segment ends where it is, if anybody has heard of it.
    ///
    /// # Errors
    /// When a value does not fit its box.
    pub(crate) fn end(&mut self) -> Result<(), CmafError> {
        if self.is_shown { self.close(self.expected_end()) } else { Ok(()) }
    }

    /// Lets go of the frame that is held: it lasts until `time`.
    fn let_go(&mut self, time: u64) -> Result<(), CmafError> {
        let Some(Frame { time: mut start, mut cts_offset, key, data }) = self.held.take() else {
            return Ok(());
        };
        let mut duration = u32::try_from(time.saturating_sub(start)).unwrap_or(u32::MAX).max(1);
        let size = u32::try_from(data.len()).unwrap_or(u32::MAX);
        if self.lacks_room_for(duration) {
            let later = self.fill(duration.saturating_sub(self.usual), cts_offset);
            (start, duration) = (start + u64::from(later), duration - later);
            cts_offset = cts_offset.saturating_sub_unsigned(later).max(0.min(cts_offset));
            self.part()?;
        }
        self.samples.push((Sample { size, duration, cts_offset, sync: key }, data));
        (self.end, self.usual) = (start + u64::from(duration), duration);
        // The next one will most likely last as long.
        if self.lacks_room_for(duration) && self.parting() >= self.least() {
            self.part()?;
        }
        Ok(())
    }

    /// How long the part is so far.
    fn parting(&self) -> u64 {
        self.samples[self.parted..].iter().map(|(sample, _)| u64::from(sample.duration)).sum()
    }

    /// How long a part lasts at least that is not the last of its segment.
    fn least(&self) -> u64 {
        self.part_target.map_or(0, |target| (target * LEAST_PERCENT).div_ceil(100))
    }

    fn lacks_room_for(&self, duration: u32) -> bool {
        let lasts = self.parting();
        lasts > 0 && self.part_target.is_some_and(|target| lasts + u64::from(duration) > target)
    }

    /// A part ends before a frame that lasts too long for it. So that it is not too short itself
    /// (§4.4.4.9), its last frame takes up to `most` of the next one's time, which is decoded later.
    /// Returns by how much: not at all if pictures were shown in another order then.
    fn fill(&mut self, most: u32, cts_offset: i32) -> u32 {
        let lacking = u32::try_from(self.least().saturating_sub(self.parting())).unwrap_or(u32::MAX);
        let is_in_order = self.samples.iter().all(|(sample, _)| sample.cts_offset == cts_offset);
        let can_wait = is_in_order || i64::from(cts_offset) >= i64::from(lacking);
        match self.samples.last_mut() {
            Some((sample, _)) if lacking <= most && can_wait => {
                sample.duration += lacking;
                lacking
            }
            _ => 0,
        }
    }

    /// Ends the part.
    fn part(&mut self) -> Result<(), CmafError> {
        let Some(begun) = self.begun else { return Ok(()) };
        let (before, samples) = self.samples.split_at(self.parted);
        if samples.is_empty() {
            return Ok(());
        }
        let start = begun.start + ticks(before);
        self.sequence += 1;
        let bytes = assemble(self.sequence, start, samples)?;
        let part = Part {
            duration: u32::try_from(ticks(samples)).unwrap_or(u32::MAX),
            size_bytes: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            independent: samples.iter().any(|(sample, _)| sample.sync),
        };
        self.parted = self.samples.len();
        self.show();
        self.made.push(Made::Part(part, bytes));
        Ok(())
    }

    fn show(&mut self) {
        if let Some(begun) = self.begun.filter(|_| !self.is_shown) {
            self.is_shown = true;
            self.made.push(Made::Begun(begun));
        }
    }

    /// Ticks per second.
    pub(crate) fn timescale(&self) -> u32 {
        self.timescale
    }
}

fn ticks(samples: &[(Sample, Bytes)]) -> u64 {
    samples.iter().map(|(sample, _)| u64::from(sample.duration)).sum()
}

/// Head and payload of a fragment.
pub(super) fn assemble(sequence: u32, start: u64, samples: &[(Sample, Bytes)]) -> Result<Bytes, CmafError> {
    let described: Vec<Sample> = samples.iter().map(|(sample, _)| *sample).collect();
    let len = samples.iter().map(|(_, data)| data.len()).sum::<usize>();
    let head = match described.first() {
        Some(first) if first.sync => segment_head(sequence, start, &described, len)?,
        _ => part_head(sequence, start, &described, len)?,
    };
    let mut bytes = BytesMut::with_capacity(head.len() + len);
    bytes.extend_from_slice(&head);
    samples.iter().for_each(|(_, data)| bytes.extend_from_slice(data));
    Ok(bytes.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: RenditionName = RenditionName::Video { height: 360 };

    fn begun(msn: u32, start: u64) -> Begun {
        Begun { msn, start, init: 0, discontinuity: false, gap: false }
    }

    /// Parts of a segment of `frames` frames, each `tick` long: their durations in milliseconds.
    fn parts(frames: u64, tick: u64) -> Vec<u32> {
        let mut lane = Lane::new(NAME, 90_000, Some(350));
        lane.begin(begun(0, 0));
        for n in 0..frames {
            let data = Bytes::from_static(b"frame");
            lane.push(Frame { time: n * tick, cts_offset: 0, key: n == 0, data }).unwrap();
        }
        lane.close(frames * tick).unwrap();
        let part = |made: &Made| match made {
            Made::Part(part, _) => Some(part.duration / 90),
            _ => None,
        };
        lane.take().iter().filter_map(part).collect()
    }

    /// The publisher was cut off, or a picture was lost on the way.
    #[test]
    fn a_frame_that_lasts_long_leaves_no_part_too_short() {
        let durations = |lasts: &[u64], delay: i64| {
            let mut lane = Lane::new(NAME, 90_000, Some(350));
            lane.begin(begun(0, 0));
            let mut time = 0;
            for (n, ms) in lasts.iter().enumerate() {
                let data = Bytes::from_static(b"frame");
                lane.push(Frame { time, cts_offset: delay as i32 * 90, key: n == 0, data }).unwrap();
                time += ms * 90;
            }
            lane.close(time).unwrap();
            let mut parts = Vec::new();
            let mut at = 0;
            let mut shown = Vec::new();
            for made in lane.take() {
                let Made::Part(part, bytes) = made else { continue };
                parts.push(part.duration / 90);
                for sample in cmaf::read_part(&bytes).unwrap().samples {
                    assert!(sample.cts_offset >= 0);
                    shown.push((at + i64::from(sample.cts_offset)) / 90 - delay);
                    at += i64::from(sample.duration);
                }
            }
            let expected: Vec<i64> =
                (0..lasts.len()).map(|n| lasts[..n].iter().sum::<u64>() as i64).collect();
            assert!(delay == 0 || shown == expected, "each is shown when it was to be: {shown:?}");
            parts
        };
        let usual = |count: usize| vec![33; count];
        assert_eq!(durations(&[usual(8), vec![133]].concat(), 200), [297, 99]);
        assert_eq!(durations(&[usual(8), vec![133]].concat(), 0), [297, 99]);
        assert_eq!(durations(&[usual(4), vec![133], usual(6)].concat(), 200), [331, 132]);
        assert_eq!(durations(&[usual(4), vec![133], usual(6)].concat(), 0), [331, 132]);
        assert_eq!(durations(&[usual(3), vec![300], usual(6)].concat(), 200), [297, 299]);
        assert_eq!(durations(&[usual(3), vec![300], usual(6)].concat(), 0), [297, 299]);
        // Nothing is to be had of frames that all last as long.
        assert_eq!(durations(&[200, 200, 200], 200), [200, 200, 200]);
        assert_eq!(durations(&[200, 200, 200], 0), [200, 200, 200]);
    }

    #[test]
    fn parts_last_nearly_their_target_at_every_usual_rate() {
        for (fps_milli, expected) in [
            (24_000, 333),
            (23_976, 333),
            (25_000, 320),
            (30_000, 333),
            (29_970, 333),
            (50_000, 340),
            (60_000, 350),
            (15_000, 333),
            (10_000, 300),
        ] {
            let frames = 2 * fps_milli / 1000;
            let parts = parts(frames, 90_000_000 / fps_milli);
            let (last, whole) = parts.split_last().unwrap();
            assert!(
                whole.iter().all(|ms| (expected - 1..=expected + 1).contains(ms)),
                "{fps_milli}: {parts:?}"
            );
            assert!(*last <= 350, "{fps_milli}: {parts:?}");
        }
    }

    #[test]
    fn parts_hold_exactly_the_samples_of_their_segment() {
        let mut lane = Lane::new(NAME, 90_000, Some(350));
        lane.begin(begun(4, 900_000));
        for n in 0..60u64 {
            let data = Bytes::from(vec![n as u8; 10 + n as usize]);
            let cts_offset = if n % 3 == 0 { 0 } else { 3000 };
            lane.push(Frame { time: 900_000 + n * 3000, cts_offset, key: n == 0, data }).unwrap();
        }
        lane.close(900_000 + 60 * 3000).unwrap();
        let made = lane.take();
        let Some(Made::Closed(whole)) = made.last() else { panic!("{made:?}") };
        let segment = cmaf::read_segment(whole).unwrap();
        assert_eq!((segment.base_decode_time, segment.samples.len()), (900_000, 60));
        let payload: Vec<u8> = (0..60u8).flat_map(|n| vec![n; 10 + usize::from(n)]).collect();
        assert_eq!(whole[segment.payload], payload);
        let parts: Vec<&Bytes> = made
            .iter()
            .filter_map(|made| if let Made::Part(_, bytes) = made { Some(bytes) } else { None })
            .collect();
        assert_eq!(parts.len(), 6);
        // The first can be read as a segment; of the others the ends must fit.
        let first = cmaf::read_segment(parts[0]).unwrap();
        assert_eq!(first.samples[..], segment.samples[..10]);
        let held: Vec<u8> = parts.iter().flat_map(|part| part[part.len() - 10..].to_vec()).collect();
        assert_eq!(held.chunks(10).map(|part| part[0]).collect::<Vec<_>>(), [9, 19, 29, 39, 49, 59]);
    }

    #[test]
    fn a_long_gap_has_parts_of_their_usual_length() {
        let mut lane = Lane::new(NAME, 90_000, Some(350));
        lane.begin(begun(0, 0));
        lane.close(180_000).unwrap();
        let lasting = |made: Made| if let Made::Part(part, _) = made { Some(part.duration) } else { None };
        let parts: Vec<u32> = lane.take().into_iter().filter_map(lasting).collect();
        assert_eq!(parts, [31_500, 31_500, 31_500, 31_500, 31_500, 22_500]);
    }

    #[test]
    fn a_gap_has_parts_without_bytes() {
        let mut lane = Lane::new(NAME, 90_000, Some(350));
        lane.begin(Begun { gap: true, ..begun(0, 0) });
        lane.pass(30_000);
        lane.pass(30_000);
        lane.close(0).unwrap();
        let nothing = Part { duration: 30_000, size_bytes: 0, independent: false };
        let expected = [
            Made::Begun(Begun { gap: true, ..begun(0, 0) }),
            Made::Part(nothing, Bytes::new()),
            Made::Part(nothing, Bytes::new()),
            Made::Closed(Bytes::new()),
        ];
        assert_eq!(lane.take(), expected);
        assert_eq!(lane.expected_end(), 60_000);
        // Nothing came.
        lane.begin(begun(1, 60_000));
        lane.close(90_000).unwrap();
        let made = lane.take();
        assert_eq!(made[0], Made::Begun(Begun { gap: true, ..begun(1, 60_000) }));
        assert_eq!(made[1..], [Made::Part(nothing, Bytes::new()), Made::Closed(Bytes::new())]);
    }
}
