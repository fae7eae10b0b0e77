//! Versions that are still being made, as the origin last told of them.
//!
//! One follower per version, while somebody asks for it: it keeps the index up to date by
//! long-polling the origin, and tells it which segments are waited for. When the origin is away
//! its last word holds.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cmaf::{GrowingIndex, VersionIndex};
use listener::BoxError;
use model::{RenditionName, SessionId, VersionId, VideoId};
use storage::ObjectStore;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::error::EdgeError;
use crate::origin::{Origin, PATIENCE};
use crate::versions::read_index;
use crate::wants::Wants;

/// How long a version is followed that nobody asks for.
const IDLE: Duration = Duration::from_secs(30);
/// Before an origin or a store that failed is asked again.
const RETRY: Duration = Duration::from_secs(1);
/// Before an origin that had nothing new is asked again, should it not wait itself.
const BREATH: Duration = Duration::from_millis(50);

/// What a version has become.
#[derive(Debug, Clone)]
pub(crate) enum Stage {
    /// It is being made, and this is there.
    Growing(Arc<GrowingIndex>),
    /// It was published.
    Whole(Arc<VersionIndex>),
    /// It was given up or deleted, or this edge stops.
    Over,
}

impl Stage {
    fn is_waited_for(&self, name: RenditionName, segment: u32) -> bool {
        matches!(self, Self::Growing(index) if index.chunk_of(name, segment).is_none())
    }
}

/// A version in the making.
pub(crate) struct Growth {
    video: VideoId,
    version: VersionId,
    stage: watch::Sender<Stage>,
    wants: Arc<Wants>,
    /// When it was last asked for; `None` once its follower has stopped.
    used: Mutex<Option<Instant>>,
}

impl Growth {
    pub(crate) fn new(index: Arc<GrowingIndex>) -> Arc<Self> {
        let (video, version) = (index.video, index.version);
        Arc::new(Self {
            video,
            version,
            stage: watch::Sender::new(Stage::Growing(index)),
            wants: Wants::new(video, version),
            used: Mutex::new(Some(Instant::now())),
        })
    }

    /// What is there of it, and that somebody asks; `None` if nobody follows it any more.
    pub(crate) fn now(&self) -> Option<Arc<GrowingIndex>> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        *used.as_mut()? = Instant::now();
        match &*self.stage.borrow() {
            Stage::Growing(index) => Some(Arc::clone(index)),
            Stage::Whole(_) | Stage::Over => None,
        }
    }

    /// Waits until a segment is there or will not come, at most for `patience`; not at all if too
    /// many wait already.
    pub(crate) async fn arrival(
        &self,
        name: RenditionName,
        segment: u32,
        session: Option<SessionId>,
        patience: Duration,
    ) {
        let Some(index) = self.now() else { return };
        let Some(hold) = self.wants.hold(index.lane(name), segment, session) else { return };
        let mut stage = self.stage.subscribe();
        let arrived = stage.wait_for(|stage| !stage.is_waited_for(name, segment));
        // Whoever waited looks again; what there is then is the answer.
        if tokio::time::timeout(patience, arrived).await.is_err() {
            hold.was_in_vain();
        }
    }

    /// Follows the version until it is whole or gone, or nobody has asked for it for a while.
    pub(crate) async fn follow(&self, origin: &dyn Origin, store: &dyn ObjectStore) -> Stage {
        tokio::select! {
            last = self.listen(origin, store) => last,
            () = self.wants.report(origin) => Stage::Over,
        }
    }

    /// Lets all who wait look again, and nobody in any more.
    pub(crate) fn end(&self, last: Stage) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.stage.send_replace(last);
    }

    async fn listen(&self, origin: &dyn Origin, store: &dyn ObjectStore) -> Stage {
        let mut trouble = Trouble::default();
        loop {
            if self.stops_idle() {
                return Stage::Over;
            }
            match self.ask(origin).await {
                Ok(Some(index)) => {
                    trouble.is_over(self);
                    if Some(index.revision) == self.revision() {
                        tokio::time::sleep(BREATH).await;
                    } else {
                        self.stage.send_replace(Stage::Growing(index));
                    }
                }
                Ok(None) => match read_index(store, self.video, self.version).await {
                    Ok(index) => return Stage::Whole(Arc::new(index)),
                    Err(EdgeError::Absent) => return Stage::Over,
                    Err(error) => trouble.pause(self, &error).await,
                },
                Err(source) => {
                    trouble.pause(self, &EdgeError::Origin { what: "a growing version", source }).await;
                }
            }
        }
    }

    async fn ask(&self, origin: &dyn Origin) -> Result<Option<Arc<GrowingIndex>>, BoxError> {
        ask(origin, self.video, self.version, self.revision()).await
    }

    fn revision(&self) -> Option<u64> {
        match &*self.stage.borrow() {
            Stage::Growing(index) => Some(index.revision),
            Stage::Whole(_) | Stage::Over => None,
        }
    }

    /// Whether nobody needs it; then nobody is let in any more.
    fn stops_idle(&self) -> bool {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = used.is_none_or(|at| at.elapsed() >= IDLE) && self.wants.is_empty();
        if idle {
            *used = None;
        }
        idle
    }
}

/// What the origin says of a version, where that is newer than `newer_than`.
pub(crate) async fn ask(
    origin: &dyn Origin,
    video: VideoId,
    version: VersionId,
    newer_than: Option<u64>,
) -> Result<Option<Arc<GrowingIndex>>, BoxError> {
    let index = tokio::time::timeout(PATIENCE, origin.growing(video, version, newer_than)).await??;
    match index {
        Some(index) if (index.video, index.version) != (video, version) => {
            Err("the origin told of another version".into())
        }
        index => Ok(index),
    }
}

/// So that trouble is logged when it begins and when it is over.
#[derive(Default)]
struct Trouble(bool);

impl Trouble {
    async fn pause(&mut self, growth: &Growth, error: &EdgeError) {
        if !std::mem::replace(&mut self.0, true) {
            tracing::warn!(
                version.id = %growth.version,
                error = error as &dyn std::error::Error,
                "cannot follow the growing version {}; what is known of it is served", growth.version
            );
        }
        tokio::time::sleep(RETRY).await;
    }

    fn is_over(&mut self, growth: &Growth) {
        if std::mem::take(&mut self.0) {
            tracing::info!(version.id = %growth.version, "the growing version {} is followed again", growth.version);
        }
    }
}
