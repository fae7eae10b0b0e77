//! Heads of requests, and which of them are ordinary.

use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::uri::{PathAndQuery, Uri};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Version};

use crate::authority::is_host;

/// Headers of an ordinary request at most: browsers send some twenty.
const MAX_HEADERS: usize = 48;

/// What stands at the beginning of some bytes.
pub(super) enum Read {
    /// An ordinary request, whose head has so many bytes.
    Whole(Box<Parts>, usize),
    /// The beginning of a request; more is to come.
    More,
    /// Something else.
    Unusual,
}

/// Reads the head of an ordinary request: a `GET` or `HEAD` in origin form (RFC 9112 §3.2.1), of
/// HTTP/1.1, with one `Host`, without a body, and with nothing that would end or change the
/// connection.
pub(super) fn read(bytes: &[u8]) -> Read {
    let mut lines = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Request::new(&mut lines);
    let len = match head.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Read::More,
        Err(_) => return Read::Unusual,
    };
    match parts(&head) {
        Some(parts) => Read::Whole(Box::new(parts), len),
        None => Read::Unusual,
    }
}

fn parts(head: &httparse::Request<'_, '_>) -> Option<Parts> {
    let method = match head.method? {
        "GET" => Method::GET,
        "HEAD" => Method::HEAD,
        _ => return None,
    };
    let target = head.path.filter(|target| head.version == Some(1) && target.starts_with('/'))?;
    let mut headers = HeaderMap::with_capacity(head.headers.len() + 4);
    for line in head.headers.iter() {
        let name = HeaderName::from_bytes(line.name.as_bytes()).ok()?;
        headers.append(name, HeaderValue::from_bytes(line.value).ok()?);
    }
    if !is_ordinary(&headers) {
        return None;
    }
    let mut uri = http::uri::Parts::default();
    uri.path_and_query = Some(PathAndQuery::try_from(target).ok()?);
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = method;
    parts.uri = Uri::from_parts(uri).ok()?;
    parts.version = Version::HTTP_11;
    parts.headers = headers;
    Some(parts)
}

fn is_ordinary(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let has_one_host = hosts.next().is_some_and(is_host) && hosts.next().is_none();
    let has_none = [CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE, EXPECT];
    has_one_host
        && !has_none.iter().any(|name| headers.contains_key(name))
        && headers
            .get_all(CONNECTION)
            .iter()
            .all(|value| value.as_bytes().eq_ignore_ascii_case(b"keep-alive"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str) -> String {
        match read(text.as_bytes()) {
            Read::Whole(parts, len) => format!("{} {} {len}", parts.method, parts.uri),
            Read::More => "more".to_owned(),
            Read::Unusual => "unusual".to_owned(),
        }
    }

    #[test]
    fn what_is_ordinary() {
        for (text, expected) in [
            ("", "more"),
            ("GET", "more"),
            ("GET / HTTP/1.1\r\nHost: a\r\n", "more"),
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / 27"),
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b", "GET / 27"),
            ("HEAD /v/a?b=c HTTP/1.1\r\nhOST: a\r\nConnection: Keep-Alive\r\n\r\n", "HEAD /v/a?b=c 59"),
            ("GET / HTTP/1.1\r\n\r\n", "unusual"),
            ("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", "unusual"),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "unusual"),
            ("GET / HTTP/1.0\r\nHost: a\r\n\r\n", "unusual"),
            ("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", "unusual"),
            ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", "unusual"),
            ("OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n", "unusual"),
            ("POST / HTTP/1.1\r\nHost: a\r\n\r\n", "unusual"),
            ("get / HTTP/1.1\r\nHost: a\r\n\r\n", "unusual"),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "unusual"),
            ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "unusual"),
            ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "unusual"),
            ("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, upgrade\r\n\r\n", "unusual"),
            ("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\n", "unusual"),
            ("GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", "unusual"),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost : b\r\n\r\n", "unusual"),
            ("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", "unusual"),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", "unusual"),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "unusual"),
            ("\u{16}\u{3}\u{1}", "unusual"),
        ] {
            assert_eq!(word(text), expected, "{text:?}");
        }
    }

    #[test]
    fn more_headers_than_anybody_sends_are_unusual() {
        let lines = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(count));
        assert!(word(&lines(MAX_HEADERS - 1)).starts_with("GET"));
        assert_eq!(word(&lines(MAX_HEADERS)), "unusual");
    }
}
