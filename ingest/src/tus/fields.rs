use http::HeaderMap;
use http::header::CONTENT_TYPE;

use super::TusError;

/// The version spoken: in every request but `OPTIONS`, and in every answer.
pub(crate) const RESUMABLE: &str = "tus-resumable";
/// The versions that the server speaks.
pub(crate) const VERSION: &str = "1.0.0";
/// Length of the whole upload in bytes.
pub(crate) const LENGTH: &str = "upload-length";
/// Bytes that are safe, or at which a body begins.
pub(crate) const OFFSET: &str = "upload-offset";
/// Hash of a body.
pub(super) const CHECKSUM: &str = "upload-checksum";
/// When an unfinished upload is given up.
pub(crate) const EXPIRES: &str = "upload-expires";

const BODY_TYPE: &str = "application/offset+octet-stream";

/// tus 1.0 "Tus-Resumable": anything but exactly our version is refused.
pub(crate) fn check_version(headers: &HeaderMap) -> Result<(), TusError> {
    match one(headers, RESUMABLE) {
        Ok(Some(VERSION)) => Ok(()),
        _ => Err(TusError::Version),
    }
}

/// The type that every body has, so that no form and no script of another site can send one.
pub(crate) fn check_body_type(headers: &HeaderMap) -> Result<(), TusError> {
    let sent = one(headers, CONTENT_TYPE.as_str()).ok().flatten().ok_or(TusError::BodyType)?;
    if sent.trim().eq_ignore_ascii_case(BODY_TYPE) { Ok(()) } else { Err(TusError::BodyType) }
}

/// The announced length in bytes; lengths announced later, and uploads put together from
/// others, are extensions that are not spoken here.
pub(crate) fn length(headers: &HeaderMap) -> Result<u64, TusError> {
    for name in ["upload-defer-length", "upload-concat"] {
        if headers.contains_key(name) {
            return Err(TusError::Extension(name));
        }
    }
    number(headers, LENGTH)
}

/// The offset in bytes at which a body begins.
pub(crate) fn offset(headers: &HeaderMap) -> Result<u64, TusError> {
    number(headers, OFFSET)
}

fn number(headers: &HeaderMap, name: &'static str) -> Result<u64, TusError> {
    let text = one(headers, name)?.ok_or(TusError::Field(name))?;
    // `parse` alone would take a plus sign.
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(TusError::Field(name));
    }
    text.parse().map_err(|_| TusError::Field(name))
}

/// The field's value; a field that stands there twice is no field.
pub(super) fn one<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, TusError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match (value.to_str(), values.next()) {
        (Ok(text), None) => Ok(Some(text)),
        _ => Err(TusError::Field(name)),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn with(name: &'static str, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn numbers_are_digits_that_fit() {
        for (text, expected) in [
            ("0", Ok(0)),
            ("42", Ok(42)),
            ("007", Ok(7)),
            ("18446744073709551615", Ok(u64::MAX)),
            ("18446744073709551616", Err(TusError::Field(LENGTH))),
            ("-1", Err(TusError::Field(LENGTH))),
            ("+1", Err(TusError::Field(LENGTH))),
            ("1.0", Err(TusError::Field(LENGTH))),
            ("0x10", Err(TusError::Field(LENGTH))),
            ("1 2", Err(TusError::Field(LENGTH))),
            ("", Err(TusError::Field(LENGTH))),
        ] {
            assert_eq!(length(&with(LENGTH, &[text])), expected, "{text:?}");
        }
        assert_eq!(length(&HeaderMap::new()), Err(TusError::Field(LENGTH)));
        assert_eq!(offset(&with(OFFSET, &["1", "1"])), Err(TusError::Field(OFFSET)));
    }

    #[test]
    fn what_is_not_spoken_is_said() {
        let mut headers = with("upload-defer-length", &["1"]);
        assert_eq!(length(&headers), Err(TusError::Extension("upload-defer-length")));
        headers = with(LENGTH, &["1"]);
        headers.insert("upload-concat", HeaderValue::from_static("partial"));
        assert_eq!(length(&headers), Err(TusError::Extension("upload-concat")));
        assert_eq!(check_version(&with(RESUMABLE, &["1.0.0"])), Ok(()));
        for versions in [&[][..], &["0.2.2"], &["1.0.0", "1.0.0"]] {
            assert_eq!(check_version(&with(RESUMABLE, versions)), Err(TusError::Version), "{versions:?}");
        }
        assert_eq!(check_body_type(&with("content-type", &["Application/Offset+Octet-Stream"])), Ok(()));
        for types in [&[][..], &["video/mp4"], &["application/offset+octet-stream; a=b"]] {
            assert_eq!(check_body_type(&with("content-type", types)), Err(TusError::BodyType), "{types:?}");
        }
    }

    proptest! {
        #[test]
        fn a_number_reads_back(number: u64) {
            prop_assert_eq!(offset(&with(OFFSET, &[&number.to_string()])), Ok(number));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(0x20u8..0x7f, 0..40)) {
            let text = String::from_utf8(bytes).unwrap();
            if let Ok(number) = offset(&with(OFFSET, &[&text])) {
                let same = text.trim_start_matches('0') == number.to_string().trim_start_matches('0');
                prop_assert!(same, "{} was read as {}", text, number);
            }
        }
    }
}
