//! The owner's list.

use askama::Template;
use axum::extract;
use axum::response::Response;
use catalog::Page;
use http::StatusCode;
use listener::Language;
use serde::Deserialize;

use super::assets::Island;
use super::frame::{Frame, Member, inline_json, show};
use super::text;
use crate::views::{self, ListView, VideoView};
use crate::{State, WebError};

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Place {
    cursor: Option<String>,
}

#[derive(Template)]
#[template(path = "studio.html")]
struct Studio {
    frame: Frame,
    rows: Vec<Row>,
    next: Option<String>,
    is_deleted: bool,
    boot: String,
}

struct Row {
    id: String,
    title: String,
    thumbnail_url: Option<String>,
    state: String,
    is_ready: bool,
    has_failed: bool,
    progress: Option<u8>,
    visibility: String,
    tier: String,
    failure: Option<String>,
}

/// `GET /my/videos`.
pub(crate) async fn page(
    extract::State(state): extract::State<State>,
    Member { visit, person }: Member,
    extract::Query(place): extract::Query<Place>,
    extract::RawQuery(query): extract::RawQuery,
) -> Result<Response, WebError> {
    let page = Page { cursor: place.cursor, ..Page::default() };
    let listing = state.catalog.videos_of(person.account, &page).await?;
    let items = views::videos(&state, &visit.visitor, listing.items).await?;
    let language = visit.language();
    let view = ListView { items, next: listing.next };
    let studio = Studio {
        frame: Frame::new(&visit, text::say(language, "studio_title"), Some(Island::Studio)),
        boot: inline_json(&view),
        rows: view.items.into_iter().map(|video| row(video, language)).collect(),
        next: view.next,
        is_deleted: query.as_deref() == Some("deleted"),
    };
    Ok(show(StatusCode::OK, &studio.frame, &studio))
}

fn row(video: VideoView, language: Language) -> Row {
    let word = |key: String| text::say(language, &key).to_owned();
    Row {
        id: video.id.to_string(),
        title: video.title,
        thumbnail_url: video.thumbnail_url,
        state: word(format!("state_{}", video.state)),
        is_ready: video.state == "ready",
        has_failed: video.failure.is_some(),
        progress: (video.state == "packaging").then_some(video.progress),
        visibility: word(format!("visibility_{}", video.visibility)),
        tier: if video.min_tier.number() == 0 {
            word("free_badge".to_owned())
        } else {
            text::fill(language, "plan_badge", &[("tier", &video.min_tier)])
        },
        failure: video.failure.map(|failure| failure.text),
    }
}
