use axum::Json;
use axum::extract::State as Shared;
use http::StatusCode;
use model::VideoId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::body::Body;
use super::extract::Id;
use super::problem::ProblemView;
use super::videos::{editable, shown};
use crate::session::Visitor;
use crate::trim;
use crate::views::VideoView;
use crate::{State, WebError};

/// What is to be left of a film: one of the two at least.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TrimOrder {
    /// Where it is to begin, in seconds; at its beginning if not given.
    from_s: Option<f64>,
    /// Where it is to end, in seconds; at its end if not given.
    to_s: Option<f64>,
}

/// Take from a film what is before and behind a stretch of it. Nothing is encoded: the stretch grows
/// outward to whole segments, and `trim` of the answer says what will be left. The film stays as it
/// is until that is made, within seconds or minutes, and who watches it goes on with it. Chapters
/// move with what they name.
#[utoipa::path(
    post, path = "/api/v1/videos/{id}/trim", operation_id = "trimVideo", tag = "videos", params(("id" = String, Path)),
    request_body = TrimOrder, security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = ACCEPTED, description = "It is queued.", body = VideoView),
        (status = BAD_REQUEST, description = "`invalid_trim`: nothing or all of the film would be left.", body = ProblemView),
        (status = UNAUTHORIZED, body = ProblemView),
        (status = FORBIDDEN, description = "It is somebody else's.", body = ProblemView),
        (status = NOT_FOUND, body = ProblemView),
        (status = CONFLICT, description = "`not_ready`, or `version_under_way`: another version of it is being made.", body = ProblemView)
    )
)]
pub(super) async fn begin(
    Shared(state): Shared<State>,
    visitor: Visitor,
    Id(id): Id<VideoId>,
    Body(order): Body<TrimOrder>,
) -> Result<(StatusCode, Json<VideoView>), WebError> {
    let video = editable(&state, &visitor, id).await?;
    trim::trim(&state, &video, order.from_s, order.to_s, visitor.now).await?;
    Ok((StatusCode::ACCEPTED, shown(&state, &visitor, id).await?))
}

/// Undo the last trim of a film: the version before plays again, with the chapters that it had. That
/// is kept until `undo_until`, for at least six hours.
#[utoipa::path(
    delete, path = "/api/v1/videos/{id}/trim", operation_id = "undoTrim", tag = "videos", params(("id" = String, Path)),
    security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = OK, body = VideoView),
        (status = UNAUTHORIZED, body = ProblemView),
        (status = FORBIDDEN, description = "It is somebody else's.", body = ProblemView),
        (status = NOT_FOUND, body = ProblemView),
        (status = CONFLICT, description = "`nothing_to_undo`, `not_ready` or `version_under_way`.", body = ProblemView)
    )
)]
pub(super) async fn undo(
    Shared(state): Shared<State>,
    visitor: Visitor,
    Id(id): Id<VideoId>,
) -> Result<Json<VideoView>, WebError> {
    editable(&state, &visitor, id).await?;
    state.catalog.undo_trim(id, visitor.now).await?;
    shown(&state, &visitor, id).await
}
