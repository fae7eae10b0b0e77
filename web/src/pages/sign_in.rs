//! Signing in and out by plain forms.

use askama::Template;
use axum::Form;
use axum::extract;
use axum::extract::rejection::FormRejection;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use http::header::SET_COOKIE;
use model::ErrorKind;
use rand::rngs::StdRng;
use serde::Deserialize;
use subscriptions::SubscriptionsError;

use super::frame::{Frame, Visit, local, show};
use super::text;
use crate::session::{cookie_for, cookie_gone};
use crate::{State, WebError, problems};

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn {
    frame: Frame,
    username: String,
    back: String,
    /// Whether they wanted to go somewhere that needs a session.
    is_sent_here: bool,
    /// Whether people may make accounts for themselves.
    is_open: bool,
    problem: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Return {
    r#return: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Credentials {
    username: String,
    password: String,
    r#return: Option<String>,
}

/// `GET /sign-in`.
pub(crate) async fn page(
    extract::State(state): extract::State<State>,
    extract::Query(query): extract::Query<Return>,
    visit: Visit,
) -> Response {
    let is_sent_here = query.r#return.is_some();
    form(&state, &visit, String::new(), local(query.r#return.as_deref()), is_sent_here, None)
}

/// `POST /sign-in`.
pub(crate) async fn submit(
    extract::State(state): extract::State<State>,
    visit: Visit,
    form_data: Result<Form<Credentials>, FormRejection>,
) -> Result<Response, WebError> {
    let Ok(Form(Credentials { username, password, r#return })) = form_data else {
        return Err(ErrorKind::Invalid.into());
    };
    let (now, mut rng) = (visit.visitor.now, rand::make_rng::<StdRng>());
    match state.subscriptions.sign_in(&username, password, now, &mut rng).await {
        Ok(session) => {
            let cookie = cookie_for(&session.token, &state.config);
            Ok(([(SET_COOKIE, cookie)], Redirect::to(local(r#return.as_deref()))).into_response())
        }
        Err(error) if is_theirs(&error) => {
            Ok(form(&state, &visit, username, local(r#return.as_deref()), false, Some(error)))
        }
        Err(error) => Err(error.into()),
    }
}

/// `POST /sign-out`.
pub(crate) async fn sign_out(
    extract::State(state): extract::State<State>,
    visit: Visit,
) -> Result<Response, WebError> {
    if let Some(person) = visit.person() {
        state.subscriptions.sign_out(person.session, visit.visitor.now).await?;
    }
    Ok(([(SET_COOKIE, cookie_gone(&state.config))], Redirect::to("/")).into_response())
}

/// Whether whoever filled in the form can do something about it.
pub(super) fn is_theirs(error: &SubscriptionsError) -> bool {
    !matches!(error.kind(), ErrorKind::Internal | ErrorKind::Unavailable | ErrorKind::NoSpace)
}

/// The problem in the reader's words.
pub(super) fn sentence(error: &SubscriptionsError, visit: &Visit) -> String {
    let problem = problems::of_subscriptions(error);
    let title = problem.title.in_language(visit.language());
    match &problem.detail {
        Some(detail) => format!("{title}. {}.", detail.in_language(visit.language())),
        None => format!("{title}."),
    }
}

fn form(
    state: &State,
    visit: &Visit,
    username: String,
    back: &str,
    is_sent_here: bool,
    error: Option<SubscriptionsError>,
) -> Response {
    let status = error.as_ref().map_or(StatusCode::OK, |error| listener::status(error.kind()));
    let page = SignIn {
        frame: Frame::new(visit, text::say(visit.language(), "sign_in_title"), None),
        username,
        back: back.to_owned(),
        is_sent_here,
        is_open: state.config.registration,
        problem: error.map(|error| sentence(&error, visit)),
    };
    show(status, &page.frame, &page)
}
