//! Making an account for oneself.

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

use super::frame::{Frame, Visit, show};
use super::sign_in::{is_theirs, sentence};
use super::text;
use crate::session::cookie_for;
use crate::{State, WebError, problems};

#[derive(Template)]
#[template(path = "register.html")]
struct Register {
    frame: Frame,
    username: String,
    problem: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Wanted {
    username: String,
    password: String,
}

/// `GET /register`.
pub(crate) async fn page(
    extract::State(state): extract::State<State>,
    visit: Visit,
) -> Result<Response, WebError> {
    refuse_closed(&state)?;
    Ok(form(&visit, String::new(), None))
}

/// `POST /register`: makes the account and signs in to it.
pub(crate) async fn submit(
    extract::State(state): extract::State<State>,
    visit: Visit,
    form_data: Result<Form<Wanted>, FormRejection>,
) -> Result<Response, WebError> {
    refuse_closed(&state)?;
    let Ok(Form(Wanted { username, password })) = form_data else { return Err(ErrorKind::Invalid.into()) };
    let (now, mut rng) = (visit.visitor.now, rand::make_rng::<StdRng>());
    let made = state.subscriptions.register(username.clone(), password.clone(), now, &mut rng).await;
    match made {
        Ok(_) => {
            let session = state.subscriptions.sign_in(&username, password, now, &mut rng).await?;
            let cookie = cookie_for(&session.token, &state.config);
            Ok(([(SET_COOKIE, cookie)], Redirect::to("/")).into_response())
        }
        Err(error) if is_theirs(&error) => Ok(form(&visit, username, Some(error))),
        Err(error) => Err(error.into()),
    }
}

fn refuse_closed(state: &State) -> Result<(), WebError> {
    if state.config.registration { Ok(()) } else { Err(problems::registration_closed().into()) }
}

fn form(visit: &Visit, username: String, error: Option<SubscriptionsError>) -> Response {
    let status = error.as_ref().map_or(StatusCode::OK, |error| listener::status(error.kind()));
    let problem = error.map(|error| sentence(&error, visit));
    let frame = Frame::new(visit, text::say(visit.language(), "register_title"), None);
    let page = Register { frame, username, problem };
    show(status, &page.frame, &page)
}
