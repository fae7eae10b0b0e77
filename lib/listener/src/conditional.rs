use std::ops::Range;

use http::header::{HeaderMap, HeaderValue, IF_MATCH, IF_NONE_MATCH, IF_RANGE};
use http::{HeaderName, Method};

use crate::range::{Requested, requested};

/// A strong entity tag: equal tags, equal bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ETag(HeaderValue);

impl ETag {
    /// The tag with this opaque text, which must be ASCII letters, digits, `-`, `.` or `_`.
    ///
    /// # Panics
    ///
    /// On other characters; tags are made of hashes and numbers, never of input.
    pub fn strong(opaque: &str) -> Self {
        assert!(
            opaque.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)),
            "an entity tag is made of our own words"
        );
        Self(HeaderValue::try_from(format!("\"{opaque}\"")).expect("the characters were just checked"))
    }

    /// The header's value, with its quotes.
    pub const fn value(&self) -> &HeaderValue {
        &self.0
    }
}

/// How to answer a `GET` or `HEAD` of a thing that is there (RFC 9110 §13.2.2 and §14.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// 200 with all of it.
    Whole,
    /// 206 with these bytes.
    Part(Range<u64>),
    /// 304: the client has it.
    NotModified,
    /// 412: the client wants it only if it were another one.
    PreconditionFailed,
    /// 416: the client wants bytes that it does not have.
    Unsatisfiable,
}

/// The answer to a request with these headers for a thing of `len` bytes tagged `etag`.
///
/// A `Range` on anything but `GET` is ignored, and so is one whose `If-Range` is a date or
/// another tag: the client then gets the whole thing.
pub fn answer(method: &Method, headers: &HeaderMap, etag: &ETag, len: u64) -> Answer {
    if headers.contains_key(IF_MATCH) {
        // Strong comparison (§13.1.1).
        if !lists(headers, IF_MATCH, etag, Comparison::Strong) {
            return Answer::PreconditionFailed;
        }
    }
    if headers.contains_key(IF_NONE_MATCH) && lists(headers, IF_NONE_MATCH, etag, Comparison::Weak) {
        return Answer::NotModified;
    }
    if *method != Method::GET || !range_applies(headers, etag) {
        return Answer::Whole;
    }
    match requested(headers, len) {
        Requested::Whole => Answer::Whole,
        Requested::Part(range) => Answer::Part(range),
        Requested::Unsatisfiable => Answer::Unsatisfiable,
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Comparison {
    Strong,
    Weak,
}

/// Whether one of the tags in the header `name` is `etag`, or it is `*`.
fn lists(headers: &HeaderMap, name: HeaderName, etag: &ETag, comparison: Comparison) -> bool {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).any(|list| {
        // Our tags hold no comma, so a split inside of somebody else's tag cannot make one of ours.
        list.split(',').map(str::trim).any(|item| {
            let item =
                if comparison == Comparison::Weak { item.strip_prefix("W/").unwrap_or(item) } else { item };
            item == "*" || item.as_bytes() == etag.0.as_bytes()
        })
    })
}

/// §13.1.5: a strong comparison; we send no dates, so a date never matches.
fn range_applies(headers: &HeaderMap, etag: &ETag) -> bool {
    let mut values = headers.get_all(IF_RANGE).iter();
    match (values.next(), values.next()) {
        (None, _) => true,
        (Some(value), None) => value == etag.0,
        (Some(_), Some(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_weighed_in_the_order_of_the_standard() {
        use Answer::{NotModified, Part, PreconditionFailed, Unsatisfiable, Whole};
        let cases: &[(&[(&str, &str)], Answer)] = &[
            (&[], Whole),
            (&[("if-none-match", "\"a\"")], NotModified),
            (&[("if-none-match", "W/\"a\"")], NotModified),
            (&[("if-none-match", "\"x\", \"a\"")], NotModified),
            (&[("if-none-match", "*")], NotModified),
            (&[("if-none-match", "\"b\"")], Whole),
            (&[("if-none-match", "a")], Whole),
            (&[("if-none-match", "\"a\""), ("range", "bytes=0-1")], NotModified),
            (&[("if-none-match", "\"b\""), ("range", "bytes=0-1")], Part(0..2)),
            (&[("if-match", "\"a\"")], Whole),
            (&[("if-match", "*")], Whole),
            (&[("if-match", "W/\"a\"")], PreconditionFailed),
            (&[("if-match", "\"b\""), ("if-none-match", "\"a\"")], PreconditionFailed),
            (&[("range", "bytes=2-3")], Part(2..4)),
            (&[("range", "bytes=10-")], Unsatisfiable),
            (&[("range", "bytes=2-3"), ("if-range", "\"a\"")], Part(2..4)),
            (&[("range", "bytes=2-3"), ("if-range", "\"b\"")], Whole),
            (&[("range", "bytes=2-3"), ("if-range", "W/\"a\"")], Whole),
            (&[("range", "bytes=2-3"), ("if-range", "Sat, 29 Oct 1994 19:43:31 GMT")], Whole),
            // An unsatisfied If-Range hides the range, also one that lies outside.
            (&[("range", "bytes=10-"), ("if-range", "\"b\"")], Whole),
        ];
        let etag = ETag::strong("a");
        for (pairs, expected) in cases {
            let mut headers = HeaderMap::new();
            for (name, value) in *pairs {
                headers.append(HeaderName::from_static(name), value.parse().unwrap());
            }
            assert_eq!(answer(&Method::GET, &headers, &etag, 10), *expected, "{pairs:?}");
            let on_head = match expected {
                Part(_) | Unsatisfiable => Whole,
                other => other.clone(),
            };
            assert_eq!(answer(&Method::HEAD, &headers, &etag, 10), on_head, "HEAD {pairs:?}");
        }
    }
}
