use std::str::FromStr;

use axum::extract::{FromRequestParts, Path, Query};
use catalog::Page;
use http::request::Parts;
use model::ErrorKind;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use crate::{WebError, problems};

/// The id in a path. What is no id names nothing: 404, as for an id that nobody has.
#[derive(Debug)]
pub(super) struct Id<T>(pub(super) T);

impl<S: Send + Sync, T: FromStr> FromRequestParts<S> for Id<T> {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, WebError> {
        let absent = || WebError::from(ErrorKind::NotFound);
        let Path(text) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| absent())?;
        text.parse().map(Self).map_err(|_| absent())
    }
}

/// The query of a request.
#[derive(Debug)]
pub(super) struct Params<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, WebError> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query.map(|Query(query)| Self(query)).map_err(|_| problems::invalid_query().into())
    }
}

/// Which part of a list is wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    /// How many items at most: 1 to 100, 24 if not given.
    pub(super) limit: Option<u32>,
    /// The `next` of the part before.
    pub(super) cursor: Option<String>,
}

impl ListParams {
    pub(super) fn page(self) -> Page {
        Page { limit: self.limit.unwrap_or(Page::default().limit), cursor: self.cursor }
    }
}
