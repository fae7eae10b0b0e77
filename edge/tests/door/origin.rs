//! An origin that says what a test tells it to, and the tokens of its people.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cmaf::GrowingIndex;
use edge::{Origin, SentReport, Want};
use listener::BoxError;
use model::{
    AUDIENCE, AccountId, Grant, ISSUER, PublicPolicy, Revocation, Revoked, SessionId, Tier, Timestamp, Use,
    Uses, VersionId, VideoId,
};
use tokio::sync::watch;

use crate::film::{VERSION, VIDEO};

pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
pub(crate) const ACCOUNT: AccountId = AccountId::from_bits(0xacc);
pub(crate) const SESSION: SessionId = SessionId::from_bits(0x5e5);

/// A key pair of the origin.
#[derive(Clone)]
pub(crate) struct Signer {
    pub(crate) kid: &'static str,
    pair: Arc<Ed25519KeyPair>,
}

impl Signer {
    pub(crate) fn new(kid: &'static str) -> Self {
        Self { kid, pair: Arc::new(Ed25519KeyPair::generate().unwrap()) }
    }

    pub(crate) fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    pub(crate) fn jwk(&self) -> String {
        let x = URL_SAFE_NO_PAD.encode(self.public());
        let kid = self.kid;
        format!(r#"{{"kty":"OKP","crv":"Ed25519","use":"sig","alg":"EdDSA","kid":"{kid}","x":"{x}"}}"#)
    }

    pub(crate) fn token(&self, grant: &Grant) -> String {
        let head = format!(r#"{{"alg":"EdDSA","typ":"JWT","kid":"{}"}}"#, self.kid);
        self.sign(&head, &serde_json::to_string(grant).unwrap())
    }

    /// A rightly signed token with any head and claims.
    pub(crate) fn sign(&self, head: &str, claims: &str) -> String {
        let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.pair.sign(text.as_bytes()));
        format!("{text}.{signature}")
    }
}

/// A grant to watch the film up to `height`, as issued a minute ago.
pub(crate) fn grant(height: u16) -> Grant {
    Grant {
        iss: ISSUER.to_owned(),
        aud: AUDIENCE.to_owned(),
        sub: ACCOUNT,
        sid: SESSION,
        tier: Tier::NONE,
        video: VIDEO,
        version: VERSION,
        height,
        uses: Uses::PLAY,
        rewind_s: 0,
        rate: None,
        iat: NOW.as_seconds() - 60,
        exp: NOW.as_seconds() + 540,
    }
}

/// The same, and the files to keep.
pub(crate) fn keeping(height: u16) -> Grant {
    Grant { uses: Uses::PLAY.with(Use::Download), ..grant(height) }
}

/// What the origin says; clones share it.
#[derive(Clone)]
pub(crate) struct Said(Arc<State>);

struct State {
    jwks: Mutex<String>,
    policy: Mutex<Option<PublicPolicy>>,
    revocations: Mutex<Vec<Revocation>>,
    growing: watch::Sender<Option<Arc<GrowingIndex>>>,
    growing_asked: AtomicUsize,
    /// Whether who asks for what grows the next time is in for a panic.
    cursed: AtomicBool,
    wants: watch::Sender<Vec<Heard>>,
    sent: watch::Sender<Vec<SentReport>>,
    away: AtomicBool,
    policies_asked: AtomicUsize,
}

/// What the origin was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    Want(Want),
    Unwant(Want),
}

impl Said {
    pub(crate) fn new(signers: &[&Signer]) -> Self {
        let this = Self(Arc::new(State {
            jwks: Mutex::default(),
            policy: Mutex::default(),
            revocations: Mutex::default(),
            growing: watch::Sender::new(None),
            growing_asked: AtomicUsize::new(0),
            cursed: AtomicBool::new(false),
            wants: watch::Sender::new(Vec::new()),
            sent: watch::Sender::default(),
            away: AtomicBool::new(false),
            policies_asked: AtomicUsize::new(0),
        }));
        this.keys(signers);
        this
    }

    pub(crate) fn keys(&self, signers: &[&Signer]) {
        let keys: Vec<_> = signers.iter().map(|signer| signer.jwk()).collect();
        *self.0.jwks.lock().unwrap() = format!(r#"{{"keys":[{}]}}"#, keys.join(","));
    }

    pub(crate) fn policy(&self, listed: bool, height: Option<u16>) {
        *self.0.policy.lock().unwrap() = Some(PublicPolicy {
            video: VIDEO,
            version: VERSION,
            also: Vec::new(),
            listed,
            height,
            rewind_s: 0,
        });
    }

    /// The same as [`Said::policy`] of another current version.
    pub(crate) fn policy_of(&self, version: VersionId, also: Vec<VersionId>) {
        let policy =
            PublicPolicy { video: VIDEO, version, also, listed: true, height: Some(360), rewind_s: 0 };
        *self.0.policy.lock().unwrap() = Some(policy);
    }

    pub(crate) fn withdraw_policy(&self) {
        *self.0.policy.lock().unwrap() = None;
    }

    pub(crate) fn revoke(&self, revoked: Revoked, at: Timestamp) {
        let mut list = self.0.revocations.lock().unwrap();
        let number = list.len() as i64 + 1;
        list.push(Revocation { number, revoked, at });
    }

    /// Nothing is revoked any more.
    pub(crate) fn forgive(&self) {
        self.0.revocations.lock().unwrap().clear();
    }

    pub(crate) fn go_away(&self, away: bool) {
        self.0.away.store(away, Ordering::SeqCst);
    }

    /// What is there of the version that grows, if one does.
    pub(crate) fn grow(&self, index: Option<GrowingIndex>) {
        self.0.growing.send_replace(index.map(Arc::new));
    }

    /// Whoever hears next of what grows panics, once.
    pub(crate) fn curse(&self) {
        self.0.cursed.store(true, Ordering::SeqCst);
    }

    pub(crate) fn growing_asked(&self) -> usize {
        self.0.growing_asked.load(Ordering::SeqCst)
    }

    /// All wants so far.
    pub(crate) fn wants(&self) -> Vec<Heard> {
        self.0.wants.borrow().clone()
    }

    /// Waits until there were so many.
    pub(crate) async fn heard(&self, wants: usize) {
        self.0.wants.subscribe().wait_for(|heard| heard.len() >= wants).await.unwrap();
    }

    pub(crate) fn policies_asked(&self) -> usize {
        self.0.policies_asked.load(Ordering::SeqCst)
    }

    fn here(&self) -> Result<(), BoxError> {
        if self.0.away.load(Ordering::SeqCst) { Err("the link is down".into()) } else { Ok(()) }
    }
}

#[async_trait]
impl Origin for Said {
    async fn jwks(&self) -> Result<String, BoxError> {
        self.here()?;
        Ok(self.0.jwks.lock().unwrap().clone())
    }

    async fn policy(&self, video: VideoId) -> Result<Option<PublicPolicy>, BoxError> {
        self.0.policies_asked.fetch_add(1, Ordering::SeqCst);
        self.here()?;
        Ok(self.0.policy.lock().unwrap().clone().filter(|policy| policy.video == video))
    }

    async fn revocations(&self) -> Result<Vec<Revocation>, BoxError> {
        self.here()?;
        Ok(self.0.revocations.lock().unwrap().clone())
    }

    async fn growing(
        &self,
        video: VideoId,
        version: VersionId,
        newer_than: Option<u64>,
    ) -> Result<Option<Arc<GrowingIndex>>, BoxError> {
        self.0.growing_asked.fetch_add(1, Ordering::SeqCst);
        self.here()?;
        let mut growing = self.0.growing.subscribe();
        if newer_than.is_some() {
            let news = growing.wait_for(|index| index.as_ref().map(|index| index.revision) != newer_than);
            let _news_or_not = tokio::time::timeout(Duration::from_secs(2), news).await;
        }
        assert!(!self.0.cursed.swap(false, Ordering::SeqCst), "as the test wants it");
        self.here()?;
        let index = growing.borrow().clone();
        Ok(index.filter(|index| (index.video, index.version) == (video, version)))
    }

    async fn want(&self, want: Want) -> Result<(), BoxError> {
        self.here()?;
        self.0.wants.send_modify(|wants| wants.push(Heard::Want(want)));
        Ok(())
    }

    async fn sent(&self, report: SentReport) -> Result<(), BoxError> {
        self.here()?;
        self.0.sent.send_modify(|sent| sent.push(report));
        Ok(())
    }

    async fn unwant(&self, want: Want) -> Result<(), BoxError> {
        self.here()?;
        self.0.wants.send_modify(|wants| wants.push(Heard::Unwant(want)));
        Ok(())
    }
}
