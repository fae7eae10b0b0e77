use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use http::HeaderValue;
use serde::{Deserialize, Serialize};
use url::Url;

/// Where the origin of an edge of its own is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Its address, for example `https://cocuyo.example`.
    pub address: Url,
    /// A file that holds the fill credential; `COCUYO_ORIGIN_CREDENTIAL` goes over it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_file: Option<PathBuf>,
}

/// What an edge shows at the origin's door. No log and no printed configuration shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential(HeaderValue);

/// A text that cannot be a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the fill credential is not one line of ASCII")]
pub struct InvalidCredential;

impl FromStr for Credential {
    type Err = InvalidCredential;

    /// The text that `cocuyo edge enrol` printed; white space around it does not count.
    fn from_str(text: &str) -> Result<Self, InvalidCredential> {
        let text = text.trim();
        let is_word = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        let value = HeaderValue::try_from(format!("Bearer {text}")).ok().filter(|_| is_word);
        let mut value = value.ok_or(InvalidCredential)?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

impl Credential {
    /// The value of `Authorization`.
    pub(crate) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_a_word_and_is_never_printed() {
        let credential: Credential = " fill_secret\n".parse().unwrap();
        assert_eq!(credential.header(), "Bearer fill_secret");
        assert!(!format!("{credential:?} {:?}", credential.header()).contains("secret"));
        for text in ["", " \n", "two words", "señal", "a\nb"] {
            assert!(text.parse::<Credential>().is_err(), "{text:?}");
        }
    }
}
