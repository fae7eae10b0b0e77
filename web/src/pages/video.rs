//! One video in its owner's hands: a form that works without scripts.

use askama::Template;
use axum::Form;
use axum::extract;
use axum::extract::rejection::FormRejection;
use axum::response::{IntoResponse, Redirect, Response};
use catalog::{Video, VideoEdit};
use http::StatusCode;
use model::{ErrorKind, VideoId, Visibility};
use serde::Deserialize;

use super::choices::{self, Choice};
use super::frame::{Frame, Member, show};
use super::text;
use super::trim::Ends;
use crate::playback::moment_of_change;
use crate::{State, WebError, access, chapters, words};

#[derive(Template)]
#[template(path = "video.html")]
struct Edit {
    frame: Frame,
    video: Video,
    /// One on each line, as its owner has typed them.
    chapters: String,
    /// Why what was typed is not saved.
    fault: Option<String>,
    ends: Ends,
    is_saved: bool,
    visibilities: Vec<Choice>,
    tiers: Vec<Choice>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Changes {
    title: String,
    description: String,
    /// One on each line.
    #[serde(default)]
    chapters: String,
    visibility: Visibility,
    /// Text, since a form's numbers are.
    min_tier: String,
}

/// `GET /my/videos/{video}`.
pub(crate) async fn page(
    extract::State(state): extract::State<State>,
    extract::Path(id): extract::Path<String>,
    extract::RawQuery(query): extract::RawQuery,
    member: Member,
) -> Result<Response, WebError> {
    let video = editable(&state, &id, &member).await?;
    let edit = Edit { is_saved: query.as_deref() == Some("saved"), ..Edit::of(video, &member) };
    Ok(show(StatusCode::OK, &edit.frame, &edit))
}

impl Edit {
    fn of(video: Video, member: &Member) -> Self {
        let language = member.visit.language();
        Self {
            frame: Frame::new(&member.visit, text::say(language, "studio_edit_title"), None),
            ends: Ends::of(&video, member.visit.visitor.now, language),
            is_saved: false,
            fault: None,
            chapters: chapters::lines(&video.chapters),
            visibilities: choices::visibilities(video.visibility, language),
            tiers: choices::tiers(video.min_tier, language),
            video,
        }
    }
}

/// The page with what was typed of the ends, and what is wrong with it.
pub(crate) fn refused(
    member: &Member,
    video: Video,
    fault: String,
    typed: Option<(String, String)>,
) -> Response {
    let mut edit = Edit { fault: Some(fault), ..Edit::of(video, member) };
    if let Some((from, to)) = typed {
        (edit.ends.from, edit.ends.to) = (from, to);
    }
    show(StatusCode::BAD_REQUEST, &edit.frame, &edit)
}

/// `POST /my/videos/{video}`.
pub(crate) async fn save(
    extract::State(state): extract::State<State>,
    extract::Path(id): extract::Path<String>,
    member: Member,
    form: Result<Form<Changes>, FormRejection>,
) -> Result<Response, WebError> {
    let video = editable(&state, &id, &member).await?;
    let Ok(Form(changes)) = form else { return Err(ErrorKind::Invalid.into()) };
    let min_tier = changes.min_tier.parse().map_err(|_| WebError::from(ErrorKind::Invalid))?;
    let chapters = match chapters::typed(&changes.chapters, video.duration_ms) {
        Ok(chapters) => chapters,
        Err(fault) => {
            let (title, description) = (changes.title, changes.description);
            let typed = Video { title, description, visibility: changes.visibility, min_tier, ..video };
            let fault = fault.sentence("chapters_line", member.visit.language());
            let (fault, chapters) = (Some(fault), changes.chapters);
            let edit = Edit { fault, chapters, ..Edit::of(typed, &member) };
            return Ok(show(StatusCode::BAD_REQUEST, &edit.frame, &edit));
        }
    };
    let edit = VideoEdit {
        title: Some(words::title(&changes.title)?),
        // Browsers send line ends as CR LF (HTML, form submission); rows have LF.
        description: Some(words::description(&changes.description.replace("\r\n", "\n"))?),
        visibility: Some(changes.visibility),
        min_tier: Some(min_tier),
        chapters: Some(chapters),
    };
    let at = moment_of_change(&video, member.visit.visitor.now);
    state.catalog.edit_video(video.id, edit, at).await?;
    Ok(Redirect::to(&format!("/my/videos/{}?saved", video.id)).into_response())
}

/// `POST /my/videos/{video}/retry`.
pub(crate) async fn retry(
    extract::State(state): extract::State<State>,
    extract::Path(id): extract::Path<String>,
    member: Member,
) -> Result<Response, WebError> {
    let video = editable(&state, &id, &member).await?;
    state.catalog.retry_video(video.id, member.visit.visitor.now).await?;
    Ok(Redirect::to("/my/videos").into_response())
}

/// `POST /my/videos/{video}/cancel`.
pub(crate) async fn cancel(
    extract::State(state): extract::State<State>,
    extract::Path(id): extract::Path<String>,
    member: Member,
) -> Result<Response, WebError> {
    let video = editable(&state, &id, &member).await?;
    state.catalog.cancel_video(video.id, member.visit.visitor.now).await?;
    Ok(Redirect::to("/my/videos").into_response())
}

/// The video, if the member may change it; absent for everybody else.
pub(crate) async fn editable(state: &State, id: &str, member: &Member) -> Result<Video, WebError> {
    let id: VideoId = id.parse().map_err(|_| WebError::from(ErrorKind::NotFound))?;
    let video = state.catalog.video(id).await?;
    video
        .filter(|video| access::may_edit(video, Some(&member.person)))
        .ok_or_else(|| WebError::from(ErrorKind::NotFound))
}
