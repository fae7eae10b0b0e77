//! The text of a line: a pure function of what is known of a request. No token, no query and no
//! byte that a terminal would act on gets into it.

use std::fmt::Write;
use std::net::IpAddr;

use http::header::{REFERER, USER_AGENT};
use http::request::Parts;
use http::{Method, Version};
use model::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use super::cmcd;
use crate::door::Outcome;

/// Longest text of a client's that is kept, in bytes.
const MAX_TEXT: usize = 512;

/// What is kept of a request until its line is written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Asked {
    peer: Option<IpAddr>,
    method: Method,
    path: String,
    version: Version,
    referrer: Option<String>,
    agent: Option<String>,
    cmcd: Map<String, Value>,
}

/// A whole line.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) asked: &'a Asked,
    pub(super) at: Timestamp,
    pub(super) status: u16,
    pub(super) outcome: Outcome,
    pub(super) bytes: u64,
    pub(super) first_byte_ms: u128,
    pub(super) whole_ms: u128,
}

impl Asked {
    pub(super) fn of(request: &Parts, peer: Option<IpAddr>) -> Self {
        let text = |name| {
            let value = request.headers.get(name)?;
            Some(cut(&String::from_utf8_lossy(value.as_bytes())).to_owned())
        };
        Self {
            peer,
            method: request.method.clone(),
            path: redacted(request.uri.path()),
            version: request.version,
            // The address of a page, which may hold what only its reader may know.
            referrer: text(REFERER).map(|referrer| origin_of(&referrer).to_owned()),
            agent: text(USER_AGENT),
            cmcd: cmcd::read(request.uri.query(), &request.headers),
        }
    }
}

/// The path without the token of its prefix.
fn redacted(path: &str) -> String {
    let path = match path.strip_prefix("/t/") {
        Some(rest) => match rest.split_once('/') {
            Some((_, rest)) => format!("/t/-/{rest}"),
            None => "/t/-".to_owned(),
        },
        None => path.to_owned(),
    };
    cut(&path).to_owned()
}

/// Scheme and host of a page's address.
fn origin_of(url: &str) -> &str {
    let Some(host) = url.find("://").map(|at| at + 3) else { return "" };
    let end = url[host..].find(['/', '?', '#', '@']).map_or(url.len(), |at| host + at);
    // What stands before an `@` is a name and a password.
    if url[end..].starts_with('@') { "" } else { &url[..end] }
}

/// At most [`MAX_TEXT`] bytes of it.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[derive(Serialize)]
struct Json<'a> {
    time: String,
    peer: Option<IpAddr>,
    method: &'a str,
    path: &'a str,
    protocol: &'static str,
    status: u16,
    bytes: u64,
    first_byte_ms: u64,
    duration_ms: u64,
    route: &'static str,
    audience: &'static str,
    cache: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    referrer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<&'a str>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    cmcd: &'a Map<String, Value>,
}

impl Line<'_> {
    /// `peer - audience [time] "request" status bytes "referrer" "agent"`, and behind that
    /// milliseconds to the head and to the end, the route, the cache and CMCD.
    pub(super) fn combined(&self) -> String {
        let Asked { peer, method, path, version, referrer, agent, cmcd } = self.asked;
        let peer = peer.map_or_else(|| "-".to_owned(), |peer| peer.to_string());
        let format = format_description!("[day]/[month repr:short]/[year]:[hour]:[minute]:[second] +0000");
        let time = moment(self.at).and_then(|at| at.format(format).ok()).unwrap_or_default();
        let mut line = format!("{peer} - {} [{time}] \"{method} ", self.outcome.audience);
        escape(path, &mut line);
        // Writing to a string does not fail.
        let _ = write!(line, " {}\" {} {} \"", protocol(*version), self.status, self.bytes);
        escape(referrer.as_deref().unwrap_or("-"), &mut line);
        line.push_str("\" \"");
        escape(agent.as_deref().unwrap_or("-"), &mut line);
        let Outcome { route, cache, .. } = self.outcome;
        let _ = write!(line, "\" {} {} {route} {cache} \"", self.first_byte_ms, self.whole_ms);
        let mut pairs = cmcd.iter().peekable();
        if pairs.peek().is_none() {
            line.push('-');
        }
        while let Some((key, value)) = pairs.next() {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            escape(&format!("{key}={text}"), &mut line);
            if pairs.peek().is_some() {
                line.push(',');
            }
        }
        line.push_str("\"\n");
        line
    }

    /// One object.
    pub(super) fn json(&self) -> String {
        let asked = self.asked;
        let number = |ms: u128| u64::try_from(ms).unwrap_or(u64::MAX);
        let object = Json {
            time: moment(self.at).and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_default(),
            peer: asked.peer,
            method: asked.method.as_str(),
            path: &asked.path,
            protocol: protocol(asked.version),
            status: self.status,
            bytes: self.bytes,
            first_byte_ms: number(self.first_byte_ms),
            duration_ms: number(self.whole_ms),
            route: self.outcome.route,
            audience: self.outcome.audience,
            cache: self.outcome.cache,
            referrer: asked.referrer.as_deref(),
            agent: asked.agent.as_deref(),
            cmcd: &asked.cmcd,
        };
        let mut line = serde_json::to_string(&object).expect("an object of texts and numbers is JSON");
        line.push('\n');
        line
    }
}

fn moment(at: Timestamp) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.as_millis()) * 1_000_000).ok()
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_3 => "HTTP/3",
        _ => "HTTP/1.1",
    }
}

/// As nginx does: quotes, backslashes and what is not printable ASCII become `\xHH`.
fn escape(text: &str, line: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' | 0..=0x1f | 0x7f.. => {
                let _ = write!(line, "\\x{byte:02X}");
            }
            _ => line.push(char::from(byte)),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn asked(uri: &str, headers: &[(&str, &str)]) -> Asked {
        let mut request = Request::get(uri);
        for (name, value) in headers {
            request = request.header(*name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        Asked::of(&parts, Some([192, 0, 2, 7].into()))
    }

    fn line(asked: &Asked) -> Line<'_> {
        Line {
            asked,
            at: Timestamp::from_millis(1_796_028_950_608),
            status: 206,
            outcome: Outcome { route: "segment", audience: "tier2", cache: "memory" },
            bytes: 1234,
            first_byte_ms: 2,
            whole_ms: 30,
        }
    }

    #[test]
    fn a_line_has_its_form() {
        let asked = asked(
            "/t/e30.e30.sig/v/a/b/360p/7.m4s?CMCD=br%3D300%2Csid%3D%22x%22&token=secret",
            &[("user-agent", "VLC \"3\"é\\"), ("referer", "https://cocuyo.cu/watch?private=1")],
        );
        assert_eq!(
            line(&asked).combined(),
            "192.0.2.7 - tier2 [30/Nov/2026:08:55:50 +0000] \"GET /t/-/v/a/b/360p/7.m4s HTTP/1.1\" 206 1234 \
             \"https://cocuyo.cu\" \"VLC \\x223\\x22\\xC3\\xA9\\x5C\" 2 30 segment memory \"br=300,sid=x\"\n"
        );
        assert_eq!(
            line(&asked).json(),
            concat!(
                r#"{"time":"2026-11-30T08:55:50.608Z","peer":"192.0.2.7","method":"GET","#,
                r#""path":"/t/-/v/a/b/360p/7.m4s","protocol":"HTTP/1.1","status":206,"bytes":1234,"#,
                r#""first_byte_ms":2,"duration_ms":30,"route":"segment","audience":"tier2","cache":"memory","#,
                r#""referrer":"https://cocuyo.cu","agent":"VLC \"3\"é\\","#,
                r#""cmcd":{"br":300,"sid":"x"}}"#,
                "\n"
            )
        );
    }

    #[test]
    fn what_must_not_be_told_is_not() {
        for (path, expected) in [
            ("/", "/"),
            ("/t/secret", "/t/-"),
            ("/t/secret/", "/t/-/"),
            ("/t/secret/nowhere", "/t/-/nowhere"),
            ("/v/a/b/multivariant.m3u8?token=secret", "/v/a/b/multivariant.m3u8"),
        ] {
            assert_eq!(asked(path, &[]).path, expected);
        }
        for (referrer, expected) in [
            ("https://a.cu/secret?secret#secret", "https://a.cu"),
            ("https://a.cu", "https://a.cu"),
            ("https://secret:secret@a.cu/", ""),
            ("secret", ""),
            ("https://a.cu?secret", "https://a.cu"),
        ] {
            let found = asked("/", &[("referer", referrer)]).referrer.unwrap();
            assert_eq!(found, expected, "{referrer}");
        }
    }

    #[test]
    fn a_line_is_one_line_and_not_too_long() {
        let asked = asked(
            &format!("/{}", "a".repeat(5000)),
            &[("user-agent", &"é".repeat(2000)), ("referer", &format!("https://{}", "b".repeat(5000)))],
        );
        for text in [line(&asked).combined(), line(&asked).json()] {
            assert!(text.len() < 8 * MAX_TEXT, "{} bytes", text.len());
            assert_eq!(text.matches('\n').count(), 1);
        }
    }
}
