//! One publisher of an event at a time: the newest. An encoder that was cut off comes back while its
//! dead connection is still here; it must not be locked out by itself.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::VideoId;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// More of them in [`TAKEOVER_WINDOW`], and two programs with one key are taking turns for ever.
const MAX_TAKEOVERS: usize = 5;
const TAKEOVER_WINDOW: Duration = Duration::from_secs(60);

/// Hands out turns of events.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turns(Arc<Mutex<HashMap<VideoId, Newest>>>);

#[derive(Debug)]
struct Newest {
    generation: u64,
    over: CancellationToken,
    takeovers: VecDeque<Instant>,
}

/// The right to publish in an event, until somebody newer comes, or dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    video: VideoId,
    generation: u64,
    over: CancellationToken,
    turns: Turns,
}

/// Somebody took the turn too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooManyTakeovers;

impl Turns {
    /// Takes the turn from whoever has it. One that is older than whoever has it is over at once.
    pub(crate) fn take(
        &self,
        video: VideoId,
        generation: u64,
        now: Instant,
    ) -> Result<Turn, TooManyTakeovers> {
        let over = CancellationToken::new();
        let mut events = self.events();
        match events.get_mut(&video) {
            None => {
                let newest = Newest { generation, over: over.clone(), takeovers: VecDeque::new() };
                events.insert(video, newest);
            }
            Some(newest) if newest.generation >= generation => over.cancel(),
            Some(newest) => {
                newest.takeovers.retain(|at| now.saturating_duration_since(*at) < TAKEOVER_WINDOW);
                if newest.takeovers.len() == MAX_TAKEOVERS {
                    return Err(TooManyTakeovers);
                }
                newest.takeovers.push_back(now);
                newest.generation = generation;
                std::mem::replace(&mut newest.over, over.clone()).cancel();
            }
        }
        Ok(Turn { video, generation, over, turns: self.clone() })
    }

    fn events(&self) -> MutexGuard<'_, HashMap<VideoId, Newest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Waits until somebody newer has the turn.
    pub(crate) async fn over(&self) {
        self.over.cancelled().await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut events = self.turns.events();
        if events.get(&self.video).is_some_and(|newest| newest.generation == self.generation) {
            events.remove(&self.video);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: VideoId = VideoId::from_bits(1);

    #[tokio::test]
    async fn the_newest_has_the_turn_whoever_asks_last() {
        let (turns, now) = (Turns::default(), Instant::now());
        let first = turns.take(EVENT, 1, now).unwrap();
        let other = turns.take(VideoId::from_bits(2), 1, now).unwrap();
        let third = turns.take(EVENT, 3, now).unwrap();
        assert!(first.over.is_cancelled() && !third.over.is_cancelled() && !other.over.is_cancelled());
        let second = turns.take(EVENT, 2, now).unwrap();
        assert!(second.over.is_cancelled() && !third.over.is_cancelled(), "admitted before, heard later");
        second.over().await;
        drop((first, second));
        assert_eq!(turns.events().len(), 2, "who was overtaken takes nothing away");
        drop((third, other));
        assert!(turns.events().is_empty());
    }

    #[test]
    fn two_that_take_turns_are_stopped_for_a_while() {
        let (turns, start) = (Turns::default(), Instant::now());
        let mut held = turns.take(EVENT, 0, start).unwrap();
        for n in 1..=5 {
            held = turns.take(EVENT, n, start + Duration::from_secs(n)).unwrap();
        }
        let late = start + Duration::from_secs(60);
        assert_eq!(turns.take(EVENT, 6, late).err(), Some(TooManyTakeovers));
        assert!(!held.over.is_cancelled(), "whoever has it goes on");
        held = turns.take(EVENT, 7, late + Duration::from_secs(1)).unwrap();
        assert_eq!(turns.take(EVENT, 8, late + Duration::from_secs(1)).err(), Some(TooManyTakeovers));
        drop(held);
        turns.take(EVENT, 9, late + Duration::from_secs(1)).unwrap();
    }
}
