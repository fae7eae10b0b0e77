//! Which segments of a growing version requests wait for, and what the origin was told of it.
//!
//! All renditions of a lane are encoded together, so a want is counted per lane and segment, and
//! the origin hears of it once for all who wait, again every few seconds while they do, and once
//! more when the last of them has gone. A request that ends, however it ends, drops its [`Hold`].

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use model::{Lane, SessionId, VersionId, VideoId};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::origin::{Origin, PATIENCE, Want};

/// How often the origin is told again, so that what it forgot it learns anew.
const REPEAT: Duration = Duration::from_secs(5);
/// Segments of one lane that may be waited for at once: each may split a chunk that is queued.
const SEGMENTS_PER_LANE: usize = 64;
/// Those of them that requests without a session may begin to wait for: strangers to a public film
/// do not fill it for those who are known.
const SEGMENTS_OF_STRANGERS: usize = 16;
/// How long a want outlives a request that waited in vain: it is refused with `Retry-After: 1`, and
/// comes back to its old place in the queue.
const LINGERS: Duration = Duration::from_secs(3);
/// Requests of one session that may wait: a player asks for picture and sound, and a little ahead.
const HOLDS_PER_SESSION: usize = 8;

/// What is made in one go: a segment of a lane, or of the sound (no lane).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Place {
    lane: Option<Lane>,
    segment: u32,
}

impl Place {
    fn of(want: Want) -> Self {
        Self { lane: want.lane, segment: want.segment }
    }
}

/// The wants of one growing version.
pub(crate) struct Wants {
    video: VideoId,
    version: VersionId,
    held: Mutex<Held>,
    changed: Notify,
}

#[derive(Default)]
struct Held {
    places: BTreeMap<Place, Waiting>,
    sessions: HashMap<SessionId, usize>,
}

#[derive(Default)]
struct Waiting {
    holders: usize,
    /// Until when it counts although nobody holds it.
    lingers: Option<Instant>,
}

/// A request that waits.
pub(crate) struct Hold {
    wants: Arc<Wants>,
    place: Place,
    session: Option<SessionId>,
    in_vain: bool,
}

/// What is to be told to the origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    Want(Want),
    Unwant(Want, u32),
}

/// What the origin was told about each place that it believes to be wanted.
type Told = BTreeMap<Place, Wanted>;

struct Wanted {
    want: Want,
    /// How often it was told so: as often it must hear the contrary.
    times: u32,
    /// When last.
    at: Instant,
}

impl Wants {
    pub(crate) fn new(video: VideoId, version: VersionId) -> Arc<Self> {
        Arc::new(Self { video, version, held: Mutex::default(), changed: Notify::new() })
    }

    /// Counts a request that waits for a segment of a lane, or of the sound; `None` if too many do.
    pub(crate) fn hold(
        self: &Arc<Self>,
        lane: Option<Lane>,
        segment: u32,
        session: Option<SessionId>,
    ) -> Option<Hold> {
        let place = Place { lane, segment };
        let mut held = self.lock();
        let in_lane = held.places.keys().filter(|other| other.lane == place.lane).count();
        let share = if session.is_some() { SEGMENTS_PER_LANE } else { SEGMENTS_OF_STRANGERS };
        if in_lane >= share && !held.places.contains_key(&place) {
            return None;
        }
        if let Some(session) = session {
            let holds = held.sessions.entry(session).or_default();
            if *holds >= HOLDS_PER_SESSION {
                return None;
            }
            *holds += 1;
        }
        let waiting = held.places.entry(place).or_default();
        waiting.holders += 1;
        if waiting.holders == 1 {
            self.changed.notify_one();
        }
        drop(held);
        Some(Hold { wants: Arc::clone(self), place, session, in_vain: false })
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().places.values().all(|waiting| waiting.holders == 0)
    }

    /// Keeps telling the origin, as long as it is polled.
    pub(crate) async fn report(&self, origin: &dyn Origin) {
        let mut told = Told::new();
        loop {
            let news = self.due(&told, Instant::now());
            join_all(news.iter().map(|news| tell(origin, *news))).await;
            let now = Instant::now();
            for news in news {
                match news {
                    News::Want(want) => {
                        let place = Place::of(want);
                        let wanted = told.entry(place).or_insert(Wanted { want, times: 0, at: now });
                        (wanted.times, wanted.at) = (wanted.times + 1, now);
                    }
                    News::Unwant(want, _) => {
                        told.remove(&Place::of(want));
                    }
                }
            }
            let again = self.again(&told);
            tokio::select! {
                () = self.changed.notified() => {}
                () = tokio::time::sleep_until(again.unwrap_or(now)), if again.is_some() => {}
            }
        }
    }

    /// When something is due if nothing changes.
    fn again(&self, told: &Told) -> Option<Instant> {
        let repeat = |place: &Place| told.get(place).map(|wanted| wanted.at + REPEAT);
        let when = |(place, waiting): (&Place, &Waiting)| waiting.lingers().or_else(|| repeat(place));
        self.lock().places.iter().filter_map(when).min()
    }

    fn due(&self, told: &Told, now: Instant) -> Vec<News> {
        let mut held = self.lock();
        held.places.retain(|_, waiting| waiting.lingers().is_none_or(|until| now < until));
        let (video, version) = (self.video, self.version);
        let want = |(place, _): (&Place, &Waiting)| Want {
            video,
            version,
            lane: place.lane,
            segment: place.segment,
        };
        let is_due = |place: &Place| told.get(place).is_none_or(|wanted| now >= wanted.at + REPEAT);
        let waited = held.places.iter().filter(|(_, waiting)| waiting.holders > 0);
        let wanted = waited.filter(|(place, _)| is_due(place)).map(want).map(News::Want);
        let left = told.iter().filter(|(place, _)| !held.places.contains_key(place));
        wanted.chain(left.map(|(_, wanted)| News::Unwant(wanted.want, wanted.times))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        // Counts are right between any two statements.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Until when it counts, if nobody holds it.
    fn lingers(&self) -> Option<Instant> {
        self.lingers.filter(|_| self.holders == 0)
    }
}

impl Hold {
    /// Nothing came of it: whoever it was will ask again soon.
    pub(crate) fn was_in_vain(mut self) {
        self.in_vain = true;
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut held = self.wants.lock();
        if let Some(session) = self.session
            && let Entry::Occupied(mut holds) = held.sessions.entry(session)
        {
            *holds.get_mut() -= 1;
            if *holds.get() == 0 {
                holds.remove();
            }
        }
        let Some(waiting) = held.places.get_mut(&self.place) else { return };
        waiting.holders -= 1;
        if self.in_vain {
            waiting.lingers = Some(Instant::now() + LINGERS);
        }
        if waiting.holders == 0 {
            if waiting.lingers.is_none() {
                held.places.remove(&self.place);
            }
            self.wants.changed.notify_one();
        }
    }
}

/// A want that did not arrive is told again with the next round; one that is not taken back costs
/// the encoder a place in the queue and nothing else.
async fn tell(origin: &dyn Origin, news: News) {
    let told = tokio::time::timeout(PATIENCE, async {
        match news {
            News::Want(want) => origin.want(want).await,
            News::Unwant(want, times) => {
                for _ in 0..times {
                    origin.unwant(want).await?;
                }
                Ok(())
            }
        }
    });
    let failed: Option<listener::BoxError> = match told.await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error),
        Err(elapsed) => Some(elapsed.into()),
    };
    if let Some(error) = failed {
        tracing::debug!(error = &*error as &dyn std::error::Error, ?news, "the origin does not hear a want");
    }
}
