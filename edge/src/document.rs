//! Texts that are served, and their compressed form: a film's playlist names thousands of
//! segments in 40 KB, which is four seconds of a link of 90 kbit/s, and five once compressed.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::HeaderMap;
use http::header::ACCEPT_ENCODING;
use listener::ETag;

use crate::shelf::HasSize;

/// A text with its tag, and the same compressed, where that saves something.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) plain: Encoded,
    pub(crate) gzip: Option<Encoded>,
}

/// One encoding of a text: other bytes, so another tag.
#[derive(Debug, Clone)]
pub(crate) struct Encoded {
    pub(crate) bytes: Bytes,
    pub(crate) etag: ETag,
    /// For `Content-Encoding`.
    pub(crate) encoding: Option<&'static str>,
}

/// Below this a text fits in one packet anyhow.
const WORTH_COMPRESSING: usize = 1400;

impl Document {
    /// A text that is kept, in both forms.
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self::compressed(bytes, Compression::best())
    }

    /// A text that is kept for a moment: the time that it takes to compress it is waited for.
    pub(crate) fn quick(bytes: Bytes) -> Self {
        Self::compressed(bytes, Compression::fast())
    }

    fn compressed(bytes: Bytes, level: Compression) -> Self {
        let gzip = (bytes.len() > WORTH_COMPRESSING).then(|| Encoded {
            etag: ETag::strong(&format!("{}-gz", &blake3::hash(&bytes).to_hex()[..32])),
            bytes: compressed(&bytes, level),
            encoding: Some("gzip"),
        });
        Self { gzip, ..Self::plain(bytes) }
    }

    /// A text that is made anew for each request, where compressing it would cost more.
    pub(crate) fn plain(bytes: Bytes) -> Self {
        let etag = ETag::strong(&blake3::hash(&bytes).to_hex()[..32]);
        Self { plain: Encoded { bytes, etag, encoding: None }, gzip: None }
    }

    /// The encoding for a client with these headers.
    pub(crate) fn encoded_for(&self, headers: &HeaderMap) -> &Encoded {
        self.gzip.as_ref().filter(|_| accepts_gzip(headers)).unwrap_or(&self.plain)
    }
}

impl HasSize for Document {
    fn size(&self) -> usize {
        self.plain.bytes.len() + self.gzip.as_ref().map_or(0, |gzip| gzip.bytes.len()) + 256
    }
}

fn compressed(bytes: &[u8], level: Compression) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(bytes).expect("a vector takes every byte");
    encoder.finish().expect("a vector takes every byte").into()
}

/// RFC 9110 §12.5.3: whether `gzip`, or `*`, is listed with a weight above 0.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let weight = |coding: &str| {
        let lists = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        lists.flat_map(|list| list.split(',')).find_map(|item| {
            let (name, parameter) = item.split_once(';').unwrap_or((item, "q=1"));
            let q = parameter.trim().strip_prefix("q=").and_then(|q| q.parse::<f32>().ok());
            name.trim().eq_ignore_ascii_case(coding).then(|| q.unwrap_or(0.0))
        })
    };
    weight("gzip").or_else(|| weight("*")).is_some_and(|weight| weight > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_asks_for_gzip_gets_it() {
        let cases = [
            (None, false),
            (Some(""), false),
            (Some("gzip"), true),
            (Some("GZIP"), true),
            (Some("gzip, deflate, br, zstd"), true),
            (Some("br;q=1.0, gzip;q=0.2"), true),
            (Some("gzip;q=0"), false),
            (Some("gzip;q=0, *"), false),
            (Some("*"), true),
            (Some("identity"), false),
            (Some("gzip;q=x"), false),
        ];
        for (value, expected) in cases {
            let mut headers = HeaderMap::new();
            value.map(|value| headers.insert(ACCEPT_ENCODING, value.parse().unwrap()));
            assert_eq!(accepts_gzip(&headers), expected, "{value:?}");
        }
    }
}
