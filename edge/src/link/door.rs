//! The origin's door: documents for edges of their own, and what they report.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use listener::{Body, BoxError, Door, ETag, Language, Outcome, Problem, full, sized};
use live::{LiveSource, Piece, Position};
use model::{ErrorKind, RenditionName, VersionId, VideoId};
use moka::sync::Cache;
use rand::Rng;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::link::documents::{
    EventDocument, GrowingDocument, PolicyDocument, ROOT, Report, RevocationsDocument,
};
use crate::link::list::List;
use crate::link::news;
use crate::link::numbers::Numbers;
use crate::live::LiveRoute;
use crate::origin::Origin;
use crate::sent::{PATIENCE, SentReport};

/// How long a question for revocations waits for some.
const WAIT: Duration = Duration::from_secs(20);
/// How often the rows are looked at meanwhile, however many wait.
const LOOK: Duration = Duration::from_secs(1);
/// The greatest sum that is believed, 1 PiB: no edge sends more between two reports.
const GREATEST_SUM: u64 = 1 << 50;
/// Bytes of a report about a want,
const MAX_WANT: usize = 4096;
/// and of one about bytes sent, of 10,000 sums.
const MAX_SENT: usize = 1 << 20;
/// Senders whose numbers are remembered: each start of an edge is another one.
const SENDERS: u64 = 1024;

/// Who may ask at the origin's door.
#[async_trait]
pub trait Enrolled: Send + Sync + 'static {
    /// The name of the edge that shows `credential`; `None` if that is nobody's, or no longer good.
    async fn edge(&self, credential: &str) -> Result<Option<String>, BoxError>;
}

/// The door `/origin/v1/`. It speaks to its [`Origin`], so it stands behind a
/// [`listener::OnRuntime`].
pub struct OriginDoor(Arc<Inner>);

struct Inner {
    origin: Arc<dyn Origin>,
    enrolled: Arc<dyn Enrolled>,
    events: Option<Arc<dyn LiveSource>>,
    list: Mutex<Looked>,
    senders: Cache<(String, u64), Arc<Mutex<Numbers>>>,
    /// Nobody waits any longer.
    stop: CancellationToken,
}

/// The list of revocations, and when the rows were looked at.
struct Looked {
    list: List,
    at: Option<Instant>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Keys,
    Revocations,
    Policy(VideoId),
    Growing(VideoId, VersionId),
    Event(VideoId, VersionId),
    News(VideoId, VersionId, RenditionName),
    Piece(VideoId, VersionId, RenditionName, Piece),
    Want,
    Unwant,
    Sent,
}

/// Why a request is not answered with what it asks for.
enum Refusal {
    Kind(ErrorKind),
    Method(&'static str),
    /// The origin cannot say.
    Origin(BoxError),
}

impl From<BoxError> for Refusal {
    fn from(error: BoxError) -> Self {
        Self::Origin(error)
    }
}

impl OriginDoor {
    /// A door to `origin`, and to the live events that `events` has, if anybody, for whoever is
    /// `enrolled`. At `stop` whoever waits is answered.
    pub fn new(
        origin: Arc<dyn Origin>,
        enrolled: Arc<dyn Enrolled>,
        events: Option<Arc<dyn LiveSource>>,
        rng: &mut impl Rng,
        stop: CancellationToken,
    ) -> Self {
        let list = List::new(format!("{:016x}", rng.next_u64()));
        Self(Arc::new(Inner {
            origin,
            enrolled,
            events,
            list: Mutex::new(Looked { list, at: None }),
            senders: Cache::new(SENDERS),
            stop,
        }))
    }
}

impl Door for OriginDoor {
    fn name(&self) -> &'static str {
        "origin"
    }

    fn takes(&self, _: &Method, path: &str) -> bool {
        path.starts_with(ROOT)
    }

    fn serve(&self, request: Request<Incoming>) -> BoxFuture<'static, Response<Body>> {
        let inner = Arc::clone(&self.0);
        async move {
            let language = Language::of(request.headers());
            match inner.answer(request).await {
                Ok(response) => response,
                Err(Refusal::Method(allow)) => Problem::method_not_allowed(allow, language),
                Err(Refusal::Kind(kind)) => refusal(kind, language),
                Err(Refusal::Origin(error)) => {
                    tracing::error!(error = &*error as &dyn std::error::Error, "cannot tell an edge");
                    refusal(ErrorKind::Unavailable, language)
                }
            }
        }
        .boxed()
    }
}

fn refusal(kind: ErrorKind, language: Language) -> Response<Body> {
    let mut response = Problem::of(kind).response(language);
    if kind == ErrorKind::Unauthenticated {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

impl Inner {
    /// Who asks comes first: whoever has no good credential learns nothing else.
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, Refusal> {
        let credential = credential(request.headers()).ok_or(Refusal::Kind(ErrorKind::Unauthenticated))?;
        let edge = self.edge(credential).await?;
        let asked = Asked::decode(request.method(), request.uri().path())?;
        let query = |name| parameter(request.uri().query(), name);
        let mut response = match asked {
            Asked::Keys => keys(self.origin.jwks().await?, request.headers()),
            Asked::Revocations => {
                let after = query("after").map(str::parse).transpose();
                let after = after.map_err(|_| Refusal::Kind(ErrorKind::Invalid))?.unwrap_or(0);
                json(&self.revocations(query("list").unwrap_or_default(), after, credential).await?)
            }
            Asked::Policy(video) => json(&PolicyDocument { policy: self.origin.policy(video).await? }),
            Asked::Growing(video, version) => {
                let known = query("newer_than").map(str::parse).transpose();
                let known = known.map_err(|_| Refusal::Kind(ErrorKind::Invalid))?;
                json(&match self.origin.growing(video, version, known).await? {
                    None => GrowingDocument::None,
                    Some(index) if Some(index.revision) == known => GrowingDocument::Unchanged,
                    Some(index) => GrowingDocument::Index(Box::new((*index).clone())),
                })
            }
            Asked::Event(video, version) => {
                let known = query("newer_than").map(str::parse).transpose();
                let known = known.map_err(|_| Refusal::Kind(ErrorKind::Invalid))?;
                let event = self.events()?.event(video, version, known).await?;
                json(&EventDocument { event: event.map(|event| (*event).clone()) })
            }
            Asked::News(video, version, rendition) => {
                let number = |name| query(name).and_then(|number| number.parse().ok());
                let (msn, parts) =
                    number("msn").zip(number("parts")).ok_or(Refusal::Kind(ErrorKind::Invalid))?;
                let after = Position { msn, parts };
                bytes(news::pieces(self.events()?.news(video, version, rendition, after).await?))
            }
            Asked::Piece(video, version, rendition, piece) => {
                let found = self.events()?.bytes(video, version, rendition, piece).await?;
                bytes(vec![found.ok_or(Refusal::Kind(ErrorKind::NotFound))?])
            }
            Asked::Want | Asked::Unwant => {
                self.count(edge, asked, read(request, MAX_WANT).await?).await?;
                counted()
            }
            Asked::Sent => {
                let report: SentReport = read(request, MAX_SENT).await?;
                if !is_plausible(&report) {
                    return Err(Refusal::Kind(ErrorKind::Invalid));
                }
                let sender = format!("{edge}/{}", report.sender);
                self.origin.sent(SentReport { sender, ..report }).await?;
                counted()
            }
        };
        response.extensions_mut().insert(Outcome::of(asked.name()));
        Ok(response)
    }

    async fn edge(&self, credential: &str) -> Result<String, Refusal> {
        self.enrolled.edge(credential).await?.ok_or(Refusal::Kind(ErrorKind::Unauthenticated))
    }

    /// Where live events come from; without that there are none.
    fn events(&self) -> Result<&dyn LiveSource, Refusal> {
        self.events.as_deref().ok_or(Refusal::Kind(ErrorKind::NotFound))
    }

    /// Waits for revocations that a reader does not know, for as long as its credential is good.
    async fn revocations(
        &self,
        list: &str,
        after: u64,
        credential: &str,
    ) -> Result<RevocationsDocument, Refusal> {
        let deadline = Instant::now() + WAIT;
        loop {
            let (document, is_news) = self.look(list, after).await?;
            if is_news || self.stop.is_cancelled() || Instant::now() >= deadline {
                return Ok(document);
            }
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
            self.edge(credential).await?;
        }
    }

    /// What the list says, the rows having been looked at lately: once for all who wait.
    async fn look(&self, list: &str, after: u64) -> Result<(RevocationsDocument, bool), BoxError> {
        let mut looked = self.list.lock().await;
        if looked.at.is_none_or(|at| at.elapsed() >= LOOK) {
            let all = self.origin.revocations().await?;
            looked.list.see(&all);
            looked.at = Some(Instant::now());
        }
        Ok(looked.list.since(list, after))
    }

    /// Passes a report on, if it was not counted before. One sender's come one after the other, so
    /// that the same one does not overtake itself.
    async fn count(&self, edge: String, asked: Asked, report: Report) -> Result<(), BoxError> {
        let numbers = self.senders.get_with((edge, report.sender), Arc::default);
        let mut numbers = numbers.lock().await;
        if numbers.has(report.number) {
            return Ok(());
        }
        match asked {
            Asked::Unwant => self.origin.unwant(report.want).await?,
            _ => self.origin.want(report.want).await?,
        }
        numbers.count(report.number);
        Ok(())
    }
}

impl Asked {
    fn decode(method: &Method, path: &str) -> Result<Self, Refusal> {
        let absent = || Refusal::Kind(ErrorKind::NotFound);
        let words: Vec<&str> = path.strip_prefix(ROOT).ok_or_else(absent)?.split('/').collect();
        let asked = match words[..] {
            ["jwks"] => Self::Keys,
            ["revocations"] => Self::Revocations,
            ["policy", video] => Self::Policy(video.parse().map_err(|_| absent())?),
            ["growing", video, version] => {
                Self::Growing(video.parse().map_err(|_| absent())?, version.parse().map_err(|_| absent())?)
            }
            ["live", video, version, ref rest @ ..] => {
                let (video, version) =
                    (video.parse().map_err(|_| absent())?, version.parse().map_err(|_| absent())?);
                live(video, version, rest).ok_or_else(absent)?
            }
            ["wants"] => Self::Want,
            ["unwants"] => Self::Unwant,
            ["sent"] => Self::Sent,
            _ => return Err(absent()),
        };
        let allowed = match asked {
            Self::Want | Self::Unwant | Self::Sent => Method::POST,
            _ => Method::GET,
        };
        match *method == allowed {
            true => Ok(asked),
            false => Err(Refusal::Method(if allowed == Method::GET { "GET" } else { "POST" })),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Keys => "origin_keys",
            Self::Revocations => "origin_revocations",
            Self::Policy(_) => "origin_policy",
            Self::Growing(..) => "origin_growing",
            Self::Event(..) => "origin_live_event",
            Self::News(..) => "origin_live_news",
            Self::Piece(..) => "origin_live_piece",
            Self::Want => "origin_wants",
            Self::Unwant => "origin_unwants",
            Self::Sent => "origin_sent",
        }
    }
}

/// What of a live event is asked for.
fn live(video: VideoId, version: VersionId, rest: &[&str]) -> Option<Asked> {
    match rest {
        [] => Some(Asked::Event(video, version)),
        [rendition, "news"] => Some(Asked::News(video, version, rendition.parse().ok()?)),
        rest => {
            let (rendition, piece) = LiveRoute::decode(&rest.join("/"))?.piece()?;
            Some(Asked::Piece(video, version, rendition, piece))
        }
    }
}

/// What is presented, in the one header for it; two of them are none.
fn credential(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    let (scheme, credential) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(credential)
}

/// A parameter that stands there once. Ours are words that need no encoding.
fn parameter<'a>(query: Option<&'a str>, name: &str) -> Option<&'a str> {
    let pairs = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let mut values = pairs.filter(|(found, _)| *found == name).map(|(_, value)| value);
    values.next().filter(|_| values.next().is_none())
}

/// The key set as it is, unless the reader has it.
fn keys(jwks: String, headers: &HeaderMap) -> Response<Body> {
    let etag = ETag::strong(blake3::hash(jwks.as_bytes()).to_hex().as_str());
    let mut response = match listener::answer(&Method::GET, headers, &etag, jwks.len() as u64) {
        listener::Answer::NotModified => {
            let mut response = Response::new(listener::empty());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        }
        _ => document(jwks.into()),
    };
    response.headers_mut().insert(ETAG, etag.value().clone());
    response
}

fn json(value: &impl Serialize) -> Response<Body> {
    document(serde_json::to_vec(value).expect("our documents are JSON").into())
}

fn document(json: Bytes) -> Response<Body> {
    let mut response = Response::new(full(json));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Bytes that are not put together first.
fn bytes(pieces: Vec<Bytes>) -> Response<Body> {
    let length = pieces.iter().map(|piece| piece.len() as u64).sum();
    let mut response = Response::new(sized(length, futures::stream::iter(pieces.into_iter().map(Ok))));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn counted() -> Response<Body> {
    let mut response = Response::new(listener::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// Whether a report can be what an edge of ours has sent.
fn is_plausible(report: &SentReport) -> bool {
    let sums = || report.days.values().flat_map(|sums| sums.accounts.values().chain(sums.videos.values()));
    let is_word =
        |sender: &str| sender.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-/".contains(&byte));
    report.sender.len() <= 256 && is_word(&report.sender) && sums().all(|sum| *sum <= GREATEST_SUM)
}

async fn read<T: DeserializeOwned>(request: Request<Incoming>, most: usize) -> Result<T, Refusal> {
    let body = Limited::new(request.into_body(), most).collect();
    let body = tokio::time::timeout(PATIENCE, body).await.map_err(|_| Refusal::Kind(ErrorKind::TimedOut))?;
    let bytes = match body {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            return Err(Refusal::Kind(ErrorKind::TooLarge));
        }
        Err(_) => return Err(Refusal::Kind(ErrorKind::Invalid)),
    };
    serde_json::from_slice(&bytes).map_err(|_| Refusal::Kind(ErrorKind::Invalid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_stands_in_the_path_and_nowhere_else() {
        let (video, version) = (VideoId::from_bits(1), VersionId::from_bits(2));
        let picture = RenditionName::Video { height: 360 };
        let piece = |piece| Some(Asked::Piece(video, version, picture, piece));
        let cases = [
            ("jwks".to_owned(), Some(Asked::Keys)),
            ("revocations".to_owned(), Some(Asked::Revocations)),
            (format!("policy/{video}"), Some(Asked::Policy(video))),
            (format!("growing/{video}/{version}"), Some(Asked::Growing(video, version))),
            (format!("growing/{video}"), None),
            (format!("live/{video}/{version}"), Some(Asked::Event(video, version))),
            (format!("live/{video}/{version}/360p/news"), Some(Asked::News(video, version, picture))),
            (format!("live/{video}/{version}/360p/init-0.mp4"), piece(Piece::Init(0))),
            (format!("live/{video}/{version}/360p/7.m4s"), piece(Piece::Segment(7))),
            (format!("live/{video}/{version}/360p/7.3.m4s"), piece(Piece::Part(7, 3))),
            (format!("live/{video}/{version}/360p/playlist.m3u8"), None),
            (format!("live/{video}/{version}/saver/360p/6-8.m4s"), None),
            (format!("live/{video}/{version}/"), None),
            (format!("live/{video}"), None),
            ("policy/../jwks".to_owned(), None),
            ("jwks/".to_owned(), None),
            (String::new(), None),
            ("keys".to_owned(), None),
        ];
        for (path, expected) in cases {
            let decoded = Asked::decode(&Method::GET, &format!("{ROOT}{path}")).ok();
            assert_eq!(decoded, expected, "{path}");
            let posted = Asked::decode(&Method::POST, &format!("{ROOT}{path}"));
            assert!(expected.is_none() || matches!(posted, Err(Refusal::Method("GET"))), "{path}");
        }
        assert_eq!(Asked::decode(&Method::POST, "/origin/v1/wants").ok(), Some(Asked::Want));
        assert!(matches!(Asked::decode(&Method::GET, "/origin/v1/unwants"), Err(Refusal::Method("POST"))));
    }

    #[test]
    fn a_credential_comes_once_in_its_header() {
        for (values, expected) in [
            (&["Bearer a"][..], Some("a")),
            (&["bearer a"], Some("a")),
            (&["Bearer"], None),
            (&["Basic a"], None),
            (&["Bearer a", "Bearer b"], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, HeaderValue::from_static(value));
            }
            assert_eq!(credential(&headers), expected, "{values:?}");
        }
    }

    #[test]
    fn a_parameter_that_stands_twice_stands_nowhere() {
        assert_eq!(parameter(Some("list=a&after=1"), "after"), Some("1"));
        assert_eq!(parameter(Some("after=1&after=2"), "after"), None);
        assert_eq!(parameter(None, "after"), None);
    }
}
