use std::error::Error;
use std::io;
use std::path::PathBuf;

use model::ErrorKind;

use crate::renewal::Failure;

/// Any error, for causes of which only the text counts.
pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// Why there is no new certificate.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    /// A text is not a name that a certificate can be for.
    #[error("`{name}` cannot have a certificate: {why}")]
    Domain {
        /// The text.
        name: String,
        /// Why not.
        why: &'static str,
    },
    /// A value of the configuration is not one to work with.
    #[error("`acme.{key}` is {why}")]
    Config {
        /// The key that is to blame.
        key: &'static str,
        /// What its value is.
        why: &'static str,
    },
    /// What the authority's own HTTPS is trusted by cannot be used.
    #[error("use the root certificates in `{}`", file.display())]
    Roots {
        /// The file, or where the machine has its own.
        file: PathBuf,
        /// What is wrong with it.
        source: BoxError,
    },
    /// A file of the data folder cannot be written.
    #[error("keep `{}`", file.display())]
    Keep {
        /// The file.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The authority did not answer, or answered no.
    #[error("{step}")]
    Ask {
        /// What it was asked for.
        step: &'static str,
        /// What it said.
        source: instant_acme::Error,
    },
    /// The authority could not see that a name is ours.
    #[error("prove that `{domain}` is served here")]
    Prove {
        /// The name.
        domain: String,
        /// What it says that it saw.
        source: BoxError,
    },
    /// The authority gave something that is not the certificate that was ordered.
    #[error("understand the certificate that was issued")]
    Issued(#[source] BoxError),
}

/// RFC 8555 section 6.7, as all of these.
const BAD_NONCE: &str = "urn:ietf:params:acme:error:badNonce";
const UNKNOWN_ACCOUNT: &str = "urn:ietf:params:acme:error:accountDoesNotExist";

impl AcmeError {
    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Domain { .. } | Self::Config { .. } | Self::Roots { .. } => ErrorKind::Invalid,
            Self::Keep { .. } | Self::Ask { .. } | Self::Prove { .. } => ErrorKind::Unavailable,
            Self::Issued(_) => ErrorKind::Internal,
        }
    }

    /// Whether the authority was out of reach, which costs it nothing, or had its reasons, which it
    /// counts. Nonces that it did not like are nobody's fault.
    pub(crate) fn failure(&self) -> Failure {
        use instant_acme::Error::{Http, InvalidUri, Json, Other, Str};
        match self {
            Self::Ask { source: instant_acme::Error::Api(problem), .. }
                if problem.status.is_none_or(|status| status < 500) && self.problem() != Some(BAD_NONCE) =>
            {
                Failure::Refused
            }
            // A proxy's page in place of the authority's JSON is as good as nobody.
            Self::Ask {
                source: instant_acme::Error::Api(_) | Http(_) | InvalidUri(_) | Json(_) | Other(_) | Str(_),
                ..
            } => Failure::Away,
            _ => Failure::Refused,
        }
    }

    /// Whether the authority does not know the account that was shown to it.
    pub(crate) fn is_unknown_account(&self) -> bool {
        self.problem() == Some(UNKNOWN_ACCOUNT)
    }

    /// What stays the same when the same thing fails again; details hold tokens and numbers.
    pub(crate) fn topic(&self) -> String {
        format!("{self} {}", self.problem().unwrap_or_default())
    }

    fn problem(&self) -> Option<&str> {
        let problem = match self {
            Self::Ask { source: instant_acme::Error::Api(problem), .. } => Some(problem),
            Self::Prove { source, .. } => source.downcast_ref::<instant_acme::Problem>(),
            _ => None,
        };
        problem.and_then(|problem| problem.r#type.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use instant_acme::{Error, Problem};

    use super::*;

    fn said(kind: &str, status: u16) -> Problem {
        let problem = format!(r#"{{ "type": "urn:ietf:params:acme:error:{kind}", "status": {status} }}"#);
        serde_json::from_str(&problem).unwrap()
    }

    #[test]
    fn who_is_away_and_who_has_reasons() {
        let ask = |source| AcmeError::Ask { step: "order", source };
        let prove = |problem: Problem| AcmeError::Prove { domain: "a".to_owned(), source: problem.into() };
        for (error, expected) in [
            (ask(Error::Other("connection refused".into())), Failure::Away),
            (ask(Error::Json(serde_json::from_str::<u8>("<html>").unwrap_err())), Failure::Away),
            (ask(said("serverInternal", 500).into()), Failure::Away),
            (ask(said("badNonce", 400).into()), Failure::Away),
            (ask(said("rateLimited", 429).into()), Failure::Refused),
            (ask(said("rejectedIdentifier", 400).into()), Failure::Refused),
            (ask(Error::Timeout(None)), Failure::Refused),
            (prove(said("connection", 400)), Failure::Refused),
            (AcmeError::Issued("rubbish".into()), Failure::Refused),
        ] {
            assert_eq!(error.failure(), expected, "{error:?}");
        }
        assert!(ask(said("accountDoesNotExist", 400).into()).is_unknown_account());
        assert!(!ask(said("unauthorized", 403).into()).is_unknown_account());
    }

    #[test]
    fn the_same_reason_is_the_same_topic_whatever_its_details() {
        let prove = |kind, detail: &str| {
            let problem = Problem { detail: Some(detail.to_owned()), ..said(kind, 400) };
            AcmeError::Prove { domain: "a".to_owned(), source: problem.into() }.topic()
        };
        assert_eq!(prove("connection", "token 1"), prove("connection", "token 2"));
        assert_ne!(prove("connection", "token 1"), prove("dns", "token 1"));
    }
}
