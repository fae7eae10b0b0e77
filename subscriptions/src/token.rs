use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::CryptoRng;

/// A session's secret: 256 random bits, 43 characters of URL-safe base 64.
///
/// It is shown once, to the person who signed in; rows hold its [`TokenHash`].
#[derive(Clone, PartialEq, Eq)]
pub struct SessionToken(String);

impl SessionToken {
    pub(crate) fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The secret itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

// A secret that is printed is a secret no more.
impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken(…)")
    }
}

/// The BLAKE3 of a session's token, in hexadecimal: what a row holds. A token has 256 random bits,
/// so a fast hash is enough: there is nothing to guess.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenHash(String);

impl TokenHash {
    /// The hash of what was presented as a token, whatever it is.
    pub(crate) fn of(presented: &str) -> Self {
        Self(blake3::hash(presented.as_bytes()).to_hex().to_string())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn tokens_differ_and_are_never_printed() {
        let mut rng = StdRng::seed_from_u64(1);
        let (a, b) = (SessionToken::generate(&mut rng), SessionToken::generate(&mut rng));
        assert_ne!(a.as_str(), b.as_str());
        assert_eq!(a.as_str().len(), 43);
        assert!(!format!("{a:?}").contains(a.as_str()));
        assert_ne!(TokenHash::of(a.as_str()).as_str(), a.as_str());
    }
}
