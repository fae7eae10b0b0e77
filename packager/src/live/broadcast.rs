use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use cmaf::Bandwidth;
use live::{Event, Offered, Part, Position, Rendition, Segment, Update};
use model::RenditionName;
use tokio::sync::watch;

use super::lane::Made;

/// What there is of an event, for whoever follows it: in memory, behind one lock that is only held
/// for moments.
#[derive(Debug)]
pub(crate) struct Broadcast {
    state: Mutex<State>,
    /// Counts changes of any kind.
    changed: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    event: Arc<Event>,
    renditions: BTreeMap<RenditionName, Kept>,
}

/// A rendition, and the bytes of it that are in memory.
#[derive(Debug)]
struct Kept {
    rendition: Rendition,
    /// As what it is offered again, while it is not.
    withdrawn: Option<Offered>,
    /// The first of them is wherever the spool has it, too.
    inits: Vec<Bytes>,
    parts: VecDeque<(u32, u32, Bytes)>,
    segments: VecDeque<(u32, Bytes)>,
    /// The bytes and the ticks of all segments, and the highest rate of one in bit/s.
    measured: (u64, u64, u64),
}

/// How long a question about what is new may wait.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);
/// Parts of so many segments are in memory, and segments as one: a bit more than three target
/// durations, during which they are asked for (§6.2.2).
const SEGMENTS_KEPT: u32 = 4;

impl Broadcast {
    pub(crate) fn new(event: Event) -> Self {
        let state = State { event: Arc::new(event), renditions: BTreeMap::new() };
        Self { state: Mutex::new(state), changed: watch::Sender::new(0) }
    }

    pub(crate) fn event(&self) -> Arc<Event> {
        Arc::clone(&self.state().event)
    }

    /// Changes what holds for the event as a whole.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Event)) {
        let mut state = self.state();
        let mut event = Event::clone(&state.event);
        change(&mut event);
        event.revision += 1;
        state.event = Arc::new(event);
        drop(state);
        self.tell();
    }

    /// A rendition begins, or goes on in another format, with this initialisation segment.
    pub(crate) fn join(&self, offered: Offered, init: Bytes) {
        let mut state = self.state();
        let kept = state.renditions.entry(offered.name).or_insert_with(|| Kept {
            rendition: Rendition::new(offered.name, offered.timescale, offered.first_msn),
            withdrawn: None,
            inits: Vec::new(),
            parts: VecDeque::new(),
            segments: VecDeque::new(),
            measured: (0, 0, 0),
        });
        kept.inits.push(init);
        drop(state);
        self.change(|event| match event.renditions.iter_mut().find(|one| one.name == offered.name) {
            Some(one) => {
                let codecs = both(&one.codecs, &offered.codecs);
                *one = Offered { first_msn: one.first_msn, codecs, ..offered };
            }
            None => event.renditions.push(offered),
        });
    }

    /// Offers a rendition to nobody new.
    pub(crate) fn withdraw(&self, name: RenditionName) {
        let mut state = self.state();
        let Some(offered) = state.event.rendition(name).cloned() else { return };
        if let Some(kept) = state.renditions.get_mut(&name) {
            kept.withdrawn = Some(offered);
        }
        drop(state);
        self.change(|event| event.renditions.retain(|one| one.name != name));
    }

    /// Offers a rendition again that was withdrawn.
    pub(crate) fn offer(&self, name: RenditionName) {
        let offered = self.state().renditions.get_mut(&name).and_then(|kept| kept.withdrawn.take());
        if let Some(offered) = offered {
            self.change(|event| event.renditions.push(offered));
        }
    }

    /// What the record says of a rendition from before this process, and the bytes of the last parts.
    pub(crate) fn restore(&self, name: RenditionName, segments: Vec<Segment>, parts: Vec<(u32, u32, Bytes)>) {
        if let Some(kept) = self.state().renditions.get_mut(&name) {
            segments.into_iter().for_each(|segment| kept.rendition.push(segment));
            kept.parts.extend(parts);
        }
    }

    /// Shows what was made. What was closed must be written down before.
    pub(crate) fn show(&self, made: &[(RenditionName, Made)]) {
        let mut state = self.state();
        for (name, made) in made {
            if let Some(kept) = state.renditions.get_mut(name) {
                kept.take(made);
            }
        }
        drop(state);
        self.tell();
    }

    /// How far a rendition is.
    pub(crate) fn position(&self, name: RenditionName) -> Option<Position> {
        self.state().renditions.get(&name).map(|kept| kept.rendition.position())
    }

    /// The segment as it would be if it were closed now.
    pub(crate) fn closing(&self, name: RenditionName, size_bytes: u32) -> Option<Segment> {
        let state = self.state();
        let open = state.renditions.get(&name)?.rendition.open()?;
        let duration = open.parts.iter().map(|part| part.duration).sum();
        Some(Segment { begun: open.begun, duration, size_bytes, parts: Vec::new() })
    }

    /// Counts a segment that is about to be closed for the rates that the multivariant states.
    pub(crate) fn measure(&self, name: RenditionName, segment: &Segment) {
        let mut state = self.state();
        let Some(kept) = state.renditions.get_mut(&name).filter(|_| !segment.begun.gap) else { return };
        let timescale = u64::from(kept.rendition.timescale());
        let rate = |bytes: u64, ticks: u64| (bytes * 8 * timescale).div_ceil(ticks.max(1));
        let (bytes, ticks, peak_bps) = &mut kept.measured;
        *bytes += u64::from(segment.size_bytes);
        *ticks += u64::from(segment.duration);
        // A segment of some frames before an outage is nearly all key frame.
        if u64::from(segment.duration) >= timescale || *peak_bps == 0 {
            *peak_bps = (*peak_bps).max(rate(segment.size_bytes.into(), segment.duration.into()));
        }
        let average_bps = rate(*bytes, *ticks);
        let now = Bandwidth { peak_bps: (*peak_bps).max(average_bps), average_bps };
        drop(state);
        let differs = |a: u64, b: u64| a.abs_diff(b) * 20 > b;
        let known = self.event().rendition(name).map(|offered| offered.bandwidth);
        let is_news = known.is_some_and(|known| {
            differs(now.peak_bps, known.peak_bps) || differs(now.average_bps, known.average_bps)
        });
        if is_news {
            self.change(|event| {
                if let Some(one) = event.renditions.iter_mut().find(|one| one.name == name) {
                    one.bandwidth = now;
                }
            });
        }
    }

    /// The event is over.
    pub(crate) fn end(&self) {
        self.state().renditions.values_mut().for_each(|kept| kept.rendition.end());
        self.change(|event| event.ended = true);
    }

    /// What is new of the event; waits for it.
    pub(crate) async fn news_of_event(&self, newer_than: Option<u64>) -> Arc<Event> {
        let known = |event: &Event| newer_than == Some(event.revision) && !event.ended;
        self.until(|| Some(self.event()).filter(|event| !known(event))).await.unwrap_or_else(|| self.event())
    }

    /// What is new of a rendition behind `after`; waits for it. `None` if there is no such rendition.
    pub(crate) async fn news(&self, name: RenditionName, after: Position) -> Option<Update> {
        if !self.state().renditions.contains_key(&name) {
            return None;
        }
        let nothing = || {
            let state = self.state();
            let kept = state.renditions.get(&name)?;
            let open = kept.rendition.open().cloned();
            Some(Update { closed: Vec::new(), open, ended: false, reports: Vec::new(), parts: Vec::new() })
        };
        match self.until(|| self.since(name, after)).await {
            Some(update) => Some(update),
            None => nothing(),
        }
    }

    /// An initialisation segment.
    pub(crate) fn init(&self, name: RenditionName, number: u32) -> Option<Bytes> {
        self.state().renditions.get(&name)?.inits.get(number as usize).cloned()
    }

    /// A part that is still in memory.
    pub(crate) fn part(&self, name: RenditionName, msn: u32, part: u32) -> Option<Bytes> {
        let state = self.state();
        let mut parts = state.renditions.get(&name)?.parts.iter().rev();
        parts.find(|(of, number, _)| (*of, *number) == (msn, part)).map(|(_, _, bytes)| bytes.clone())
    }

    /// A closed segment that is still in memory.
    pub(crate) fn segment(&self, name: RenditionName, msn: u32) -> Option<Bytes> {
        let state = self.state();
        let mut segments = state.renditions.get(&name)?.segments.iter().rev();
        segments.find(|(of, _)| *of == msn).map(|(_, bytes)| bytes.clone())
    }

    fn since(&self, name: RenditionName, after: Position) -> Option<Update> {
        let state = self.state();
        let kept = state.renditions.get(&name)?;
        let update = kept.rendition.since(after)?;
        let reports = state.renditions.values().filter_map(|kept| kept.rendition.report()).collect();
        let is_new = |(msn, part, _): &&(u32, u32, Bytes)| !after.has(*msn, Some(*part));
        let parts = kept.parts.iter().filter(is_new).cloned().collect();
        Some(Update { reports, parts, ..update })
    }

    /// Looks again at every change until there is something, or patience ends.
    async fn until<T>(&self, mut look: impl FnMut() -> Option<T>) -> Option<T> {
        let mut changes = self.changed.subscribe();
        let found = async {
            loop {
                changes.mark_unchanged();
                if let Some(found) = look() {
                    return found;
                }
                if changes.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.ok()
    }

    fn tell(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The codecs of a rendition that goes on in another format.
fn both(before: &str, now: &str) -> String {
    match before.split(',').any(|one| one == now) {
        true => before.to_owned(),
        false => format!("{before},{now}"),
    }
}

impl Kept {
    fn take(&mut self, made: &Made) {
        match made {
            Made::Begun(begun) => self.rendition.begin(*begun),
            Made::Part(part, bytes) => self.add(*part, bytes),
            Made::Closed(bytes) => {
                let msn = self.rendition.position().msn;
                self.rendition.close(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
                if !bytes.is_empty() {
                    self.segments.push_back((msn, bytes.clone()));
                }
                let oldest = msn.saturating_sub(SEGMENTS_KEPT);
                self.segments.retain(|(msn, _)| *msn >= oldest);
                self.parts.retain(|(msn, ..)| *msn >= oldest);
            }
        }
    }

    fn add(&mut self, part: Part, bytes: &Bytes) {
        let Position { msn, parts } = self.rendition.position();
        self.rendition.add(part);
        if !bytes.is_empty() {
            self.parts.push_back((msn, parts, bytes.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use cmaf::RenditionKind;
    use live::{Begun, Timing};
    use model::{Timestamp, VersionId, VideoId};

    use super::*;

    const SOUND: RenditionName = RenditionName::Audio { kbps: 128 };

    fn broadcast() -> Broadcast {
        let timing =
            Timing { zero: Timestamp::from_millis(0), target_duration_s: 2, part_target_ms: Some(350) };
        let (video, version) = (VideoId::from_bits(1), VersionId::from_bits(2));
        let event = Event { video, version, timing, renditions: Vec::new(), revision: 0, ended: false };
        let broadcast = Broadcast::new(event);
        let offered = Offered {
            name: SOUND,
            codecs: "mp4a.40.2".to_owned(),
            timescale: 48_000,
            kind: RenditionKind::Audio { channels: 2, sample_rate: 48_000 },
            bandwidth: Bandwidth::default(),
            first_msn: 0,
        };
        broadcast.join(offered, Bytes::from_static(b"init"));
        broadcast
    }

    fn begun(msn: u32) -> Made {
        Made::Begun(Begun { msn, start: u64::from(msn) * 96_000, init: 0, discontinuity: false, gap: false })
    }

    fn part(bytes: &'static [u8]) -> Made {
        let part = Part { duration: 16_000, size_bytes: bytes.len() as u32, independent: true };
        Made::Part(part, Bytes::from_static(bytes))
    }

    #[tokio::test]
    async fn who_asks_is_told_at_once_or_when_there_is_something() {
        let broadcast = broadcast();
        let show = |made: &[Made]| {
            let made: Vec<_> = made.iter().map(|made| (SOUND, made.clone())).collect();
            broadcast.show(&made);
        };
        show(&[begun(0), part(b"one")]);
        let update = broadcast.news(SOUND, Position::default()).await.unwrap();
        assert_eq!(update.parts, [(0, 0, Bytes::from_static(b"one"))]);
        assert_eq!(update.reports.len(), 1);

        let after = broadcast.position(SOUND).unwrap();
        let later = async {
            tokio::task::yield_now().await;
            show(&[part(b"two")]);
        };
        let (update, ()) = tokio::join!(broadcast.news(SOUND, after), later);
        let update = update.unwrap();
        assert_eq!(update.parts, [(0, 1, Bytes::from_static(b"two"))]);

        // Nothing happens: an empty update, after a while.
        let update = broadcast.news(SOUND, broadcast.position(SOUND).unwrap()).await.unwrap();
        assert_eq!((update.closed.len(), update.parts.len()), (0, 0));
        assert_eq!(broadcast.news(RenditionName::Audio { kbps: 1 }, after).await, None);
    }

    #[test]
    fn a_rendition_in_several_formats_names_the_codecs_of_all() {
        let broadcast = broadcast();
        let offered = broadcast.event().rendition(SOUND).unwrap().clone();
        for (codecs, expected) in [
            ("opus", "mp4a.40.2,opus"),
            ("mp4a.40.2", "mp4a.40.2,opus"),
            ("opus", "mp4a.40.2,opus"),
            ("mp4a.40.5", "mp4a.40.2,opus,mp4a.40.5"),
        ] {
            let codecs = codecs.to_owned();
            broadcast.join(Offered { codecs, first_msn: 9, ..offered.clone() }, Bytes::from_static(b"init"));
            let now = broadcast.event().rendition(SOUND).unwrap().clone();
            assert_eq!((now.codecs.as_str(), now.first_msn), (expected, 0));
        }
    }

    #[test]
    fn what_is_withdrawn_is_offered_to_nobody_new_and_goes_on() {
        let broadcast = broadcast();
        broadcast.show(&[(SOUND, begun(0)), (SOUND, part(b"one"))]);
        let before = broadcast.event();
        for _ in 0..2 {
            broadcast.withdraw(SOUND);
            assert_eq!(broadcast.event().renditions, []);
        }
        broadcast.show(&[(SOUND, part(b"two"))]);
        let since = broadcast.since(SOUND, Position::default()).unwrap();
        assert_eq!((since.parts.len(), since.reports.len()), (2, 1));
        for _ in 0..2 {
            broadcast.offer(SOUND);
            assert_eq!(broadcast.event().renditions, before.renditions);
        }
        assert!(broadcast.event().revision > before.revision);
    }

    #[test]
    fn bytes_are_kept_as_long_as_they_may_be_asked_for() {
        let broadcast = broadcast();
        for msn in 0..20 {
            let closed = Made::Closed(Bytes::from_static(b"onetwo"));
            for made in [begun(msn), part(b"one"), part(b"two"), closed] {
                broadcast.show(&[(SOUND, made)]);
            }
        }
        for (msn, is_kept) in [(0, false), (14, false), (15, true), (19, true)] {
            assert_eq!(broadcast.part(SOUND, msn, 1).is_some(), is_kept, "{msn}");
            assert_eq!(broadcast.segment(SOUND, msn).is_some(), is_kept, "{msn}");
        }
        assert_eq!(broadcast.init(SOUND, 0).unwrap(), "init");
        assert_eq!(broadcast.init(SOUND, 1), None);
    }
}
