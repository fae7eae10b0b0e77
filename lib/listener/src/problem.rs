use std::borrow::Cow;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use model::ErrorKind;
use serde::Serialize;

use crate::body::{Body, full};
use crate::language::Language;
use crate::status::status;

/// A sentence in the languages that we speak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// In Spanish.
    pub es: Cow<'static, str>,
    /// In English.
    pub en: Cow<'static, str>,
}

impl Text {
    /// The same sentence twice.
    pub const fn new(es: &'static str, en: &'static str) -> Self {
        Self { es: Cow::Borrowed(es), en: Cow::Borrowed(en) }
    }

    /// The sentence in `language`.
    pub fn in_language(&self, language: Language) -> &str {
        match language {
            Language::Es => &self.es,
            Language::En => &self.en,
        }
    }
}

/// An error as clients see it (RFC 9457): a kind, a word for programs, sentences for people.
///
/// It says nothing that a client must not learn; the chain of causes goes to the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Decides the status.
    pub kind: ErrorKind,
    /// A stable word for programs, for example `tier_required`.
    pub code: &'static str,
    /// The kind of problem, for people.
    pub title: Text,
    /// This occurrence of it, for people.
    pub detail: Option<Text>,
    /// After how many seconds trying again may help.
    pub retry_after_s: Option<u32>,
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    code: &'static str,
}

impl Problem {
    /// The plain problem of this kind.
    pub fn of(kind: ErrorKind) -> Self {
        let (code, title) = plain(kind);
        let retry_after_s = match kind {
            ErrorKind::Unavailable => Some(2),
            ErrorKind::TooMany => Some(30),
            _ => None,
        };
        Self { kind, code, title, detail: None, retry_after_s }
    }

    /// With a more telling word and title.
    #[must_use]
    pub fn named(self, code: &'static str, title: Text) -> Self {
        Self { code, title, ..self }
    }

    /// With a sentence about this occurrence.
    #[must_use]
    pub fn because(self, detail: Text) -> Self {
        Self { detail: Some(detail), ..self }
    }

    /// With another time to wait.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after_s: Some(seconds), ..self }
    }

    /// The answer, in `language`; never stored by anybody.
    pub fn response(&self, language: Language) -> Response<Body> {
        self.with_status(status(self.kind), language)
    }

    /// The answer to a method that the resource does not have (RFC 9110 §15.5.6).
    pub fn method_not_allowed(allow: &'static str, language: Language) -> Response<Body> {
        let title = Text::new("Ese método no se admite aquí", "That method is not allowed here");
        let mut response = Self::of(ErrorKind::Invalid)
            .named("method_not_allowed", title)
            .with_status(StatusCode::METHOD_NOT_ALLOWED, language);
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
        response
    }

    fn with_status(&self, status: StatusCode, language: Language) -> Response<Body> {
        let document = Document {
            r#type: "about:blank",
            title: self.title.in_language(language),
            status: status.as_u16(),
            detail: self.detail.as_ref().map(|text| text.in_language(language)),
            code: self.code,
        };
        let json = serde_json::to_vec(&document).expect("a document of strings is JSON");
        let mut response = Response::new(full(Bytes::from(json)));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

const fn plain(kind: ErrorKind) -> (&'static str, Text) {
    match kind {
        ErrorKind::Invalid => {
            ("invalid", Text::new("La petición no se entiende", "The request cannot be understood"))
        }
        ErrorKind::Unauthenticated => {
            ("unauthenticated", Text::new("Hay que iniciar sesión", "You need to sign in"))
        }
        ErrorKind::Forbidden => {
            ("forbidden", Text::new("No tienes permiso para esto", "You are not allowed to do this"))
        }
        ErrorKind::NotFound => ("not_found", Text::new("Eso no existe", "There is no such thing")),
        ErrorKind::TimedOut => (
            "timed_out",
            Text::new("La petición tardó demasiado en llegar", "The request took too long to arrive"),
        ),
        ErrorKind::Conflict => {
            ("conflict", Text::new("El estado actual no lo permite", "Its present state does not allow this"))
        }
        ErrorKind::Precondition => {
            ("precondition_failed", Text::new("Una condición no se cumple", "A precondition does not hold"))
        }
        ErrorKind::TooLarge => ("too_large", Text::new("Es demasiado grande", "It is too large")),
        ErrorKind::Unsupported => {
            ("unsupported", Text::new("Ese formato no se admite", "That format is not supported"))
        }
        ErrorKind::Range => {
            ("range", Text::new("El rango está fuera del archivo", "The range lies outside of the file"))
        }
        ErrorKind::Checksum => (
            "checksum_mismatch",
            Text::new("La suma de control no coincide", "The checksum does not fit the bytes"),
        ),
        ErrorKind::TooMany => ("too_many", Text::new("Demasiadas peticiones", "Too many requests")),
        ErrorKind::NoSpace => {
            ("no_space", Text::new("No queda espacio en el servidor", "The server has no space left"))
        }
        ErrorKind::Unavailable => {
            ("unavailable", Text::new("Ahora mismo no es posible", "This is not possible right now"))
        }
        ErrorKind::Internal => {
            ("internal", Text::new("Algo ha fallado en el servidor", "Something went wrong on the server"))
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn a_problem_is_told_in_the_readers_language_and_never_stored() {
        let problem = Problem::of(ErrorKind::Forbidden)
            .named("tier_required", Text::new("Hace falta otro plan", "Another plan is needed"));
        let response = problem.response(Language::En);
        assert_eq!(response.status(), 403);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.headers()["cache-control"], "no-store");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(
            body,
            r#"{"type":"about:blank","title":"Another plan is needed","status":403,"code":"tier_required"}"#
        );
    }

    #[test]
    fn every_kind_has_its_status() {
        let table = [
            (ErrorKind::Invalid, 400),
            (ErrorKind::Unauthenticated, 401),
            (ErrorKind::Forbidden, 403),
            (ErrorKind::NotFound, 404),
            (ErrorKind::TimedOut, 408),
            (ErrorKind::Conflict, 409),
            (ErrorKind::Precondition, 412),
            (ErrorKind::TooLarge, 413),
            (ErrorKind::Unsupported, 415),
            (ErrorKind::Range, 416),
            (ErrorKind::TooMany, 429),
            (ErrorKind::Checksum, 460),
            (ErrorKind::Internal, 500),
            (ErrorKind::Unavailable, 503),
            (ErrorKind::NoSpace, 507),
        ];
        for (kind, status) in table {
            assert_eq!(Problem::of(kind).response(Language::Es).status(), status, "{kind:?}");
        }
    }
}
