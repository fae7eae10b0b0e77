//! The JSON API: one file per resource, each route registered together with its description.

mod body;
mod session;

use axum::Json;
use axum::Router;
use axum::routing::get;
use model::ErrorKind;
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Description;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::{State, WebError};

#[derive(OpenApi)]
#[openapi(info(title = "Cocuyo", description = "Videos, people and what they may watch."))]
struct Cocuyo;

/// The routes, and their description at `/api/openapi.json`.
pub(crate) fn router() -> Router<State> {
    let (router, description) = resources().split_for_parts();
    router
        .route("/api/openapi.json", get(async move || Json(description)))
        .route("/api/{*rest}", axum::routing::any(async || WebError::from(ErrorKind::NotFound)))
}

fn resources() -> OpenApiRouter<State> {
    OpenApiRouter::with_openapi(Cocuyo::openapi())
        .routes(routes!(session::sign_in, session::signed_in, session::sign_out))
}
