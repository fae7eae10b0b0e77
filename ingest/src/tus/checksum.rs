use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::TusError;
use super::fields::{CHECKSUM, one};

/// The algorithms that the server tells of.
pub(crate) const ALGORITHMS: &str = "sha1,sha256";

/// What a body must hash to (tus 1.0, extension "Checksum").
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Checksum {
    Sha1([u8; 20]),
    Sha256([u8; 32]),
}

impl Checksum {
    /// The checksum that came with a body, if one did.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Option<Self>, TusError> {
        let Some(text) = one(headers, CHECKSUM)? else { return Ok(None) };
        Self::parse(text).map(Some).ok_or(TusError::Field(CHECKSUM))
    }

    fn parse(text: &str) -> Option<Self> {
        let (algorithm, digest) = text.split_once(' ')?;
        let digest = STANDARD.decode(digest.trim()).ok()?;
        match algorithm {
            "sha1" => digest.try_into().ok().map(Self::Sha1),
            "sha256" => digest.try_into().ok().map(Self::Sha256),
            _ => None,
        }
    }

    /// A hasher of its kind.
    pub(crate) fn hasher(&self) -> Hasher {
        match self {
            Self::Sha1(_) => Hasher::Sha1(Sha1::new()),
            Self::Sha256(_) => Hasher::Sha256(Sha256::new()),
        }
    }
}

/// Hashes a body piece by piece.
pub(crate) enum Hasher {
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Hasher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha1(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
        }
    }

    pub(crate) fn finish(self) -> Checksum {
        match self {
            Self::Sha1(hasher) => Checksum::Sha1(hasher.finalize().into()),
            Self::Sha256(hasher) => Checksum::Sha256(hasher.finalize().into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_checksum_is_an_algorithm_and_a_digest_of_its_length() {
        // `printf 'hello world' | sha1sum` and `| sha256sum`.
        for text in
            ["sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=", "sha256 uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek="]
        {
            let checksum = Checksum::parse(text).unwrap();
            let mut hasher = checksum.hasher();
            hasher.update(b"hello ");
            hasher.update(b"world");
            assert_eq!(hasher.finish(), checksum);
        }
        for text in [
            "",
            "sha1",
            "sha1 ",
            "sha1 =",
            "md5 XrY7u+Ae7tCTyyK7j1rNww==",
            "sha256 Kq5sNclPz7QV2+lfQIuc6R7oRu0=",
            "SHA1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=",
        ] {
            assert_eq!(Checksum::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_changed_byte_is_another_checksum_or_none(at in 0usize..33, byte in 0x20u8..0x7f) {
            let mut text = *b"sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=";
            let original = Checksum::parse(std::str::from_utf8(&text).unwrap());
            // The space may also be doubled, and nothing else may differ unseen.
            prop_assume!(text[at] != byte && at != 5);
            text[at] = byte;
            prop_assert_ne!(Checksum::parse(std::str::from_utf8(&text).unwrap()), original);
        }
    }
}
