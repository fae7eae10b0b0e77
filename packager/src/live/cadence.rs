use model::feed::FEED_TIMESCALE;

/// How often key frames come: what an event's target durations follow from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cadence {
    /// `EXT-X-TARGETDURATION`.
    pub(crate) target_duration_s: u32,
    /// `PART-TARGET`; `None` without low latency.
    pub(crate) part_target_ms: Option<u32>,
}

/// Above this distance of key frames in milliseconds there is no low latency: a viewer who joins
/// would wait longer for a picture than the parts save.
const LONGEST_LOW_MS: u64 = 4500;
/// Nobody waits longer for the second key frame; then segments begin where there is none.
const PATIENCE_MS: u64 = 10_000;
/// The least target duration, and what is used where key frames are out of sight.
const LEAST_S: u32 = 2;
const BLIND_S: u32 = 6;
/// The usual target of parts: eight frames at 24 or 25 a second, ten at 30, twenty at 60, and 15 or
/// 16 of AAC all last 85 to 100 % of it.
const PART_MS: u64 = 350;

impl Cadence {
    /// Decides as soon as it can be: from the distance between the first two key frames, or from
    /// how long there was no second one, both in ticks of a feed; `frame` is how long its frames
    /// last.
    pub(crate) fn decide(group: Option<u64>, waited: u64, frame: u64) -> Option<Self> {
        let ms = |ticks: u64| ticks * 1000 / u64::from(FEED_TIMESCALE);
        let part_target_ms = Some(part_target_ms(ms(frame)));
        match group.map(ms) {
            Some(group_ms) if group_ms <= LONGEST_LOW_MS => {
                Some(Self { target_duration_s: target_s(group_ms), part_target_ms })
            }
            Some(group_ms) => Some(Self { target_duration_s: target_s(group_ms), part_target_ms: None }),
            None if ms(waited) >= PATIENCE_MS => {
                Some(Self { target_duration_s: BLIND_S, part_target_ms: None })
            }
            None => None,
        }
    }

    /// What sound alone has.
    pub(crate) const SOUND: Self = Self { target_duration_s: LEAST_S, part_target_ms: Some(350) };
}

/// A segment's duration rounded to the nearest second must not exceed it (§4.4.3.1).
fn target_s(group_ms: u64) -> u32 {
    u32::try_from((group_ms + 500) / 1000).unwrap_or(u32::MAX).max(LEAST_S)
}

/// So many frames that parts last between 85 and 100 % of it (§4.4.4.9).
fn part_target_ms(frame_ms: u64) -> u32 {
    let frame_ms = frame_ms.max(1);
    let fitting = PART_MS / frame_ms * frame_ms;
    let target = if fitting * 100 >= PART_MS * 85 {
        PART_MS
    } else {
        // Few frames: as many as last a bit longer than usual, and room for a clock that jitters.
        (PART_MS / frame_ms + 1) * frame_ms * 21 / 20
    };
    u32::try_from(target).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_durations_follow_the_first_group_of_pictures() {
        let decide = |group_ms: Option<u64>, waited_ms: u64, frame_ms: u64| {
            let cadence = Cadence::decide(group_ms.map(|ms| ms * 90), waited_ms * 90, frame_ms * 90);
            cadence.map(|cadence| (cadence.target_duration_s, cadence.part_target_ms))
        };
        assert_eq!(decide(None, 9_000, 33), None);
        assert_eq!(decide(Some(2000), 2000, 33), Some((2, Some(350))));
        assert_eq!(decide(Some(500), 500, 33), Some((2, Some(350))));
        assert_eq!(decide(Some(2499), 2499, 33), Some((2, Some(350))));
        assert_eq!(decide(Some(2500), 2500, 33), Some((3, Some(350))));
        assert_eq!(decide(Some(4000), 4000, 40), Some((4, Some(350))));
        assert_eq!(decide(Some(4500), 4500, 40), Some((5, Some(350))));
        // OBS "auto": 250 frames.
        assert_eq!(decide(Some(8333), 8333, 33), Some((8, None)));
        assert_eq!(decide(None, 10_000, 33), Some((6, None)));
        // One frame in five hundred milliseconds, five a second.
        assert_eq!(decide(Some(2000), 2000, 500), Some((2, Some(525))));
        assert_eq!(decide(Some(2000), 2000, 200), Some((2, Some(420))));
    }
}
