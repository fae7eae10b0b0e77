use axum::Json;
use axum::extract::State as Shared;
use model::{ErrorKind, VersionId, VideoId};
use serde::Deserialize;
use utoipa::IntoParams;

use super::extract::{Id, Params};
use super::problem::ProblemView;
use crate::playback::{Playback, playback};
use crate::session::Visitor;
use crate::{State, WebError};

/// What a player that renews its grant tells.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct PlaybackParams {
    /// The version that is being watched: where a better one has taken its place, the answer is
    /// for this one still, as long as it is kept.
    #[param(value_type = Option<String>)]
    version: Option<VersionId>,
}

/// Play a video: where it is, and the grant that it wants.
///
/// A player that can send headers plays `url` with `token` and asks again at half of the time to
/// `expires_at`, with the `version` that is in it; the URL stays the same. Others play
/// `foreign_url`.
#[utoipa::path(
    post, path = "/api/v1/videos/{id}/playback", operation_id = "playVideo", tag = "videos",
    params(("id" = String, Path), PlaybackParams),
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
    Params(PlaybackParams { version }): Params<PlaybackParams>,
) -> Result<Json<Playback>, WebError> {
    let video = state.catalog.video(id).await?.ok_or(ErrorKind::NotFound)?;
    Ok(Json(playback(&state, &video, version, visitor.person.as_ref(), visitor.now).await?))
}
