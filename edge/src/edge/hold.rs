//! A request that is held until what it asks for is there.

use std::sync::Arc;
use std::time::Duration;

use live::Timing;
use tokio::time::Instant;

use super::{Asked, Edge};
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
    /// Waits until `settles` says so of what there is. Whether to wait on is asked when there is news,
    /// and about once a second when there is none.
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
        let mut let_go = (Release::Gone, Ok(Held::InVain));
        // Nothing else is waited for: no timer and no list of its own for each of ten thousand.
        let settled = stage.wait_for(|stage| {
            let end = match stage {
                Stage::Known(moment) if settles(moment) => {
                    (Release::Settled, Ok(Held::Settled(Arc::clone(moment))))
                }
                Stage::Over => (Release::Settled, Ok(Held::Over)),
                Stage::Lost => (Release::Settled, Ok(Held::InVain)),
                Stage::Known(_) | Stage::Unknown => match self.ends_in_vain(asked, right, deadline) {
                    Some(end) => end,
                    None => return false,
                },
            };
            let_go = end;
            true
        });
        tokio::select! {
            biased;
            _ = settled => {}
            () = asked.departs() => {}
        }
        let (why, held) = let_go;
        counts.released(why);
        held
    }

    /// Why somebody is let go for whom there is nothing yet, if they are.
    fn ends_in_vain(
        &self,
        asked: &Asked<'_>,
        right: &Right,
        deadline: Instant,
    ) -> Option<(Release, Result<Held, EdgeError>)> {
        if self.0.live.is_closed() {
            return Some((Release::Closed, Ok(Held::InVain)));
        }
        if Instant::now() >= deadline {
            return Some((Release::TooLong, Ok(Held::InVain)));
        }
        match self.0.follower.told() {
            Ok(told) if right.is_withdrawn(&asked.route, &told.revocations) => {
                Some((Release::Refused, Ok(Held::Withdrawn)))
            }
            Ok(_) => None,
            Err(error) => Some((Release::Refused, Err(error))),
        }
    }
}

/// How long a request is held at an event of this cadence.
pub(super) fn longest(timing: &Timing) -> Duration {
    Duration::from_secs(u64::from(timing.target_duration_s * LONGEST))
}
