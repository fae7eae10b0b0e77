//! The JSON API: one file per resource, each route registered together with its description.

mod accounts;
mod body;
mod events;
mod extract;
pub(crate) mod health;
mod playback;
mod problem;
mod session;
mod tiers;
mod trims;
mod videos;
mod webhook;

use axum::Json;
use axum::Router;
use axum::routing::{any, get};
use model::ErrorKind;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, OpenApi as Description, RefOr};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::session::SESSION_COOKIE;
use crate::{State, WebError};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Cocuyo",
        description = "Videos, people, and who may watch what. Uploads are tus 1.0 at \
                       `/api/v1/uploads`; media are served under `/v/`, and \
                       under `/live/` while they are on air. Failures are problem \
                       documents (RFC 9457) in the language of `Accept-Language`: Spanish or \
                       English. Times are milliseconds since 1970.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    modifiers(&Sessions),
    tags(
        (name = "session", description = "Signing in and out."),
        (name = "videos", description = "Videos: finding, editing, playing."),
        (name = "events", description = "Broadcasts. An event is a video with the same id, before it is on the shelf."),
        (name = "accounts", description = "People."),
        (name = "tiers", description = "What each tier may do.")
    )
)]
struct Cocuyo;

/// The two ways in which a request carries its session.
struct Sessions;

impl Modify for Sessions {
    fn modify(&self, description: &mut Description) {
        let components = description.components.get_or_insert_with(Components::default);
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("The `token` of `POST /api/v1/session`."))
            .build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let about = "The same token as browsers carry it. What changes something must then come from a page \
                     of the same origin.";
        let cookie = ApiKey::Cookie(ApiKeyValue::with_description(SESSION_COOKIE, about));
        components.add_security_scheme("cookie", SecurityScheme::ApiKey(cookie));
    }
}

/// The routes, and their description at `/api/openapi.json`.
pub(crate) fn router() -> Router<State> {
    let (router, description) = parts();
    router
        .route("/api/openapi.json", get(async move || Json(description)))
        .route("/api/{*rest}", any(async || WebError::from(ErrorKind::NotFound)))
}

fn parts() -> (Router<State>, Description) {
    let (router, mut description) = resources().split_for_parts();
    for path in description.paths.paths.values_mut() {
        for operation in [&mut path.get, &mut path.put, &mut path.post, &mut path.delete, &mut path.patch] {
            operation.iter_mut().for_each(tell_problems);
        }
    }
    (router, description)
}

/// Failures have a media type of their own, which is stated here once.
fn tell_problems(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        if let (true, RefOr::T(response)) = (status.starts_with(['4', '5']), response) {
            let contents = std::mem::take(&mut response.content);
            let problem = |(_, content)| ("application/problem+json".to_owned(), content);
            response.content = contents.into_iter().map(problem).collect();
        }
    }
}

fn resources() -> OpenApiRouter<State> {
    OpenApiRouter::with_openapi(Cocuyo::openapi())
        .routes(routes!(session::sign_in, session::show, session::sign_out))
        .routes(routes!(videos::list))
        .routes(routes!(videos::show, videos::edit, videos::delete))
        .routes(routes!(videos::retry))
        .routes(routes!(videos::cancel))
        .routes(routes!(videos::reencode))
        .routes(routes!(trims::begin, trims::undo))
        .routes(routes!(playback::play))
        .routes(routes!(events::create, events::list))
        .routes(routes!(events::show, events::edit, events::delete))
        .routes(routes!(events::rotate))
        .routes(routes!(events::end))
        .routes(routes!(events::clip))
        .routes(routes!(events::health))
        .routes(routes!(events::beat))
        .routes(routes!(webhook::set, webhook::show, webhook::delete))
        .routes(routes!(accounts::create, accounts::list))
        .routes(routes!(accounts::show, accounts::edit))
        .routes(routes!(accounts::change_password))
        .routes(routes!(tiers::list))
        .routes(routes!(tiers::edit))
}

#[cfg(test)]
mod tests;
