use std::fmt;
use std::str::FromStr;

use rand::Rng;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Crockford's base 32 in lower case: no `i`, `l`, `o`, `u`, so that an id survives being read
/// aloud, and no character that a URL or a file system treats specially.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 128 bits in groups of five.
const TEXT_LEN: usize = 26;

/// A text that is not an id in its one canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id")]
pub struct InvalidId;

pub(crate) fn write_base32(value: u128, f: &mut impl fmt::Write) -> fmt::Result {
    let mut text = [0u8; TEXT_LEN];
    for (i, slot) in text.iter_mut().enumerate() {
        let shift = 5 * (TEXT_LEN - 1 - i);
        *slot = ALPHABET[((value >> shift) & 31) as usize];
    }
    f.write_str(std::str::from_utf8(&text).expect("the alphabet is ASCII"))
}

pub(crate) fn parse_base32(text: &str) -> Result<u128, InvalidId> {
    let bytes = text.as_bytes();
    // The first character holds the top three bits only, so it is at most `7`: every id has
    // exactly one text, and the text can serve as an identity.
    if bytes.len() != TEXT_LEN || bytes[0] > b'7' {
        return Err(InvalidId);
    }
    bytes.iter().try_fold(0u128, |value, byte| {
        let digit = ALPHABET.iter().position(|c| c == byte).ok_or(InvalidId)?;
        Ok(value << 5 | digit as u128)
    })
}

pub(crate) fn write_hex(bytes: &[u8; 32], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

pub(crate) fn parse_hex(text: &str) -> Result<[u8; 32], InvalidId> {
    let text = text.as_bytes();
    if text.len() != 64 {
        return Err(InvalidId);
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        _ => Err(InvalidId),
    };
    let mut bytes = [0; 32];
    for (slot, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *slot = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Ok(bytes)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// 128 random bits; as text 26 characters of lower-case base 32.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// A new id from 128 random bits.
            pub fn generate(rng: &mut impl Rng) -> Self {
                let mut bytes = [0; 16];
                rng.fill_bytes(&mut bytes);
                Self(u128::from_be_bytes(bytes))
            }

            /// The id with these bits; for tests and fixed ids.
            pub const fn from_bits(bits: u128) -> Self {
                Self(bits)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_base32(self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse_base32(text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id! {
    /// An uploaded title.
    VideoId
}
id! {
    /// One finished packaging of a video.
    VersionId
}
id! {
    /// One resumable upload.
    UploadId
}
id! {
    /// A person's account.
    AccountId
}
id! {
    /// One login.
    SessionId
}
id! {
    /// One piece of durable background work.
    JobId
}

/// The BLAKE3 of a chunk's bytes; the last part of its key, and its strong `ETag`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkHash([u8; 32]);

impl ChunkHash {
    /// The hash of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The hash that an incremental hasher found.
    pub fn from_blake3(hash: blake3::Hash) -> Self {
        Self(*hash.as_bytes())
    }
}

impl fmt::Display for ChunkHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for ChunkHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChunkHash({self})")
    }
}

impl FromStr for ChunkHash {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        parse_hex(text).map(Self)
    }
}

impl Serialize for ChunkHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ChunkHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_id_has_one_text(bits: u128) {
            let id = VideoId::from_bits(bits);
            prop_assert_eq!(id.to_string().parse::<VideoId>(), Ok(id));
        }

        #[test]
        fn no_other_text_is_an_id(text in "[0-9a-zA-Z./%-]{0,40}") {
            if let Ok(id) = text.parse::<VideoId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }

        #[test]
        fn every_hash_has_one_text(bytes: Vec<u8>) {
            let hash = ChunkHash::of(&bytes);
            prop_assert_eq!(hash.to_string().parse::<ChunkHash>(), Ok(hash));
        }
    }
}
