use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::HeaderMap;

use super::TusError;
use super::fields::one;

/// What the client says of its file.
pub(crate) const METADATA: &str = "upload-metadata";
/// Greatest length of a shown text, in characters; a file system's own limit is 255 bytes.
const MAX_CHARACTERS: usize = 200;
/// Some clients leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What the client says of its file: texts to show to people, and nothing else; no path, no
/// type and no decision is ever made of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Metadata {
    /// The file's name on the owner's disk; may be empty.
    pub(crate) filename: String,
    /// The first title of the video; never empty.
    pub(crate) title: String,
}

impl Metadata {
    /// Reads `Upload-Metadata` (tus 1.0, extension "Creation"): pairs of key and base64, with
    /// commas between them; keys that we do not know are ignored.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, TusError> {
        let text = one(headers, METADATA)?.unwrap_or_default();
        let pairs = pairs(text).ok_or(TusError::Field(METADATA))?;
        let shown = |key| pairs.get(key).map(|bytes| shown(bytes)).unwrap_or_default();
        let (filename, mut title) = (shown("filename"), shown("title"));
        if title.is_empty() {
            title = match filename.rsplit_once('.') {
                Some((stem, _)) if !stem.is_empty() => stem.trim_end().to_owned(),
                _ => filename.clone(),
            };
        }
        if title.is_empty() {
            title = "Sin título".to_owned();
        }
        Ok(Self { filename, title })
    }
}

impl fmt::Display for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "filename {},title {}", BASE64.encode(&self.filename), BASE64.encode(&self.title))
    }
}

fn pairs(text: &str) -> Option<BTreeMap<&str, Vec<u8>>> {
    let mut pairs = BTreeMap::new();
    for pair in text.split(',').map(str::trim).filter(|_| !text.trim().is_empty()) {
        let (key, value) = pair.split_once(' ').unwrap_or((pair, ""));
        let value = BASE64.decode(value.trim()).ok()?;
        if key.is_empty() || pairs.insert(key, value).is_some() {
            return None;
        }
    }
    Some(pairs)
}

/// The text as it can stand on a page and in a log: no control characters, nothing that turns
/// the direction of what stands beside it, of bounded length.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let clean = text.chars().filter(|c| !c.is_control() && !is_invisible(*c)).take(MAX_CHARACTERS);
    clean.collect::<String>().trim().to_owned()
}

/// Marks of direction (Unicode UAX #9), zero-width space, byte order mark, line separators.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Metadata, TusError> {
        let mut headers = HeaderMap::new();
        headers.insert(METADATA, HeaderValue::from_str(text).unwrap());
        Metadata::of(&headers)
    }

    fn base64(text: &str) -> String {
        BASE64.encode(text)
    }

    #[test]
    fn names_and_titles_are_read() {
        let metadata =
            |filename: &str, title: &str| Metadata { filename: filename.into(), title: title.into() };
        let both = format!("filename {}, title {},extra", base64("fin.de.año.mp4"), base64("Fin de año"));
        for (text, expected) in [
            (both, metadata("fin.de.año.mp4", "Fin de año")),
            (format!("filename {}", base64("fin.de.año.mp4")), metadata("fin.de.año.mp4", "fin.de.año")),
            (format!("filename {}", base64(".mp4")), metadata(".mp4", ".mp4")),
            (format!("filename {}", base64("a").trim_end_matches('=')), metadata("a", "a")),
            (format!("title {}", base64("\u{202e}a\r\nb\0\u{7f} ")), metadata("", "ab")),
            (format!("title {}", base64("../<b>'\"")), metadata("", "../<b>'\"")),
            ("title".to_owned(), metadata("", "Sin título")),
            (String::new(), metadata("", "Sin título")),
        ] {
            assert_eq!(read(&text), Ok(expected), "{text}");
        }
        let long = read(&format!("title {}", base64(&"ñ".repeat(10_000)))).unwrap();
        assert_eq!(long.title.chars().count(), MAX_CHARACTERS);
    }

    #[test]
    fn what_is_not_pairs_is_refused() {
        for text in ["title !", "title YQ==,title YQ==", ",", "title YQ==,", "title YQ== YQ=="] {
            assert_eq!(read(text), Err(TusError::Field(METADATA)), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_sent_can_be_shown(title: String, damage in prop::option::of((0usize..200, 0x20u8..0x7f))) {
            let mut text = format!("filename YQ==,title {}", base64(&title)).into_bytes();
            if let Some((at, byte)) = damage {
                let at = at % text.len();
                text[at] = byte;
            }
            if let Ok(metadata) = read(std::str::from_utf8(&text).unwrap()) {
                for text in [&metadata.title, &metadata.filename] {
                    prop_assert!(text.chars().count() <= MAX_CHARACTERS);
                    prop_assert!(!text.chars().any(|c| c.is_control() || is_invisible(c)));
                }
                prop_assert!(!metadata.title.is_empty());
                prop_assert_eq!(read(&metadata.to_string()), Ok(metadata));
            }
        }
    }
}
