//! The JSON API and the pages, over `catalog` and `subscriptions`.
//!
//! Everything that a browser is told about people and videos passes here; media bytes and upload
//! bytes never do (they are the edge's and ingest's). A handler is: extract, one call into a
//! crate below, a view. It alone knows axum.
//!
//! # Errors
//!
//! Handlers fail with a [`WebError`]; one layer turns it into `application/problem+json` in the
//! reader's language, on pages into a page. What went wrong inside is logged there, once.

mod access;
mod api;
mod audience;
mod chapters;
mod clip;
mod config;
mod door;
mod erase;
mod error;
mod event;
mod layers;
mod live;
mod origin;
mod pages;
mod playback;
mod problems;
mod reencode;
mod session;
mod state;
#[cfg(test)]
mod testing;
mod trim;
mod views;
mod words;

pub use access::free_height;
pub use config::Config;
pub use door::WebDoor;
pub use erase::{erase, finish_erasures};
pub use error::WebError;
pub use live::{LiveClips, LiveHealth};
pub use origin::is_same_origin;
pub use reencode::reencode;
pub use session::{Presented, SESSION_COOKIE};
pub use state::{State, Viewers};

/// Everything under `/api/v1/` that is not an upload, and every page.
pub fn router(state: State) -> axum::Router {
    router_with(state, layers::BODY_PATIENCE)
}

fn router_with(state: State, patience: std::time::Duration) -> axum::Router {
    let pages = pages::router().layer(axum::middleware::from_fn(layers::page_headers));
    let api = api::router().layer(axum::middleware::from_fn(layers::api_headers));
    layers::around(pages.merge(api), &state.config, patience).with_state(state)
}
