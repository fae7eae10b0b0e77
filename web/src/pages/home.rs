//! The front page: what is public, newest first.

use askama::Template;
use axum::extract;
use axum::response::Response;
use catalog::Page;
use http::StatusCode;
use model::{Tier, TierRights};
use serde::Deserialize;

use super::cost::{self, Quality, SAVER_HEIGHT, USUAL_HEIGHT};
use super::format::{clock, decimal};
use super::frame::{Frame, Visit, show};
use super::text;
use crate::views::{self, VideoView};
use crate::{State, WebError};

/// Rows of two, three and four are full with it; more is one press away.
const TILES: u32 = 12;

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Place {
    cursor: Option<String>,
}

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    frame: Frame,
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
    let frame = Frame::new(&visit, text::say(visit.language(), "home_title"), None);
    let home = Home { tiles, is_later, next: listing.next, frame };
    Ok(show(StatusCode::OK, &home.frame, &home))
}

fn tile(video: VideoView, visit: &Visit, tiers: &[TierRights; 4]) -> Option<Tile> {
    let language = visit.language();
    let badge = if video.min_tier == Tier::NONE {
        text::say(language, "free_badge").to_owned()
    } else {
        text::fill(language, "plan_badge", &[("tier", &video.min_tier)])
    };
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
