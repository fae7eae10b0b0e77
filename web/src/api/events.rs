use axum::Json;
use axum::extract::{OriginalUri, State as Shared};
use catalog::{EventEdit, VideoEdit};
use http::{HeaderMap, StatusCode};
use model::{ErrorKind, EventPolicy, EventState, Tier, Timestamp, VideoId, Visibility};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::body::Body;
use super::extract::{Id, ListParams, Params};
use super::health::HealthView;
use super::problem::ProblemView;
use crate::event::{self, Draft, EventView, KeyView};
use crate::playback::moment_of_change;
use crate::session::{Person, Visitor};
use crate::views::{self, ListView, VideoView};
use crate::words::{description, title};
use crate::{State, WebError, clip, erase};

/// An event to create.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EventOrder {
    /// 1 to 200 characters on one line.
    title: String,
    /// Up to 5,000 characters.
    #[serde(default)]
    description: String,
    /// `draft`, `private`, `unlisted` or `public`; `draft` if not given, in which its owner can try
    /// out everything unseen.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    visibility: Visibility,
    /// The lowest tier that may watch it, 0 to 3; 0 if not given.
    #[serde(default)]
    #[schema(value_type = Option<u8>)]
    min_tier: Tier,
    /// When it is to begin, in milliseconds since 1970, if that is known.
    #[schema(value_type = Option<i64>)]
    starts_at: Option<Timestamp>,
    /// How far back viewers may go, in seconds, 0 to 86,400; 43,200 if not given.
    dvr_s: Option<u32>,
    /// Whether it is on the shelf as a video when it is over; true if not given.
    record: Option<bool>,
}

/// What an owner changes; what is left out stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EventPatch {
    /// 1 to 200 characters on one line.
    title: Option<String>,
    /// Up to 5,000 characters.
    description: Option<String>,
    /// `draft`, `private`, `unlisted` or `public`.
    #[schema(value_type = Option<String>)]
    visibility: Option<Visibility>,
    /// The lowest tier that may watch it, 0 to 3.
    #[schema(value_type = Option<u8>)]
    min_tier: Option<Tier>,
    /// When it is to begin, in milliseconds since 1970; null when that is not known any more.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>)]
    starts_at: Option<Option<Timestamp>>,
    /// How far back viewers may go, in seconds, 0 to 86,400.
    dvr_s: Option<u32>,
    /// Whether it is on the shelf as a video when it is over.
    record: Option<bool>,
}

/// A clip of an event on air: `from_s` and `to_s`, or `last_s`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ClipOrder {
    /// 1 to 200 characters on one line.
    title: String,
    /// Where it begins, in seconds from the beginning of the event.
    from_s: Option<f64>,
    /// Where it ends, in seconds from the beginning of the event.
    to_s: Option<f64>,
    /// Instead of the two: so many seconds that were last.
    last_s: Option<f64>,
    /// `draft`, `private`, `unlisted` or `public`; the event's if not given.
    #[schema(value_type = Option<String>)]
    visibility: Option<Visibility>,
    /// The lowest tier that may watch it, 0 to 3; the event's if not given.
    #[schema(value_type = Option<u8>)]
    min_tier: Option<Tier>,
}

/// What is given is some, null too.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(value: D) -> Result<Option<T>, D::Error> {
    T::deserialize(value).map(Some)
}

/// An event that was created.
#[derive(Serialize, ToSchema)]
#[schema(title = "CreatedEvent")]
pub(super) struct CreatedEvent {
    #[serde(flatten)]
    event: EventView,
    /// What its encoder needs.
    publish: KeyView,
}

/// Which events are wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct EventParams {
    /// How many items at most: 1 to 100, 24 if not given.
    limit: Option<u32>,
    /// The `next` of the part before.
    cursor: Option<String>,
    /// The signed-in person's own events, in all states, newest first, instead of the public ones.
    #[serde(default)]
    mine: bool,
}

/// A player that watches.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Beat {
    /// 26 characters that the player has chosen at random when it began, of the alphabet of ids.
    #[schema(value_type = String)]
    player: VideoId,
}

/// How many watch.
#[derive(Serialize, ToSchema)]
#[schema(title = "Viewers")]
pub(super) struct ViewersView {
    viewers: usize,
    /// Whether the event goes on. Players that hear that it does not may stop to beat.
    live: bool,
}

/// Create an event, for creators. The answer is the only one with its stream key.
#[utoipa::path(
    post, path = "/api/v1/events", operation_id = "createEvent", tag = "events",
    request_body = EventOrder, security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = CREATED, body = CreatedEvent),
        (status = BAD_REQUEST, body = ProblemView),
        (status = UNAUTHORIZED, body = ProblemView),
        (status = FORBIDDEN, description = "The account's role may not broadcast.", body = ProblemView),
        (status = TOO_MANY_REQUESTS, description = "A hundred events of the account are not over.", body = ProblemView)
    )
)]
pub(super) async fn create(
    Shared(state): Shared<State>,
    person: Person,
    visitor: Visitor,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    Body(order): Body<EventOrder>,
) -> Result<(StatusCode, Json<CreatedEvent>), WebError> {
    let usual = EventPolicy::default();
    let policy = EventPolicy {
        dvr_s: order.dvr_s.unwrap_or(usual.dvr_s),
        record: order.record.unwrap_or(usual.record),
    };
    let draft = Draft {
        title: &order.title,
        description: &order.description,
        visibility: order.visibility,
        min_tier: order.min_tier,
        starts_at: order.starts_at,
        policy,
    };
    let (created, key) = event::create(&state, &person.signed_in, draft, person.now).await?;
    let authority = uri.authority().map(|authority| authority.as_str());
    let created = CreatedEvent {
        event: event::event(&state, &visitor, created).await?,
        publish: KeyView { rtmp_url: event::publish_url(&state, &headers, authority), key: key.expose() },
    };
    Ok((StatusCode::CREATED, Json(created)))
}

/// Events that everybody may find and that are not over: those on air, then those that will begin,
/// the soonest first, at most a hundred; or one's own.
#[utoipa::path(
    get, path = "/api/v1/events", operation_id = "listEvents", tag = "events", params(EventParams),
    security((), ("bearer" = []), ("cookie" = [])),
    responses(
        (status = OK, body = ListView<EventView>),
        (status = BAD_REQUEST, body = ProblemView),
        (status = UNAUTHORIZED, description = "`mine`, and nobody is signed in.", body = ProblemView)
    )
)]
pub(super) async fn list(
    Shared(state): Shared<State>,
    visitor: Visitor,
    Params(EventParams { limit, cursor, mine }): Params<EventParams>,
) -> Result<Json<ListView<EventView>>, WebError> {
    let page = ListParams { limit, cursor }.page();
    let (found, next) = if mine {
        let owner = visitor.person.as_ref().ok_or(ErrorKind::Unauthenticated)?.account;
        let listing = state.catalog.events_of(owner, &page).await?;
        (listing.items, listing.next)
    } else {
        let mut found = state.catalog.public_events(visitor.now).await?;
        found.truncate(page.limit.clamp(1, 100) as usize);
        (found, None)
    };
    Ok(Json(ListView { items: event::events(&state, &visitor, found).await?, next }))
}

/// One event, also when it is over.
#[utoipa::path(
    get, path = "/api/v1/events/{id}", operation_id = "showEvent", tag = "events", params(("id" = String, Path)),
    security((), ("bearer" = []), ("cookie" = [])),
    responses((status = OK, body = EventView), (status = NOT_FOUND, body = ProblemView))
)]
pub(super) async fn show(
    Shared(state): Shared<State>,
    visitor: Visitor,
    Id(id): Id<VideoId>,
) -> Result<Json<EventView>, WebError> {
    let found = event::visible(&state, &visitor, id).await?;
    Ok(Json(event::event(&state, &visitor, found).await?))
}

/// Edit an event. Hiding it, or asking for a higher tier, ends within seconds what plays of it.
/// `starts_at`, `dvr_s` and `record` can be changed until it is over.
#[utoipa::path(
    patch, path = "/api/v1/events/{id}", operation_id = "editEvent", tag = "events", params(("id" = String, Path)),
    request_body = EventPatch, security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = OK, body = EventView),
        (status = BAD_REQUEST, body = ProblemView),
        (status = UNAUTHORIZED, body = ProblemView),
        (status = FORBIDDEN, description = "It is somebody else's.", body = ProblemView),
        (status = NOT_FOUND, body = ProblemView),
        (status = CONFLICT, description = "It is over.", body = ProblemView)
    )
)]
pub(super) async fn edit(
    Shared(state): Shared<State>,
    visitor: Visitor,
    Id(id): Id<VideoId>,
    Body(patch): Body<EventPatch>,
) -> Result<Json<EventView>, WebError> {
    let (before, _) = event::editable(&state, &visitor, id).await?;
    let start = |at: Option<Timestamp>| at.map(|at| event::start(at, visitor.now)).transpose();
    let edit = EventEdit {
        video: VideoEdit {
            title: patch.title.as_deref().map(title).transpose()?,
            description: patch.description.as_deref().map(description).transpose()?,
            visibility: patch.visibility,
            min_tier: patch.min_tier,
            chapters: None,
        },
        starts_at: patch.starts_at.map(start).transpose()?,
        dvr_s: patch.dvr_s.map(event::dvr).transpose()?,
        record: patch.record,
    };
    let found = state.catalog.edit_event(id, edit, moment_of_change(&before, visitor.now)).await?;
    Ok(Json(event::event(&state, &visitor, found).await?))
}

/// Make a clip of an event on air: a video of its own, yours, `ready` when this answers. Nothing is
/// encoded again, so it begins and ends with a segment, up to some seconds before and behind. It
/// lasts 15 minutes at most.
#[utoipa::path(
    post, path = "/api/v1/events/{id}/clips", operation_id = "clipEvent", tag = "events", params(("id" = String, Path)),
    request_body = ClipOrder, security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = CREATED, body = VideoView),
        (status = BAD_REQUEST, description = "`invalid_clip`, `clip_not_there` (with what there is), `clip_empty`.", body = ProblemView),
        (status = UNAUTHORIZED, body = ProblemView),
        (status = FORBIDDEN, description = "It is somebody else's, or you may not upload.", body = ProblemView),
        (status = NOT_FOUND, body = ProblemView),
        (status = CONFLICT, description = "`not_on_air`.", body = ProblemView),
        (status = TOO_MANY_REQUESTS, description = "`quota_exceeded`: the account has no room for it.", body = ProblemView),
        (status = SERVICE_UNAVAILABLE, description = "The event is packaged by another process.", body = ProblemView)
    )
)]
pub(super) async fn clip(
    Shared(state): Shared<State>,
    visitor: Visitor,
    Id(id): Id<VideoId>,
    Body(order): Body<ClipOrder>,
) -> Result<(StatusCode, Json<VideoView>), WebError> {
    let (event, _) = event::editable(&state, &visitor, id).await?;
    let person = visitor.person.as_ref().ok_or(ErrorKind::Unauthenticated)?;
    let draft = clip::Draft {
        title: &order.title,
        visibility: order.visibility.unwrap_or(event.visibility),
        min_tier: order.min_tier.unwrap_or(event.min_tier),
        stretch: clip::meant(order.from_s, order.to_s, order.last_s)?,
    };
    let video = clip::create(&state, person, id, draft, visitor.now).await?;
    Ok((StatusCode::CREATED, Json(views::video(&state, &visitor, video).await?)))
}

/// Delete an event, its recording, and everything that belongs to it. Whoever publishes is let go.
#[utoipa::path(
    delete, path = "/api/v1/events/{id}", operation_id = "deleteEvent", tag = "events", params(("id" = String, Path)),
    security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = NO_CONTENT, description = "Deleted."),
        (status = UNAUTHORIZED, body = ProblemView),
        (status = FORBIDDEN, description = "It is somebody else's.", body = ProblemView),
        (status = NOT_FOUND, body = ProblemView)
    )
)]
pub(super) async fn delete(
    Shared(state): Shared<State>,
    visitor: Visitor,
    Id(id): Id<VideoId>,
) -> Result<StatusCode, WebError> {
    event::editable(&state, &visitor, id).await?;
    erase(&state.catalog, &*state.store, id, visitor.now).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Give an event another stream key. The old one opens nothing from now on, and whoever publishes
/// with it is let go; the event waits for the next publisher. The answer is the only one with the key.
#[utoipa::path(
    post, path = "/api/v1/events/{id}/key", operation_id = "rotateStreamKey", tag = "events", params(("id" = String, Path)),
    security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = OK, body = KeyView),
        (status = UNAUTHORIZED, body = ProblemView),
        (status = FORBIDDEN, description = "It is somebody else's.", body = ProblemView),
        (status = NOT_FOUND, body = ProblemView),
        (status = CONFLICT, description = "It is over.", body = ProblemView)
    )
)]
pub(super) async fn rotate(
    Shared(state): Shared<State>,
    visitor: Visitor,
    Id(id): Id<VideoId>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Result<Json<KeyView>, WebError> {
    event::editable(&state, &visitor, id).await?;
    let key = event::rotate(&state, id, visitor.now).await?;
    let authority = uri.authority().map(|authority| authority.as_str());
    Ok(Json(KeyView { rtmp_url: event::publish_url(&state, &headers, authority), key: key.expose() }))
}

/// End an event. Whoever publishes is let go and the key opens nothing any more. What was on air is
/// on the shelf soon after, if it is to be recorded. Asked again, it changes nothing.
#[utoipa::path(
    post, path = "/api/v1/events/{id}/end", operation_id = "endEvent", tag = "events", params(("id" = String, Path)),
    security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = OK, body = EventView),
        (status = UNAUTHORIZED, body = ProblemView),
        (status = FORBIDDEN, description = "It is somebody else's.", body = ProblemView),
        (status = NOT_FOUND, body = ProblemView)
    )
)]
pub(super) async fn end(
    Shared(state): Shared<State>,
    visitor: Visitor,
    Id(id): Id<VideoId>,
) -> Result<Json<EventView>, WebError> {
    event::editable(&state, &visitor, id).await?;
    state.catalog.end_event(id, visitor.now).await?;
    show(Shared(state), visitor, Id(id)).await
}

/// How the feed of an event is just now, for who may edit it.
#[utoipa::path(
    get, path = "/api/v1/events/{id}/health", operation_id = "showEventHealth", tag = "events", params(("id" = String, Path)),
    security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = OK, body = HealthView),
        (status = UNAUTHORIZED, body = ProblemView),
        (status = FORBIDDEN, description = "It is somebody else's.", body = ProblemView),
        (status = NOT_FOUND, body = ProblemView)
    )
)]
pub(super) async fn health(
    Shared(state): Shared<State>,
    visitor: Visitor,
    Id(id): Id<VideoId>,
) -> Result<Json<HealthView>, WebError> {
    let found = event::editable(&state, &visitor, id).await?;
    let feed = match &state.health {
        Some(packagers) => packagers.health(id).await,
        None => None,
    };
    let let_go = found.1.let_go;
    let event = event::event(&state, &visitor, found).await?;
    Ok(Json(HealthView::of(&event, feed, let_go, visitor.language)))
}

/// Say that a player watches, every 30 s. It is counted and not kept.
#[utoipa::path(
    post, path = "/api/v1/events/{id}/beat", operation_id = "beatEvent", tag = "events", params(("id" = String, Path)),
    request_body = Beat, security((), ("bearer" = []), ("cookie" = [])),
    responses(
        (status = OK, body = ViewersView),
        (status = BAD_REQUEST, body = ProblemView),
        (status = NOT_FOUND, body = ProblemView)
    )
)]
pub(super) async fn beat(
    Shared(state): Shared<State>,
    visitor: Visitor,
    Id(id): Id<VideoId>,
    Body(beat): Body<Beat>,
) -> Result<Json<ViewersView>, WebError> {
    let live = state.catalog.is_live_and_shared(id).await? || {
        let (_, event) = event::visible(&state, &visitor, id).await?;
        matches!(event.state, EventState::Live { .. })
    };
    let viewers = match live {
        true => state.audience.beat(id, beat.player, visitor.now),
        false => state.audience.of(id, visitor.now),
    };
    Ok(Json(ViewersView { viewers, live }))
}
