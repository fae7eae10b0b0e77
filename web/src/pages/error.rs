//! What went wrong, as a page.

use askama::Template;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use model::ErrorKind;

use super::frame::{Frame, show};
use crate::WebError;
use crate::error::Refusal;

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    frame: Frame,
    sentence: String,
}

/// The answer to a path that nothing lives at.
pub(crate) async fn not_found() -> WebError {
    ErrorKind::NotFound.into()
}

/// Writes the page of a refusal in the reader's language; closer to the handlers than the layer
/// that writes problem documents for programs.
pub(crate) async fn tell(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let head = parts.clone();
    let response = next.run(Request::from_parts(parts, body)).await;
    let status = response.status();
    let is_page = |headers: &HeaderMap| {
        headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
    };
    if status.as_u16() < 400 || is_page(response.headers()) {
        return response;
    }
    let retry_after_s = response.extensions().get::<Refusal>().and_then(|refusal| refusal.0.retry_after_s);
    let (title, sentence) = words(status);
    let mut frame = Frame::for_failure(&head, "");
    frame.title = frame.say(title).to_owned();
    let sentence = frame.say(sentence).to_owned();
    let page = ErrorPage { frame, sentence };
    let mut told = show(status, &page.frame, &page);
    if let Some(seconds) = retry_after_s {
        told.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    told
}

fn words(status: StatusCode) -> (&'static str, &'static str) {
    match status {
        StatusCode::NOT_FOUND => ("error_not_found_title", "error_not_found"),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ("error_forbidden_title", "error_forbidden"),
        StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::TOO_MANY_REQUESTS
        | StatusCode::INSUFFICIENT_STORAGE => ("error_unavailable_title", "error_unavailable"),
        status if status.is_client_error() => ("error_invalid_title", "error_invalid"),
        _ => ("error_title", "error_internal"),
    }
}
