//! Beginning and end of one's own film: a pair of fields that works without scripts.

use axum::Form;
use axum::extract;
use axum::extract::rejection::FormRejection;
use axum::response::{IntoResponse, Redirect, Response};
use catalog::{Trimmed, Video};
use http::StatusCode;
use listener::Language;
use model::{ErrorKind, Timestamp};
use serde::Deserialize;

use super::broadcast::moment_in_words;
use super::fault::Fault;
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
    /// Whether something was typed that was not done.
    pub(crate) is_typed: bool,
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
            is_typed: false,
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
    let (language, now) = (member.visit.language(), member.visit.visitor.now);
    let (status, fault) = match given.seconds(language) {
        Ok((from, to)) => match trim::trim(&state, &video, from, to, now).await {
            Ok(_) => return Ok(Redirect::to(&format!("/my/videos/{}", video.id)).into_response()),
            Err(refusal) => Fault::of_form("ends", refusal, language)?,
        },
        Err(fault) => (StatusCode::BAD_REQUEST, fault),
    };
    let Given { from, to } = given;
    let ends = Ends { from, to, can_trim: true, is_typed: true, ..Ends::of(&video, now, language) };
    Ok(refused(status, &member, video, fault, ends))
}

impl Given {
    /// The ends in seconds, where they are not those of the film; or the field that is no time.
    fn seconds(&self, language: Language) -> Result<(Option<f64>, Option<f64>), Fault> {
        let read = |field, typed: &str| match typed.trim() {
            "" => Ok(None),
            typed => match chapters::read_clock(typed) {
                Some(ms) => Ok(Some(ms as f64 / 1000.0)),
                None => Err(Fault::new(field, text::say(language, "trim_no_time"))),
            },
        };
        Ok((read("from", &self.from)?, read("to", &self.to)?))
    }
}

/// `POST /my/videos/{video}/trim/undo`.
pub(crate) async fn undo(
    extract::State(state): extract::State<State>,
    extract::Path(id): extract::Path<String>,
    member: Member,
) -> Result<Response, WebError> {
    let video = editable(&state, &id, &member).await?;
    let (language, now) = (member.visit.language(), member.visit.visitor.now);
    match state.catalog.undo_trim(video.id, now).await {
        Ok(()) => Ok(Redirect::to(&format!("/my/videos/{}", video.id)).into_response()),
        Err(refusal) => {
            let (status, fault) = Fault::of_form("undo", refusal.into(), language)?;
            let ends = Ends { can_undo: true, ..Ends::of(&video, now, language) };
            Ok(refused(status, &member, video, fault, ends))
        }
    }
}
