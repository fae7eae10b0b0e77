//! The owner's events, and the form for a new one.

use askama::Template;
use axum::Form;
use axum::extract;
use axum::extract::rejection::FormRejection;
use axum::response::Response;
use catalog::Page;
use http::{HeaderMap, StatusCode};
use model::{ErrorKind, EventPolicy, Tier, Visibility};
use serde::Deserialize;

use super::assets::Island;
use super::broadcast::{self, EventFigures, moment_in_words};
use super::choices::{self, Choice};
use super::event::{Given, show_event};
use super::format::minute_iso;
use super::frame::{Frame, Member, show};
use super::text;
use crate::event::{self, Draft, EventView};
use crate::{State, WebError};

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Place {
    cursor: Option<String>,
}

#[derive(Template)]
#[template(path = "events.html")]
struct Events {
    frame: Frame,
    rows: Vec<Row>,
    next: Option<String>,
    visibilities: Vec<Choice>,
    tiers: Vec<Choice>,
    rewinds: Vec<Choice>,
}

struct Row {
    id: String,
    title: String,
    figures: EventFigures,
    visibility: String,
    starts: Option<(String, String)>,
}

/// `GET /my/events`.
pub(crate) async fn page(
    extract::State(state): extract::State<State>,
    Member { visit, person }: Member,
    extract::Query(place): extract::Query<Place>,
) -> Result<Response, WebError> {
    let page = Page { cursor: place.cursor, ..Page::default() };
    let listing = state.catalog.events_of(person.account, &page).await?;
    let events = event::events(&state, &visit.visitor, listing.items).await?;
    let language = visit.language();
    let row = |event: EventView| Row {
        figures: broadcast::figures(&event, language),
        id: event.id.to_string(),
        visibility: text::say(language, &format!("visibility_{}", event.video.visibility)).to_owned(),
        starts: event.starts_at.map(|at| (minute_iso(at), moment_in_words(at, language))),
        title: event.video.title,
    };
    let events = Events {
        frame: Frame::new(&visit, text::say(language, "events_title"), Some(Island::Broadcast)),
        rows: events.into_iter().map(row).collect(),
        next: listing.next,
        visibilities: choices::visibilities(Visibility::Draft, language),
        tiers: choices::tiers(Tier::NONE, language),
        rewinds: choices::rewinds(EventPolicy::default().dvr_s, language),
    };
    Ok(show(StatusCode::OK, &events.frame, &events))
}

/// `POST /my/events`: the answer is the event's page, the only one with its key.
pub(crate) async fn create(
    extract::State(state): extract::State<State>,
    Member { visit, person }: Member,
    headers: HeaderMap,
    form: Result<Form<Given>, FormRejection>,
) -> Result<Response, WebError> {
    let Ok(Form(given)) = form else { return Err(ErrorKind::Invalid.into()) };
    let draft = Draft {
        title: &given.title,
        description: &given.description,
        visibility: given.visibility,
        min_tier: given.min_tier()?,
        starts_at: given.starts_at()?,
        policy: given.policy()?,
    };
    let (created, key) = event::create(&state, &person, draft, visit.visitor.now).await?;
    show_event(&state, &visit, &headers, created, Some(&key)).await
}
