//! Deleting from a page without scripts.

use axum::extract;
use axum::response::{IntoResponse, Redirect, Response};

use super::frame::Member;
use super::video::editable;
use crate::{State, WebError, erase};

/// `POST /my/videos/{video}/delete`.
pub(crate) async fn submit(
    extract::State(state): extract::State<State>,
    extract::Path(id): extract::Path<String>,
    member: Member,
) -> Result<Response, WebError> {
    let video = editable(&state, &id, &member).await?;
    erase(&state.catalog, &*state.store, video.id, member.visit.visitor.now).await?;
    Ok(Redirect::to("/my/videos?deleted").into_response())
}
