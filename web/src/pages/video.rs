//! One video in its owner's hands: a form that works without scripts.

use askama::Template;
use axum::Form;
use axum::extract;
use axum::extract::rejection::FormRejection;
use axum::response::{IntoResponse, Redirect, Response};
use catalog::{Video, VideoEdit};
use http::StatusCode;
use listener::Language;
use model::{ErrorKind, Tier, VideoId, Visibility};
use serde::Deserialize;

use super::choices::{self, Choice};
use super::fault::Fault;
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
    /// Why what was typed is not done.
    fault: Fault,
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
            fault: Fault::default(),
            chapters: chapters::lines(&video.chapters),
            visibilities: choices::visibilities(video.visibility, language),
            tiers: choices::tiers(video.min_tier, language),
            video,
        }
    }
}

impl Changes {
    /// The change of `video` that is meant, or the first field with which something is wrong.
    fn checked(&self, video: &Video, min_tier: Tier, language: Language) -> Result<VideoEdit, Fault> {
        let told = |field: &'static str| move |refusal: WebError| Fault::told(field, &refusal, language);
        let chapters = chapters::typed(&self.chapters, video.duration_ms);
        Ok(VideoEdit {
            title: Some(words::title(&self.title).map_err(told("title"))?),
            // Browsers send line ends as CR LF (HTML, form submission); rows have LF.
            description: Some(words::description(&self.description).map_err(told("description"))?),
            visibility: Some(self.visibility),
            min_tier: Some(min_tier),
            chapters: Some(
                chapters
                    .map_err(|fault| Fault::new("chapters", fault.sentence("chapters_line", language)))?,
            ),
        })
    }
}

/// The page of a video of which something else was asked than to save it, with what is wrong with that.
pub(crate) fn refused(
    status: StatusCode,
    member: &Member,
    video: Video,
    fault: Fault,
    ends: Ends,
) -> Response {
    let edit = Edit { fault, ends, ..Edit::of(video, member) };
    show(status, &edit.frame, &edit)
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
    let edit = match changes.checked(&video, min_tier, member.visit.language()) {
        Ok(edit) => edit,
        Err(fault) => {
            let Changes { title, description, chapters, visibility, .. } = changes;
            let typed = Video { title, description, visibility, min_tier, ..video };
            let edit = Edit { fault, chapters, ..Edit::of(typed, &member) };
            return Ok(show(StatusCode::BAD_REQUEST, &edit.frame, &edit));
        }
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
