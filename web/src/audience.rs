use std::collections::HashMap;
use std::time::Duration;

use model::{Timestamp, VideoId};

/// A player that was not heard of for so long is gone. It says every 30 s that somebody watches, and
/// one beat may get lost.
const GONE: Duration = Duration::from_secs(75);
/// Players that are counted at once, of all events; more are let in and not counted.
const MOST: usize = 200_000;
/// How often those are forgotten who are gone.
const SWEEP: Duration = Duration::from_secs(5);

/// Who watches live events, by the beats of their players. It is kept in memory only: half a minute
/// after a restart it is right again.
#[derive(Debug, Default)]
pub(crate) struct Audience {
    /// When each player was last heard of.
    events: HashMap<VideoId, HashMap<VideoId, Timestamp>>,
    players: usize,
    swept_at: Timestamp,
}

impl Audience {
    /// A player, by an id that it has chosen, watches the event at `now`. Answers how many do.
    pub(crate) fn beat(&mut self, event: VideoId, player: VideoId, now: Timestamp) -> usize {
        let players = self.events.entry(event).or_default();
        match players.get_mut(&player) {
            Some(heard) => *heard = now,
            None if self.players < MOST => {
                players.insert(player, now);
                self.players += 1;
            }
            None => {}
        }
        self.viewers(event, now)
    }

    /// How many watch the event at `now`.
    pub(crate) fn viewers(&mut self, event: VideoId, now: Timestamp) -> usize {
        self.sweep(now);
        self.events.get(&event).map_or(0, HashMap::len)
    }

    /// Forgets who is gone.
    fn sweep(&mut self, now: Timestamp) {
        if now.since(self.swept_at) < SWEEP && now >= self.swept_at {
            return;
        }
        self.swept_at = now;
        self.events.retain(|_, players| {
            players.retain(|_, heard| now.since(*heard) < GONE);
            !players.is_empty()
        });
        self.players = self.events.values().map(HashMap::len).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: VideoId = VideoId::from_bits(1);
    const TWO: VideoId = VideoId::from_bits(2);

    fn at(s: i64) -> Timestamp {
        Timestamp::from_seconds(1_000_000 + s)
    }

    #[test]
    fn a_player_counts_once_and_for_as_long_as_it_beats() {
        let mut audience = Audience::default();
        assert_eq!(audience.viewers(ONE, at(0)), 0);
        assert_eq!([ONE, TWO, ONE].map(|player| audience.beat(ONE, player, at(0))), [1, 2, 2]);
        assert_eq!(audience.beat(TWO, ONE, at(1)), 1, "events are apart");
        assert_eq!(audience.beat(ONE, ONE, at(30)), 2);
        assert_eq!(audience.viewers(ONE, at(74)), 2, "one beat may get lost");
        assert_eq!(audience.viewers(ONE, at(80)), 1);
        assert_eq!(audience.viewers(ONE, at(105)), 0);
    }

    #[test]
    fn who_is_gone_takes_no_memory() {
        let mut audience = Audience::default();
        audience.beat(TWO, ONE, at(0));
        for player in 0..1000 {
            audience.beat(ONE, VideoId::from_bits(player), at(0));
        }
        audience.beat(TWO, ONE, at(100));
        assert_eq!((audience.players, audience.events.len()), (1, 1));
    }

    #[test]
    fn there_is_a_limit_and_those_within_it_go_on() {
        let mut audience = Audience::default();
        for player in 0..MOST as u128 {
            audience.beat(VideoId::from_bits(player % 7), VideoId::from_bits(player), at(0));
        }
        let before = audience.viewers(TWO, at(1));
        assert_eq!(audience.beat(TWO, VideoId::from_bits(u128::MAX), at(1)), before);
        assert_eq!(audience.players, MOST);
        audience.viewers(TWO, at(80));
        assert_eq!(audience.beat(TWO, VideoId::from_bits(u128::MAX), at(80)), 1);
    }

    #[test]
    fn a_clock_that_is_set_back_forgets_nobody() {
        let mut audience = Audience::default();
        audience.beat(ONE, ONE, at(100));
        assert_eq!(audience.beat(ONE, TWO, at(0)), 2);
    }
}
