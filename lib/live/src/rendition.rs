use bytes::Bytes;
use model::RenditionName;
use serde::{Deserialize, Serialize};

use crate::{Position, Report};

/// The segments of one rendition, all from its first, and the parts of the one that grows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendition {
    pub(crate) name: RenditionName,
    pub(crate) timescale: u32,
    pub(crate) first_msn: u32,
    pub(crate) segments: Vec<Segment>,
    pub(crate) open: Option<OpenSegment>,
    pub(crate) ended: bool,
}

/// A segment that is closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// What was settled when it began.
    #[serde(flatten)]
    pub begun: Begun,
    /// Ticks that it lasts.
    pub duration: u32,
    /// Bytes of it as one; 0 for a gap.
    pub size_bytes: u32,
    /// Its parts, as long as they may be listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
}

/// A segment to which parts are still added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenSegment {
    /// What was settled when it began.
    #[serde(flatten)]
    pub begun: Begun,
    /// Its parts so far.
    pub parts: Vec<Part>,
}

/// What is settled when a segment begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// Its media sequence number, the same for the same time in all renditions.
    pub msn: u32,
    /// Decode time of its first sample, in ticks.
    pub start: u64,
    /// The number of the initialisation segment that it needs.
    pub init: u32,
    /// Whether its format or its timestamps have nothing to do with those before it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub discontinuity: bool,
    /// Whether there is nothing in it: the publisher was away, or its encoder was.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gap: bool,
}

/// A part of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Ticks that it lasts.
    pub duration: u32,
    /// Its bytes; 0 for a gap.
    pub size_bytes: u32,
    /// Whether a frame in it can be decoded without others.
    pub independent: bool,
}

/// What is new in a rendition since some position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// Segments that were closed since, or are unknown to whoever asks.
    pub closed: Vec<Segment>,
    /// The segment that grows, with all its parts.
    pub open: Option<OpenSegment>,
    /// Whether the event is over.
    pub ended: bool,
    /// Where the event's other renditions are.
    pub reports: Vec<Report>,
    /// The bytes of new parts, each with its segment and its number in it.
    #[serde(skip)]
    pub parts: Vec<(u32, u32, Bytes)>,
}

impl Rendition {
    /// A rendition whose first segment will be `first_msn`.
    pub fn new(name: RenditionName, timescale: u32, first_msn: u32) -> Self {
        Self { name, timescale, first_msn, segments: Vec::new(), open: None, ended: false }
    }

    /// Its name.
    pub fn name(&self) -> RenditionName {
        self.name
    }

    /// Ticks per second.
    pub fn timescale(&self) -> u32 {
        self.timescale
    }

    /// How far it is.
    pub fn position(&self) -> Position {
        let msn = self.first_msn + self.segments.len() as u32;
        Position { msn, parts: self.open.as_ref().map_or(0, |open| open.parts.len() as u32) }
    }

    /// The last segment and part, for the reports of other playlists.
    pub fn report(&self) -> Option<Report> {
        let (last_msn, last_part) = self.position().last(self.parts_of_previous())?;
        let is_there = last_msn >= self.first_msn;
        let last_closed = self.segments.last().map(|segment| segment.begun.msn);
        is_there.then_some(Report { rendition: self.name, last_msn, last_part, last_closed })
    }

    /// Whether no segment will come.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// The closed segments.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The segment `msn`, once it is closed.
    pub fn segment(&self, msn: u32) -> Option<&Segment> {
        self.segments.get(usize::try_from(msn.checked_sub(self.first_msn)?).ok()?)
    }

    /// The segment that grows.
    pub fn open(&self) -> Option<&OpenSegment> {
        self.open.as_ref()
    }

    /// A segment begins: the next one.
    pub fn begin(&mut self, begun: Begun) {
        debug_assert_eq!(begun.msn, self.position().msn);
        self.open = Some(OpenSegment { begun, parts: Vec::new() });
    }

    /// The segment that grows has a further part.
    pub fn add(&mut self, part: Part) {
        if let Some(open) = &mut self.open {
            open.parts.push(part);
        }
    }

    /// The segment that grows is closed, with the parts that it has, as one of `size_bytes`.
    pub fn close(&mut self, size_bytes: u32) -> Option<&Segment> {
        let OpenSegment { begun, parts } = self.open.take()?;
        let duration = parts.iter().map(|part| part.duration).sum();
        self.push(Segment { begun, duration, size_bytes, parts });
        self.segments.last()
    }

    /// A segment that is closed already, the next one.
    pub fn push(&mut self, segment: Segment) {
        debug_assert_eq!(segment.begun.msn, self.position().msn);
        self.open = None;
        self.segments.push(segment);
        // Parts further back than three target durations are not listed; a few segments more do no
        // harm, all of an event would.
        let old = self.segments.len().saturating_sub(PARTS_KEPT);
        if let Some(segment) = old.checked_sub(1).and_then(|old| self.segments.get_mut(old)) {
            segment.parts = Vec::new();
        }
    }

    /// No segment will come.
    pub fn end(&mut self) {
        self.open = None;
        self.ended = true;
    }

    /// What somebody who knows it up to `after` lacks, without the bytes and the reports; `None`
    /// when that is nothing.
    pub fn since(&self, after: Position) -> Option<Update> {
        let position = self.position();
        if position <= after && !self.ended {
            return None;
        }
        let known = usize::try_from(after.msn.saturating_sub(self.first_msn)).unwrap_or(usize::MAX);
        Some(Update {
            closed: self.segments.get(known..).unwrap_or_default().to_vec(),
            open: self.open.clone(),
            ended: self.ended,
            reports: Vec::new(),
            parts: Vec::new(),
        })
    }

    /// Takes what is new, and says whether anything was. Segments that do not follow those that are
    /// known are not taken, and nothing that is known is taken back: an update may be empty, or come
    /// from a packager that was started again and has lost its last parts.
    pub fn apply(&mut self, update: &Update) -> bool {
        let before = (self.position(), self.ended);
        for segment in &update.closed {
            if segment.begun.msn == self.first_msn + self.segments.len() as u32 {
                self.push(segment.clone());
            }
        }
        let position = self.position();
        let parts = |open: &OpenSegment| open.parts.len() as u32;
        let grown = update.open.as_ref().filter(|open| open.begun.msn == position.msn);
        if let Some(grown) = grown.filter(|open| parts(open) >= position.parts) {
            self.open = Some(grown.clone());
        }
        if update.ended {
            self.end();
        }
        before != (self.position(), self.ended)
    }

    /// How many parts the last closed segment has, as far as that is remembered.
    pub fn parts_of_previous(&self) -> u32 {
        self.segments.last().map_or(0, |segment| segment.parts.len() as u32)
    }

    /// The greatest number of an initialisation segment that is needed.
    pub fn last_init(&self) -> u32 {
        let open = self.open.as_ref().map(|open| open.begun.init);
        open.or_else(|| Some(self.segments.last()?.begun.init)).unwrap_or(0)
    }

    /// Seconds that a closed segment lies back: from its end to that of everything that is there.
    pub fn age_s(&self, segment: &Segment) -> u64 {
        let end = segment.begun.start + u64::from(segment.duration);
        self.until().saturating_sub(end) / u64::from(self.timescale.max(1))
    }

    /// Decode time at which everything that is there ends, in ticks.
    pub fn until(&self) -> u64 {
        let closed = self.segments.last().map(|last| last.begun.start + u64::from(last.duration));
        let growing = self.open.as_ref().map(|open| {
            open.begun.start + open.parts.iter().map(|part| u64::from(part.duration)).sum::<u64>()
        });
        growing.or(closed).unwrap_or_default()
    }
}

/// Of how many closed segments the parts are remembered.
const PARTS_KEPT: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{begun, grown};

    #[test]
    fn a_follower_that_is_told_everything_has_the_same() {
        let mut here = grown(0);
        let mut there = Rendition::new(here.name, here.timescale, here.first_msn);
        for step in 1..60 {
            let known = there.position();
            let update = here.since(known);
            assert_eq!(update.is_some(), here.position() > known, "{step}");
            if let Some(update) = update {
                assert!(there.apply(&update));
                // Once more does no harm.
                assert!(!there.apply(&update));
            }
            assert_eq!(there, here, "{step}");
            here = grown(step);
        }
    }

    #[test]
    fn nothing_that_is_known_is_taken_back() {
        let mut there = grown(15);
        let known = there.clone();
        let empty =
            Update { closed: Vec::new(), open: None, ended: false, reports: Vec::new(), parts: Vec::new() };
        // Nothing new; the packager has lost two parts; another packager knows an older event.
        let since = |steps| grown(steps).since(Position::default()).unwrap();
        for update in [empty, since(13), since(2)] {
            assert!(!there.apply(&update));
            assert_eq!(there, known);
        }
        let closed = since(18);
        assert!(there.apply(&closed));
        assert_eq!(there.position(), Position { msn: 6, parts: 0 });
        let ended = Update { ended: true, ..closed };
        assert!(there.apply(&ended) && there.is_ended());
        assert!(!there.apply(&ended));
    }

    #[test]
    fn an_age_counts_from_the_end_of_what_is_there() {
        let rendition = grown(6 * 10 + 3);
        let age = |msn| rendition.age_s(rendition.segment(msn).unwrap());
        assert_eq!((age(12), age(11), age(3)), (1, 3, 19));
        assert_eq!((rendition.parts_of_previous(), rendition.last_init()), (6, 0));
    }

    #[test]
    fn a_segment_has_what_its_parts_have() {
        let mut rendition = Rendition::new(RenditionName::Video { height: 360 }, 90_000, 7);
        assert_eq!((rendition.position(), rendition.report()), (Position { msn: 7, parts: 0 }, None));
        rendition.begin(begun(7, 0));
        rendition.add(Part { duration: 30_000, size_bytes: 10, independent: true });
        rendition.add(Part { duration: 15_000, size_bytes: 9, independent: false });
        let report = rendition.report().unwrap();
        assert_eq!((report.last_msn, report.last_part), (7, Some(1)));
        assert_eq!(rendition.close(18).unwrap().duration, 45_000);
        let report = rendition.report().unwrap();
        assert_eq!((report.last_msn, report.last_part), (7, Some(1)));
        assert_eq!(rendition.position(), Position { msn: 8, parts: 0 });
    }
}
