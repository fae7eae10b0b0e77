use std::fmt;
use std::str::FromStr;

use rand::Rng;

use crate::InvalidId;
use crate::id::{parse_base32, parse_hex, write_base32, write_hex};

/// What lets a program publish into an event: 128 random bits, shown to the event's owner once.
///
/// It has no `Display`, and nothing that prints it by accident: whoever knows it can go live in
/// somebody else's name. What is kept, compared and passed on is its [`StreamKeyHash`].
#[derive(Clone, PartialEq, Eq)]
pub struct StreamKey(u128);

impl StreamKey {
    /// A new key from 128 random bits.
    pub fn generate(rng: &mut impl Rng) -> Self {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        Self(u128::from_be_bytes(bytes))
    }

    /// The key itself, 26 characters of the alphabet of ids: to be shown to its owner.
    pub fn expose(&self) -> String {
        let mut text = String::new();
        write_base32(self.0, &mut text).expect("a string takes everything");
        text
    }

    /// What may be kept. Its many random bits make a plain hash as good as a slow one.
    pub fn hash(&self) -> StreamKeyHash {
        StreamKeyHash(*blake3::hash(self.expose().as_bytes()).as_bytes())
    }
}

impl FromStr for StreamKey {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        parse_base32(text).map(Self)
    }
}

impl fmt::Debug for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamKey(…)")
    }
}

/// The BLAKE3 of a stream key's text; as text 64 characters of lower-case hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StreamKeyHash([u8; 32]);

impl fmt::Display for StreamKeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for StreamKeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamKeyHash({self})")
    }
}

impl FromStr for StreamKeyHash {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        parse_hex(text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn a_key_is_read_back_and_never_printed() {
        let mut rng = StdRng::seed_from_u64(5);
        let (key, other) = (StreamKey::generate(&mut rng), StreamKey::generate(&mut rng));
        let text = key.expose();
        assert_eq!((text.len(), text.parse::<StreamKey>()), (26, Ok(key.clone())));
        assert!(key != other && key.hash() != other.hash());
        assert!(!format!("{key:?}").contains(&text[..4]));
        for text in ["", "live", &text[1..], &text.to_uppercase(), &format!("{text}?a=b")] {
            assert_eq!(text.parse::<StreamKey>(), Err(InvalidId), "{text}");
        }
    }

    #[test]
    fn a_hash_is_of_the_text() {
        let key: StreamKey = "00000000000000000000000001".parse().unwrap();
        let expected = blake3::hash(b"00000000000000000000000001").to_hex();
        let hash = key.hash();
        assert_eq!(hash.to_string(), expected.as_str());
        assert_eq!(hash.to_string().parse(), Ok(hash));
    }
}
