use axum::Json;
use axum::extract::State as Shared;
use catalog::{Video, VideoEdit};
use http::StatusCode;
use model::{Chapter, ErrorKind, RenditionName, SlowPreset, Tier, VideoId, Visibility};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::body::Body;
use super::extract::{Id, ListParams, Params};
use super::problem::ProblemView;
use crate::access::{keeps_queue, may_edit, may_reencode, may_see};
use crate::chapters::{self, ChapterView};
use crate::playback::moment_of_change;
use crate::session::Visitor;
use crate::views::{self, ListView, VideoView};
use crate::words::{description, title};
use crate::{State, WebError, erase, problems};

/// What an owner changes; what is left out stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VideoPatch {
    /// 1 to 200 characters on one line.
    title: Option<String>,
    /// Up to 5,000 characters.
    description: Option<String>,
    /// `draft`, `private`, `unlisted` or `public`.
    #[schema(value_type = Option<String>)]
    visibility: Option<Visibility>,
    /// The lowest tier that may play it, 0 to 3.
    #[schema(value_type = Option<u8>)]
    min_tier: Option<Tier>,
    /// All its chapters, in order: at most 100, each within the film. An event's count from its
    /// beginning.
    chapters: Option<Vec<ChapterView>>,
    /// The same as a person types it, one on each line: `1:05 The interview`. In place of `chapters`.
    chapters_text: Option<String>,
    /// Before others in the queue where it is greater, behind them where it is less than 0. For
    /// moderators and administrators, who may set it alone on anybody's video.
    priority: Option<i32>,
}

impl VideoPatch {
    /// Whether something else than the queue is meant.
    const fn is_edit(&self) -> bool {
        let Self { title, description, visibility, min_tier, chapters, chapters_text, priority } = self;
        let is_some = title.is_some() || description.is_some() || visibility.is_some() || min_tier.is_some();
        is_some || chapters.is_some() || chapters_text.is_some() || priority.is_none()
    }
}

/// What is to be encoded anew, and how.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReencodeOrder {
    /// Encoded pictures of the version that plays: `240p`, `360p`…
    #[schema(value_type = Vec<String>)]
    renditions: Vec<RenditionName>,
    /// `medium`, `slow`, `slower` or `veryslow`: the slower, the fewer bytes.
    #[schema(value_type = String)]
    preset: SlowPreset,
}

/// Which videos are wanted. (`serde(flatten)` would read the numbers as text.)
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct VideoParams {
    /// How many items at most: 1 to 100, 24 if not given.
    limit: Option<u32>,
    /// The `next` of the part before.
    cursor: Option<String>,
    /// The signed-in person's own videos, in all states, instead of the public ones.
    #[serde(default)]
    mine: bool,
}

/// Videos that everybody may find, newest first; or one's own.
#[utoipa::path(
    get, path = "/api/v1/videos", operation_id = "listVideos", tag = "videos", params(VideoParams),
    security((), ("bearer" = []), ("cookie" = [])),
    responses(
        (status = OK, body = ListView<VideoView>),
        (status = BAD_REQUEST, body = ProblemView),
        (status = UNAUTHORIZED, description = "`mine`, and nobody is signed in.", body = ProblemView)
    )
)]
pub(super) async fn list(
    Shared(state): Shared<State>,
    visitor: Visitor,
    Params(VideoParams { limit, cursor, mine }): Params<VideoParams>,
) -> Result<Json<ListView<VideoView>>, WebError> {
    let page = ListParams { limit, cursor }.page();
    let listing = if mine {
        let owner = visitor.person.as_ref().ok_or(ErrorKind::Unauthenticated)?.account;
        state.catalog.videos_of(owner, &page).await?
    } else {
        state.catalog.public_videos(&page).await?
    };
    let items = views::videos(&state, &visitor, listing.items).await?;
    Ok(Json(ListView { items, next: listing.next }))
}

/// One video.
#[utoipa::path(
    get, path = "/api/v1/videos/{id}", operation_id = "showVideo", tag = "videos", params(("id" = String, Path)),
    security((), ("bearer" = []), ("cookie" = [])),
    responses((status = OK, body = VideoView), (status = NOT_FOUND, body = ProblemView))
)]
pub(super) async fn show(
    Shared(state): Shared<State>,
    visitor: Visitor,
    Id(id): Id<VideoId>,
) -> Result<Json<VideoView>, WebError> {
    let video = state.catalog.video(id).await?.filter(|video| may_see(video, visitor.person.as_ref()));
    let video = video.ok_or(ErrorKind::NotFound)?;
    Ok(Json(views::video(&state, &visitor, video).await?))
}

/// Edit a video. Hiding it, or asking for a higher tier, ends within seconds what plays of it.
#[utoipa::path(
    patch, path = "/api/v1/videos/{id}", operation_id = "editVideo", tag = "videos", params(("id" = String, Path)),
    request_body = VideoPatch, security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = OK, body = VideoView),
        (status = BAD_REQUEST, body = ProblemView),
        (status = UNAUTHORIZED, body = ProblemView),
        (status = FORBIDDEN, description = "It is somebody else's, or `priority` is not yours to set.", body = ProblemView),
        (status = NOT_FOUND, body = ProblemView)
    )
)]
pub(super) async fn edit(
    Shared(state): Shared<State>,
    visitor: Visitor,
    Id(id): Id<VideoId>,
    Body(patch): Body<VideoPatch>,
) -> Result<Json<VideoView>, WebError> {
    let mut video = None;
    if patch.is_edit() {
        video = Some(editable(&state, &visitor, id).await?);
    }
    let length_ms = video.as_ref().and_then(|video| video.duration_ms);
    let edit = VideoEdit {
        title: patch.title.as_deref().map(title).transpose()?,
        description: patch.description.as_deref().map(description).transpose()?,
        visibility: patch.visibility,
        min_tier: patch.min_tier,
        chapters: chapters_of(patch.chapters, patch.chapters_text, length_ms)?,
    };
    if let Some(priority) = patch.priority {
        if !keeps_queue(visitor.person.as_ref()) {
            editable(&state, &visitor, id).await?;
            return Err(ErrorKind::Forbidden.into());
        }
        state.catalog.set_priority(id, priority, visitor.now).await?;
    }
    let Some(before) = video else { return shown(&state, &visitor, id).await };
    let video = state.catalog.edit_video(id, edit, moment_of_change(&before, visitor.now)).await?;
    Ok(Json(views::video(&state, &visitor, video).await?))
}

/// The chapters that are given, in one form or the other.
fn chapters_of(
    list: Option<Vec<ChapterView>>,
    text: Option<String>,
    length_ms: Option<u64>,
) -> Result<Option<Vec<Chapter>>, WebError> {
    Ok(match (list, text) {
        (None, None) => None,
        (Some(list), None) => Some(chapters::checked(list, length_ms)?),
        (None, Some(text)) => {
            let typed = chapters::typed(&text, length_ms);
            Some(typed.map_err(|fault| problems::invalid_chapters(fault, "chapters_line"))?)
        }
        (Some(_), Some(_)) => {
            return Err(problems::invalid_body("`chapters` or `chapters_text`, not both").into());
        }
    })
}

/// Delete a video and everything that belongs to it.
#[utoipa::path(
    delete, path = "/api/v1/videos/{id}", operation_id = "deleteVideo", tag = "videos", params(("id" = String, Path)),
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
    editable(&state, &visitor, id).await?;
    erase(&state.catalog, &*state.store, id, visitor.now).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Package a failed video again.
#[utoipa::path(
    post, path = "/api/v1/videos/{id}/retry", operation_id = "retryVideo", tag = "videos", params(("id" = String, Path)),
    security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = OK, body = VideoView),
        (status = UNAUTHORIZED, body = ProblemView),
        (status = FORBIDDEN, description = "It is somebody else's.", body = ProblemView),
        (status = NOT_FOUND, body = ProblemView),
        (status = CONFLICT, description = "It has not failed.", body = ProblemView)
    )
)]
pub(super) async fn retry(
    Shared(state): Shared<State>,
    visitor: Visitor,
    Id(id): Id<VideoId>,
) -> Result<Json<VideoView>, WebError> {
    editable(&state, &visitor, id).await?;
    state.catalog.retry_video(id, visitor.now).await?;
    shown(&state, &visitor, id).await
}

/// Stop preparing a video, for its owner, moderators and administrators. It fails with
/// `cancelled`, what there was of it no longer plays, and it can be retried; one that is being
/// re-encoded stays as it is.
#[utoipa::path(
    post, path = "/api/v1/videos/{id}/cancel", operation_id = "cancelVideo", tag = "videos", params(("id" = String, Path)),
    security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = OK, body = VideoView),
        (status = UNAUTHORIZED, body = ProblemView),
        (status = FORBIDDEN, description = "It is somebody else's.", body = ProblemView),
        (status = NOT_FOUND, body = ProblemView),
        (status = CONFLICT, description = "It is not being prepared.", body = ProblemView)
    )
)]
pub(super) async fn cancel(
    Shared(state): Shared<State>,
    visitor: Visitor,
    Id(id): Id<VideoId>,
) -> Result<Json<VideoView>, WebError> {
    if !keeps_queue(visitor.person.as_ref()) {
        editable(&state, &visitor, id).await?;
    }
    state.catalog.cancel_video(id, visitor.now).await?;
    shown(&state, &visitor, id).await
}

/// Encode some renditions of a video anew with a slower preset, for administrators. It stays ready
/// and plays on; the new version takes the place of the old one when it is whole, and who is
/// watching that one then goes on with it.
#[utoipa::path(
    post, path = "/api/v1/videos/{id}/reencode", operation_id = "reencodeVideo", tag = "videos", params(("id" = String, Path)),
    request_body = ReencodeOrder, security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = ACCEPTED, description = "It is queued behind all other work.", body = VideoView),
        (status = BAD_REQUEST, description = "`invalid_renditions`, or no such preset.", body = ProblemView),
        (status = UNAUTHORIZED, body = ProblemView),
        (status = FORBIDDEN, description = "Only administrators may.", body = ProblemView),
        (status = NOT_FOUND, body = ProblemView),
        (status = CONFLICT, description = "`not_ready`, `reencode_under_way`, `original_missing` or `no_plan`.", body = ProblemView)
    )
)]
pub(super) async fn reencode(
    Shared(state): Shared<State>,
    visitor: Visitor,
    Id(id): Id<VideoId>,
    Body(order): Body<ReencodeOrder>,
) -> Result<(StatusCode, Json<VideoView>), WebError> {
    if !may_reencode(visitor.person.as_ref()) {
        editable(&state, &visitor, id).await?;
        return Err(ErrorKind::Forbidden.into());
    }
    let (catalog, store) = (&state.catalog, &*state.store);
    crate::reencode(catalog, store, id, &order.renditions, order.preset, visitor.now).await?;
    Ok((StatusCode::ACCEPTED, shown(&state, &visitor, id).await?))
}

/// The video as it is now, for somebody who has just changed it.
pub(super) async fn shown(
    state: &State,
    visitor: &Visitor,
    id: VideoId,
) -> Result<Json<VideoView>, WebError> {
    let video = state.catalog.video(id).await?.ok_or(ErrorKind::NotFound)?;
    Ok(Json(views::video(state, visitor, video).await?))
}

/// The video, for somebody who may change it. Who may not even see it learns that there is none.
pub(super) async fn editable(state: &State, visitor: &Visitor, id: VideoId) -> Result<Video, WebError> {
    let person = visitor.person.as_ref();
    if person.is_none() {
        return Err(ErrorKind::Unauthenticated.into());
    }
    let video = state.catalog.video(id).await?.filter(|video| may_see(video, person));
    let video = video.ok_or(ErrorKind::NotFound)?;
    if may_edit(&video, person) { Ok(video) } else { Err(ErrorKind::Forbidden.into()) }
}
