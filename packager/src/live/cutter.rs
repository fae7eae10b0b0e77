//! Where segments begin and end: the same moments in all renditions of an event.
//!
//! One rendition *leads*: the publisher's picture, whose key frames decide, or the sound where there
//! is no picture. The others follow: what begins at or behind a border belongs behind it.

use std::collections::{BTreeMap, VecDeque};

use cmaf::CmafError;
use live::Begun;
use model::RenditionName;
use model::feed::FEED_TIMESCALE;

use super::cadence::Cadence;
use super::lane::{Frame, Lane, Made};
use super::sound::{ticks, time};

/// Cuts the frames of an event, all on its clock, into parts and segments.
#[derive(Debug)]
pub(crate) struct Cutter {
    cadence: Cadence,
    leader: Option<RenditionName>,
    followers: BTreeMap<RenditionName, Follower>,
    /// The borders that some rendition has yet to pass, and the last one.
    borders: VecDeque<Border>,
    /// No border will be found before this moment.
    frontier: u64,
    /// When the leader had its last key frame.
    last_key: u64,
    /// From which segment on somebody will join.
    expected: Option<u32>,
}

/// The beginning of segment `msn` in all renditions, in ticks of a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Border {
    msn: u32,
    at: u64,
    discontinuity: bool,
    gap: bool,
}

#[derive(Debug)]
struct Follower {
    lane: Lane,
    /// Frames that no border can be known to precede yet.
    waiting: VecDeque<Frame>,
    /// The segment that begins next.
    next_msn: u32,
    /// The initialisation segment that the next segment needs.
    init: u32,
    /// How much longer than the leader it may take, in ticks of a feed.
    lag: u64,
}

/// A rendition of the publisher's from which nothing comes for so long, in ticks of a feed, is not
/// waited for,
const LAG: u64 = FEED_TIMESCALE as u64;
/// and neither is one that is encoded here.
const ENCODED_LAG: u64 = 5 * FEED_TIMESCALE as u64;

impl Cutter {
    /// An event whose next segment is `msn`, from `at` on; a `gap` until its publisher is there.
    pub(crate) fn new(cadence: Cadence, msn: u32, at: u64, gap: bool) -> Self {
        let border = Border { msn, at, discontinuity: false, gap };
        Self {
            cadence,
            leader: None,
            followers: BTreeMap::new(),
            borders: VecDeque::from([border]),
            frontier: at,
            last_key: at,
            expected: None,
        }
    }

    /// An event from before this process, in a gap that begins with segment `msn` at `at`. Of the
    /// segments before it, `borders` has those that some rendition may lack.
    pub(crate) fn restored(cadence: Cadence, borders: Vec<(u32, u64)>, msn: u32, at: u64) -> Self {
        let mut cutter = Self::new(cadence, msn, at, true);
        for (msn, at) in borders.into_iter().rev() {
            cutter.borders.push_front(Border { msn, at, discontinuity: false, gap: true });
        }
        cutter
    }

    /// A rendition from before this process: what it lacks is a gap.
    ///
    /// # Errors
    /// When a value does not fit its box.
    pub(crate) fn rejoin(
        &mut self,
        name: RenditionName,
        timescale: u32,
        init: u32,
        next_msn: u32,
    ) -> Result<(), CmafError> {
        let lane = Lane::new(name, timescale, self.cadence.part_target_ms);
        let mut follower = Follower { lane, waiting: VecDeque::new(), next_msn, init, lag: LAG };
        follower.catch_up(&self.borders)?;
        self.followers.insert(name, follower);
        Ok(())
    }

    /// A rendition of the publisher's, from the next border on or, if it was there before, in another
    /// format.
    pub(crate) fn join(&mut self, name: RenditionName, timescale: u32, init: u32) {
        let next_msn = self.next_msn();
        self.enter(name, timescale, init, next_msn, LAG);
    }

    /// A rendition that is encoded here, from segment `msn` on, if that is not too long ago, or again.
    pub(crate) fn join_encoded(&mut self, name: RenditionName, timescale: u32, init: u32, msn: u32) {
        let oldest = self.borders.front().map_or(0, |border| border.msn);
        self.enter(name, timescale, init, msn.max(oldest), ENCODED_LAG);
    }

    /// The first segment that a rendition may have whose first picture is at `at`. Its border is kept
    /// until it joins.
    pub(crate) fn expect_from(&mut self, at: u64) -> u32 {
        let border = self.borders.iter().find(|border| border.at >= at);
        let msn = border.map_or_else(|| self.last().msn + 1, |border| border.msn);
        self.expected = Some(msn);
        msn
    }

    /// All renditions that were expected have joined, or never will.
    pub(crate) fn expect_nobody(&mut self) {
        self.expected = None;
    }

    fn enter(&mut self, name: RenditionName, timescale: u32, init: u32, next_msn: u32, lag: u64) {
        let part_target_ms = self.cadence.part_target_ms;
        let follower = self.followers.entry(name).or_insert_with(|| Follower {
            lane: Lane::new(name, timescale, part_target_ms),
            waiting: VecDeque::new(),
            next_msn,
            init,
            lag,
        });
        (follower.init, follower.lag) = (init, lag);
    }

    /// The first segment that a rendition which joins now may have.
    pub(crate) fn next_msn(&self) -> u32 {
        let border = self.last();
        let began = self.followers.values().any(|one| one.next_msn > border.msn);
        if began { border.msn + 1 } else { border.msn }
    }

    /// Whose frames decide from now on.
    pub(crate) fn set_leader(&mut self, name: RenditionName) {
        self.leader = Some(name);
    }

    /// Whose frames decide.
    pub(crate) fn leader(&self) -> Option<RenditionName> {
        self.leader
    }

    /// A frame of rendition `name`, in its own ticks.
    ///
    /// # Errors
    /// When a value does not fit its box.
    pub(crate) fn push(&mut self, name: RenditionName, frame: Frame) -> Result<(), CmafError> {
        let Some(follower) = self.followers.get_mut(&name) else { return Ok(()) };
        let at = time(frame.time, follower.lane.timescale());
        if self.leader == Some(name) {
            self.find_border(name, &frame, at);
            self.frontier = self.frontier.max(at);
        } else {
            self.frontier = self.frontier.max(at.saturating_sub(LAG));
        }
        if let Some(follower) = self.followers.get_mut(&name) {
            follower.waiting.push_back(frame);
        }
        self.advance()
    }

    /// The publisher is gone: everything ends where the last frame of any rendition does, and a gap
    /// begins. Returns that moment.
    ///
    /// # Errors
    /// When a value does not fit its box.
    pub(crate) fn outage(&mut self) -> Result<u64, CmafError> {
        self.frontier = u64::MAX;
        self.advance()?;
        let last = self.last();
        let ends = self.followers.values().map(|one| time(one.lane.expected_end(), one.lane.timescale()));
        let at = ends.max().unwrap_or(last.at).max(last.at);
        self.frontier = at;
        self.open_gap(at)?;
        Ok(at)
    }

    /// Nothing comes any more: what was shown of the last segment is all of it.
    ///
    /// # Errors
    /// When a value does not fit its box.
    pub(crate) fn end(&mut self) -> Result<(), CmafError> {
        self.followers.values_mut().try_for_each(|one| one.lane.end())
    }

    /// In a gap: it lasts until `now` at least. Returns up to where it was cut.
    ///
    /// # Errors
    /// When a value does not fit its box.
    pub(crate) fn pass(&mut self, from: u64, now: u64) -> Result<u64, CmafError> {
        let step = match self.cadence.part_target_ms {
            // A little less than the target: 0.333 s of 0.35.
            Some(target_ms) => u64::from(target_ms) * u64::from(FEED_TIMESCALE) / 1000 * 20 / 21,
            None => self.target(),
        };
        let mut at = from;
        while at + step <= now {
            self.pass_to(at, at + step);
            at += step;
            if at >= self.last().at + self.target() {
                self.open_gap(at)?;
            }
        }
        Ok(at)
    }

    /// The publisher is back at `at`: the gap, which was cut up to `from`, ends.
    ///
    /// # Errors
    /// When a value does not fit its box.
    pub(crate) fn resume(&mut self, from: u64, at: u64, discontinuity: bool) -> Result<(), CmafError> {
        if at > from {
            self.pass_to(from, at);
        }
        let last = self.last();
        if at > last.at {
            for one in self.followers.values_mut() {
                one.lane.close(ticks(at, one.lane.timescale()))?;
            }
            self.borders.push_back(Border { msn: last.msn + 1, at, discontinuity, gap: false });
        } else if let Some(last) = self.borders.back_mut() {
            // Nothing of the gap was shown: the segment is a real one.
            (last.gap, last.discontinuity) = (false, last.discontinuity | discontinuity);
            for one in self.followers.values_mut() {
                one.lane.abandon();
                one.next_msn = one.next_msn.min(last.msn);
            }
        }
        (self.frontier, self.last_key) = (at, at);
        Ok(())
    }

    /// What was made since the last call, of each rendition in order.
    pub(crate) fn take(&mut self) -> Vec<(RenditionName, Made)> {
        let made = |one: &mut Follower| {
            let name = one.lane.name();
            one.lane.take().into_iter().map(move |made| (name, made))
        };
        self.followers.values_mut().flat_map(made).collect()
    }

    fn last(&self) -> Border {
        *self.borders.back().expect("there is always a last border")
    }

    fn target(&self) -> u64 {
        u64::from(self.cadence.target_duration_s) * u64::from(FEED_TIMESCALE)
    }

    /// Whether the leader's `frame` begins a segment.
    fn find_border(&mut self, name: RenditionName, frame: &Frame, at: u64) {
        let last = self.last();
        let began = self.followers.get(&name).is_some_and(|one| one.next_msn > last.msn);
        let lasted = at.saturating_sub(last.at);
        // Rounded to seconds it would be longer than the target otherwise (§4.4.3.1).
        let greatest = self.target() + u64::from(FEED_TIMESCALE) / 2 - 1;
        let is_border = if !name.is_video() {
            lasted >= self.target()
        } else if frame.key {
            let group = at.saturating_sub(self.last_key);
            lasted + group > greatest
        } else {
            // No key frame in sight: a few frames more would be too many.
            lasted + u64::from(FEED_TIMESCALE) / 10 > greatest
        };
        if frame.key {
            self.last_key = at;
        }
        if is_border && began && lasted > 0 {
            self.borders.push_back(Border { msn: last.msn + 1, at, discontinuity: false, gap: false });
        }
    }

    /// Lets every rendition go on as far as the borders are known.
    fn advance(&mut self) -> Result<(), CmafError> {
        for one in self.followers.values_mut() {
            one.advance(&self.borders, self.frontier)?;
        }
        let passed = self.followers.values().map(|one| one.next_msn).chain(self.expected).min().unwrap_or(0);
        while self.borders.len() > 1 && self.borders[0].msn < passed.saturating_sub(1) {
            self.borders.pop_front();
        }
        Ok(())
    }

    /// Closes what is open at `at` in all renditions, and begins a gap there.
    fn open_gap(&mut self, at: u64) -> Result<(), CmafError> {
        let last = self.last();
        for one in self.followers.values_mut() {
            one.catch_up(&self.borders)?;
        }
        if at > last.at {
            for one in self.followers.values_mut() {
                one.lane.close(ticks(at, one.lane.timescale()))?;
            }
            self.borders.push_back(Border { msn: last.msn + 1, at, discontinuity: false, gap: true });
        } else if let Some(last) = self.borders.back_mut() {
            // Nothing of the last segment was there: it is the gap.
            last.gap = true;
            self.followers.values_mut().for_each(|one| one.lane.abandon());
        }
        let border = self.last();
        for one in self.followers.values_mut() {
            one.begin(&border, ticks(border.at, one.lane.timescale()));
        }
        Ok(())
    }

    fn pass_to(&mut self, from: u64, to: u64) {
        let border = self.last();
        for one in self.followers.values_mut() {
            let timescale = one.lane.timescale();
            if one.lane.begun().is_none() {
                one.begin(&border, ticks(border.at, timescale));
            }
            let duration = ticks(to, timescale) - ticks(from, timescale);
            one.lane.pass(u32::try_from(duration).unwrap_or(u32::MAX));
        }
    }
}

impl Follower {
    /// Goes on as far as no border can come any more.
    fn advance(&mut self, borders: &VecDeque<Border>, frontier: u64) -> Result<(), CmafError> {
        let timescale = self.lane.timescale();
        loop {
            let next = borders.iter().find(|border| border.msn == self.next_msn);
            let front = self.waiting.front().filter(|frame| time(frame.time, timescale) <= frontier);
            match (next, front) {
                // The frame begins the segment, or is the first that is there of it.
                (Some(border), Some(frame)) if frame.time >= ticks(border.at, timescale) => {
                    let is_new = self.lane.begun().is_none();
                    let start = if is_new { ticks(border.at, timescale) } else { frame.time };
                    self.lane.close(start)?;
                    self.begin(border, start);
                }
                (_, Some(_)) => {
                    let Some(mut frame) = self.waiting.pop_front() else { return Ok(()) };
                    let Some(begun) = self.lane.begun().copied() else { continue };
                    if !self.lane.has_frames() {
                        // The first frame lasts from the beginning of its segment.
                        frame.time = begun.start;
                    }
                    self.lane.push(frame)?;
                }
                // Nothing came for long.
                (Some(border), None)
                    if self.waiting.is_empty() && frontier >= border.at.saturating_add(self.lag) =>
                {
                    if frontier == u64::MAX {
                        return Ok(());
                    }
                    let start = ticks(border.at, timescale);
                    self.lane.close(start)?;
                    self.begin(border, start);
                }
                _ => return Ok(()),
            }
        }
    }

    /// Begins and closes what the others did.
    fn catch_up(&mut self, borders: &VecDeque<Border>) -> Result<(), CmafError> {
        for border in borders {
            if border.msn >= self.next_msn {
                let start = ticks(border.at, self.lane.timescale());
                self.lane.close(start)?;
                self.begin(border, start);
            }
        }
        Ok(())
    }

    fn begin(&mut self, border: &Border, start: u64) {
        let Border { msn, discontinuity, gap, .. } = *border;
        self.lane.begin(Begun { msn, start, init: self.init, discontinuity, gap });
        self.next_msn = msn + 1;
    }
}

#[cfg(test)]
mod tests;
