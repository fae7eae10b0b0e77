//! What holds for every request and every response, whichever handler it reaches.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, HeaderValue,
    STRICT_TRANSPORT_SECURITY, WWW_AUTHENTICATE,
};
use http::{HeaderName, Method, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use listener::{Language, Problem, secure};
use model::ErrorKind;

use crate::error::Refusal;
use crate::origin::{Claim, claim};
use crate::session::{Presented, SESSION_COOKIE};
use crate::{Config, State, WebError, problems};

/// The policy of pages: our own files only; players also play what scripts made (`blob:`).
const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; worker-src 'self' blob:; \
     object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
);
/// The policy of documents for programs: nothing.
const API_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const FRAME_OPTIONS: HeaderName = HeaderName::from_static("x-frame-options");

/// Bytes of a body at most; the longest, a form with a description of 5,000 characters of four
/// bytes, each byte in three characters, stays below.
const MAX_BODY: usize = 64 * 1024;
/// How long a body may take: at 5 kB/s the longest takes 13 s.
pub(crate) const BODY_PATIENCE: Duration = Duration::from_secs(15);

/// The layers around everything, the outermost last. Bodies may take `patience`.
pub(crate) fn around(router: Router<State>, config: &Config, patience: Duration) -> Router<State> {
    let is_https = config.secure_cookies;
    router
        .layer(from_fn(move |request: Request, next: Next| whole_bodies(patience, request, next)))
        .layer(from_fn(refuse_other_sites))
        .layer(from_fn(tell_problems))
        .layer(from_fn(move |request: Request, next: Next| secure_headers(is_https, request, next)))
}

/// Headers of the API's answers.
pub(crate) async fn api_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, API_POLICY);
    // Answers differ by person, and grants are in some of them.
    headers.insert(CACHE_CONTROL, NO_STORE);
    response
}

/// Headers of pages, unless a page said otherwise.
pub(crate) async fn page_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(PAGE_POLICY);
    headers.entry(CACHE_CONTROL).or_insert(NO_STORE);
    response
}

async fn secure_headers(is_https: bool, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    secure(headers);
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(API_POLICY);
    headers.entry(FRAME_OPTIONS).or_insert(HeaderValue::from_static("DENY"));
    if is_https {
        // RFC 6797; a year, and not for other names of the domain, which are not ours to promise.
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    response
}

/// Writes the body of a refusal in the reader's language. Pages have a layer of their own closer
/// to the handler, so what arrives here is for programs.
async fn tell_problems(request: Request, next: Next) -> Response {
    let language = Language::of(request.headers());
    let response = next.run(request).await;
    let Some(Refusal(problem)) = response.extensions().get().cloned() else {
        return tell_methods(response, language);
    };
    let mut told = problem.response(language).map(Body::new);
    if told.status() == StatusCode::UNAUTHORIZED {
        // RFC 9110 §15.5.2.
        told.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    told
}

/// The router itself refuses a method that its resource lacks, without a body.
fn tell_methods(response: Response, language: Language) -> Response {
    let is_bare = !response.headers().contains_key(CONTENT_TYPE);
    if response.status() != StatusCode::METHOD_NOT_ALLOWED || !is_bare {
        return response;
    }
    let mut told = Problem::method_not_allowed("", language).map(Body::new);
    told.headers_mut().remove(ALLOW);
    told.headers_mut().extend(response.headers().get(ALLOW).map(|allow| (ALLOW, allow.clone())));
    told
}

/// Reads bodies before handlers run, so that none of them waits for a client that sends a head and
/// stops: such a client would hold its seat among the requests for ever.
async fn whole_bodies(patience: Duration, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let refused = match tokio::time::timeout(patience, Limited::new(body, MAX_BODY).collect()).await {
        Ok(Ok(body)) => return next.run(Request::from_parts(head, Body::from(body.to_bytes()))).await,
        Ok(Err(error)) if error.is::<LengthLimitError>() => WebError::from(ErrorKind::TooLarge),
        Ok(Err(_)) => problems::invalid_body("it ended early").into(),
        Err(_) => ErrorKind::TimedOut.into(),
    };
    refused.into_response()
}

/// Refuses unsafe methods that a page of another site sent with a person's cookie, for every
/// route at once. A bearer is exempt: no browser adds one by itself.
async fn refuse_other_sites(request: Request, next: Next) -> Response {
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let headers = request.headers();
    if is_safe || matches!(Presented::in_headers(headers), Some(Presented::Bearer(_))) {
        return next.run(request).await;
    }
    let authority = request.uri().authority().map(|authority| authority.as_str());
    let carries_cookie = headers.get_all(COOKIE).iter().any(|list| {
        list.as_bytes().windows(SESSION_COOKIE.len()).any(|part| part == SESSION_COOKIE.as_bytes())
    });
    match claim(headers, authority) {
        Claim::Ours => next.run(request).await,
        // Without a cookie there is nothing to abuse but a sign-in as somebody else, and a page
        // that tries it cannot be silent.
        Claim::Silent if !carries_cookie => next.run(request).await,
        Claim::Silent | Claim::Foreign => WebError::from(problems::cross_site()).into_response(),
    }
}
