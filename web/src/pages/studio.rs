//! The owner's list.

use askama::Template;
use axum::extract;
use axum::response::Response;
use catalog::Page;
use http::StatusCode;
use listener::Language;
use serde::{Deserialize, Serialize};

use super::assets::Island;
use super::format::{decimal, time_left};
use super::frame::{Frame, Member, inline_json, show};
use super::text;
use crate::access::keeps_queue;
use crate::views::{self, ListView, VideoView};
use crate::{State, WebError};

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Place {
    cursor: Option<String>,
}

/// What the island begins with.
#[derive(Serialize)]
struct Boot {
    #[serde(flatten)]
    list: ListView<VideoView>,
    /// Whether the reader may put videos ahead of others.
    keeps_queue: bool,
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
    plays: bool,
    has_failed: bool,
    is_bad: bool,
    /// What is going on, in a few words each.
    notes: Vec<String>,
    can_cancel: bool,
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
    let view = Boot { list: ListView { items, next: listing.next }, keeps_queue: keeps_queue(Some(&person)) };
    let studio = Studio {
        frame: Frame::new(&visit, text::say(language, "studio_title"), Some(Island::Studio)),
        boot: inline_json(&view),
        rows: view.list.items.into_iter().map(|video| row(video, language)).collect(),
        next: view.list.next,
        is_deleted: query.as_deref() == Some("deleted"),
    };
    Ok(show(StatusCode::OK, &studio.frame, &studio))
}

fn row(video: VideoView, language: Language) -> Row {
    let word = |key: String| text::say(language, &key).to_owned();
    let notes = notes(&video, language);
    let is_cancelled = video.failure.as_ref().is_some_and(|failure| failure.code == "cancelled");
    let state = match video.state {
        "packaging" if video.plays => "plays",
        "failed" if is_cancelled => "cancelled",
        state => state,
    };
    Row {
        id: video.id.to_string(),
        title: video.title,
        thumbnail_url: video.thumbnail_url,
        state: word(format!("state_{state}")),
        plays: video.plays,
        has_failed: video.failure.is_some(),
        is_bad: video.failure.is_some() && !is_cancelled,
        can_cancel: matches!(video.state, "queued" | "packaging"),
        notes,
        visibility: word(format!("visibility_{}", video.visibility)),
        tier: if video.min_tier.number() == 0 {
            word("free_badge".to_owned())
        } else {
            text::fill(language, "plan_badge", &[("tier", &video.min_tier)])
        },
        failure: video.failure.map(|failure| failure.text),
    }
}

/// Below this much of the film's own speed a figure would be nought.
const LEAST_SPEED: f64 = 0.05;

/// What is going on with a video that is not finished: what its island would show.
fn notes(video: &VideoView, language: Language) -> Vec<String> {
    let mut notes = Vec::new();
    if matches!(video.state, "queued" | "packaging") {
        notes.push(text::say(language, &format!("stage_{}", video.stage)).to_owned());
    }
    if let Some(reencode) = &video.reencode {
        let names: Vec<_> = reencode.renditions.iter().map(ToString::to_string).collect();
        let names = names.join(", ");
        let values: [(&str, &dyn std::fmt::Display); 2] =
            [("renditions", &names), ("percent", &reencode.progress)];
        notes.push(text::fill(language, "state_reencode", &values));
    }
    if let Some(place) = video.queue_place {
        notes.push(text::fill(language, "state_place", &[("place", &place)]));
    }
    if matches!(video.state, "queued" | "packaging") && video.priority > 0 {
        notes.push(text::say(language, "state_priority").to_owned());
    }
    if video.state == "packaging" {
        notes.push(text::fill(language, "state_progress", &[("percent", &video.progress)]));
    }
    if let Some(seconds) = video.eta_s {
        notes.push(text::fill(language, "state_eta", &[("time", &time_left(seconds, language))]));
    }
    if let Some(speed) = video.speed.filter(|speed| *speed >= LEAST_SPEED) {
        notes.push(text::fill(language, "state_speed", &[("speed", &decimal(speed, language))]));
    }
    notes
}
