use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::Uri;
use url::{Host, Url};

/// Where a webhook is called: an HTTP or HTTPS address, as it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination(Url);

/// A text that is not an address to call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an http or https address of at most 500 characters, without a user or a password")]
pub struct InvalidDestination;

impl Destination {
    const MAX_LENGTH: usize = 500;

    /// The address in it, where it names one instead of a name.
    pub(crate) fn literal(&self) -> Option<IpAddr> {
        match self.0.host()? {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
        }
    }

    /// It as it is called. The parser has brought every spelling of an address into one form.
    pub(crate) fn uri(&self) -> Result<Uri, InvalidDestination> {
        self.0.as_str().parse().map_err(|_| InvalidDestination)
    }
}

impl FromStr for Destination {
    type Err = InvalidDestination;

    fn from_str(text: &str) -> Result<Self, InvalidDestination> {
        let mut url = Url::parse(text).map_err(|_| InvalidDestination)?;
        let is_ours = matches!(url.scheme(), "http" | "https")
            && url.host().is_some()
            && url.username().is_empty()
            && url.password().is_none()
            && url.as_str().len() <= Self::MAX_LENGTH;
        url.set_fragment(None);
        let destination = Self(url);
        if is_ours && destination.uri().is_ok() { Ok(destination) } else { Err(InvalidDestination) }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_spelling_of_an_address_is_one() {
        let literal =
            |text: &str| text.parse::<Destination>().map(|it| it.literal().map(|ip| ip.to_string()));
        for text in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://0x7f000001/",
            "http://2130706433:80/a",
            "http://0177.0.0.1",
        ] {
            assert_eq!(literal(text), Ok(Some("127.0.0.1".to_owned())), "{text}");
        }
        assert_eq!(literal("https://[::ffff:7f00:1]/x"), Ok(Some("::ffff:127.0.0.1".to_owned())));
        assert_eq!(literal("https://hooks.example/x?y=1#z"), Ok(None));
    }

    #[test]
    fn only_addresses_of_the_web_are_called() {
        let long = format!("https://a.example/{}", "x".repeat(500));
        for text in [
            "",
            "hooks.example",
            "ftp://a.example/",
            "file:///etc/passwd",
            "gopher://a/",
            "http://",
            "https://u:p@a.example/",
            "https://u@a.example/",
            &long,
        ] {
            assert_eq!(text.parse::<Destination>(), Err(InvalidDestination), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text: String) {
            if let Ok(destination) = format!("http://{text}").parse::<Destination>() {
                prop_assert!(destination.uri().unwrap().host().is_some());
                prop_assert_eq!(destination.to_string().parse::<Destination>(), Ok(destination));
            }
        }
    }
}
