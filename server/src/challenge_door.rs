//! Where a certificate authority sees that a domain is served here (RFC 8555 section 8.3).

use acme::Challenges;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response};
use hyper::body::Incoming;
use listener::{Body, Door, Language, Outcome, Problem};
use model::ErrorKind;

/// `/.well-known/acme-challenge/`, for tokens that are waited for; all others go to the next door.
pub(crate) struct ChallengeDoor(pub(crate) Challenges);

impl Door for ChallengeDoor {
    fn name(&self) -> &'static str {
        "challenge"
    }

    fn takes(&self, method: &Method, path: &str) -> bool {
        *method == Method::GET && self.0.answer(path).is_some()
    }

    fn serve(&self, request: Request<Incoming>) -> BoxFuture<'static, Response<Body>> {
        let mut response = match self.0.answer(request.uri().path()) {
            Some(answer) => Response::new(listener::full(answer)),
            // It was over in this moment.
            None => Problem::of(ErrorKind::NotFound).response(Language::of(request.headers())),
        };
        let headers = response.headers_mut();
        headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/octet-stream"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response.extensions_mut().insert(Outcome::of("challenge"));
        std::future::ready(response).boxed()
    }
}
