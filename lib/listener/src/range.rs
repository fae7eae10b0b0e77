use std::ops::Range;

use http::HeaderMap;
use http::header::RANGE;

/// What a `Range` header asks of a thing of known length (RFC 9110 §14.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requested {
    /// Everything: there is no `Range`, or one that is to be ignored (another unit, bad syntax,
    /// several ranges, which we never serve: one response is never more bytes than the thing).
    Whole,
    /// These bytes, at least one, all within the thing.
    Part(Range<u64>),
    /// Bytes that the thing does not have: 416.
    Unsatisfiable,
}

/// What the `Range` of these headers asks of a thing of `len` bytes.
pub fn requested(headers: &HeaderMap, len: u64) -> Requested {
    let mut values = headers.get_all(RANGE).iter();
    match (values.next().and_then(|value| value.to_str().ok()), values.next()) {
        (Some(text), None) => parse(text, len),
        _ => Requested::Whole,
    }
}

fn parse(text: &str, len: u64) -> Requested {
    // Range units are case-insensitive (§14.1).
    let Some((unit, set)) = text.split_once('=') else { return Requested::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Requested::Whole;
    }
    // A list may have empty members (§5.6.1); two real ones are several ranges.
    let mut specs = set.split(',').map(str::trim).filter(|spec| !spec.is_empty());
    let (Some(spec), None) = (specs.next(), specs.next()) else { return Requested::Whole };
    let Some((first, last)) = spec.split_once('-') else { return Requested::Whole };
    match (first, last) {
        ("", suffix) => match position(suffix) {
            None => Requested::Whole,
            Some(0) => Requested::Unsatisfiable,
            Some(_) if len == 0 => Requested::Unsatisfiable,
            Some(suffix) => Requested::Part(len.saturating_sub(suffix)..len),
        },
        (first, last) => {
            let Some(first) = position(first) else { return Requested::Whole };
            let last = if last.is_empty() { Some(u64::MAX) } else { position(last) };
            match last {
                None => Requested::Whole,
                Some(last) if last < first => Requested::Whole,
                Some(_) if first >= len => Requested::Unsatisfiable,
                Some(last) => Requested::Part(first..last.saturating_add(1).min(len)),
            }
        }
    }
}

/// `1*DIGIT`; a number above 64 bits is as good as the greatest.
fn position(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_range_is_one_part_or_ignored_or_outside() {
        use Requested::{Part, Unsatisfiable, Whole};
        let cases = [
            ("bytes=0-0", Part(0..1)),
            ("bytes=0-99", Part(0..100)),
            ("bytes=0-", Part(0..100)),
            ("bytes=99-", Part(99..100)),
            ("bytes=40-49", Part(40..50)),
            ("bytes=40-1000", Part(40..100)),
            ("Bytes = 40-49 ,", Part(40..50)),
            ("bytes=0-99999999999999999999999", Part(0..100)),
            ("bytes=0-18446744073709551615", Part(0..100)),
            ("bytes=-1", Part(99..100)),
            ("bytes=-100", Part(0..100)),
            ("bytes=-99999999999999999999999", Part(0..100)),
            ("bytes=100-", Unsatisfiable),
            ("bytes=100-200", Unsatisfiable),
            ("bytes=99999999999999999999999-", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=50-40", Whole),
            ("bytes=", Whole),
            ("bytes=-", Whole),
            ("bytes=a-b", Whole),
            ("bytes=+1-2", Whole),
            ("bytes=1 -2", Whole),
            ("bytes=--1", Whole),
            ("bytes=0x1-2", Whole),
            ("bytes 0-1", Whole),
            ("items=0-1", Whole),
            ("bytes=0-1,2-3", Whole),
            ("bytes=0-0,-1", Whole),
            ("", Whole),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text, 100), expected, "{text:?}");
        }
        assert_eq!(parse("bytes=0-", 0), Unsatisfiable);
        assert_eq!(parse("bytes=-5", 0), Unsatisfiable);
    }

    #[test]
    fn two_range_headers_and_a_thousand_ranges_are_ignored() {
        let mut headers = HeaderMap::new();
        headers.append(RANGE, "bytes=0-0".parse().unwrap());
        headers.append(RANGE, "bytes=1-1".parse().unwrap());
        assert_eq!(requested(&headers, 100), Requested::Whole);
        let thousand = (0..1000).map(|n| format!("{n}-{n}")).collect::<Vec<_>>().join(",");
        assert_eq!(parse(&format!("bytes={thousand}"), 10_000), Requested::Whole);
    }

    proptest! {
        #[test]
        fn a_part_is_never_empty_and_never_outside(text in "bytes=[0-9]{0,22}-[0-9]{0,22}", len: u64) {
            if let Requested::Part(range) = parse(&text, len) {
                prop_assert!(range.start < range.end && range.end <= len);
            }
        }

        #[test]
        fn no_text_panics(text: String, len: u64) {
            parse(&text, len);
        }
    }
}
