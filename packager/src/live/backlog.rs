//! What waits for an event's cell: little, and when it is too much the rest of the GOP is left out.

use std::collections::VecDeque;
use std::time::Duration;

use model::feed::{FEED_TIMESCALE, FeedTrack, Packet};

/// How much may wait, for each track: behind it everything is left out up to the next key frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BacklogLimits {
    /// How far the cell may be behind, in time of the media,
    pub behind: Duration,
    /// and how many bytes may wait for it.
    pub bytes: usize,
}

impl Default for BacklogLimits {
    fn default() -> Self {
        Self { behind: Duration::from_secs(1), bytes: 16 << 20 }
    }
}

/// A packet that waits, and whether the rungs have an IDR picture there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) packet: Packet,
    pub(super) idr: bool,
}

/// Both tracks' packets on their way to a cell, and those that it has and has not done.
#[derive(Debug)]
pub(super) struct Backlog {
    video: Lane,
    audio: Lane,
    limits: BacklogLimits,
    left_out: u64,
}

#[derive(Debug, Default)]
struct Lane {
    /// What waits, each with the ticks since the packet before it in the feed.
    waiting: VecDeque<(Waiting, i64)>,
    bytes: usize,
    /// Decode times of what the cell has and has not done, likewise.
    in_flight: VecDeque<(i64, i64)>,
    /// Ticks of both.
    behind: i64,
    /// Decode time of the last packet of the feed, left out or not.
    last: Option<i64>,
    /// Packets are left out until one with which decoding can start.
    is_skipping: bool,
}

/// Ticks that a packet may count for, however long the feed paused before it.
const PAUSE: i64 = FEED_TIMESCALE as i64 / 2;

impl Backlog {
    pub(super) fn new(limits: BacklogLimits) -> Self {
        Self { video: Lane::default(), audio: Lane::default(), limits, left_out: 0 }
    }

    /// Takes a packet, or leaves it out, or others in its favour.
    pub(super) fn push(&mut self, packet: Packet, idr: bool) {
        let limits = self.limits;
        self.left_out += self.lane_mut(packet.track).push(Waiting { packet, idr }, limits);
    }

    /// What the cell is given next. Sound does not wait behind pictures.
    pub(super) fn pop(&mut self) -> Option<Waiting> {
        self.audio.pop().or_else(|| self.video.pop())
    }

    /// The cell has done all packets of a track up to this time.
    pub(super) fn passed(&mut self, track: FeedTrack, dts: i64) {
        let lane = self.lane_mut(track);
        while let Some((_, ticks)) = lane.in_flight.pop_front_if(|(first, _)| *first <= dts) {
            lane.behind -= ticks;
        }
    }

    /// Whether the cell has something that it has not done.
    pub(super) fn is_owed(&self) -> bool {
        !(self.video.in_flight.is_empty() && self.audio.in_flight.is_empty())
    }

    /// How much media the cell has not done.
    pub(super) fn behind(&self) -> Duration {
        let ticks = self.video.behind.max(self.audio.behind);
        Duration::from_secs_f64(ticks as f64 / f64::from(FEED_TIMESCALE))
    }

    /// Packets that were left out so far.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }

    fn lane_mut(&mut self, track: FeedTrack) -> &mut Lane {
        match track {
            FeedTrack::Video => &mut self.video,
            FeedTrack::Audio => &mut self.audio,
        }
    }
}

impl Lane {
    /// Gives how many packets are left out.
    fn push(&mut self, new: Waiting, limits: BacklogLimits) -> u64 {
        let Packet { dts, key, .. } = new.packet;
        let ticks = self.last.map_or(0, |last| dts.saturating_sub(last).clamp(0, PAUSE));
        self.last = Some(dts);
        if self.is_skipping && !key {
            return 1;
        }
        let mut left_out = 0;
        if self.is_too_much(&new, ticks, limits) {
            // From the last key frame on that waits, if there is one; else from the next that comes.
            let key_waits = self.waiting.iter().rposition(|(waiting, _)| waiting.packet.key);
            left_out += self.leave_out(if key { None } else { key_waits });
            let has_key = key || key_waits.is_some();
            if !has_key || self.is_too_much(&new, ticks, limits) {
                self.is_skipping = true;
                return left_out + self.leave_out(None) + 1;
            }
        }
        self.is_skipping = false;
        self.bytes += new.packet.data.len();
        self.behind += ticks;
        self.waiting.push_back((new, ticks));
        left_out
    }

    /// Leaves out what waits before a place, or all of it; gives how many packets that are.
    fn leave_out(&mut self, before: Option<usize>) -> u64 {
        let gone = self.waiting.drain(..before.unwrap_or(self.waiting.len()));
        let mut count = 0;
        for (waiting, ticks) in gone {
            self.bytes -= waiting.packet.data.len();
            self.behind -= ticks;
            count += 1;
        }
        count
    }

    fn pop(&mut self) -> Option<Waiting> {
        let (waiting, ticks) = self.waiting.pop_front()?;
        self.bytes -= waiting.packet.data.len();
        self.in_flight.push_back((waiting.packet.dts, ticks));
        Some(waiting)
    }

    fn is_too_much(&self, new: &Waiting, ticks: i64, limits: BacklogLimits) -> bool {
        let most = limits.behind.as_secs_f64() * f64::from(FEED_TIMESCALE);
        self.behind.saturating_add(ticks) as f64 > most
            || self.bytes.saturating_add(new.packet.data.len()) > limits.bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FRAME: i64 = 3000;
    const GOP: i64 = 60;

    fn picture(n: i64) -> Packet {
        let data = vec![0; 1000].into();
        Packet { track: FeedTrack::Video, dts: n * FRAME, cts_offset: 0, key: n % GOP == 0, data }
    }

    fn sound(n: i64) -> Packet {
        Packet { track: FeedTrack::Audio, key: true, ..picture(n) }
    }

    fn numbers(backlog: &mut Backlog) -> Vec<i64> {
        std::iter::from_fn(|| backlog.pop()).map(|waiting| waiting.packet.dts / FRAME).collect()
    }

    #[test]
    fn a_cell_that_keeps_up_gets_everything_and_sound_first() {
        let mut backlog = Backlog::new(BacklogLimits::default());
        for n in 0..300 {
            backlog.push(picture(n), n % GOP == 0);
            backlog.push(sound(n), false);
            let both = [backlog.pop(), backlog.pop()].map(Option::unwrap);
            assert_eq!(both.map(|one| one.packet.track), [FeedTrack::Audio, FeedTrack::Video]);
            assert!(backlog.is_owed());
            backlog.passed(FeedTrack::Video, n * FRAME);
            backlog.passed(FeedTrack::Audio, n * FRAME);
        }
        assert_eq!((backlog.left_out(), backlog.behind(), backlog.is_owed()), (0, Duration::ZERO, false));
    }

    #[test]
    fn one_that_stands_still_gets_the_next_gop_when_it_goes_on() {
        let mut backlog = Backlog::new(BacklogLimits::default());
        backlog.push(picture(0), true);
        assert!(backlog.pop().is_some());
        // A second and a picture of the first GOP wait, then nothing of it.
        for n in 1..GOP + 5 {
            backlog.push(picture(n), false);
        }
        assert_eq!(numbers(&mut backlog), (GOP..GOP + 5).collect::<Vec<_>>());
        assert_eq!(backlog.left_out(), GOP as u64 - 1);
    }

    #[test]
    fn what_waits_from_a_key_frame_on_is_kept() {
        let mut backlog = Backlog::new(BacklogLimits::default());
        for n in GOP - 20..GOP + 12 {
            backlog.push(picture(n), false);
        }
        assert_eq!(numbers(&mut backlog), (GOP..GOP + 12).collect::<Vec<_>>());
        assert_eq!(backlog.left_out(), 20);
    }

    #[test]
    fn bytes_count_as_time_does() {
        let mut backlog = Backlog::new(BacklogLimits { bytes: 5000, ..BacklogLimits::default() });
        for n in 0..GOP {
            backlog.push(picture(n), false);
        }
        assert_eq!(numbers(&mut backlog), [0; 0], "the key frame has gone with the rest");
        backlog.push(picture(GOP), false);
        assert_eq!(numbers(&mut backlog), [GOP]);
        // One that is too large by itself is left out, and all up to the next key frame.
        backlog.push(Packet { data: vec![0; 6000].into(), ..picture(2 * GOP) }, false);
        backlog.push(picture(2 * GOP + 1), false);
        assert_eq!(numbers(&mut backlog), [0; 0]);
    }

    #[test]
    fn a_cell_with_a_second_in_its_hands_gets_no_key_frame_either() {
        let mut backlog = Backlog::new(BacklogLimits::default());
        for n in 0..31 {
            backlog.push(picture(n), false);
            assert!(backlog.pop().is_some());
        }
        backlog.push(picture(GOP), true);
        assert_eq!(numbers(&mut backlog), [0; 0]);
        backlog.passed(FeedTrack::Video, 30 * FRAME);
        backlog.push(picture(GOP + 1), false);
        assert_eq!(numbers(&mut backlog), [0; 0], "its GOP has no beginning");
        backlog.push(picture(2 * GOP), true);
        assert_eq!(numbers(&mut backlog), [2 * GOP]);
    }

    proptest! {
        /// Whatever a cell does: bounded, counted, and what it is given can be decoded.
        #[test]
        fn it_is_bounded_and_every_gop_that_is_given_begins_with_its_key_frame(
            steps in prop::collection::vec((0u8..4, 0usize..3), 1..600),
        ) {
            let limits = BacklogLimits { behind: Duration::from_secs(1), bytes: 50_000 };
            let mut backlog = Backlog::new(limits);
            let (mut pushed, mut given, mut last) = (0, 0u64, None);
            let mut in_hand = VecDeque::new();
            for (kind, count) in steps {
                backlog.push(picture(pushed), false);
                pushed += 1;
                for _ in 0..if kind == 0 { count } else { 0 } {
                    if let Some(waiting) = backlog.pop() {
                        let n = waiting.packet.dts / FRAME;
                        prop_assert!(n % GOP == 0 || last == Some(n - 1), "{n} behind {last:?}");
                        last = Some(n);
                        given += 1;
                        in_hand.push_back(waiting.packet.dts);
                    }
                }
                if kind == 1 && let Some(dts) = in_hand.pop_front() {
                    backlog.passed(FeedTrack::Video, dts);
                }
                prop_assert!(backlog.video.bytes <= limits.bytes);
                prop_assert!(backlog.behind() <= limits.behind);
            }
            let waiting = backlog.video.waiting.len() as u64;
            prop_assert_eq!(given + waiting + backlog.left_out(), pushed as u64);
        }
    }
}
