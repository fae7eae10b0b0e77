//! What is around every page: language, session, preferences, head and header.

use std::fmt::Display;

use askama::Template;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Redirect, Response};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, VARY};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use listener::{Language, cookie};
use subscriptions::SignedIn;

use super::assets::{self, Island, Tags};
use super::text;
use crate::session::Visitor;
use crate::{State, WebError};

/// The cookie in which a browser keeps how much data it wants to spend.
pub(crate) const DATA_COOKIE: &str = "data";

/// A request for a page.
#[derive(Debug, Clone)]
pub(crate) struct Visit {
    /// Who.
    pub(crate) visitor: Visitor,
    /// Whether they want to spend little data.
    pub(crate) saver: bool,
    /// Path and query of the page, to come back to.
    pub(crate) here: String,
}

impl FromRequestParts<State> for Visit {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, WebError> {
        let visitor = Visitor::from_request_parts(parts, state).await?;
        Ok(Self { visitor, saver: wants_saver(&parts.headers), here: here(parts) })
    }
}

impl Visit {
    /// What they read.
    pub(crate) fn language(&self) -> Language {
        self.visitor.language
    }

    /// Their session.
    pub(crate) fn person(&self) -> Option<&SignedIn> {
        self.visitor.person.as_ref()
    }
}

/// What the reader chose, else what the browser was told (`Save-Data`).
fn wants_saver(headers: &HeaderMap) -> bool {
    match cookie(headers, DATA_COOKIE) {
        Some(choice) => choice == "saver",
        None => headers.get("save-data").is_some_and(|value| value == "on"),
    }
}

fn here(parts: &Parts) -> String {
    parts.uri.path_and_query().map_or("/", |here| here.as_str()).to_owned()
}

/// A visit of somebody who is signed in; everybody else is sent to sign in and comes back.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    /// The visit.
    pub(crate) visit: Visit,
    /// Who.
    pub(crate) person: SignedIn,
}

impl FromRequestParts<State> for Member {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Response> {
        let visit = Visit::from_request_parts(parts, state).await.map_err(IntoResponse::into_response)?;
        match visit.visitor.person.clone() {
            Some(person) => Ok(Self { visit, person }),
            None => Err(Redirect::to(&sign_in_url(&visit.here)).into_response()),
        }
    }
}

/// The sign-in page that leads back to `here`.
pub(crate) fn sign_in_url(here: &str) -> String {
    let query: String = url_encoded(here);
    format!("/sign-in?return={query}")
}

/// RFC 3986 §2.1, with `/` left readable; what a query value may hold.
fn url_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// A place on this site to go back to; anything else is the front page.
pub(crate) fn local(place: Option<&str>) -> &str {
    let is_ours = |place: &&str| {
        place.starts_with('/')
            && !place[1..].starts_with(['/', '\\'])
            && place.bytes().all(|byte| byte.is_ascii_graphic())
    };
    place.filter(is_ours).unwrap_or("/")
}

/// What every template has as `frame`.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) title: String,
    pub(crate) here: String,
    pub(crate) username: Option<String>,
    pub(crate) may_upload: bool,
    pub(crate) saver: bool,
    /// Whether the header knows who looks; not on pages about errors.
    pub(crate) knows_reader: bool,
    pub(crate) tags: Tags,
    language: Language,
    island: Option<Island>,
}

impl Frame {
    /// The frame of a page called `title`, with this island.
    pub(crate) fn new(visit: &Visit, title: &str, island: Option<Island>) -> Self {
        let person = visit.person();
        Self {
            title: title.to_owned(),
            here: visit.here.clone(),
            username: person.map(|person| person.username.clone()),
            may_upload: person.is_some_and(|person| person.role.may_upload()),
            saver: visit.saver,
            knows_reader: true,
            tags: assets::tags(island),
            language: visit.language(),
            island,
        }
    }

    /// The frame of a page about a failure, for a request with this head.
    pub(crate) fn for_failure(parts: &Parts, title: &str) -> Self {
        let language = Language::of(&parts.headers);
        Self {
            title: title.to_owned(),
            // What refused a form is no place to come back to.
            here: if parts.method == Method::GET { here(parts) } else { "/".to_owned() },
            username: None,
            may_upload: false,
            saver: wants_saver(&parts.headers),
            knows_reader: false,
            tags: assets::tags(None),
            language,
            island: None,
        }
    }

    pub(crate) fn lang(&self) -> &'static str {
        self.language.tag()
    }

    pub(crate) fn say<'a>(&self, key: &'a str) -> &'a str {
        text::say(self.language, key)
    }

    pub(crate) fn fill(&self, key: &str, name: &str, value: impl Display) -> String {
        text::fill(self.language, key, &[(name, &value)])
    }

    pub(crate) fn sign_in(&self) -> String {
        sign_in_url(&self.here)
    }

    /// Where choosing a preference leads back to: never a form's own address.
    pub(crate) fn back(&self) -> &str {
        local(Some(&self.here))
    }
}

/// A finished page.
pub(crate) fn show(status: StatusCode, frame: &Frame, template: &impl Template) -> Response {
    let html = match template.render() {
        Ok(html) => html,
        Err(error) => {
            tracing::error!(%error, "page `{}` could not be rendered", frame.here);
            return WebError::from(model::ErrorKind::Internal).into_response();
        }
    };
    let mut response = (status, html).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_SECURITY_POLICY, assets::content_security_policy(frame.island));
    headers.insert(VARY, HeaderValue::from_static("cookie, accept-language, save-data"));
    // A page that knows its reader may hold a grant, and a refusal holds for no other moment.
    let is_kept = frame.username.is_none() && !status.is_client_error() && !status.is_server_error();
    let cache = if is_kept { "private, no-cache" } else { "no-store" };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    response
}

/// JSON that can stand inside a `<script>` element: no character of it can end the element,
/// begin a comment, or be a line end to a script of old (U+2028).
pub(crate) fn inline_json(value: &impl serde::Serialize) -> String {
    let json = serde_json::to_string(value).expect("a view of strings and numbers is JSON");
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                escaped.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_led_back_to_places_of_ours_only() {
        let cases = [
            (None, "/"),
            (Some(""), "/"),
            (Some("/watch/abc?x=1"), "/watch/abc?x=1"),
            (Some("//evil.example"), "/"),
            (Some("/\\evil.example"), "/"),
            (Some("https://evil.example"), "/"),
            (Some("/a\r\nset-cookie: x=y"), "/"),
            (Some("/ñ"), "/"),
        ];
        for (place, expected) in cases {
            assert_eq!(local(place), expected, "{place:?}");
        }
        assert_eq!(sign_in_url("/my/videos?cursor=a&b"), "/sign-in?return=/my/videos%3Fcursor%3Da%26b");
    }

    #[test]
    fn inline_json_cannot_leave_its_element() {
        let hostile = "</script><!--<script>&\u{2028}\"'\\\n";
        let json = inline_json(&hostile);
        assert!(!json.contains(['<', '>', '&', '\u{2028}']), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), hostile);
    }
}
