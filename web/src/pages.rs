//! The pages, complete without scripts: askama renders them, and where a page has an island, a
//! Svelte component takes over one region of it.

mod assets;
mod broadcast;
mod choices;
mod clip;
mod cost;
mod erasure;
mod error;
mod event;
mod events;
mod fault;
mod format;
mod frame;
mod home;
mod preferences;
mod recipes;
mod register;
mod sign_in;
mod studio;
pub(crate) mod text;
mod trim;
mod upload;
mod video;
mod watch;

#[cfg(test)]
mod tests;

use axum::Router;
use axum::routing::{get, post};

use crate::State;

pub(crate) use format::clock;

/// The routes of people who use a browser.
pub(crate) fn router() -> Router<State> {
    Router::new()
        .route("/", get(home::page))
        .route("/watch/{video}", get(watch::page))
        .route("/sign-in", get(sign_in::page).post(sign_in::submit))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/register", get(register::page).post(register::submit))
        .route("/upload", get(upload::page))
        .route("/my/videos", get(studio::page))
        .route("/my/videos/{video}", get(video::page).post(video::save))
        .route("/my/videos/{video}/delete", post(erasure::submit))
        .route("/my/videos/{video}/retry", post(video::retry))
        .route("/my/videos/{video}/cancel", post(video::cancel))
        .route("/my/videos/{video}/trim", post(trim::begin))
        .route("/my/videos/{video}/trim/undo", post(trim::undo))
        .route("/my/events", get(events::page).post(events::create))
        .route("/my/events/{event}", get(event::page).post(event::save))
        .route("/my/events/{event}/key", post(event::rotate))
        .route("/my/events/{event}/end", post(event::end))
        .route("/my/events/{event}/clips", post(clip::make))
        .route("/preferences", post(preferences::submit))
        .fallback(error::not_found)
        .layer(axum::middleware::from_fn(error::tell))
        .route("/assets/{*file}", get(assets::file))
}
