use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Host;

use crate::error::AcmeError;

/// A name that a certificate can be for, in its ASCII form: `video.example`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Domain(String);

impl Domain {
    /// The name as certificates have it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Domain {
    type Err = AcmeError;

    /// A name as people write it: `bücher.example` too.
    fn from_str(text: &str) -> Result<Self, AcmeError> {
        let refused = |why| AcmeError::Domain { name: text.to_owned(), why };
        if text.starts_with("*.") {
            return Err(refused("a wildcard cannot be proved over HTTP"));
        }
        // A host of a URL may be escaped; a name in a configuration has no reason to.
        let host = Host::parse(text).ok().filter(|_| !text.contains('%'));
        match host {
            Some(Host::Domain(name)) if is_host_name(&name) => Ok(Self(name)),
            Some(Host::Ipv4(_) | Host::Ipv6(_)) => Err(refused("an address is not a domain")),
            _ => Err(refused("not a host name")),
        }
    }
}

/// RFC 1123, section 2.1.
fn is_host_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

impl TryFrom<String> for Domain {
    type Error = AcmeError;

    fn try_from(text: String) -> Result<Self, AcmeError> {
        text.parse()
    }
}

impl From<Domain> for String {
    fn from(domain: Domain) -> Self {
        domain.0
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_in_their_ascii_form() {
        for (text, expected) in [
            ("video.example", "video.example"),
            ("VIDEO.Example", "video.example"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("localhost", "localhost"),
            ("4.video.example", "4.video.example"),
        ] {
            assert_eq!(text.parse::<Domain>().unwrap().as_str(), expected);
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long = format!("{}.example", "a".repeat(64));
        for text in [
            "",
            ".",
            "*.video.example",
            "192.0.2.1",
            "[2001:db8::1]",
            "https://video.example",
            "video.example:443",
            "video.example/",
            "video..example",
            "video.example.",
            "-video.example",
            "video_.example",
            "video example",
            "v%69deo.example",
            &long,
        ] {
            let refused = text.parse::<Domain>().unwrap_err().to_string();
            assert!(refused.contains(&format!("`{text}`")), "{text}: {refused}");
        }
    }
}
