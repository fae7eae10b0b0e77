//! A request that is held until what it asks for is there.

use std::sync::Arc;
use std::time::Duration;

use live::Timing;
use tokio::time::Instant;

use super::{Asked, Edge, RECHECK};
use crate::decision::Right;
use crate::error::EdgeError;
use crate::live::{Follower, Moment, Release, Stage};

/// In target durations, how long a request may be held (§6.2.5.2).
const LONGEST: u32 = 3;
/// Requests that are held at once for live events, at most: a few kilobytes each.
const MOST_WAITING: i64 = 100_000;

/// How it was let go.
pub(super) enum Held {
    /// This is there; whether it is what was waited for is to be looked at.
    Settled(Arc<Moment>),
    /// There is no such rendition.
    Over,
    /// The right to it is gone.
    Withdrawn,
    /// Whoever asked should do so again.
    InVain,
}

impl Edge {
    /// Waits until `settles` says so of what there is.
    pub(super) async fn hold(
        &self,
        follower: &Follower,
        asked: &Asked<'_>,
        right: &Right,
        patience: Duration,
        settles: impl Fn(&Moment) -> bool,
    ) -> Result<Held, EdgeError> {
        let counts = self.0.live.counts();
        if counts.waiting() >= MOST_WAITING {
            return Ok(Held::InVain);
        }
        let _counted = counts.waits();
        let deadline = Instant::now() + patience;
        let mut stage = follower.stage();
        let (why, held) = loop {
            let look_again = deadline.min(Instant::now() + RECHECK);
            let settled = stage.wait_for(|stage| match stage {
                Stage::Unknown => false,
                Stage::Known(moment) => settles(moment),
                Stage::Over => true,
            });
            tokio::select! {
                biased;
                settled = settled => break (Release::Settled, held_of(settled.as_deref().ok())),
                () = asked.departs() => break (Release::Gone, Held::InVain),
                () = self.0.live.closed() => break (Release::Closed, Held::InVain),
                () = tokio::time::sleep_until(look_again) => {}
            }
            if Instant::now() >= deadline {
                break (Release::TooLong, Held::InVain);
            }
            if right.is_withdrawn(&asked.route, &self.0.follower.told()?.revocations) {
                break (Release::Refused, Held::Withdrawn);
            }
        };
        counts.released(why);
        Ok(held)
    }
}

/// What has come of waiting, with what there is then.
fn held_of(stage: Option<&Stage>) -> Held {
    match stage {
        Some(Stage::Known(moment)) => Held::Settled(Arc::clone(moment)),
        _ => Held::Over,
    }
}

/// How long a request is held at an event of this cadence.
pub(super) fn longest(timing: &Timing) -> Duration {
    Duration::from_secs(u64::from(timing.target_duration_s * LONGEST))
}
