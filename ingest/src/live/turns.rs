//! One publisher of an event at a time: the newest. An encoder that was cut off comes back while its
//! dead connection is still here; it must not be locked out by itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::VideoId;
use tokio_util::sync::CancellationToken;

/// Hands out the turns of events among the publishers of this process, at once; among processes the
/// rows do, a little later.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turns(Arc<Mutex<HashMap<VideoId, Newest>>>);

#[derive(Debug)]
struct Newest {
    generation: u64,
    over: CancellationToken,
}

/// The right to publish in an event, until somebody newer comes, or dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    video: VideoId,
    generation: u64,
    over: CancellationToken,
    turns: Turns,
}

impl Turns {
    /// Takes the turn from whoever has it. One that is older than whoever has it is over at once.
    pub(crate) fn take(&self, video: VideoId, generation: u64) -> Turn {
        let over = CancellationToken::new();
        let mut events = self.events();
        match events.get_mut(&video) {
            Some(newest) if newest.generation >= generation => over.cancel(),
            Some(newest) => {
                newest.generation = generation;
                std::mem::replace(&mut newest.over, over.clone()).cancel();
            }
            None => {
                events.insert(video, Newest { generation, over: over.clone() });
            }
        }
        Turn { video, generation, over, turns: self.clone() }
    }

    fn events(&self) -> MutexGuard<'_, HashMap<VideoId, Newest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Cancelled when somebody newer has the turn.
    pub(crate) const fn over(&self) -> &CancellationToken {
        &self.over
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
        let turns = Turns::default();
        let first = turns.take(EVENT, 1);
        let other = turns.take(VideoId::from_bits(2), 1);
        let third = turns.take(EVENT, 3);
        assert!(first.over.is_cancelled() && !third.over.is_cancelled() && !other.over.is_cancelled());
        let second = turns.take(EVENT, 2);
        assert!(second.over.is_cancelled() && !third.over.is_cancelled(), "admitted before, heard later");
        second.over().cancelled().await;
        drop((first, second));
        assert_eq!(turns.events().len(), 2, "who was overtaken takes nothing away");
        drop((third, other));
        assert!(turns.events().is_empty());
    }
}
