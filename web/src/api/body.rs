use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use model::ErrorKind;
use serde::de::DeserializeOwned;

use crate::{WebError, problems};

/// Bytes of a JSON body at most; the longest, a description, is a tenth of it.
const MAX_BODY: usize = 64 * 1024;

/// A JSON body. Its type refuses members that it does not know, so that nobody believes to have
/// set what they may not set.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = WebError;

    async fn from_request(request: Request, _: &S) -> Result<Self, WebError> {
        // Only a body that says that it is JSON: a page of another site cannot send one unasked.
        let media_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = media_type.and_then(|text| text.split(';').next()).unwrap_or_default();
        if !essence.trim().eq_ignore_ascii_case("application/json") {
            return Err(ErrorKind::Unsupported.into());
        }
        let bytes = collect(request).await?;
        let value = serde_json::from_slice(&bytes);
        value.map(Self).map_err(|error| problems::invalid_body(&error.to_string()).into())
    }
}

async fn collect(request: Request) -> Result<Bytes, WebError> {
    let body = http_body_util::Limited::new(request.into_body(), MAX_BODY);
    match http_body_util::BodyExt::collect(body).await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(ErrorKind::TooLarge.into()),
        Err(_) => Err(problems::invalid_body("it ended early").into()),
    }
}
