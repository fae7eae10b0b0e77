//! Which segments of a growing version requests wait for, and what the origin was told of it.
//!
//! All renditions of a lane are encoded together, so a want is counted per lane and segment, and
//! the origin hears of it once for all who wait, again every few seconds while they do, and once
//! more when the last of them has gone. A request that ends, however it ends, drops its [`Hold`].

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use model::{Lane, RenditionName, SessionId, VersionId, VideoId};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::origin::{Origin, PATIENCE, Want};

/// How often the origin is told again, so that what it forgot it learns anew.
const REPEAT: Duration = Duration::from_secs(5);
/// Segments of one lane that may be waited for at once: each may split a chunk that is queued.
const SEGMENTS_PER_LANE: usize = 64;
/// Requests of one session that may wait: a player asks for picture and sound, and a little ahead.
const HOLDS_PER_SESSION: usize = 8;

/// What is made in one go: a segment of a lane, or of the sound (no lane).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Place {
    lane: Option<Lane>,
    segment: u32,
}

impl Place {
    fn of(rendition: RenditionName, segment: u32) -> Self {
        Self { lane: rendition.is_video().then(|| Lane::of(rendition)), segment }
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

struct Waiting {
    /// What the first of them asked for; it stands for the lane.
    rendition: RenditionName,
    holders: usize,
}

/// A request that waits.
pub(crate) struct Hold {
    wants: Arc<Wants>,
    place: Place,
    session: Option<SessionId>,
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

    /// Counts a request that waits for a segment; `None` if too many do.
    pub(crate) fn hold(
        self: &Arc<Self>,
        rendition: RenditionName,
        segment: u32,
        session: Option<SessionId>,
    ) -> Option<Hold> {
        let place = Place::of(rendition, segment);
        let mut held = self.lock();
        let in_lane = held.places.keys().filter(|other| other.lane == place.lane).count();
        if in_lane >= SEGMENTS_PER_LANE && !held.places.contains_key(&place) {
            return None;
        }
        if let Some(session) = session {
            let holds = held.sessions.entry(session).or_default();
            if *holds >= HOLDS_PER_SESSION {
                return None;
            }
            *holds += 1;
        }
        let waiting = held.places.entry(place).or_insert(Waiting { rendition, holders: 0 });
        waiting.holders += 1;
        if waiting.holders == 1 {
            self.changed.notify_one();
        }
        drop(held);
        Some(Hold { wants: Arc::clone(self), place, session })
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().places.is_empty()
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
                        let place = Place::of(want.rendition, want.segment);
                        let wanted = told.entry(place).or_insert(Wanted { want, times: 0, at: now });
                        (wanted.times, wanted.at) = (wanted.times + 1, now);
                    }
                    News::Unwant(want, _) => {
                        told.remove(&Place::of(want.rendition, want.segment));
                    }
                }
            }
            let again = told.values().map(|wanted| wanted.at + REPEAT).min();
            tokio::select! {
                () = self.changed.notified() => {}
                () = tokio::time::sleep_until(again.unwrap_or(now)), if again.is_some() => {}
            }
        }
    }

    fn due(&self, told: &Told, now: Instant) -> Vec<News> {
        let held = self.lock();
        let want = |(place, waiting): (&Place, &Waiting)| Want {
            video: self.video,
            version: self.version,
            rendition: waiting.rendition,
            segment: place.segment,
        };
        let is_due = |place: &Place| told.get(place).is_none_or(|wanted| now >= wanted.at + REPEAT);
        let wanted = held.places.iter().filter(|(place, _)| is_due(place)).map(want).map(News::Want);
        let left = told.iter().filter(|(place, _)| !held.places.contains_key(place));
        wanted.chain(left.map(|(_, wanted)| News::Unwant(wanted.want, wanted.times))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        // Counts are right between any two statements.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut held = self.wants.lock();
        if let Some(holds) = self.session.and_then(|session| held.sessions.get_mut(&session)) {
            *holds -= 1;
        }
        held.sessions.retain(|_, holds| *holds > 0);
        if let Some(waiting) = held.places.get_mut(&self.place) {
            waiting.holders -= 1;
            if waiting.holders == 0 {
                held.places.remove(&self.place);
                self.wants.changed.notify_one();
            }
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
