//! An origin on another machine, as an edge sees it.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cmaf::GrowingIndex;
use http::{HeaderValue, StatusCode};
use listener::BoxError;
use model::{Clock, PublicPolicy, Revocation, Timestamp, VersionId, VideoId};
use moka::sync::Cache;
use rand::Rng;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use crate::keyring::Keyring;
use crate::link::client::{AT_ONCE, Client, LONG_POLL, Tagged};
use crate::link::config::Credential;
use crate::link::disk::{Disk, Policies, Word};
use crate::link::documents::{GrowingDocument, PolicyDocument, ROOT, Report, RevocationsDocument};
use crate::link::list::Copy;
use crate::origin::{Origin, Remembered, Want};
use crate::sent::{self, SentReport};

/// How often keys are asked for.
const KEYS_EVERY: Duration = Duration::from_secs(5);
/// Before an origin that does not answer is asked again.
const RETRY: Duration = Duration::from_secs(1);
/// Before a report that did not arrive is sent again.
const RESEND: Duration = Duration::from_millis(500);
/// How often what is new is written to the disk,
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// and policies, whose moments change all the time, once in so many times.
const POLICIES_EVERY: u32 = 5;
/// Policies that are kept on the disk.
const KEPT_POLICIES: usize = 4096;
/// Growing versions of which the last word is kept.
const GROWING: u64 = 256;
const GROWING_IDLE: Duration = Duration::from_secs(60);

/// Why an origin cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// It is not `https://host` or `http://host`, perhaps with a port.
    #[error("the origin's address is not `https://host` or `http://host`")]
    Address,
    /// This machine trusts nobody over TLS.
    #[error("read the trusted certificates of this machine")]
    Roots(#[source] io::Error),
    /// The folder for what was heard cannot be used.
    #[error("open the folder `{}`", folder.display())]
    Folder {
        /// Which folder.
        folder: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The credential was revoked, its days are over, or it never was one.
    #[error("the origin refuses this edge's credential")]
    Unauthenticated,
    /// The origin, or somebody before it, does not do what is asked.
    #[error("the origin answers {0}")]
    Status(StatusCode),
    /// Nothing has been heard for too long.
    #[error("the origin does not answer")]
    Away,
}

/// The origin of an edge of its own: documents over HTTP, the last word in memory and on disk.
#[derive(Clone)]
pub struct RemoteOrigin(Arc<Inner>);

struct Inner {
    address: Url,
    client: Client,
    clock: Arc<dyn Clock>,
    /// Where connections live: not on threads that end before the last answer is out.
    handle: Handle,
    disk: Disk,
    known: Mutex<Known>,
    link: watch::Sender<Link>,
    growing: Cache<VersionId, Arc<GrowingIndex>>,
    sender: u64,
    reports: AtomicU64,
}

/// What was heard last.
#[derive(Default)]
struct Known {
    jwks: Option<String>,
    etag: Option<HeaderValue>,
    revoked: Option<Copy>,
    policies: HashMap<VideoId, (PublicPolicy, Timestamp)>,
    /// Whether the disk does not know it yet.
    is_new: bool,
    has_new_policies: bool,
}

/// How the two questions that are always asked were answered last.
#[derive(Debug, Clone, Copy, Default)]
struct Link {
    keys: Heard,
    revocations: Heard,
    is_refused: bool,
}

#[derive(Debug, Clone, Copy, Default)]
enum Heard {
    /// Nobody has answered or failed to.
    #[default]
    Nothing,
    Well(Instant),
    Failed,
}

impl Heard {
    /// Whether the last answer failed to come, or is too long ago.
    fn is_lost(self, patience: Duration) -> bool {
        match self {
            Self::Nothing => false,
            Self::Well(at) => at.elapsed() >= patience,
            Self::Failed => true,
        }
    }
}

impl RemoteOrigin {
    /// The origin at `address` for whoever holds `credential`. It begins with what `folder` holds
    /// from before, and hears more while [`RemoteOrigin::follow`] runs.
    ///
    /// # Errors
    ///
    /// When `address` is none, the folder cannot be made, or there is nobody to trust over TLS.
    pub fn open(
        address: Url,
        credential: Credential,
        folder: PathBuf,
        clock: Arc<dyn Clock>,
        handle: Handle,
        rng: &mut impl Rng,
    ) -> Result<Self, LinkError> {
        let is_plain = address.path() == "/"
            && address.query().is_none()
            && address.fragment().is_none()
            && address.username().is_empty()
            && address.password().is_none();
        if !is_plain || !matches!(address.scheme(), "http" | "https") {
            return Err(LinkError::Address);
        }
        let client = Client::new(address.clone(), credential)?;
        let disk = Disk::open(folder.clone()).map_err(|source| LinkError::Folder { folder, source })?;
        let mut known = Known::default();
        if let Some(Word { jwks, revocations, .. }) = disk.word(&address) {
            let mut copy = Copy::default();
            copy.learn(revocations, clock.now());
            (known.jwks, known.revoked) = (Some(jwks), Some(copy));
        }
        for (policy, asked) in disk.policies(&address).map(|kept| kept.policies).unwrap_or_default() {
            known.policies.insert(policy.video, (policy, asked));
        }
        Ok(Self(Arc::new(Inner {
            address,
            client,
            clock,
            handle,
            disk,
            known: Mutex::new(known),
            link: watch::Sender::default(),
            growing: Cache::builder().max_capacity(GROWING).time_to_idle(GROWING_IDLE).build(),
            sender: rng.next_u64(),
            reports: AtomicU64::new(0),
        })))
    }

    /// Why viewers should be sent elsewhere, if they should: nothing has been heard yet, today or
    /// before, or the origin refuses this edge.
    pub fn not_ready(&self) -> Option<String> {
        if self.0.link.borrow().is_refused {
            return Some(LinkError::Unauthenticated.to_string());
        }
        let known = self.0.known();
        let is_known = known.jwks.is_some() && known.revoked.is_some();
        (!is_known).then(|| "the origin has not been heard yet".to_owned())
    }

    /// Hears what the origin says, and keeps it on the disk, until `stop`.
    pub async fn follow(&self, stop: CancellationToken) {
        let inner = &self.0;
        tokio::select! {
            () = stop.cancelled() => {}
            () = async { tokio::join!(inner.hear_keys(), inner.hear_revocations(), inner.write()); } => {}
        }
        inner.write_once(true).await;
    }

    /// Who asks the origin.
    pub(crate) fn client(&self) -> Client {
        self.0.client.clone()
    }

    /// Runs a question where connections live; whoever no longer waits for it ends it.
    pub(crate) async fn aside<T, F>(&self, question: F) -> Result<T, BoxError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, BoxError>> + Send + 'static,
    {
        AbortOnDropHandle::new(self.0.handle.spawn(question)).await?
    }

    /// Sends a report until it has arrived, or nobody waits for that any more.
    async fn report(&self, name: &'static str, want: Want) -> Result<(), BoxError> {
        let inner = Arc::clone(&self.0);
        let number = inner.reports.fetch_add(1, Ordering::Relaxed) + 1;
        let report = Report { sender: inner.sender, number, want };
        self.aside(async move {
            loop {
                match inner.client.post(&format!("{ROOT}{name}"), &report, AT_ONCE).await {
                    Err(error) if is_worth_another_try(&error) => tokio::time::sleep(RESEND).await,
                    done => return done,
                }
            }
        })
        .await
    }

    /// Waits until the origin has answered a question or failed to, and says whether it is there.
    async fn here(&self, heard: impl Fn(&Link) -> Heard) -> Result<(), BoxError> {
        let mut link = self.0.link.subscribe();
        let link = *link.wait_for(|link| !matches!(heard(link), Heard::Nothing)).await?;
        if link.is_refused {
            return Err(LinkError::Unauthenticated.into());
        }
        let is_lost =
            link.keys.is_lost(KEYS_EVERY + AT_ONCE + RETRY) || link.revocations.is_lost(LONG_POLL + RETRY);
        if is_lost { Err(LinkError::Away.into()) } else { Ok(()) }
    }
}

fn is_worth_another_try(error: &BoxError) -> bool {
    match error.downcast_ref() {
        Some(LinkError::Unauthenticated) => false,
        Some(LinkError::Status(status)) => status.is_server_error(),
        _ => true,
    }
}

impl Inner {
    fn known(&self) -> MutexGuard<'_, Known> {
        // What is known is whole between any two statements that change it.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn hear_keys(&self) {
        loop {
            let etag = self.known().etag.clone();
            let told = self.client.get_if_other(&format!("{ROOT}jwks"), etag).await;
            let pause = if told.is_ok() { KEYS_EVERY } else { RETRY };
            let heard = told.and_then(|told| told.map_or(Ok(()), |keys| self.take_keys(keys)));
            self.note(heard, |link, heard| link.keys = heard);
            tokio::time::sleep(pause).await;
        }
    }

    /// Takes keys that can be used: others must not stand in their place on the disk.
    fn take_keys(&self, Tagged { text, etag }: Tagged) -> Result<(), BoxError> {
        Keyring::from_jwks(&text)?;
        let mut known = self.known();
        known.is_new |= known.jwks.as_ref() != Some(&text);
        (known.jwks, known.etag) = (Some(text), etag);
        Ok(())
    }

    async fn hear_revocations(&self) {
        loop {
            let path = {
                let known = self.known();
                let (list, number) = known.revoked.as_ref().map(Copy::reach).unwrap_or_default();
                format!("{ROOT}revocations?list={list}&after={number}")
            };
            let asked = Instant::now();
            let told = self.client.get::<RevocationsDocument>(&path, LONG_POLL).await;
            let heard = told.map(|told| {
                let now = self.clock.now();
                let mut known = self.known();
                let copy = known.revoked.get_or_insert_default();
                let before = copy.reach() != (told.list.as_str(), told.number);
                copy.learn(told, now);
                known.is_new |= before;
            });
            self.note(heard, |link, heard| link.revocations = heard);
            // Also one that answers is not asked at once again: of several behind one address each
            // would tell its own list, whole.
            tokio::time::sleep_until(asked + RETRY).await;
        }
    }

    /// Notes how a question was answered. Why none is, and that the origin refuses this edge, is told
    /// when it begins.
    fn note(&self, heard: Result<(), BoxError>, set: impl Fn(&mut Link, Heard)) {
        let is_refused = heard
            .as_ref()
            .err()
            .is_some_and(|error| matches!(error.downcast_ref(), Some(LinkError::Unauthenticated)));
        let before = *self.link.borrow();
        if let Err(error) = &heard {
            let error = &**error as &dyn std::error::Error;
            match (before.keys, before.revocations) {
                (Heard::Failed, _) | (_, Heard::Failed) => tracing::debug!(error, "the origin was not heard"),
                _ => tracing::warn!(error, "the origin was not heard"),
            }
        }
        if is_refused && !before.is_refused {
            tracing::error!("the origin refuses this edge's credential: enrol it anew");
        }
        self.link.send_modify(|link| {
            set(link, if heard.is_ok() { Heard::Well(Instant::now()) } else { Heard::Failed });
            link.is_refused = is_refused;
        });
    }

    async fn write(&self) {
        let mut ticks = tokio::time::interval(WRITE_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        for turn in (0..POLICIES_EVERY).cycle() {
            ticks.tick().await;
            self.write_once(turn == 0).await;
        }
    }

    async fn write_once(&self, with_policies: bool) {
        let word = self.new_word();
        let policies = if with_policies { self.new_policies() } else { None };
        if word.is_none() && policies.is_none() {
            return;
        }
        let disk = self.disk.clone();
        let written = tokio::task::spawn_blocking(move || {
            word.map_or(Ok(()), |word| disk.keep_word(&word))?;
            policies.map_or(Ok(()), |policies| disk.keep_policies(&policies))
        });
        let error = match written.await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error,
            Err(error) => io::Error::other(error),
        };
        tracing::error!(%error, "cannot keep what the origin said");
        // It is tried again with what there is then.
        let mut known = self.known();
        (known.is_new, known.has_new_policies) = (true, true);
    }

    fn new_word(&self) -> Option<Word> {
        let mut known = self.known();
        let (jwks, revoked) = (known.jwks.clone()?, known.revoked.as_ref()?.document());
        std::mem::take(&mut known.is_new).then(|| Word {
            origin: self.address.clone(),
            jwks,
            revocations: revoked,
        })
    }

    fn new_policies(&self) -> Option<Policies> {
        let mut known = self.known();
        if !std::mem::take(&mut known.has_new_policies) {
            return None;
        }
        let mut policies: Vec<_> = known.policies.drain().map(|(_, kept)| kept).collect();
        policies.sort_by_key(|(_, asked)| std::cmp::Reverse(*asked));
        policies.truncate(KEPT_POLICIES);
        known.policies.extend(policies.iter().map(|kept| (kept.0.video, kept.clone())));
        Some(Policies { origin: self.address.clone(), policies })
    }
}

#[async_trait]
impl Origin for RemoteOrigin {
    async fn jwks(&self) -> Result<String, BoxError> {
        self.here(|link| link.keys).await?;
        self.0.known().jwks.clone().ok_or_else(|| LinkError::Away.into())
    }

    async fn policy(&self, video: VideoId) -> Result<Option<PublicPolicy>, BoxError> {
        let inner = Arc::clone(&self.0);
        self.aside(async move {
            let asked = inner.clock.now();
            let path = format!("{ROOT}policy/{video}");
            let PolicyDocument { policy } = inner.client.get(&path, AT_ONCE).await?;
            if policy.as_ref().is_some_and(|policy| policy.video != video) {
                return Err("the origin told of another video".into());
            }
            let mut known = inner.known();
            // That there is none is not kept: whoever asks for names that do not exist would fill it.
            let before = match &policy {
                Some(policy) => known.policies.insert(video, (policy.clone(), asked)),
                None => known.policies.remove(&video),
            };
            known.has_new_policies |= policy.is_some() || before.is_some();
            Ok(policy)
        })
        .await
    }

    async fn revocations(&self) -> Result<Vec<Revocation>, BoxError> {
        self.here(|link| link.revocations).await?;
        self.0.known().revoked.as_ref().map(Copy::all).ok_or_else(|| LinkError::Away.into())
    }

    async fn growing(
        &self,
        video: VideoId,
        version: VersionId,
        newer_than: Option<u64>,
    ) -> Result<Option<Arc<GrowingIndex>>, BoxError> {
        let inner = Arc::clone(&self.0);
        self.aside(async move {
            // Only news of what is still held can be news.
            let held = inner.growing.get(&version).filter(|index| Some(index.revision) == newer_than);
            let mut path = format!("{ROOT}growing/{video}/{version}");
            if let Some(index) = &held {
                path += &format!("?newer_than={}", index.revision);
            }
            match inner.client.get(&path, AT_ONCE).await? {
                GrowingDocument::None => Ok(None),
                GrowingDocument::Unchanged => {
                    Ok(Some(held.ok_or("the origin told of no change to nothing")?))
                }
                GrowingDocument::Index(index) => {
                    let index = Arc::new(*index);
                    inner.growing.insert(version, Arc::clone(&index));
                    Ok(Some(index))
                }
            }
        })
        .await
    }

    async fn want(&self, want: Want) -> Result<(), BoxError> {
        self.report("wants", want).await
    }

    async fn unwant(&self, want: Want) -> Result<(), BoxError> {
        self.report("unwants", want).await
    }

    async fn sent(&self, report: SentReport) -> Result<(), BoxError> {
        let inner = Arc::clone(&self.0);
        // Sent again, if it does not arrive, by whoever keeps it.
        self.aside(async move { inner.client.post(&format!("{ROOT}sent"), &report, sent::PATIENCE).await })
            .await
    }

    fn remembered(&self) -> Option<Remembered> {
        let known = self.0.known();
        Some(Remembered {
            jwks: known.jwks.clone()?,
            revocations: known.revoked.as_ref()?.all(),
            policies: known.policies.values().cloned().collect(),
        })
    }
}

#[cfg(test)]
mod tests;
