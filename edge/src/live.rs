//! Live events: one follower per rendition, whatever the audience.
//!
//! ```text
//! LiveSource ─ news(after) ─→ Follower: Replica, Ring ─ watch ─→ everybody who waits
//!            ─ event, bytes ─→ Broadcast, Pieces
//! ```
//!
//! A follower begins with the first request and stops when nobody has asked for a while. It asks its
//! source once for each part and publishes what there is as one [`Moment`]; a body is written by the
//! first who asks for it at that moment, and is everybody's.

mod broadcast;
mod counts;
mod follower;
mod moment;
mod pieces;
mod ring;
mod route;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use live::LiveSource;
use model::{Clock, VersionId, VideoId};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::EdgeError;
pub(crate) use broadcast::Broadcast;
pub(crate) use counts::{Counts, Release};
pub(crate) use follower::Follower;
pub(crate) use moment::{Moment, Stage};
use pieces::Pieces;
use ring::Room;
pub(crate) use route::LiveRoute;

/// Events that are known at once, at most.
const MOST_EVENTS: usize = 4096;
/// How long an event is remembered that nobody asks for; it is asked about anew after seconds.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);
/// The same of what is none.
const NOTHING: Duration = Duration::from_secs(10);
/// Before a source that failed is asked again.
const RETRY: Duration = Duration::from_millis(500);
/// How long what has ended is served by what was known of it.
const ENDED: Duration = Duration::from_secs(5 * 60);

/// The events of an edge.
pub(crate) struct Live {
    /// Nobody, if this edge has no events.
    source: Option<Arc<dyn LiveSource>>,
    shared: Arc<Shared>,
    broadcasts: Mutex<HashMap<(VideoId, VersionId), Arc<Broadcast>>>,
}

/// What all followers have in common.
struct Shared {
    clock: Arc<dyn Clock>,
    pieces: Pieces,
    room: Arc<Room>,
    followers: TaskTracker,
    closing: CancellationToken,
    counts: Counts,
}

impl Live {
    /// The events that `source` has, with so many bytes of them in memory.
    pub(crate) fn new(source: Option<Arc<dyn LiveSource>>, clock: Arc<dyn Clock>, bytes: u64) -> Self {
        let shared = Shared {
            clock,
            pieces: Pieces::new(bytes / 2),
            room: Room::new(bytes / 2),
            followers: TaskTracker::new(),
            closing: CancellationToken::new(),
            counts: Counts::new(),
        };
        Self { source, shared: Arc::new(shared), broadcasts: Mutex::default() }
    }

    /// An event, which need not be there.
    pub(crate) fn broadcast(&self, video: VideoId, version: VersionId) -> Result<Arc<Broadcast>, EdgeError> {
        let source = self.source.as_ref().ok_or(EdgeError::Absent)?;
        let mut broadcasts = self.broadcasts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(broadcast) = broadcasts.get(&(video, version)) {
            broadcast.is_asked_for();
            return Ok(Arc::clone(broadcast));
        }
        let now = Instant::now();
        broadcasts.retain(|_, known| known.is_remembered(now));
        if broadcasts.len() >= MOST_EVENTS {
            return Err(EdgeError::NotYet);
        }
        let broadcast =
            Broadcast::new(video, version, Arc::clone(source), Arc::clone(&self.shared), Instant::now());
        broadcasts.insert((video, version), Arc::clone(&broadcast));
        Ok(broadcast)
    }

    /// Lets nobody wait any longer.
    pub(crate) fn close(&self) {
        self.shared.closing.cancel();
    }

    /// Whether nobody is to wait any longer.
    pub(crate) fn is_closed(&self) -> bool {
        self.shared.closing.is_cancelled()
    }

    /// What is counted.
    pub(crate) fn counts(&self) -> &Counts {
        &self.shared.counts
    }
}
