//! A whole site without its doors, for tests: real rows, objects in memory, a clock moved by hand.

mod clips;
mod growing;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use catalog::{
    Catalog, Claim, Job, JobFailure, NewEvent, NewUpload, NewVersion, RenditionSummary, UploadLimits,
    VideoEdit,
};
use cmaf::{Bandwidth, ChunkRef, RenditionIndex, RenditionKind, SegmentRef, VersionIndex};
use database::testing::TestDatabase;
use futures::TryStreamExt;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use model::cell::Ratio;
use model::{
    AccountId, ChunkHash, Clock, EventPolicy, FailureReason, ManualClock, ObjectKey, Role, StreamKey, Tier,
    Timestamp, UploadId, VersionId, VideoId, Visibility, WorkerId,
};
use rand::rngs::StdRng;
use serde_json::Value;
use storage::{Memory, ObjectStore};
use subscriptions::{NewAccount, Subscriptions};
use tower::ServiceExt;

use crate::{Config, LiveClips, LiveHealth, State, Viewers, router};

pub(crate) use clips::{SixHundredBytes, TenSeconds};

/// The password of every account.
pub(crate) const PASSWORD: &str = "correct horse";
/// When every test begins.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_700_000_000_250);

/// A site and what it consists of.
pub(crate) struct Site {
    pub(crate) state: State,
    pub(crate) clock: Arc<ManualClock>,
    router: Router,
    _database: TestDatabase,
}

/// Somebody with a session.
#[derive(Debug, Clone)]
pub(crate) struct Somebody {
    pub(crate) account: AccountId,
    pub(crate) token: String,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The body as JSON; null when there is none.
    pub(crate) fn json(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Status and the problem's word, for refusals.
    pub(crate) fn refusal(&self) -> (u16, String) {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        assert_eq!(self.json()["status"], self.status.as_u16());
        (self.status.as_u16(), self.json()["code"].as_str().unwrap().to_owned())
    }
}

impl Site {
    /// An empty site.
    pub(crate) async fn open() -> Self {
        Self::open_with(Config::default()).await
    }

    /// An empty site, configured so.
    pub(crate) async fn open_with(config: Config) -> Self {
        let test = TestDatabase::sqlite().await;
        let database = test.open().await;
        let clock = Arc::new(ManualClock::at(START));
        let subscriptions = Subscriptions::open(database.clone(), subscriptions::Config::default());
        let state = State {
            catalog: Catalog::open(database).await.unwrap(),
            subscriptions: subscriptions.await.unwrap(),
            store: Arc::new(Memory::new(clock.clone())),
            clock: clock.clone(),
            config: Arc::new(config),
            health: None,
            clips: None,
            max_total_bytes: 1000,
            rtmp_port: None,
            audience: Viewers::default(),
        };
        state.subscriptions.rotate_keys(START, &mut rng()).await.unwrap();
        Self { router: router(state.clone()), state, clock, _database: test }
    }

    /// Somebody can tell how live feeds are.
    pub(crate) fn with_health(&mut self, health: Arc<dyn LiveHealth>) {
        self.state.health = Some(health);
        self.router = router(self.state.clone());
    }

    /// Somebody can make clips of live events.
    pub(crate) fn with_clips(&mut self, clips: Arc<dyn LiveClips>) {
        self.state.clips = Some(clips);
        self.router = router(self.state.clone());
    }

    /// An account with a session.
    pub(crate) async fn somebody(&self, username: &str, role: Role, tier: u8) -> Somebody {
        let tier = Tier::try_from(tier).unwrap();
        let new = NewAccount { username: username.into(), password: PASSWORD.into(), role, tier };
        let people = &self.state.subscriptions;
        let account = people.create_account(new, self.clock.now(), &mut rng()).await.unwrap();
        let session = people.sign_in(username, PASSWORD.into(), self.clock.now(), &mut rng()).await.unwrap();
        Somebody { account, token: session.token.as_str().to_owned() }
    }

    /// A draft whose bytes are all here.
    pub(crate) async fn upload(&self, owner: &Somebody, title: &str) -> VideoId {
        let (video, now) = (VideoId::generate(&mut rng()), self.clock.now());
        let new = NewUpload {
            id: UploadId::generate(&mut rng()),
            video,
            owner: owner.account,
            title: title.into(),
            filename: "film.mp4".into(),
            size_bytes: 9,
            expires_at: now + Duration::from_secs(60),
        };
        let limits = UploadLimits { max_size_bytes: 10, max_open: 10, max_total_bytes: 1000 };
        let upload = new.id;
        self.state.catalog.create_upload(new, &limits, now).await.unwrap();
        self.state.store.put(&ObjectKey::Original { video }, Bytes::from_static(b"nine byte")).await.unwrap();
        self.state.catalog.advance_upload(upload, 0, 9, now + Duration::from_secs(60)).await.unwrap();
        self.state.catalog.complete_upload(upload, now).await.unwrap();
        video
    }

    /// Takes the one waiting job.
    pub(crate) async fn claim(&self) -> Job {
        let worker = WorkerId::new("test");
        let claimed =
            self.state.catalog.claim_next_job(&worker, Claim::Any, self.clock.now(), Duration::from_secs(60));
        claimed.await.unwrap().expect("a job waits")
    }

    /// Makes the waiting video fail.
    pub(crate) async fn fail(&self, reason: FailureReason) {
        let job = self.claim().await;
        let failure = JobFailure::Final(reason);
        self.state.catalog.fail_job(job.id, job.attempt, failure, self.clock.now()).await.unwrap();
    }

    /// An event that nobody publishes yet, with its key.
    pub(crate) async fn event(
        &self,
        owner: &Somebody,
        visibility: Visibility,
        min_tier: u8,
    ) -> (VideoId, StreamKey) {
        let (video, version) = (VideoId::generate(&mut rng()), VersionId::generate(&mut rng()));
        let key = StreamKey::generate(&mut rng());
        let new = NewEvent {
            video,
            version,
            owner: owner.account,
            title: "A broadcast".into(),
            description: String::new(),
            visibility,
            min_tier: Tier::try_from(min_tier).unwrap(),
            starts_at: Some(self.clock.now() + Duration::from_secs(3600)),
            policy: EventPolicy::default(),
            key: key.hash(),
        };
        self.state.catalog.create_event(&new, self.clock.now()).await.unwrap();
        (video, key)
    }

    /// Lets somebody publish to an event, on air at once; the turn.
    pub(crate) async fn publish(&self, key: &StreamKey) -> catalog::Admitted {
        let (catalog, now) = (&self.state.catalog, self.clock.now());
        let turn = catalog.admit_publisher(&key.hash(), now).await.unwrap().unwrap();
        catalog.event_went_live(turn.video, turn.generation, now).await.unwrap();
        turn
    }

    /// A video that plays.
    pub(crate) async fn video(&self, owner: &Somebody, visibility: Visibility, min_tier: u8) -> VideoId {
        let video = self.upload(owner, "A film").await;
        let version = VersionId::generate(&mut rng());
        let (job, now) = (self.claim().await, self.clock.now());
        let summary = |name: &str, size: Option<(u32, u32)>, average_bandwidth_bps| RenditionSummary {
            name: name.parse().unwrap(),
            width: size.map(|(width, _)| width),
            height: size.map(|(_, height)| height),
            bandwidth_bps: average_bandwidth_bps + 1000,
            average_bandwidth_bps,
            size_bytes: 100,
            formats: 1,
        };
        let renditions = vec![
            summary("a32", None, 32_000),
            summary("a64", None, 64_000),
            summary("144p", Some((256, 144)), 40_000),
            summary("360p", Some((640, 360)), 336_000),
            summary("720p", Some((1280, 720)), 1_536_000),
        ];
        for rendition in &renditions {
            let hash = ChunkHash::of(b"chunk");
            let key = ObjectKey::Chunk { video, version, rendition: rendition.name, number: 0, hash };
            self.state.store.put(&key, Bytes::from_static(b"chunk")).await.unwrap();
        }
        self.state.store.put(&ObjectKey::Index { video, version }, Bytes::from_static(b"{}")).await.unwrap();
        let new = NewVersion { version, duration_ms: 60_000, renditions, stretches: None };
        self.state.catalog.publish(job.id, job.attempt, &new, now).await.unwrap();
        let min_tier = Some(Tier::try_from(min_tier).unwrap());
        let edit = VideoEdit { visibility: Some(visibility), min_tier, ..VideoEdit::default() };
        self.state.catalog.edit_video(video, edit, now).await.unwrap();
        video
    }

    /// A public film of fifteen segments of 4 s, and its index.
    pub(crate) async fn film_of_segments(&self, owner: &Somebody) -> VideoId {
        let video = self.video(owner, Visibility::Public, 0).await;
        let version = self.state.catalog.video(video).await.unwrap().unwrap().version().unwrap();
        let hash = ChunkHash::of(b"chunk");
        let segments = vec![SegmentRef { size_bytes: 10, duration: 4000 }; 15];
        let rendition = RenditionIndex {
            name: "360p".parse().unwrap(),
            codecs: String::new(),
            timescale: 1000,
            kind: RenditionKind::Video { width: 640, height: 360, frame_rate: Ratio::new(25, 1) },
            bandwidth: Bandwidth::default(),
            init_size: 1,
            init_hash: hash,
            chunks: vec![ChunkRef { number: 0, hash, size_bytes: 155, index_bytes: 5, segments }],
            changes: Vec::new(),
            breaks: Vec::new(),
        };
        let index = VersionIndex::new(video, version, vec![rendition]);
        self.state.store.put(&ObjectKey::Index { video, version }, index.to_json()).await.unwrap();
        video
    }

    /// The names of all objects.
    pub(crate) async fn objects(&self) -> Vec<String> {
        let listed = self.state.store.list(ObjectKey::ROOT).map_ok(|object| object.name);
        listed.try_collect().await.unwrap()
    }

    /// Sends a request as it is.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let (head, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: head.status, headers: head.headers, body }
    }

    /// Calls the API as a program does; `null` is no body.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        person: Option<&Somebody>,
        body: Value,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("accept-language", "en");
        if let Some(person) = person {
            request = request.header("authorization", format!("Bearer {}", person.token));
        }
        let body = if body.is_null() {
            Body::empty()
        } else {
            request = request.header("content-type", "application/json");
            Body::from(body.to_string())
        };
        self.send(request.body(body).unwrap()).await
    }

    /// `GET`.
    pub(crate) async fn get(&self, path: &str, person: Option<&Somebody>) -> Answer {
        self.call(Method::GET, path, person, Value::Null).await
    }

    /// `POST` with a body.
    pub(crate) async fn post(&self, path: &str, person: Option<&Somebody>, body: Value) -> Answer {
        self.call(Method::POST, path, person, body).await
    }

    /// `PATCH`.
    pub(crate) async fn patch(&self, path: &str, person: Option<&Somebody>, body: Value) -> Answer {
        self.call(Method::PATCH, path, person, body).await
    }

    /// `DELETE`.
    pub(crate) async fn delete(&self, path: &str, person: Option<&Somebody>) -> Answer {
        self.call(Method::DELETE, path, person, Value::Null).await
    }
}

fn rng() -> StdRng {
    rand::make_rng()
}
