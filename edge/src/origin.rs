//! What an edge must be told, and by whom.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use cmaf::GrowingIndex;
use listener::BoxError;
use model::{Lane, PublicPolicy, Revocation, Timestamp, VersionId, VideoId};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::error::EdgeError;
use crate::keyring::Keyring;
use crate::revocations::Revocations;
use crate::sent::SentReport;
use crate::verified::Epoch;

/// The one who decides: in one process a function call, later the internal door of a parent.
///
/// Calls come from the edge's accepting threads: an implementation that speaks SQL moves to
/// another runtime by itself.
#[async_trait]
pub trait Origin: Send + Sync + 'static {
    /// The public keys that grants are signed with, as a JWK set (RFC 7517 §5).
    async fn jwks(&self) -> Result<String, BoxError>;

    /// What everybody may have of a video; `None` if there is no such video.
    async fn policy(&self, video: VideoId) -> Result<Option<PublicPolicy>, BoxError>;

    /// Whose grants are void: everything that can still concern a grant that has not expired.
    async fn revocations(&self) -> Result<Vec<Revocation>, BoxError>;

    /// What is there of a version that is being made; `None` if no such version is: it is
    /// published, given up, or never was. With `newer_than` it waits, at most two seconds, for
    /// another revision than that.
    async fn growing(
        &self,
        video: VideoId,
        version: VersionId,
        newer_than: Option<u64>,
    ) -> Result<Option<Arc<GrowingIndex>>, BoxError>;

    /// Somebody waits for a segment, on this edge: its chunk moves to the head of the queue.
    /// Said again every few seconds while they wait.
    async fn want(&self, want: Want) -> Result<(), BoxError>;

    /// Nobody on this edge waits for it any more; said once for each time it was wanted.
    async fn unwant(&self, want: Want) -> Result<(), BoxError>;

    /// How many bytes were sent. A report that was counted is not counted again.
    async fn sent(&self, report: SentReport) -> Result<(), BoxError>;

    /// What an earlier process heard, if this one begins with that: it holds like any last word.
    fn remembered(&self) -> Option<Remembered> {
        None
    }
}

/// The last word of an origin, from before the process began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// See [`Origin::jwks`].
    pub jwks: String,
    /// See [`Origin::revocations`].
    pub revocations: Vec<Revocation>,
    /// Public policies, each with the moment when it was asked for.
    pub policies: Vec<(PublicPolicy, Timestamp)>,
}

/// A segment that is waited for. All renditions of a lane are made together, so it stands for
/// them, and so are all of the sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Want {
    /// Of this video,
    pub video: VideoId,
    /// this version of it,
    pub version: VersionId,
    /// and the pictures of this lane, or the sound,
    pub lane: Option<Lane>,
    /// the segment's number, from 0.
    pub segment: u32,
}

/// How long one question to the origin may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Keys and revocations as the origin last told them.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) epoch: Arc<Epoch>,
    pub(crate) revocations: Arc<Revocations>,
    jwks: String,
}

impl Told {
    fn remembered(word: &Remembered) -> Option<Self> {
        match Keyring::from_jwks(&word.jwks) {
            Ok(keyring) => Some(Self {
                epoch: Arc::new(Epoch::new(keyring)),
                revocations: Arc::new(Revocations::new(&word.revocations)),
                jwks: word.jwks.clone(),
            }),
            Err(error) => {
                tracing::warn!(%error, "the keys that were remembered are of no use");
                None
            }
        }
    }
}

/// Keeps [`Told`] up to date.
///
/// While the origin is away the last word holds: grants are short, and an edge with a broken
/// link must go on serving those who already have one.
pub(crate) struct Follower {
    origin: Arc<dyn Origin>,
    told: ArcSwapOption<Told>,
    /// So that an origin that is away is logged when it goes and when it comes back.
    away: AtomicBool,
}

impl Follower {
    pub(crate) fn new(origin: Arc<dyn Origin>) -> Self {
        let told = origin.remembered().and_then(|word| Told::remembered(&word)).map(Arc::new);
        Self { origin, told: ArcSwapOption::new(told), away: AtomicBool::new(false) }
    }

    /// The last word.
    pub(crate) fn told(&self) -> Result<Arc<Told>, EdgeError> {
        self.told.load_full().ok_or(EdgeError::NoKeys)
    }

    /// Asks the origin once.
    pub(crate) async fn refresh(&self) -> Result<(), EdgeError> {
        let failed = |what| move |source| EdgeError::Origin { what, source };
        let (jwks, revocations) = tokio::time::timeout(PATIENCE, async {
            tokio::try_join!(async { self.origin.jwks().await.map_err(failed("keys")) }, async {
                self.origin.revocations().await.map_err(failed("revocations"))
            },)
        })
        .await
        .map_err(|elapsed| failed("keys and revocations")(elapsed.into()))??;

        let last = self.told.load_full();
        let epoch = match &last {
            Some(last) if last.jwks == jwks => Arc::clone(&last.epoch),
            _ => {
                let keyring = Keyring::from_jwks(&jwks).map_err(|error| failed("keys")(error.into()))?;
                tracing::info!("the origin's keys are new to this edge");
                Arc::new(Epoch::new(keyring))
            }
        };
        let revocations = Revocations::new(&revocations);
        let revocations = match last {
            Some(last) if *last.revocations == revocations => Arc::clone(&last.revocations),
            _ => Arc::new(revocations),
        };
        self.told.store(Some(Arc::new(Told { epoch, revocations, jwks })));
        Ok(())
    }

    /// Asks again every `interval` until `stop`.
    pub(crate) async fn follow(&self, interval: Duration, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            match self.refresh().await {
                Ok(()) => {
                    if self.away.swap(false, Ordering::Relaxed) {
                        tracing::info!("the origin answers again");
                    }
                }
                Err(error) => {
                    if !self.away.swap(true, Ordering::Relaxed) {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "the origin does not answer; its last word holds"
                        );
                    }
                }
            }
        }
    }
}
