//! Heads of answers.

use std::cell::RefCell;
use std::io::Write;
use std::time::{Duration, SystemTime};

use http::StatusCode;
use http::header::{CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use http::response::Parts;
use tokio::time::Instant;

/// Whether an answer with this status never has a body (RFC 9110 §6.4.1).
pub(super) fn is_bodiless(status: StatusCode) -> bool {
    status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// Writes the head of an answer into `head`, in place of what was there.
///
/// `length` is the body's, if it is known; a length that the door has said goes before it. If the
/// connection does not go on, the head says so.
pub(super) fn write(parts: &Parts, length: Option<u64>, goes_on: bool, head: &mut Vec<u8>) {
    head.clear();
    head.reserve(768);
    head.extend_from_slice(b"HTTP/1.1 ");
    head.extend_from_slice(parts.status.as_str().as_bytes());
    head.push(b' ');
    head.extend_from_slice(parts.status.canonical_reason().unwrap_or_default().as_bytes());
    head.extend_from_slice(b"\r\n");
    for (name, value) in &parts.headers {
        if *name == TRANSFER_ENCODING {
            continue;
        }
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    if let Some(length) = length
        && !is_bodiless(parts.status)
        && !parts.headers.contains_key(CONTENT_LENGTH)
    {
        // Writing to a vector does not fail.
        let _ = write!(head, "content-length: {length}\r\n");
    }
    if !parts.headers.contains_key(DATE) {
        head.extend_from_slice(b"date: ");
        with_date(|date| head.extend_from_slice(date));
        head.extend_from_slice(b"\r\n");
    }
    if !goes_on {
        head.extend_from_slice(b"connection: close\r\n");
    }
    head.extend_from_slice(b"\r\n");
}

/// The date, written once a second.
fn with_date<T>(take: impl FnOnce(&[u8]) -> T) -> T {
    struct Written {
        text: String,
        at: Instant,
    }
    thread_local! {
        static DATE: RefCell<Option<Written>> = const { RefCell::new(None) };
    }
    DATE.with_borrow_mut(|date| {
        let now = Instant::now();
        let is_old = |written: &Written| now - written.at >= Duration::from_millis(500);
        if date.as_ref().is_none_or(is_old) {
            #[expect(clippy::disallowed_methods, reason = "the date of an answer decides nothing")]
            let text = httpdate::fmt_http_date(SystemTime::now());
            *date = Some(Written { text, at: now });
        }
        take(date.as_ref().map_or(b"", |written| written.text.as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use http::Response;

    use super::*;

    fn head(response: http::response::Builder, length: Option<u64>, goes_on: bool) -> String {
        let (parts, ()) = response.body(()).unwrap().into_parts();
        let mut head = b"what was there".to_vec();
        write(&parts, length, goes_on, &mut head);
        String::from_utf8(head).unwrap()
    }

    #[test]
    fn a_head_says_what_is_needed_and_nothing_twice() {
        let dated = || Response::builder().header("date", "d");
        assert_eq!(
            head(dated().header("etag", "\"a\""), Some(7), true),
            "HTTP/1.1 200 OK\r\ndate: d\r\netag: \"a\"\r\ncontent-length: 7\r\n\r\n"
        );
        assert_eq!(
            head(dated().header("content-length", "9").status(206), Some(0), false),
            "HTTP/1.1 206 Partial Content\r\ndate: d\r\ncontent-length: 9\r\nconnection: close\r\n\r\n"
        );
        assert_eq!(head(dated().status(304), Some(0), true), "HTTP/1.1 304 Not Modified\r\ndate: d\r\n\r\n");
        assert_eq!(
            head(dated().header("transfer-encoding", "chunked").status(299), None, false),
            "HTTP/1.1 299 \r\ndate: d\r\nconnection: close\r\n\r\n"
        );
        let today = head(Response::builder(), Some(0), true);
        let date = today.lines().find_map(|line| line.strip_prefix("date: ")).unwrap();
        assert!(httpdate::parse_http_date(date).is_ok(), "{today}");
    }
}
