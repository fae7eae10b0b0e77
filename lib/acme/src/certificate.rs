use std::collections::BTreeSet;
use std::fmt;

use model::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use url::Url;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

use crate::domain::Domain;
use crate::error::{AcmeError, BoxError};
use crate::renewal::Term;

/// A certificate that was issued, and its key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// Whose it is: the directory that it was ordered by.
    pub(crate) directory: Url,
    /// The certificate with the chain behind it, PEM.
    pub chain: String,
    /// Its private key, PEM.
    pub private_key: String,
}

/// What stands in a certificate.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) term: Term,
    names: BTreeSet<String>,
}

impl Certificate {
    /// Reads the first certificate of the chain, which is ours.
    pub(crate) fn facts(&self) -> Result<Facts, AcmeError> {
        let issued = |error: BoxError| AcmeError::Issued(error);
        let der =
            CertificateDer::from_pem_slice(self.chain.as_bytes()).map_err(|error| issued(error.into()))?;
        let (_, read) = parse_x509_certificate(&der).map_err(|error| issued(error.into()))?;
        let validity = read.validity();
        let names = read.subject_alternative_name().map_err(|error| issued(error.into()))?;
        let names = names.iter().flat_map(|names| &names.value.general_names);
        Ok(Facts {
            term: Term {
                from: Timestamp::from_seconds(validity.not_before.timestamp()),
                until: Timestamp::from_seconds(validity.not_after.timestamp()),
            },
            names: names
                .filter_map(|name| match name {
                    GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
                    _ => None,
                })
                .collect(),
        })
    }
}

impl Facts {
    /// Whether it is for all of `domains`.
    pub(crate) fn cover<'a>(&self, domains: impl IntoIterator<Item = &'a Domain>) -> bool {
        domains.into_iter().all(|domain| self.names.contains(domain.as_str()))
    }
}

// No key ever stands in a log.
impl fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Certificate")
            .field("directory", &self.directory.as_str())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domains(names: &[&str]) -> Vec<Domain> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn names_and_term_are_read_from_the_certificate() {
        let made = rcgen::generate_simple_self_signed(["video.example".to_owned(), "a.example".to_owned()]);
        let made = made.unwrap();
        let certificate = Certificate {
            directory: "https://ca.example/".parse().unwrap(),
            chain: made.cert.pem(),
            private_key: made.signing_key.serialize_pem(),
        };
        let facts = certificate.facts().unwrap();
        // rcgen's defaults, 1975-01-01 and 4096-01-01.
        assert_eq!(facts.term.from, Timestamp::from_seconds(157_766_400));
        assert_eq!(facts.term.until, Timestamp::from_seconds(67_090_118_400));
        assert!(facts.cover(&domains(&["video.example"])));
        assert!(facts.cover(&domains(&["a.example", "video.example"])));
        assert!(!facts.cover(&domains(&["video.example", "b.example"])));
        assert!(!format!("{certificate:?}").contains("PRIVATE"));
    }

    #[test]
    fn rubbish_is_not_a_certificate() {
        for chain in ["", "rubbish", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            let directory = "https://ca.example/".parse().unwrap();
            let rubbish = Certificate { directory, chain: chain.to_owned(), private_key: String::new() };
            assert_eq!(
                rubbish.facts().unwrap_err().to_string(),
                "understand the certificate that was issued"
            );
        }
    }
}
