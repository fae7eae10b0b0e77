//! A clip of one's own event on air: a form that works without scripts.

use axum::Form;
use axum::extract;
use axum::extract::rejection::FormRejection;
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderMap, StatusCode};
use listener::Language;
use model::{ClipStretch, ErrorKind};
use serde::Deserialize;

use super::choices::{self, Choice};
use super::event::{editable, show_refused_clip};
use super::fault::Fault;
use super::frame::Member;
use super::text;
use crate::{State, WebError, chapters, clip, words};

/// What stands in the form.
pub(crate) struct ClipForm {
    pub(crate) title: String,
    pub(crate) lengths: Vec<Choice>,
    pub(crate) from: String,
    pub(crate) to: String,
    /// Whether the event is on air, or something was typed: else it is kept out of sight.
    pub(crate) is_shown: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Given {
    title: String,
    /// So many seconds that were last; empty for what is between the two moments.
    last: String,
    from: String,
    to: String,
}

impl ClipForm {
    /// One that nobody has touched.
    pub(crate) fn new(title: &str, is_live: bool, language: Language) -> Self {
        let lengths = choices::clip_lengths("60", language);
        Self { title: title.to_owned(), lengths, from: String::new(), to: String::new(), is_shown: is_live }
    }

    /// One as it was filled.
    fn typed(given: Given, language: Language) -> Self {
        let lengths = choices::clip_lengths(&given.last, language);
        Self { title: given.title, lengths, from: given.from, to: given.to, is_shown: true }
    }
}

impl Given {
    /// What of the event is meant, or the first field with which something is wrong.
    fn meant(&self, language: Language) -> Result<ClipStretch, Fault> {
        words::title(&self.title).map_err(|refusal| Fault::told("clip-title", &refusal, language))?;
        let moment = |field, typed: &str| match chapters::read_clock(typed.trim()) {
            Some(ms) => Ok(Some(ms as f64 / 1000.0)),
            None => Err(Fault::new(field, text::say(language, "trim_no_time"))),
        };
        let has_moments = [&self.from, &self.to].iter().any(|typed| !typed.trim().is_empty());
        let meant = match self.last.parse() {
            Ok(last) if !has_moments => clip::meant(None, None, Some(last)),
            // Nobody types moments that they do not mean.
            _ => clip::meant(moment("clip-from", &self.from)?, moment("clip-to", &self.to)?, None),
        };
        meant.map_err(|_| Fault::new("clip-to", text::say(language, "clip_bounds")))
    }
}

/// `POST /my/events/{event}/clips`.
pub(crate) async fn make(
    extract::State(state): extract::State<State>,
    extract::Path(id): extract::Path<String>,
    headers: HeaderMap,
    member: Member,
    form: Result<Form<Given>, FormRejection>,
) -> Result<Response, WebError> {
    let (video, event) = editable(&state, &id, &member).await?;
    let Ok(Form(given)) = form else { return Err(ErrorKind::Invalid.into()) };
    let (language, now) = (member.visit.language(), member.visit.visitor.now);
    let (status, fault) = match given.meant(language) {
        Ok(stretch) => {
            let (visibility, min_tier) = (video.visibility, video.min_tier);
            let draft = clip::Draft { title: &given.title, visibility, min_tier, stretch };
            match clip::create(&state, &member.person, video.id, draft, now).await {
                Ok(made) => {
                    let place = format!("/my/events/{}?clip={}", video.id, made.id);
                    return Ok(Redirect::to(&place).into_response());
                }
                Err(refusal) => Fault::of_form("clip", refusal, language)?,
            }
        }
        Err(fault) => (StatusCode::BAD_REQUEST, fault),
    };
    let form = ClipForm::typed(given, language);
    show_refused_clip(&state, &member, &headers, (video, event), status, fault, form).await
}
