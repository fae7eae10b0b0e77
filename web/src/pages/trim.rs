//! Beginning and end of one's own film: a pair of fields that works without scripts.

use axum::Form;
use axum::extract;
use axum::extract::rejection::FormRejection;
use axum::response::{IntoResponse, Redirect, Response};
use catalog::{Trimmed, Video};
use listener::{Language, Text};
use model::{ErrorKind, Timestamp};
use serde::Deserialize;

use super::broadcast::moment_in_words;
use super::frame::Member;
use super::video::{editable, refused};
use super::{clock, text};
use crate::{State, WebError, chapters, trim};

/// What the page of a video says of its ends.
pub(crate) struct Ends {
    /// Where it is to begin and to end, as its owner has typed it.
    pub(crate) from: String,
    pub(crate) to: String,
    /// How it was trimmed, in a sentence.
    pub(crate) sentence: Option<String>,
    pub(crate) can_trim: bool,
    pub(crate) can_undo: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Given {
    from: String,
    to: String,
}

impl Ends {
    pub(crate) fn of(video: &Video, now: Timestamp, language: Language) -> Self {
        let is_under_way = video.trim.as_ref().is_some_and(|trim| trim.is_under_way);
        let undo_until = video.trim.as_ref().and_then(|trim| trim.undo_until).filter(|until| *until > now);
        Self {
            from: clock(0),
            to: clock(video.duration_ms.unwrap_or_default().next_multiple_of(1000)),
            sentence: video.trim.as_ref().map(|trim| sentence(trim, undo_until, language)),
            can_trim: video.version().is_some() && !is_under_way,
            can_undo: undo_until.is_some(),
        }
    }
}

fn sentence(trim: &Trimmed, undo_until: Option<Timestamp>, language: Language) -> String {
    let (from, to) = (clock(trim.ms.start), clock(trim.ms.end));
    let until = undo_until.map(|until| moment_in_words(until, language)).unwrap_or_default();
    let key = match (trim.is_under_way, undo_until) {
        (true, _) => "trim_under_way",
        (false, Some(_)) => "trim_done_undo",
        (false, None) => "trim_done",
    };
    text::fill(language, key, &[("from", &from), ("to", &to), ("until", &until)])
}

/// `POST /my/videos/{video}/trim`.
pub(crate) async fn begin(
    extract::State(state): extract::State<State>,
    extract::Path(id): extract::Path<String>,
    member: Member,
    form: Result<Form<Given>, FormRejection>,
) -> Result<Response, WebError> {
    let video = editable(&state, &id, &member).await?;
    let Ok(Form(given)) = form else { return Err(ErrorKind::Invalid.into()) };
    let language = member.visit.language();
    let seconds = |typed: &str, otherwise: f64| match typed.trim() {
        "" => Some(otherwise),
        typed => chapters::read_clock(typed).map(|ms| ms as f64 / 1000.0),
    };
    let (from, to) = (seconds(&given.from, 0.0), seconds(&given.to, f64::from(u32::MAX) / 10.0));
    let begun = match from.zip(to) {
        Some((from, to)) => trim::trim(&state, &video, Some(from), Some(to), member.visit.visitor.now).await,
        None => {
            let fault = text::say(language, "trim_no_time").to_owned();
            return Ok(refused(&member, video, fault, Some((given.from, given.to))));
        }
    };
    match begun {
        Ok(_) => Ok(Redirect::to(&format!("/my/videos/{}", video.id)).into_response()),
        Err(WebError::Refused(problem)) => {
            let told: &Text = problem.detail.as_ref().unwrap_or(&problem.title);
            let fault = told.in_language(language).to_owned();
            Ok(refused(&member, video, fault, Some((given.from, given.to))))
        }
        Err(other) => Err(other),
    }
}

/// `POST /my/videos/{video}/trim/undo`.
pub(crate) async fn undo(
    extract::State(state): extract::State<State>,
    extract::Path(id): extract::Path<String>,
    member: Member,
) -> Result<Response, WebError> {
    let video = editable(&state, &id, &member).await?;
    state.catalog.undo_trim(video.id, member.visit.visitor.now).await?;
    Ok(Redirect::to(&format!("/my/videos/{}", video.id)).into_response())
}
