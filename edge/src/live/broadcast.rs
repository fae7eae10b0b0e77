//! One event as this edge knows it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use live::{Event, LiveSource, Piece};
use model::{RenditionName, VersionId, VideoId};
use tokio::time::Instant;

use crate::error::EdgeError;
use crate::live::{ENDED, Follower, NOTHING, REMEMBERED, RETRY, Shared, Stage};
use crate::media::Media;
use crate::metrics::Found;
use crate::origin::PATIENCE;

/// How long what the source said of an event is good.
const FRESH: Duration = Duration::from_secs(2);

/// An event, and its renditions that somebody watches.
pub(crate) struct Broadcast {
    video: VideoId,
    version: VersionId,
    source: Arc<dyn LiveSource>,
    shared: Arc<Shared>,
    /// Locked while the source is asked: who wants to know too waits for that answer.
    event: tokio::sync::Mutex<Known>,
    renditions: Mutex<HashMap<RenditionName, Arc<Follower>>>,
    life: Mutex<Life>,
}

/// What the source last said.
#[derive(Default)]
struct Known {
    event: Option<Arc<Event>>,
    /// Whether it failed to answer since.
    failed: bool,
    /// When it was asked.
    at: Option<Instant>,
    /// When it first said that the event is over.
    ended: Option<Instant>,
}

/// When it was asked for, and whether it is an event at all.
struct Life {
    asked: Instant,
    is_event: bool,
}

/// A follower as long as somebody carries it on. However that ends, nobody waits for it in vain.
struct Following {
    broadcast: Arc<Broadcast>,
    name: RenditionName,
    follower: Arc<Follower>,
}

impl Drop for Following {
    fn drop(&mut self) {
        if self.broadcast.shared.closing.is_cancelled() {
            // What is known is still served to whoever was already here.
            return self.follower.nudge();
        }
        let mut renditions = self.broadcast.renditions();
        if renditions.get(&self.name).is_some_and(|known| Arc::ptr_eq(known, &self.follower)) {
            renditions.remove(&self.name);
        }
        drop(renditions);
        // After a panic there is a rendition all the same, and the next who asks has it followed again.
        self.follower.end(if std::thread::panicking() { Stage::Lost } else { Stage::Over });
    }
}

impl Broadcast {
    pub(super) fn new(
        video: VideoId,
        version: VersionId,
        source: Arc<dyn LiveSource>,
        shared: Arc<Shared>,
        now: Instant,
    ) -> Arc<Self> {
        Arc::new(Self {
            video,
            version,
            source,
            shared,
            event: tokio::sync::Mutex::default(),
            renditions: Mutex::default(),
            life: Mutex::new(Life { asked: now, is_event: false }),
        })
    }

    pub(super) fn is_asked_for(&self) {
        self.life().asked = Instant::now();
    }

    /// Whether it is still worth its memory.
    pub(super) fn is_remembered(&self, now: Instant) -> bool {
        let Life { asked, is_event } = *self.life();
        now.duration_since(asked) < if is_event { REMEMBERED } else { NOTHING }
    }

    /// The event as the source described it at most two seconds ago, or longer if it does not answer.
    pub(crate) async fn event(&self) -> Result<Arc<Event>, EdgeError> {
        let mut known = self.event.lock().await;
        let good = if known.failed { RETRY } else { FRESH };
        if known.at.is_none_or(|at| at.elapsed() >= good) {
            let said =
                tokio::time::timeout(PATIENCE, self.source.event(self.video, self.version, None)).await;
            known.at = Some(Instant::now());
            known.failed = false;
            match said.unwrap_or_else(|elapsed| Err(elapsed.into())) {
                Ok(Some(event)) if (event.video, event.version) == (self.video, self.version) => {
                    self.life().is_event = true;
                    known.ended = known.ended.or(known.at.filter(|_| event.ended));
                    known.event = Some(event);
                }
                Ok(Some(_)) => return Err(unclear("the source told of another event".into())),
                Ok(None) => {
                    // What is over may be forgotten there before everybody here has seen its end.
                    known.ended = known.ended.or(known.at.filter(|_| self.is_seen_to_end()));
                    if known.ended.is_none_or(|at| at.elapsed() >= ENDED) {
                        known.event = None;
                    }
                }
                Err(error) => {
                    tracing::debug!(error = &*error as &dyn std::error::Error, "cannot ask for an event");
                    known.failed = true;
                }
            }
        }
        match (&known.event, known.failed) {
            (Some(event), _) => Ok(Arc::clone(event)),
            (None, false) => Err(EdgeError::Absent),
            (None, true) => Err(unclear("it does not answer".into())),
        }
    }

    /// Whoever follows a rendition, from now on if nobody did.
    pub(crate) async fn follower(self: &Arc<Self>, name: RenditionName) -> Result<Arc<Follower>, EdgeError> {
        if let Some(follower) = self.renditions().get(&name).filter(|follower| follower.is_asked_for()) {
            return Ok(Arc::clone(follower));
        }
        let event = self.event().await?;
        let offered = event.rendition(name).ok_or(EdgeError::Absent)?;
        let mut renditions = self.renditions();
        if let Some(follower) = renditions.get(&name).filter(|follower| follower.is_asked_for()) {
            return Ok(Arc::clone(follower));
        }
        let follower = Follower::new(&event, offered, &self.shared.room);
        renditions.insert(name, Arc::clone(&follower));
        let following = Following { broadcast: Arc::clone(self), name, follower: Arc::clone(&follower) };
        self.shared.followers.spawn(async move {
            let Following { broadcast, follower, .. } = &following;
            let shared = &broadcast.shared;
            let _counted = shared.counts.follows();
            tokio::select! {
                () = shared.closing.cancelled() => {}
                () = follower.follow(&*broadcast.source, &*shared.clock, &shared.counts) => {}
                never = follower.nudge_in_silence() => match never {},
            }
        });
        Ok(follower)
    }

    /// The bytes of a piece that is not in a follower's ring, read once for all who want it.
    pub(crate) async fn piece(
        &self,
        name: RenditionName,
        piece: Piece,
        size_bytes: Option<u32>,
    ) -> Result<(Media, Found), Arc<EdgeError>> {
        let read = async {
            let asked = self.source.bytes(self.video, self.version, name, piece);
            let bytes = tokio::time::timeout(PATIENCE, asked).await;
            let bytes = bytes.unwrap_or_else(|elapsed| Err(elapsed.into())).map_err(unclear)?;
            let bytes = bytes.ok_or(EdgeError::Absent)?;
            if size_bytes.is_some_and(|size| size as usize != bytes.len()) {
                tracing::error!(
                    version.id = %self.version,
                    "{piece:?} of {name} has {} bytes instead of {size_bytes:?}", bytes.len()
                );
                return Err(unclear("the source gave other bytes than it told of".into()));
            }
            Ok(Media::of(bytes))
        };
        self.shared.pieces.piece((self.version, name, piece), read).await
    }

    /// A closed segment of so many bytes: from its parts while they are here.
    pub(crate) async fn segment(
        &self,
        follower: &Follower,
        name: RenditionName,
        (msn, size_bytes): (u32, u32),
    ) -> Result<(Media, Found), Arc<EdgeError>> {
        match self.gathered(follower, name, msn).await {
            Some(media) => Ok((media, Found::Memory)),
            None => self.piece(name, Piece::Segment(msn), Some(size_bytes)).await,
        }
    }

    /// Closed segments as one, put together once for all who want them. As their source has them:
    /// made of parts they are some hundred bytes longer, and who asks counts them.
    pub(crate) async fn joined(
        &self,
        follower: &Follower,
        name: RenditionName,
        segments: &[(u32, u32)],
    ) -> Result<(Media, Found), Arc<EdgeError>> {
        let join = async {
            let mut bytes = BytesMut::new();
            for (msn, size_bytes) in segments {
                match self.piece(name, Piece::Segment(*msn), Some(*size_bytes)).await {
                    Ok((media, _)) => bytes.extend_from_slice(&media.bytes),
                    Err(error) => match self.gathered(follower, name, *msn).await {
                        Some(media) => bytes.extend_from_slice(&media.bytes),
                        None if matches!(*error, EdgeError::Absent) => return Err(EdgeError::Absent),
                        None => return Err(unclear(error.into())),
                    },
                }
            }
            Ok(Media::of(bytes.freeze()))
        };
        let first = segments.first().map_or(0, |(msn, _)| *msn);
        self.shared.pieces.joined((self.version, name, first, segments.len()), join).await
    }

    async fn gathered(&self, follower: &Follower, name: RenditionName, msn: u32) -> Option<Media> {
        self.shared.pieces.gathered((self.version, name, msn), || follower.gathered(msn)).await
    }

    /// Whether a follower has come to the end.
    fn is_seen_to_end(&self) -> bool {
        self.renditions().values().any(|follower| follower.replica().rendition.is_ended())
    }

    fn renditions(&self) -> MutexGuard<'_, HashMap<RenditionName, Arc<Follower>>> {
        self.renditions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unclear(source: live::Failure) -> EdgeError {
    EdgeError::Origin { what: "a live event", source }
}
