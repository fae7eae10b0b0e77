//! The public keys of the origin, and the one function that turns a token into a grant.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use model::{AUDIENCE, Grant, ISSUER};
use serde::Deserialize;

/// The greatest token that is looked at, in bytes.
pub(crate) const MAX_TOKEN: usize = 2048;

/// Verifying keys by key id.
///
/// One algorithm per key, fixed here and never chosen by a token (RFC 8725 §3.1): all keys are
/// Ed25519.
#[derive(Debug, Default)]
pub(crate) struct Keyring(HashMap<String, DecodingKey>);

/// A key set that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeysetError {
    #[error("key set is not JSON")]
    Json(#[from] serde_json::Error),
    #[error("key set has no Ed25519 key with a key id")]
    Empty,
}

/// Why a token is no grant; for the log, never for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("token is not three parts of base64url of at most {MAX_TOKEN} bytes")]
    Form,
    #[error("token head is not exactly alg, kid and typ")]
    Head,
    #[error("token algorithm is not EdDSA")]
    Algorithm,
    #[error("token key is not known")]
    Key,
    #[error("token signature or claims are wrong")]
    Claims,
    #[error("token is one of too many that are not known")]
    TooMany,
}

/// The head of a token. Whatever else one may hold (`crit`, `jku`, `jwk`, `x5u`, a member twice)
/// asks the reader for something, and is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head<'a> {
    alg: &'a str,
    kid: &'a str,
    #[serde(default)]
    typ: Option<&'a str>,
}

impl Keyring {
    /// Reads a JWK set (RFC 7517 §5); keys of other kinds in it are skipped.
    pub(crate) fn from_jwks(json: &str) -> Result<Self, KeysetError> {
        let set: JwkSet = serde_json::from_str(json)?;
        let keys: HashMap<_, _> = set.keys.iter().filter_map(verifying_key).collect();
        if keys.is_empty() { Err(KeysetError::Empty) } else { Ok(Self(keys)) }
    }

    /// The grant that `token` is. Expiry and revocation are for the caller to look at, again on
    /// each request.
    pub(crate) fn verify(&self, token: &str) -> Result<Grant, TokenError> {
        if token.len() > MAX_TOKEN || !is_three_parts(token) {
            return Err(TokenError::Form);
        }
        let (head, _) = token.split_once('.').ok_or(TokenError::Form)?;
        let head = URL_SAFE_NO_PAD.decode(head).map_err(|_| TokenError::Form)?;
        let head: Head<'_> = serde_json::from_slice(&head).map_err(|_| TokenError::Head)?;
        if head.typ.is_some_and(|typ| !typ.eq_ignore_ascii_case("JWT")) {
            return Err(TokenError::Head);
        }
        if head.alg != "EdDSA" {
            return Err(TokenError::Algorithm);
        }
        let key = self.0.get(head.kid).ok_or(TokenError::Key)?;
        // `exp` is compared by the caller, with its own clock; here it must be there, as a number:
        // `Grant` has no other reading for it, and refuses members that stand twice.
        let mut rules = Validation::new(Algorithm::EdDSA);
        rules.validate_exp = false;
        rules.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        rules.set_audience(&[AUDIENCE]);
        rules.set_issuer(&[ISSUER]);
        let token = jsonwebtoken::decode::<Grant>(token, key, &rules).map_err(|_| TokenError::Claims)?;
        let grant = token.claims;
        // `aud` and `iss` are texts in a `Grant`, so a list that holds ours among others is none.
        if grant.aud == AUDIENCE && grant.iss == ISSUER { Ok(grant) } else { Err(TokenError::Claims) }
    }
}

fn verifying_key(jwk: &Jwk) -> Option<(String, DecodingKey)> {
    let common = &jwk.common;
    let AlgorithmParameters::OctetKeyPair(key) = &jwk.algorithm else { return None };
    let fits = key.curve == EllipticCurve::Ed25519
        && matches!(common.key_algorithm, None | Some(KeyAlgorithm::EdDSA))
        && matches!(common.public_key_use, None | Some(PublicKeyUse::Signature))
        // A key of another length would make every check with it fail, or worse.
        && URL_SAFE_NO_PAD.decode(&key.x).is_ok_and(|bytes| bytes.len() == 32);
    let id = common.key_id.clone().filter(|id| fits && !id.is_empty())?;
    Some((id, DecodingKey::from_ed_components(&key.x).ok()?))
}

/// Whether `token` has the form of a signed JWT; what has it needs no encoding in a path.
pub(crate) fn is_three_parts(token: &str) -> bool {
    let word = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let mut parts = token.split('.');
    parts.by_ref().take(3).filter(|part| word(part)).count() == 3 && parts.next().is_none()
}
