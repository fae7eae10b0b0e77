use std::error::Error;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use catalog::CatalogError;
use listener::{Problem, status};
use model::ErrorKind;
use storage::StorageError;
use subscriptions::SubscriptionsError;

use crate::problems;

/// Why a request was not answered with what it asked for.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// Refused by a rule, with what the client is told about it.
    #[error("request refused: {}", .0.code)]
    Refused(Box<Problem>),
    /// Rows about videos.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// Rows about people.
    #[error(transparent)]
    Subscriptions(#[from] SubscriptionsError),
    /// Objects.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl WebError {
    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused(problem) => problem.kind,
            Self::Catalog(error) => error.kind(),
            Self::Subscriptions(error) => error.kind(),
            Self::Storage(error) => error.kind(),
        }
    }

    /// What the client is told: never more than the kind, for failures that are not its own.
    pub fn problem(&self) -> Problem {
        match self {
            Self::Refused(problem) => problem.as_ref().clone(),
            Self::Subscriptions(error) => problems::of_subscriptions(error),
            Self::Catalog(error) => problems::of_catalog(error),
            Self::Storage(_) => Problem::of(self.kind()),
        }
    }
}

impl From<Problem> for WebError {
    fn from(problem: Problem) -> Self {
        Self::Refused(Box::new(problem))
    }
}

impl From<ErrorKind> for WebError {
    fn from(kind: ErrorKind) -> Self {
        Problem::of(kind).into()
    }
}

/// What a response without a body is about; a layer, which knows the reader's language, writes
/// the body.
#[derive(Debug, Clone)]
pub(crate) struct Refusal(pub(crate) Arc<Problem>);

impl IntoResponse for WebError {
    fn into_response(self) -> Response {
        let problem = self.problem();
        match problem.kind {
            ErrorKind::Internal => tracing::error!(error = %chain(&self), "request failed: {}", chain(&self)),
            ErrorKind::Unavailable | ErrorKind::NoSpace => {
                tracing::warn!(error = %chain(&self), "request not possible now: {}", chain(&self));
            }
            _ => tracing::debug!(code = problem.code, "request refused: {}", chain(&self)),
        }
        let mut response = status(problem.kind).into_response();
        response.extensions_mut().insert(Refusal(Arc::new(problem)));
        response
    }
}

/// The error and its causes, on one line for the log.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
