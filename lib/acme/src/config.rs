use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::domain::Domain;
use crate::error::AcmeError;

/// Whom to ask for a certificate, and for which names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The names of the certificate.
    pub domains: Vec<Domain>,
    /// That the operator agrees to the terms of the certificate authority.
    #[serde(default)]
    pub terms_agreed: bool,
    /// An e-mail address that the authority may write to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// The authority's directory (RFC 8555 section 7.1.1).
    #[serde(default = "lets_encrypt")]
    pub directory: Url,
    /// What the authority's own HTTPS is trusted by, PEM; the machine's root certificates if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_certificate: Option<PathBuf>,
}

fn lets_encrypt() -> Url {
    let url = instant_acme::LetsEncrypt::Production.url();
    url.parse().expect("a constant of the library's")
}

impl Config {
    /// Whether an order can be made of it.
    ///
    /// # Errors
    ///
    /// [`AcmeError::Config`] with the key that is to blame.
    pub fn validate(&self) -> Result<(), AcmeError> {
        let blamed = |key, why| Err(AcmeError::Config { key, why });
        if self.domains.is_empty() {
            return blamed("domains", "empty: name what the certificate is for");
        }
        if !self.terms_agreed {
            return blamed("terms_agreed", "not true: read the terms of the certificate authority first");
        }
        // Account and orders are signed, what the authority answers is not.
        if self.directory.scheme() != "https" {
            return blamed("directory", "not an https URL");
        }
        if self.contact.as_deref().is_some_and(|contact| !is_address(contact)) {
            return blamed("contact", "not an e-mail address");
        }
        Ok(())
    }

    /// The contacts as the authority is told them: RFC 8555 section 7.3 has one address in a
    /// `mailto` URL, and nothing else.
    pub(crate) fn contacts(&self) -> Vec<String> {
        self.contact.iter().map(|address| format!("mailto:{address}")).collect()
    }
}

fn is_address(text: &str) -> bool {
    let is_plain = |part: &str| {
        !part.is_empty() && part.chars().all(|char| char.is_ascii_graphic() && !r#"@,;:?&%<>"#.contains(char))
    };
    text.split_once('@').is_some_and(|(local, domain)| is_plain(local) && is_plain(domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "domains = [\"video.example\"]\nterms_agreed = true\n";

    #[test]
    fn names_and_agreement_are_enough() {
        let config: Config = toml::from_str(GOOD).unwrap();
        config.validate().unwrap();
        assert_eq!(config.directory.as_str(), "https://acme-v02.api.letsencrypt.org/directory");
        assert!(config.contacts().is_empty());
        let config: Config = toml::from_str(&format!("{GOOD}contact = \"ana@video.example\"")).unwrap();
        config.validate().unwrap();
        assert_eq!(config.contacts(), ["mailto:ana@video.example"]);
    }

    #[test]
    fn what_is_missing_or_bad_is_named() {
        for (text, key) in [
            ("domains = []\nterms_agreed = true".to_owned(), "domains"),
            ("domains = [\"video.example\"]".to_owned(), "terms_agreed"),
            (format!("{GOOD}directory = \"http://ca.example/\""), "directory"),
            (format!("{GOOD}contact = \"mailto:ana@video.example\""), "contact"),
            (format!("{GOOD}contact = \"ana\""), "contact"),
        ] {
            let config: Config = toml::from_str(&text).unwrap();
            let refused = config.validate().unwrap_err().to_string();
            assert!(refused.starts_with(&format!("`acme.{key}` is ")), "{text}: {refused}");
        }
        for text in ["terms_agreed = true", "domains = [\"*.video.example\"]", "domains = \"video.example\""]
        {
            toml::from_str::<Config>(text).unwrap_err();
        }
    }
}
