use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response};
use hyper::body::Incoming;
use listener::{Body, BoxError, Departure, Door, ETag, Language, Problem, RouteName, Text, empty, sized};
use model::{Clock, ErrorKind, ObjectKey, RenditionName, Timestamp};
use storage::ObjectStore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::carrier::{carried, query_token};
use crate::config::Config;
use crate::decision::{Bearer, Decision, Right, by_grant, by_policy};
use crate::document::{Document, Encoded};
use crate::error::EdgeError;
use crate::files::Files;
use crate::keyring::is_three_parts;
use crate::media::{Media, MediaCache};
use crate::origin::{Follower, Origin, Told};
use crate::patience::patience;
use crate::playlist;
use crate::policies::Policies;
use crate::response::{self, Entity, Head, Keep};
use crate::route::{METHODS, Resource, Route, Undecodable};
use crate::versions::{Place, Version, Versions};

const PLAYLIST: &str = "application/vnd.apple.mpegurl";

/// How often the right to a body is looked at again while the body is sent.
const RECHECK: Duration = Duration::from_secs(5);

/// The door that media goes out of.
#[derive(Clone)]
pub struct Edge(Arc<Inner>);

struct Inner {
    config: Config,
    clock: Arc<dyn Clock>,
    follower: Follower,
    policies: Policies,
    versions: Versions,
    media: Arc<MediaCache>,
    files: Files,
}

/// A request that was decoded, without its body, which is never read.
struct Asked<'a> {
    method: &'a Method,
    query: Option<&'a str>,
    headers: &'a HeaderMap,
    departure: Option<&'a Departure>,
    route: Route,
}

impl Asked<'_> {
    /// Waits until whoever asked has hung up.
    async fn departs(&self) {
        match self.departure {
            Some(departure) => departure.happens().await,
            None => std::future::pending().await,
        }
    }
}

impl Edge {
    /// An edge over `store` that believes `origin`. It refuses everything until
    /// [`Edge::refresh`] or [`Edge::follow`] has heard from the origin once.
    pub fn new(
        config: Config,
        store: Arc<dyn ObjectStore>,
        origin: Arc<dyn Origin>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let media = Arc::new(MediaCache::new(Arc::clone(&store), config.media_cache_bytes));
        Self(Arc::new(Inner {
            policies: Policies::new(&config, Arc::clone(&origin)),
            versions: Versions::new(Arc::clone(&store), Arc::clone(&origin), config.index_cache_bytes / 2),
            follower: Follower::new(origin),
            files: Files::new(store, Arc::clone(&media), config.index_cache_bytes / 2),
            media,
            config,
            clock,
        }))
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
        self.0.follower.follow(Duration::from_secs(self.0.config.follow_s.get()), stop).await;
        self.0.versions.close();
    }
}

impl Door for Edge {
    fn name(&self) -> &'static str {
        "edge"
    }

    fn takes(&self, _: &Method, path: &str) -> bool {
        path.starts_with("/v/") || path.starts_with("/t/")
    }

    fn serve(&self, request: Request<Incoming>) -> BoxFuture<'static, Response<Body>> {
        let this = self.clone();
        async move {
            let (parts, _body) = request.into_parts();
            this.answer(&parts).await
        }
        .boxed()
    }
}

impl Edge {
    /// The answer to a request, whose body, if it has one, is not read. Whoever drops the future
    /// no longer waits.
    pub async fn answer(&self, request: &Parts) -> Response<Body> {
        let mut response = self.answer_closed(request).await;
        response::open_to_players(response.headers_mut());
        response
    }

    async fn answer_closed(&self, Parts { method, uri, headers, extensions, .. }: &Parts) -> Response<Body> {
        let language = || Language::of(headers);
        let target = match Route::decode(method, uri.path()) {
            Ok(target) => target,
            Err(Undecodable::NotFound) => return response::refusal(ErrorKind::NotFound, language()),
            Err(Undecodable::Method) => return Problem::method_not_allowed(METHODS, language()),
        };
        let route = target.route;
        let mut response = if *method == Method::OPTIONS {
            response::preflight()
        } else if let Some(redirect) = redirect(&route, target.token, uri.query(), headers) {
            redirect
        } else {
            let departure = extensions.get();
            let asked = Asked { method, query: uri.query(), headers, departure, route };
            match self.respond(asked, target.token).await {
                Ok(response) => response,
                Err(error) if matches!(*error, EdgeError::NotYet) => response::not_yet(language()),
                Err(error) => {
                    log(&route, &error);
                    response::refusal(error.kind(), language())
                }
            }
        };
        response.extensions_mut().insert(RouteName(route.name()));
        response
    }

    /// Decides, and only then looks anything up.
    async fn respond(
        &self,
        asked: Asked<'_>,
        prefix: Option<&str>,
    ) -> Result<Response<Body>, Arc<EdgeError>> {
        let now = self.0.clock.now();
        let told = self.0.follower.told()?;
        let bearer = bearer(&told, prefix, asked.headers);
        let right = match self.decide(&asked.route, &bearer, &told, now).await? {
            Ok(right) => right,
            Err(kind) => return Ok(response::refusal(kind, Language::of(asked.headers))),
        };
        let (video, version) = (asked.route.video, asked.route.version);
        match asked.route.resource {
            Resource::Poster => self.picture(ObjectKey::Poster { video, version }, &asked, &right).await,
            Resource::Thumbnail => {
                self.picture(ObjectKey::Thumbnail { video, version }, &asked, &right).await
            }
            Resource::Multivariant => {
                let version = self.0.versions.of(video, version).await?;
                let offers = version.offers(asked.query.is_some_and(asks_for_planned));
                if offers.is_empty() {
                    return Err(EdgeError::NotYet.into());
                }
                let playlist = Document::plain(playlist::multivariant(&offers, right.height()));
                Ok(text(&playlist, Keep::Briefly, &asked, &right))
            }
            Resource::Playlist(name) => {
                let version = self.0.versions.of(video, version).await?;
                let playlist = self.0.versions.playlist(&version, name).await?;
                Ok(text(&playlist, Keep::Forever, &asked, &right))
            }
            Resource::Init(name) => {
                let hash = self.0.versions.of(video, version).await?.announced(name)?;
                let key = ObjectKey::Init { video, version, rendition: name };
                let init = self.0.media.object(key, Some(hash)).await?;
                Ok(media(&init, key.content_type(), &asked, &right))
            }
            Resource::Segment(name, number) => self.segment(name, number, &asked, &bearer, right).await,
            Resource::Mp4(name) => self.mp4(name, &asked, right, now).await,
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
                let answer = self.0.policies.of(route.video, now).await?;
                by_policy(route, answer, &told.revocations, otherwise)
            }
            decision => decision,
        };
        Ok(match decision {
            Decision::Allowed(right) => Ok(right),
            Decision::Refused(kind) | Decision::AskPolicy(kind) => Err(kind),
        })
    }

    /// A segment; if it is still being made, the request is held until it is there, for a while.
    async fn segment(
        &self,
        name: RenditionName,
        number: u32,
        asked: &Asked<'_>,
        bearer: &Bearer,
        right: Right,
    ) -> Result<Response<Body>, Arc<EdgeError>> {
        let Route { video, version, .. } = asked.route;
        let found = self.0.versions.of(video, version).await?;
        let growth = match (found.segment(name, number), &found) {
            (Err(EdgeError::NotYet), Version::Growing(growth, _)) if *asked.method != Method::HEAD => growth,
            (place, _) => return self.send_segment(place?, name, asked, &right).await,
        };
        let began = Instant::now();
        tokio::select! {
            () = growth.arrival(name, number, right.session(), patience(asked.headers)) => {}
            () = asked.departs() => {}
        }
        let time = began.elapsed();
        // A right may have ended meanwhile.
        let told = self.0.follower.told()?;
        let right = match self.decide(&asked.route, bearer, &told, self.0.clock.now()).await? {
            Ok(right) => right,
            Err(kind) => return Ok(response::refusal(kind, Language::of(asked.headers))),
        };
        let found = self.0.versions.of(video, version).await?;
        let mut response = match found.segment(name, number) {
            Err(EdgeError::NotYet) => response::not_yet(Language::of(asked.headers)),
            place => self.send_segment(place?, name, asked, &right).await?,
        };
        response::held(response.headers_mut(), time);
        Ok(response)
    }

    async fn send_segment(
        &self,
        place: Place<'_>,
        name: RenditionName,
        asked: &Asked<'_>,
        right: &Right,
    ) -> Result<Response<Body>, Arc<EdgeError>> {
        let segment = self.0.media.segment(place).await?;
        let content_type = if name.is_video() { "video/mp4" } else { "audio/mp4" };
        Ok(media(&segment, content_type, asked, right))
    }

    async fn picture(
        &self,
        key: ObjectKey,
        asked: &Asked<'_>,
        right: &Right,
    ) -> Result<Response<Body>, Arc<EdgeError>> {
        let picture = self.0.media.object(key, None).await?;
        Ok(media(&picture, key.content_type(), asked, right))
    }

    async fn mp4(
        &self,
        name: RenditionName,
        asked: &Asked<'_>,
        right: Right,
        now: Timestamp,
    ) -> Result<Response<Body>, Arc<EdgeError>> {
        let index = self.0.versions.of(asked.route.video, asked.route.version).await?.tracks(name)?;
        let file = self.0.files.of(&index, name).await?;
        let etag = ETag::strong(file.map.etag().trim_matches('"'));
        let entity = immutable("video/mp4", &etag, file.map.len());
        let (head, part) = match response::head(&entity, asked.method, asked.headers, &right) {
            Head::Send(head, Some(part)) => (head, part),
            Head::Send(head, None) => return Ok(head.map(|()| empty())),
            Head::Refuse(response) => return Ok(response),
        };
        // The first piece is read before the head is sent: what is damaged is a 503 and not a
        // body that breaks off, as far as that can be known.
        let first = self.0.files.read(&file, part.clone()).await?;
        let state = Sending {
            edge: self.clone(),
            route: asked.route,
            right,
            checked: now,
            file,
            at: part.start,
            end: part.end,
            first: Some(first),
        };
        let pieces = futures::stream::try_unfold(state, Sending::next);
        Ok(head.map(|()| sized(part.end - part.start, pieces)))
    }
}

/// A file on its way to a client.
struct Sending {
    edge: Edge,
    route: Route,
    right: Right,
    /// When the right was last found good.
    checked: Timestamp,
    file: Arc<crate::files::File>,
    at: u64,
    end: u64,
    first: Option<bytes::Bytes>,
}

#[derive(Debug, thiserror::Error)]
#[error("the right to this body was withdrawn while it was sent")]
struct Withdrawn;

impl Sending {
    async fn next(mut self) -> Result<Option<(bytes::Bytes, Self)>, BoxError> {
        if self.at >= self.end {
            return Ok(None);
        }
        let now = self.edge.0.clock.now();
        if now.since(self.checked) >= RECHECK {
            self.checked = now;
            if self.right.is_withdrawn(&self.route, &self.edge.0.follower.told()?.revocations) {
                return Err(Withdrawn.into());
            }
        }
        let bytes = match self.first.take() {
            Some(bytes) => bytes,
            None => self.edge.0.files.read(&self.file, self.at..self.end).await.inspect_err(|error| {
                tracing::error!(
                    video.id = %self.route.video,
                    error = &**error as &dyn std::error::Error,
                    "cannot go on with {}", self.route
                );
            })?,
        };
        self.at += bytes.len() as u64;
        Ok(Some((bytes, self)))
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
    let (Resource::Multivariant, None, Some(query)) = (route.resource, prefix, query) else { return None };
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

fn bearer(told: &Told, prefix: Option<&str>, headers: &HeaderMap) -> Bearer {
    let Some(carried) = carried(prefix, headers) else { return Bearer::Nobody };
    let ambient = carried.ambient;
    match told.epoch.verify(carried.token) {
        Ok(grant) => Bearer::Grant { grant, ambient },
        Err(error) => {
            tracing::debug!(reason = %error, "token refused");
            Bearer::Forged { ambient }
        }
    }
}

fn text(document: &Document, keep: Keep, asked: &Asked<'_>, right: &Right) -> Response<Body> {
    let Encoded { bytes, etag, encoding } = document.encoded_for(asked.headers);
    let varies = match keep {
        // Which renditions it names depends on the grant.
        Keep::Briefly => Some("authorization, cookie"),
        Keep::Forever => document.gzip.as_ref().map(|_| "accept-encoding"),
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
