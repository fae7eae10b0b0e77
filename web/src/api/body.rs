use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use model::ErrorKind;
use serde::de::DeserializeOwned;

use crate::{WebError, problems};

/// A JSON body. Its type refuses members that it does not know, so that nobody believes to have
/// set what they may not set.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = WebError;

    async fn from_request(request: Request, state: &S) -> Result<Self, WebError> {
        // Only a body that says that it is JSON: a page of another site cannot send one unasked.
        let media_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = media_type.and_then(|text| text.split(';').next()).unwrap_or_default();
        if !essence.trim().eq_ignore_ascii_case("application/json") {
            return Err(ErrorKind::Unsupported.into());
        }
        let bytes = Bytes::from_request(request, state).await;
        let bytes = bytes.map_err(|_| WebError::from(problems::invalid_body("it ended early")))?;
        let value = serde_json::from_slice(&bytes);
        value.map(Self).map_err(|error| problems::invalid_body(&error.to_string()).into())
    }
}
