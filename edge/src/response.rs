//! The heads of responses: everything that players and caches depend on, in one place.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH,
    CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, LOCATION, REFERRER_POLICY, VARY,
    WWW_AUTHENTICATE,
};
use http::{Method, Response, StatusCode};
use listener::{Answer, Body, ETag, Language, Problem, Text, answer, empty};
use model::ErrorKind;

use crate::decision::Right;
use crate::route::METHODS;

/// Headers of an answer with bytes, those that every door adds included.
const HEADERS: usize = 14;

/// How long who may keep a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// As long as they like: other bytes would have another path.
    Forever,
    /// Until they have asked again: what it says depends on the bearer.
    Briefly,
    /// For so many seconds.
    For(u32),
}

/// Something that can be served, whole or in part.
#[derive(Debug)]
pub(crate) struct Entity<'a> {
    pub(crate) content_type: &'static str,
    pub(crate) etag: &'a ETag,
    pub(crate) len: u64,
    pub(crate) keep: Keep,
    /// What else than the path decides its bytes, for `Vary`.
    pub(crate) varies: Option<&'static str>,
    pub(crate) encoding: Option<&'static str>,
}

/// How a request for an entity is answered.
pub(crate) enum Head {
    /// With this head, and these bytes of the entity under it; a `HEAD` has the same head and
    /// none, as has a 304.
    Send(Response<()>, Option<Range<u64>>),
    /// With this refusal.
    Refuse(Response<Body>),
}

/// The answer to a request for `entity`, as far as it does not need its bytes.
pub(crate) fn head(entity: &Entity<'_>, method: &Method, request: &HeaderMap, right: &Right) -> Head {
    let mut response = Response::new(());
    // As many as there will be in the end, so that they move but once.
    *response.headers_mut() = HeaderMap::with_capacity(HEADERS);
    let (status, part) = match answer(method, request, entity.etag, entity.len) {
        Answer::Whole => (StatusCode::OK, Some(0..entity.len)),
        Answer::Part(range) => (StatusCode::PARTIAL_CONTENT, Some(range)),
        Answer::NotModified => (StatusCode::NOT_MODIFIED, None),
        Answer::PreconditionFailed => {
            return Head::Refuse(refusal(ErrorKind::Precondition, Language::of(request)));
        }
        Answer::Unsatisfiable => {
            let mut response = refusal(ErrorKind::Range, Language::of(request));
            // RFC 9110 §15.5.17: the length, so that the client can ask again.
            response.headers_mut().insert(CONTENT_RANGE, ascii(&format!("bytes */{}", entity.len)));
            return Head::Refuse(response);
        }
    };
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(ETAG, entity.etag.value().clone());
    headers.insert(CACHE_CONTROL, cache_control(entity.keep, right));
    if let Some(varies) = entity.varies {
        headers.insert(VARY, HeaderValue::from_static(varies));
    }
    if let Some(part) = &part {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(entity.content_type));
        if let Some(encoding) = entity.encoding {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(part.end - part.start));
        if status == StatusCode::PARTIAL_CONTENT {
            let value = format!("bytes {}-{}/{}", part.start, part.end - 1, entity.len);
            headers.insert(CONTENT_RANGE, ascii(&value));
        }
    }
    Head::Send(response, part.filter(|_| *method != Method::HEAD))
}

/// The answer with an entity whose bytes are in memory.
pub(crate) fn in_memory(
    entity: &Entity<'_>,
    bytes: &Bytes,
    method: &Method,
    request: &HeaderMap,
    right: &Right,
) -> Response<Body> {
    match head(entity, method, request, right) {
        Head::Send(head, Some(part)) => {
            head.map(|()| listener::full(bytes.slice(part.start as usize..part.end as usize)))
        }
        Head::Send(head, None) => head.map(|()| empty()),
        Head::Refuse(response) => response,
    }
}

/// The refusal of this kind.
pub(crate) fn refusal(kind: ErrorKind, language: Language) -> Response<Body> {
    let problem = match kind {
        ErrorKind::Unauthenticated => Problem::of(kind).named(
            "grant_required",
            Text::new("Hace falta un permiso vigente para ver esto", "Watching this needs a valid grant"),
        ),
        ErrorKind::Forbidden => Problem::of(kind)
            .named("tier_required", Text::new("Tu plan no incluye esto", "Your plan does not include this")),
        ErrorKind::TooMany => Problem::of(kind)
            .named(
                "too_many_tokens",
                Text::new(
                    "De esta red llegan demasiados permisos que no valen",
                    "Too many grants that are not valid come from this network",
                ),
            )
            .retry_after(1),
        kind => Problem::of(kind),
    };
    let mut response = problem.response(language);
    if kind == ErrorKind::Unauthenticated {
        // RFC 9110 §11.6.1: a 401 says which scheme would do.
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// The answer where something is still being made; the next try may find it.
pub(crate) fn not_yet(language: Language) -> Response<Body> {
    let title = Text::new("Esta parte todavía se está preparando", "This part is still being prepared");
    Problem::of(ErrorKind::Unavailable).named("not_yet", title).retry_after(1).response(language)
}

/// How many milliseconds an answer was held back because its segment was still being made: what a
/// player must not take for a slow link.
const HELD: HeaderName = HeaderName::from_static("cocuyo-held");

/// Says that an answer was held.
pub(crate) fn held(headers: &mut HeaderMap, time: Duration) {
    headers.insert(HELD, HeaderValue::from(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)));
}

/// The answer to a browser that asks whether a page of another origin may ask.
pub(crate) fn preflight() -> Response<Body> {
    let mut response = Response::new(empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
    headers.insert(
        ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("authorization, range, if-range, if-none-match"),
    );
    // Browsers cap it themselves: two hours in Chromium, a day in Firefox.
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Sends the client to `path`, made of our own words and a token in its narrow alphabet.
pub(crate) fn found(path: &str) -> Response<Body> {
    let mut response = Response::new(empty());
    *response.status_mut() = StatusCode::FOUND;
    let headers = response.headers_mut();
    headers.insert(LOCATION, ascii(path));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Adds what every answer of an edge carries, refusals included: without it a page of another
/// origin could not even tell a refusal from a broken link.
pub(crate) fn open_to_players(headers: &mut HeaderMap) {
    // Any page may play, with a token that it was given; never with somebody's cookies, which a
    // browser does not send along with `*`.
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("content-length, content-range, etag, date, retry-after, cocuyo-held"),
    );
    headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("cross-origin"),
    );
    // The path may hold a token.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}

/// How long an answer to whoever has this right may be kept.
pub(crate) fn cache_control(keep: Keep, right: &Right) -> HeaderValue {
    HeaderValue::from_static(match (right, keep) {
        (Right::Granted(_), Keep::For(seconds)) => return ascii(&format!("private, max-age={seconds}")),
        (Right::Public { .. }, Keep::For(seconds)) => return ascii(&format!("public, max-age={seconds}")),
        (Right::Granted(_), Keep::Forever) => "private, max-age=31536000, immutable",
        (Right::Granted(_), Keep::Briefly) => "private, no-cache",
        (Right::Public { .. }, Keep::Forever) => "public, max-age=31536000, immutable",
        (Right::Public { .. }, Keep::Briefly) => "public, max-age=10",
    })
}

fn ascii(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("made of our own words and numbers")
}
