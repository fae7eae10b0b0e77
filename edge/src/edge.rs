use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use listener::{Bodiless, Body, Departure, Door, ETag, Language, Outcome, Peer, Problem, Text};
use live::LiveSource;
use model::{Clock, ErrorKind, ObjectKey, Timestamp};
use prometheus_client::registry::Registry;
use rand::Rng;
use storage::ObjectStore;
use tokio_util::sync::CancellationToken;

use crate::carrier::{Carried, carried, query_token};
use crate::config::Config;
use crate::decision::{Bearer, Decision, Right, by_grant, by_policy};
use crate::document::{Document, Encoded};
use crate::error::EdgeError;
use crate::files::Files;
use crate::keyring::{TokenError, is_three_parts};
use crate::live::{Live, LiveRoute};
use crate::media::{Media, MediaCache};
use crate::metrics::{Audience, Found, Metrics};
use crate::origin::{Follower, Origin, Told};
use crate::playlist;
use crate::policies::Policies;
use crate::response::{self, Entity, Keep};
use crate::route::{self, METHODS, Resource, Route, Target, Undecodable};
use crate::sent::Meter;
use crate::strangers::Strangers;
use crate::versions::Versions;

mod events;
mod hold;
mod plain_mp4;
mod segment;

const PLAYLIST: &str = "application/vnd.apple.mpegurl";

/// The door that media goes out of.
#[derive(Clone)]
pub struct Edge(Arc<Inner>);

struct Inner {
    config: Config,
    clock: Arc<dyn Clock>,
    origin: Arc<dyn Origin>,
    follower: Follower,
    strangers: ArcSwap<Strangers>,
    metrics: Metrics,
    policies: Policies,
    versions: Versions,
    media: Arc<MediaCache>,
    files: Files,
    live: Live,
    meter: Arc<Meter>,
}

/// A request that was decoded, without its body, which is never read.
struct Asked<'a> {
    method: &'a Method,
    query: Option<&'a str>,
    headers: &'a HeaderMap,
    address: Option<IpAddr>,
    departure: Option<&'a Departure>,
    route: Route,
}

impl<'a> Asked<'a> {
    fn new(route: Route, Parts { method, uri, headers, extensions, .. }: &'a Parts) -> Self {
        let address = extensions.get().map(|Peer(peer)| peer.ip());
        Self { method, query: uri.query(), headers, address, departure: extensions.get(), route }
    }
}

/// How often the right to a body is looked at again while the body is sent.
const RECHECK: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
#[error("the right to this body was withdrawn while it was sent")]
struct Withdrawn;

/// An answer, and what is counted of it.
struct Served {
    response: Response<Body>,
    audience: Audience,
    cache: Found,
}

/// For what is served to nobody in particular: refusals, and what says nothing.
impl From<Response<Body>> for Served {
    fn from(response: Response<Body>) -> Self {
        Self { response, audience: Audience::None, cache: Found::None }
    }
}

impl Edge {
    /// An edge over `store` that believes `origin`, with the live events that `events` has, if
    /// anybody. It refuses everything until [`Edge::refresh`] or [`Edge::follow`] has heard from the
    /// origin once.
    pub fn new(
        config: Config,
        store: Arc<dyn ObjectStore>,
        origin: Arc<dyn Origin>,
        events: Option<Arc<dyn LiveSource>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let media = Arc::new(MediaCache::new(Arc::clone(&store), config.media_cache_bytes));
        Self(Arc::new(Inner {
            metrics: Metrics::new(),
            strangers: ArcSwap::from_pointee(Strangers::new(&config)),
            policies: Policies::new(&config, Arc::clone(&origin)),
            versions: Versions::new(Arc::clone(&store), Arc::clone(&origin), config.index_cache_bytes / 2),
            follower: Follower::new(Arc::clone(&origin)),
            origin,
            files: Files::new(store, Arc::clone(&media), config.index_cache_bytes / 2),
            live: Live::new(events, Arc::clone(&clock), config.live_cache_bytes),
            media,
            meter: Arc::default(),
            config,
            clock,
        }))
    }

    /// Shows what this edge counts in `registry`.
    pub fn register(&self, registry: &mut Registry) {
        self.0.metrics.register(registry);
        self.0.live.counts().register(registry);
    }

    /// From now on the limits of `config` hold; its other keys hold from the next start.
    pub fn reload(&self, config: &Config) {
        self.0.strangers.store(Arc::new(Strangers::new(config)));
    }

    /// Asks the origin for its keys and revocations once.
    ///
    /// # Errors
    ///
    /// When the origin does not answer, or with keys that cannot be used; what it said before
    /// still holds.
    pub async fn refresh(&self) -> Result<(), EdgeError> {
        self.0.follower.refresh().await
    }

    /// Keeps asking until `stop`. Then no request is held any longer.
    pub async fn follow(&self, stop: CancellationToken) {
        let every = Duration::from_secs(self.0.config.follow_s.get());
        // Not behind a question to an origin that is away.
        let close = async {
            stop.cancelled().await;
            self.0.versions.close();
            self.0.live.close();
        };
        tokio::join!(self.0.follower.follow(every, stop.clone()), close);
    }

    /// Tells the origin how many bytes were sent, until the door is `drained`. What has not arrived
    /// yet is kept in `file`, which no other edge uses.
    pub async fn report(&self, file: PathBuf, rng: &mut impl Rng, drained: CancellationToken) {
        let Inner { meter, origin, clock, .. } = &*self.0;
        meter.report(&**origin, &**clock, file, rng, drained).await;
    }
}

impl Door for Edge {
    fn name(&self) -> &'static str {
        "edge"
    }

    fn takes(&self, _: &Method, path: &str) -> bool {
        [route::WHOLE, route::LIVE, route::TOKEN].iter().any(|root| path.starts_with(root))
    }

    fn serve(&self, request: Request<Incoming>) -> BoxFuture<'static, Response<Body>> {
        let this = self.clone();
        async move {
            let (parts, _body) = request.into_parts();
            this.answer(&parts).await
        }
        .boxed()
    }

    fn without_body(&self) -> Option<&dyn Bodiless> {
        Some(self)
    }
}

impl Bodiless for Edge {
    fn answer(&self, request: Parts) -> BoxFuture<'static, Response<Body>> {
        let this = self.clone();
        async move { this.answer(&request).await }.boxed()
    }
}

impl Edge {
    /// The answer to a request, whose body, if it has one, is not read. Whoever drops the future
    /// no longer waits.
    pub async fn answer(&self, request: &Parts) -> Response<Body> {
        let started = Instant::now();
        let target = Route::decode(&request.method, request.uri.path());
        let resource = target.as_ref().ok().map(|target| target.route.resource);
        let Served { mut response, audience, cache } = match target {
            Ok(target) => self.serve_target(target, request).await,
            Err(Undecodable::NotFound) => {
                response::refusal(ErrorKind::NotFound, Language::of(&request.headers)).into()
            }
            Err(Undecodable::Method) => {
                Problem::method_not_allowed(METHODS, Language::of(&request.headers)).into()
            }
        };
        response::open_to_players(response.headers_mut());
        let route = resource.map_or("none", Resource::name);
        let outcome = Outcome { route, audience: audience.word(), cache: cache.word() };
        response.extensions_mut().insert(outcome);
        self.0.metrics.answered(resource, response.status(), audience, cache, started.elapsed());
        response
    }

    /// What the gate says to a request by its token alone, without looking anything up: nothing
    /// if its grant allows it, or else the status of the refusal. What only a public policy could
    /// allow is refused here.
    pub fn check(&self, request: &Parts) -> Option<StatusCode> {
        let decided = match Route::decode(&request.method, request.uri.path()) {
            Ok(Target { token, route }) => self.decide_by_grant(token, &Asked::new(route, request)),
            Err(Undecodable::NotFound) => return Some(StatusCode::NOT_FOUND),
            Err(Undecodable::Method) => return Some(StatusCode::METHOD_NOT_ALLOWED),
        };
        match decided {
            Ok(Decision::Allowed(_)) => None,
            Ok(Decision::Refused(kind) | Decision::AskPolicy(kind)) => Some(listener::status(kind)),
            Err(error) => Some(listener::status(error.kind())),
        }
    }

    fn decide_by_grant(&self, prefix: Option<&str>, asked: &Asked<'_>) -> Result<Decision, EdgeError> {
        let told = self.0.follower.told()?;
        let bearer = self.bearer(&told, prefix, asked);
        Ok(by_grant(&asked.route, &bearer, &told.revocations, self.0.clock.now()))
    }

    async fn serve_target(&self, target: Target<'_>, request: &Parts) -> Served {
        let Parts { method, uri, headers, .. } = request;
        let route = target.route;
        if *method == Method::OPTIONS {
            return response::preflight().into();
        }
        if let Some(redirect) = redirect(&route, target.token, uri.query(), headers) {
            return redirect.into();
        }
        self.respond(Asked::new(route, request), target.token).await.unwrap_or_else(|error| {
            if matches!(*error, EdgeError::NotYet) {
                return response::not_yet(Language::of(headers)).into();
            }
            log(&route, &error);
            response::refusal(error.kind(), Language::of(headers)).into()
        })
    }

    /// Decides, and only then looks anything up.
    async fn respond(&self, asked: Asked<'_>, prefix: Option<&str>) -> Result<Served, Arc<EdgeError>> {
        let now = self.0.clock.now();
        let told = self.0.follower.told()?;
        let bearer = self.bearer(&told, prefix, &asked);
        let right = match self.decide(&asked.route, &bearer, &told, now).await? {
            Ok(right) => right,
            Err(kind) => return Ok(response::refusal(kind, Language::of(asked.headers)).into()),
        };
        let audience = Audience::from(&right);
        let (response, cache) = self.find(&asked, &bearer, &right).await?;
        let response = if response.status().is_success() {
            let all = self.0.metrics.sent_to(audience);
            let tally = self.0.meter.tally(right.account(), asked.route.video, all);
            let rate = right.rate();
            response.map(|body| {
                let body = rate.into_iter().fold(body, Body::paced);
                self.watched(body, asked.route, right).tallied(tally)
            })
        } else {
            response
        };
        Ok(Served { response, audience, cache })
    }

    /// A body under way is looked after: when its right is withdrawn it ends.
    fn watched(&self, body: Body, route: Route, right: Right) -> Body {
        if body.is_short() {
            return body;
        }
        let (edge, mut checked) = (self.clone(), self.0.clock.now());
        body.watched(move || {
            let now = edge.0.clock.now();
            if now.since(checked) < RECHECK {
                return Ok(());
            }
            checked = now;
            let told = edge.0.follower.told()?;
            if right.is_withdrawn(&route, &told.revocations) { Err(Withdrawn.into()) } else { Ok(()) }
        })
    }

    /// What is asked for, to which there is a right.
    async fn find(
        &self,
        asked: &Asked<'_>,
        bearer: &Bearer,
        right: &Right,
    ) -> Result<(Response<Body>, Found), Arc<EdgeError>> {
        let (video, version) = (asked.route.video, asked.route.version);
        match asked.route.resource {
            Resource::Poster => self.picture(ObjectKey::Poster { video, version }, asked, right).await,
            Resource::Thumbnail => self.picture(ObjectKey::Thumbnail { video, version }, asked, right).await,
            Resource::Multivariant => {
                let version = self.0.versions.of(video, version).await?;
                let offers = version.offers(asked.query.is_some_and(asks_for_planned));
                if offers.is_empty() {
                    return Err(EdgeError::NotYet.into());
                }
                let playlist = Document::plain(playlist::multivariant(&offers, right.height()));
                Ok((text(&playlist, Keep::Briefly, asked, right), Found::None))
            }
            Resource::Playlist(name) => {
                let version = self.0.versions.of(video, version).await?;
                let playlist = self.0.versions.playlist(&version, name).await?;
                Ok((text(&playlist, Keep::Forever, asked, right), Found::Memory))
            }
            Resource::IFrames(name) => {
                let version = self.0.versions.of(video, version).await?;
                let playlist = self.0.versions.i_frames(&version, name).await?;
                Ok((text(&playlist, Keep::Forever, asked, right), Found::Memory))
            }
            Resource::Init(name, number) => {
                let hash = self.0.versions.of(video, version).await?.init(name, number)?;
                let key = ObjectKey::Init { video, version, rendition: name, number };
                let (init, cache) = self.0.media.object(key, Some(hash)).await?;
                Ok((media(&init, key.content_type(), asked, right), cache))
            }
            Resource::Segment(name, number) => self.segment(name, number, asked, bearer, right).await,
            Resource::Mp4(name) => Ok((self.mp4(name, asked, right).await?, Found::Store)),
            Resource::Live(live) => self.event(live, asked, bearer, right).await,
        }
    }

    fn bearer(&self, told: &Told, prefix: Option<&str>, asked: &Asked<'_>) -> Bearer {
        let Some(Carried { token, ambient }) = carried(prefix, asked.headers) else { return Bearer::Nobody };
        match told.epoch.verify(token, asked.address, &self.0.strangers.load(), &self.0.metrics) {
            Ok(grant) => Bearer::Grant { grant, ambient },
            Err(TokenError::TooMany) => Bearer::Unheard { ambient },
            Err(error) => {
                tracing::debug!(reason = %error, "token refused");
                Bearer::Forged { ambient }
            }
        }
    }

    async fn decide(
        &self,
        route: &Route,
        bearer: &Bearer,
        told: &Told,
        now: Timestamp,
    ) -> Result<Result<Right, ErrorKind>, EdgeError> {
        let decision = match by_grant(route, bearer, &told.revocations, now) {
            Decision::AskPolicy(otherwise) => {
                let answer = self.0.policies.of(route.video, route.version, now).await?;
                by_policy(route, answer, &told.revocations, otherwise)
            }
            decision => decision,
        };
        Ok(match decision {
            Decision::Allowed(right) => Ok(right),
            Decision::Refused(kind) | Decision::AskPolicy(kind) => Err(kind),
        })
    }

    async fn picture(
        &self,
        key: ObjectKey,
        asked: &Asked<'_>,
        right: &Right,
    ) -> Result<(Response<Body>, Found), Arc<EdgeError>> {
        let (picture, cache) = self.0.media.object(key, None).await?;
        Ok((media(&picture, key.content_type(), asked, right), cache))
    }
}

/// One line for what an operator must mend. That the origin is away is told once, by the
/// follower, and not by every viewer.
fn log(route: &Route, error: &EdgeError) {
    if matches!(error, EdgeError::Absent | EdgeError::NotYet | EdgeError::NoKeys | EdgeError::Origin { .. }) {
        return;
    }
    tracing::error!(
        video.id = %route.video,
        version.id = %route.version,
        route = route.name(),
        error = error as &dyn std::error::Error,
        "cannot serve {route}"
    );
}

/// `?token=` on the multivariant, for players to which one can only give a URL: the token moves
/// into the path, where the relative names of the playlist inherit it.
fn redirect(
    route: &Route,
    prefix: Option<&str>,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Option<Response<Body>> {
    let is_multivariant =
        matches!(route.resource, Resource::Multivariant | Resource::Live(LiveRoute::Multivariant(_)));
    let (true, None, Some(query)) = (is_multivariant, prefix, query) else { return None };
    match query_token(query) {
        Ok(None) => None,
        Ok(Some(token)) if is_three_parts(token) => Some(response::found(&format!("/t/{token}{route}"))),
        Ok(Some(_)) => Some(response::refusal(ErrorKind::Unauthenticated, Language::of(headers))),
        Err(_) => {
            let title = Text::new("El parámetro `token` está repetido", "The parameter `token` is repeated");
            Some(Problem::of(ErrorKind::Invalid).named("two_tokens", title).response(Language::of(headers)))
        }
    }
}

/// Whether a multivariant is to name all pictures that are planned: for a player that knows what
/// to do with those that are not there yet.
fn asks_for_planned(query: &str) -> bool {
    query.split('&').any(|pair| pair == "planned=1")
}

fn text(document: &Document, keep: Keep, asked: &Asked<'_>, right: &Right) -> Response<Body> {
    let Encoded { bytes, etag, encoding } = document.encoded_for(asked.headers);
    let varies = match keep {
        // Which renditions it names depends on the grant.
        Keep::Briefly => Some("authorization, cookie"),
        Keep::Forever => document.gzip.as_ref().map(|_| "accept-encoding"),
        // So does how far back it goes.
        Keep::For(_) => Some("accept-encoding, authorization, cookie"),
    };
    let len = bytes.len() as u64;
    let entity = Entity { content_type: PLAYLIST, etag, len, keep, varies, encoding: *encoding };
    response::in_memory(&entity, bytes, asked.method, asked.headers, right)
}

fn media(media: &Media, content_type: &'static str, asked: &Asked<'_>, right: &Right) -> Response<Body> {
    let len = media.bytes.len() as u64;
    let entity = immutable(content_type, &media.etag, len);
    response::in_memory(&entity, &media.bytes, asked.method, asked.headers, right)
}

const fn immutable<'a>(content_type: &'static str, etag: &'a ETag, len: u64) -> Entity<'a> {
    Entity { content_type, etag, len, keep: Keep::Forever, varies: None, encoding: None }
}
