use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};
use http::request::Parts;
use listener::{Language, cookie};
use model::{ErrorKind, Role, Timestamp};
use subscriptions::{SessionToken, SignedIn};

use crate::{Config, State, WebError};

/// The cookie that carries a session's token.
pub const SESSION_COOKIE: &str = "cocuyo_session";

/// A session's token as a request carries it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Presented<'a> {
    /// In `Authorization: Bearer`; a program put it there.
    Bearer(&'a str),
    /// In a cookie; the browser put it there, whoever made the request. Where something is
    /// changed it counts only with [`crate::is_same_origin`].
    Cookie(&'a str),
}

impl<'a> Presented<'a> {
    /// The token of a request with these headers. A bearer, even a bad one, goes before a cookie;
    /// credentials of another scheme are for a proxy in front of us and say nothing here.
    pub fn in_headers(headers: &'a HeaderMap) -> Option<Self> {
        let bearer = headers.get_all(AUTHORIZATION).iter().find_map(bearer);
        bearer.map(Self::Bearer).or_else(|| cookie(headers, SESSION_COOKIE).map(Self::Cookie))
    }

    /// The token.
    pub fn token(self) -> &'a str {
        match self {
            Self::Bearer(token) | Self::Cookie(token) => token,
        }
    }
}

/// The credentials of scheme `Bearer` (RFC 6750 §2.1); what cannot be a token is an empty one.
fn bearer(value: &HeaderValue) -> Option<&str> {
    let mut words = value.as_bytes().splitn(2, |byte| *byte == b' ');
    // RFC 9110 §11.1: the scheme's case does not count.
    let is_bearer = words.next()?.eq_ignore_ascii_case(b"bearer");
    is_bearer
        .then(|| words.next().and_then(|token| std::str::from_utf8(token).ok()).unwrap_or_default().trim())
}

/// Whoever sent a request: their language, and their session if they have one.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    /// What they read.
    pub(crate) language: Language,
    /// When the request began. Everything in one request happens at this moment, so that a grant
    /// is never dated later than the rights it was made from.
    pub(crate) now: Timestamp,
    /// Their session.
    pub(crate) person: Option<SignedIn>,
}

impl FromRequestParts<State> for Visitor {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, WebError> {
        let (language, now) = (Language::of(&parts.headers), state.now());
        let person = match Presented::in_headers(&parts.headers) {
            Some(presented) => state.subscriptions.signed_in(presented.token(), now).await?,
            None => None,
        };
        Ok(Self { language, now, person })
    }
}

/// Somebody who is signed in; 401 for everybody else.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    /// Their session.
    pub(crate) signed_in: SignedIn,
    /// When the request began.
    pub(crate) now: Timestamp,
}

impl FromRequestParts<State> for Person {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, WebError> {
        let visitor = Visitor::from_request_parts(parts, state).await?;
        let signed_in = visitor.person.ok_or(WebError::from(ErrorKind::Unauthenticated))?;
        Ok(Self { signed_in, now: visitor.now })
    }
}

/// An administrator; 401 for nobody, 403 for everybody else.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Administrator {
    /// When the request began.
    pub(crate) now: Timestamp,
}

impl FromRequestParts<State> for Administrator {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, WebError> {
        let Person { signed_in, now } = Person::from_request_parts(parts, state).await?;
        if signed_in.role == Role::Admin { Ok(Self { now }) } else { Err(ErrorKind::Forbidden.into()) }
    }
}

/// Browsers keep the cookie as long as a session can live.
const COOKIE_LIFE_S: u32 = 180 * 24 * 60 * 60;

/// The cookie that carries `token`: not for scripts, and not sent along when another site's page
/// sends a form.
pub(crate) fn cookie_for(token: &SessionToken, config: &Config) -> HeaderValue {
    set_cookie(token.as_str(), COOKIE_LIFE_S, config)
}

/// The cookie that ends the other one.
pub(crate) fn cookie_gone(config: &Config) -> HeaderValue {
    set_cookie("", 0, config)
}

fn set_cookie(value: &str, max_age_s: u32, config: &Config) -> HeaderValue {
    let secure = if config.secure_cookies { "; Secure" } else { "" };
    let cookie =
        format!("{SESSION_COOKIE}={value}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::try_from(cookie).expect("tokens are base 64")
}
