use axum::Json;
use axum::extract::State as Shared;
use model::{ErrorKind, VideoId};

use super::extract::Id;
use super::problem::ProblemView;
use crate::playback::{Playback, playback};
use crate::session::Visitor;
use crate::{State, WebError};

/// Play a video: where it is, and the grant that it wants.
///
/// A player that can send headers plays `url` with `token` and asks again at half of the time to
/// `expires_at`; the URL stays the same. Others play `foreign_url`.
#[utoipa::path(
    post, path = "/api/v1/videos/{id}/playback", operation_id = "playVideo", tag = "videos",
    params(("id" = String, Path)),
    security((), ("bearer" = []), ("cookie" = [])),
    responses(
        (status = OK, body = Playback),
        (status = UNAUTHORIZED, description = "It asks for a tier, and nobody is signed in.", body = ProblemView),
        (status = FORBIDDEN, description = "`tier_required`: the tier is too low.", body = ProblemView),
        (status = NOT_FOUND, body = ProblemView),
        (status = CONFLICT, description = "`not_ready`: nothing plays yet.", body = ProblemView)
    )
)]
pub(super) async fn play(
    Shared(state): Shared<State>,
    visitor: Visitor,
    Id(id): Id<VideoId>,
) -> Result<Json<Playback>, WebError> {
    let video = state.catalog.video(id).await?.ok_or(ErrorKind::NotFound)?;
    Ok(Json(playback(&state, &video, visitor.person.as_ref(), visitor.now).await?))
}
