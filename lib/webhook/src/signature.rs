use std::fmt;
use std::str::FromStr;

use aws_lc_rs::hmac;
use model::Timestamp;

/// The header that carries the signature: `t=<seconds since 1970>,v1=<hexadecimal>`.
pub const SIGNATURE_HEADER: &str = "cocuyo-signature";

/// What sender and receiver share: 16 to 128 visible characters.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// A text that cannot be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 16 to 128 visible characters")]
pub struct InvalidSecret;

impl Secret {
    /// The secret itself, for its owner and for the row that it is kept in.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The signature of `body`, sent at `now`: HMAC-SHA256 over the seconds, a dot, and the body. A
    /// receiver that refuses old seconds cannot be told the same twice.
    pub fn sign(&self, now: Timestamp, body: &[u8]) -> String {
        let seconds = now.as_seconds();
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.as_bytes());
        let mut context = hmac::Context::with_key(&key);
        context.update(format!("{seconds}.").as_bytes());
        context.update(body);
        let mut text = format!("t={seconds},v1=");
        context.sign().as_ref().iter().for_each(|byte| text.push_str(&format!("{byte:02x}")));
        text
    }
}

impl FromStr for Secret {
    type Err = InvalidSecret;

    fn from_str(text: &str) -> Result<Self, InvalidSecret> {
        let fits = (16..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidSecret) }
    }
}

// A secret that is printed is a secret no more.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_what_receivers_compute() {
        let secret: Secret = "0123456789abcdef".parse().unwrap();
        let now = Timestamp::from_millis(1_700_000_000_999);
        // openssl dgst -sha256 -hmac 0123456789abcdef <<< '1700000000.{"a":1}', without the line end.
        let expected = "t=1700000000,v1=9eb18f493f8ec135d9eb2dad817c369bb4e9cbfa818657897a7437c1cd8c3a23";
        assert_eq!(secret.sign(now, br#"{"a":1}"#), expected);
        assert!(!format!("{secret:?}").contains("0123"));
    }

    #[test]
    fn a_secret_is_long_enough_and_can_be_typed() {
        for text in [
            "",
            "short",
            "with a space in it",
            "new\nline-new-line-new",
            &"x".repeat(129),
            "ñññññññññññññññññ",
        ] {
            assert_eq!(text.parse::<Secret>(), Err(InvalidSecret), "{text}");
        }
        assert!("x".repeat(128).parse::<Secret>().is_ok());
    }
}
