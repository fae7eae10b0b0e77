use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// What the authority may ask for at the plain HTTP port just now (RFC 8555 section 8.3).
///
/// A clone is another handle on the same.
#[derive(Debug, Clone, Default)]
pub struct Challenges(Arc<RwLock<HashMap<String, String>>>);

/// Where the authority asks.
const FOLDER: &str = "/.well-known/acme-challenge/";

impl Challenges {
    /// The answer to a request for `path`, if it is exactly one that is waited for.
    pub fn answer(&self, path: &str) -> Option<String> {
        let token = path.strip_prefix(FOLDER)?;
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }

    /// From now on there is an answer, until the guard is dropped.
    pub(crate) fn open(&self, token: &str, answer: &str) -> Open {
        let mut answers = self.0.write().unwrap_or_else(PoisonError::into_inner);
        answers.insert(token.to_owned(), answer.to_owned());
        Open { token: token.to_owned(), challenges: self.clone() }
    }
}

/// A challenge that is answered as long as this lives.
#[derive(Debug)]
pub(crate) struct Open {
    token: String,
    challenges: Challenges,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.challenges.0.write().unwrap_or_else(PoisonError::into_inner).remove(&self.token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_path_of_an_open_challenge_is_answered() {
        let challenges = Challenges::default();
        let open = challenges.open("token", "token.thumbprint");
        for (path, expected) in [
            ("/.well-known/acme-challenge/token", Some("token.thumbprint")),
            ("/.well-known/acme-challenge/token/", None),
            ("/.well-known/acme-challenge/toke", None),
            ("/.well-known/acme-challenge/Token", None),
            ("/.well-known/acme-challenge/", None),
            ("/.well-known//acme-challenge/token", None),
            ("/.well-known/acme-challenge/%74oken", None),
            ("/token", None),
        ] {
            assert_eq!(challenges.answer(path).as_deref(), expected, "{path}");
        }
        drop(open);
        assert_eq!(challenges.answer("/.well-known/acme-challenge/token"), None);
    }
}
