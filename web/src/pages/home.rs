//! The front page: what is public, newest first.

use askama::Template;
use axum::extract;
use axum::response::Response;
use catalog::Page;
use http::StatusCode;
use listener::Language;
use model::{Tier, TierRights};
use serde::Deserialize;

use super::broadcast::{self, EventFigures};
use super::cost::{self, Quality, SAVER_HEIGHT, USUAL_HEIGHT};
use super::format::{clock, decimal, minute_iso};
use super::frame::{Frame, Visit, show};
use super::text;
use crate::event::{self, EventView};
use crate::views::{self, VideoView};
use crate::{State, WebError};

/// Rows of two, three and four are full with it; more is one press away.
const TILES: u32 = 12;
/// As many events stand above the videos.
const EVENTS: usize = 6;

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Place {
    cursor: Option<String>,
}

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    frame: Frame,
    /// What is on air, or will be soon.
    events: Vec<Upcoming>,
    tiles: Vec<Tile>,
    is_later: bool,
    next: Option<String>,
}

/// A video in a grid.
struct Tile {
    id: String,
    title: String,
    owner: String,
    thumbnail_url: Option<String>,
    duration: String,
    badge: String,
    cost: Option<String>,
}

/// An event in the list of those.
struct Upcoming {
    id: String,
    title: String,
    owner: String,
    figures: EventFigures,
    tier: String,
    starts: Option<(String, String)>,
}

/// `GET /`.
pub(crate) async fn page(
    extract::State(state): extract::State<State>,
    visit: Visit,
    extract::Query(place): extract::Query<Place>,
) -> Result<Response, WebError> {
    let is_later = place.cursor.is_some();
    let page = Page { limit: TILES, cursor: place.cursor };
    let listing = state.catalog.public_videos(&page).await?;
    let videos = views::videos(&state, &visit.visitor, listing.items).await?;
    let tiers = state.subscriptions.tier_rights().await?;
    let tiles = videos.into_iter().filter_map(|video| tile(video, &visit, &tiers)).collect();
    let events = if is_later { Vec::new() } else { upcoming(&state, &visit).await? };
    let frame = Frame::new(&visit, text::say(visit.language(), "home_title"), None);
    let home = Home { events, tiles, is_later, next: listing.next, frame };
    Ok(show(StatusCode::OK, &home.frame, &home))
}

async fn upcoming(state: &State, visit: &Visit) -> Result<Vec<Upcoming>, WebError> {
    let mut found = state.catalog.public_events(visit.visitor.now).await?;
    found.truncate(EVENTS);
    let language = visit.language();
    let upcoming = |event: EventView| Upcoming {
        figures: broadcast::figures(&event, language),
        tier: tier_badge(event.video.min_tier, language),
        starts: event
            .starts_at
            .filter(|_| event.state == "scheduled")
            .map(|at| (minute_iso(at), broadcast::moment_in_words(at, language))),
        id: event.id.to_string(),
        title: event.video.title,
        owner: event.video.owner,
    };
    let events = event::events(state, &visit.visitor, found).await?;
    Ok(events.into_iter().map(upcoming).collect())
}

fn tier_badge(tier: Tier, language: Language) -> String {
    match tier {
        Tier::NONE => text::say(language, "free_badge").to_owned(),
        tier => text::fill(language, "plan_badge", &[("tier", &tier)]),
    }
}

fn tile(video: VideoView, visit: &Visit, tiers: &[TierRights; 4]) -> Option<Tile> {
    let language = visit.language();
    // What is on air stands above.
    let badge = tier_badge(video.min_tier, language);
    let cost = cost_line(&video, visit, tiers);
    Some(Tile {
        id: video.id.to_string(),
        title: video.title,
        owner: video.owner,
        thumbnail_url: video.thumbnail_url,
        duration: clock(video.duration_ms?),
        badge,
        cost,
    })
}

/// What the reader would most likely spend: at the quality that a phone shows, or the saver's.
fn cost_line(video: &VideoView, visit: &Visit, tiers: &[TierRights; 4]) -> Option<String> {
    let language = visit.language();
    let tier = visit.person().map_or(Tier::NONE, |person| person.tier).max(video.min_tier);
    let reach = tiers.iter().find(|rights| rights.tier == tier)?.greatest_height;
    let qualities = cost::qualities(&video.renditions, reach);
    let wanted = if visit.saver { SAVER_HEIGHT } else { USUAL_HEIGHT };
    Some(match cost::at_most(&qualities, wanted) {
        Some(Quality { name, mb_per_minute, .. }) => {
            let mb = decimal(*mb_per_minute, language);
            text::fill(language, "cost_at", &[("mb", &mb), ("quality", name)])
        }
        None => {
            let mb = decimal(cost::sound(&video.renditions)?.mb_per_minute, language);
            text::fill(language, "cost_sound", &[("mb", &mb)])
        }
    })
}
