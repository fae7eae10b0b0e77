//! Timestamps that start anew within a file, as in transport streams that were cut together.

use std::collections::BTreeMap;

/// Microseconds by which a stream may jump before the clock is taken to have been set anew.
const JUMP_US: i64 = 10_000_000;

/// Joins the clocks of a file into one.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    /// What is added to every timestamp at present, in microseconds.
    offset_us: i64,
    /// Where each stream is expected to go on.
    next_us: BTreeMap<usize, i64>,
}

impl Timeline {
    /// What to add to the timestamps of a packet of picture or sound `stream` that is decoded at
    /// `dts_us` and lasts `duration_us`.
    pub(crate) fn offset_of(&mut self, stream: usize, dts_us: i64, duration_us: i64) -> i64 {
        let at = dts_us.saturating_add(self.offset_us);
        // One stream may pause while another goes on; a clock that was set forward leaves all.
        let latest = self.next_us.values().copied().max().unwrap_or(at);
        let own = self.next_us.get(&stream).copied().unwrap_or(latest);
        let is_anew = at < own.saturating_sub(JUMP_US) || at > latest.saturating_add(JUMP_US);
        if is_anew {
            // All streams of a file share its clock, so the others are moved alike.
            self.offset_us = latest.saturating_sub(dts_us);
        }
        let end = dts_us.saturating_add(self.offset_us).saturating_add(duration_us.clamp(0, JUMP_US));
        self.next_us.insert(stream, end);
        self.offset_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000;

    #[test]
    fn a_clock_that_starts_anew_goes_on() {
        let mut timeline = Timeline::default();
        for second in 20..40 {
            assert_eq!(timeline.offset_of(0, second * S, S), 0);
            assert_eq!(timeline.offset_of(1, second * S + S / 2, S), 0);
        }
        // Both start again at 1 s; the last packet ended at 40.5 s.
        assert_eq!(timeline.offset_of(0, S, S), 39 * S + S / 2);
        // Sound keeps its distance from the picture.
        assert_eq!(timeline.offset_of(1, S + S / 2, S), 39 * S + S / 2);
        assert_eq!(timeline.offset_of(0, 2 * S, S), 39 * S + S / 2);
        // And once more, forwards.
        assert_eq!(timeline.offset_of(0, 1000 * S, S), (43 - 1000) * S - S / 2);
    }

    #[test]
    fn pauses_and_rubbish_are_survived() {
        let mut timeline = Timeline::default();
        timeline.offset_of(0, 0, S);
        timeline.offset_of(1, 0, S);
        assert_eq!(timeline.offset_of(0, 9 * S, S), 0);
        assert_eq!(timeline.offset_of(0, 18 * S, S), 0);
        // Sound that was silent meanwhile is where it says.
        assert_eq!(timeline.offset_of(1, 18 * S, S), 0);
        timeline.offset_of(0, i64::MAX, i64::MAX);
        timeline.offset_of(0, i64::MIN, -1);
    }
}
