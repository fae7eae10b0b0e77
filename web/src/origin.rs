use http::HeaderMap;
use http::header::{HOST, ORIGIN};

/// Whether a request that changes something came from a page of ours.
///
/// `authority` is the request target's authority, which HTTP/2 has instead of a `Host`. Browsers
/// say where a request comes from in `Sec-Fetch-Site`, older ones in `Origin`, on every request
/// with an unsafe method; no page can change either. A request that says neither was not sent
/// by a browser's page, which is no proof that a page of ours did: it is refused as well.
pub fn is_same_origin(headers: &HeaderMap, authority: Option<&str>) -> bool {
    claim(headers, authority) == Claim::Ours
}

/// What a request says about the page that sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// A page of this origin.
    Ours,
    /// Another site's.
    Foreign,
    /// Nothing.
    Silent,
}

pub(crate) fn claim(headers: &HeaderMap, authority: Option<&str>) -> Claim {
    // Fetch metadata §2.3; `none` is the person themselves, who cannot send an unsafe method so.
    if let Some(site) = headers.get("sec-fetch-site") {
        return if site == "same-origin" { Claim::Ours } else { Claim::Foreign };
    }
    let Some(origin) = headers.get(ORIGIN) else { return Claim::Silent };
    let host = authority.or_else(|| headers.get(HOST)?.to_str().ok());
    let origin_host = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://")));
    // A proxy that ends TLS leaves the scheme unknown here, so only the authority is compared.
    match (origin_host, host) {
        (Some(origin), Some(host)) if origin.eq_ignore_ascii_case(host) => Claim::Ours,
        _ => Claim::Foreign,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_page_of_ours_is_ours() {
        let ours = "cocuyo.example:8080";
        let cases = [
            (None, None, Claim::Silent),
            (Some("same-origin"), None, Claim::Ours),
            (Some("same-site"), None, Claim::Foreign),
            (Some("cross-site"), Some("http://cocuyo.example:8080"), Claim::Foreign),
            (Some("none"), None, Claim::Foreign),
            (None, Some("http://cocuyo.example:8080"), Claim::Ours),
            (None, Some("https://COCUYO.example:8080"), Claim::Ours),
            (None, Some("http://cocuyo.example"), Claim::Foreign),
            (None, Some("http://cocuyo.example:8080.evil.com"), Claim::Foreign),
            (None, Some("http://evil.com"), Claim::Foreign),
            (None, Some("null"), Claim::Foreign),
            (None, Some(""), Claim::Foreign),
        ];
        for (site, origin, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, ours.parse().unwrap());
            site.map(|value: &str| headers.insert("sec-fetch-site", value.parse().unwrap()));
            origin.map(|value: &str| headers.insert(ORIGIN, value.parse().unwrap()));
            assert_eq!(claim(&headers, None), expected, "{site:?} {origin:?}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(ORIGIN, "https://cocuyo.example".parse().unwrap());
        assert!(is_same_origin(&headers, Some("cocuyo.example")));
        assert!(!is_same_origin(&headers, None));
    }
}
