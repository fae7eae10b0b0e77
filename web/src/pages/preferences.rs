//! What a browser remembers for its reader: language and use of data.

use axum::Form;
use axum::extract::rejection::FormRejection;
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use http::header::SET_COOKIE;
use model::ErrorKind;
use serde::Deserialize;

use super::frame::{DATA_COOKIE, local};
use crate::WebError;

const YEAR_S: u32 = 365 * 24 * 60 * 60;

#[derive(Debug, Deserialize)]
pub(crate) struct Choice {
    lang: Option<Lang>,
    data: Option<Data>,
    r#return: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Lang {
    Es,
    En,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Data {
    Normal,
    Saver,
}

/// `POST /preferences`.
pub(crate) async fn submit(form: Result<Form<Choice>, FormRejection>) -> Result<Response, WebError> {
    let Ok(Form(choice)) = form else { return Err(ErrorKind::Invalid.into()) };
    let lang = choice.lang.map(|lang| match lang {
        Lang::Es => ("lang", "es"),
        Lang::En => ("lang", "en"),
    });
    let data = choice.data.map(|data| match data {
        Data::Normal => (DATA_COOKIE, "normal"),
        Data::Saver => (DATA_COOKIE, "saver"),
    });
    let cookies: Vec<_> = [lang, data].into_iter().flatten().map(cookie).collect();
    let back = Redirect::to(local(choice.r#return.as_deref()));
    Ok((AppendHeaders(cookies), back).into_response())
}

fn cookie((name, value): (&str, &str)) -> (http::HeaderName, String) {
    (SET_COOKIE, format!("{name}={value}; Path=/; Max-Age={YEAR_S}; SameSite=Lax"))
}
