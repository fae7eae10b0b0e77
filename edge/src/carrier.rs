//! Where a request carries its token.

use http::HeaderMap;
use http::header::AUTHORIZATION;

/// A token as it was sent; never printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Carried<'a> {
    pub(crate) token: &'a str,
    /// Whether a browser added it by itself.
    pub(crate) ambient: bool,
}

/// The cookie of an edge that is on the same site as the pages.
const COOKIE: &str = "cocuyo_grant";

/// The request's token: of the path prefix, else of `Authorization: Bearer`, else of the cookie.
/// Only the first of them counts, so that two that differ cannot be played against each other.
pub(crate) fn carried<'a>(prefix: Option<&'a str>, headers: &'a HeaderMap) -> Option<Carried<'a>> {
    let sent = |token| Carried { token, ambient: false };
    prefix
        .or_else(|| bearer(headers))
        .map(sent)
        .or_else(|| listener::cookie(headers, COOKIE).map(|token| Carried { token, ambient: true }))
}

/// The credentials of scheme `Bearer` (RFC 6750 §2.1); those of other schemes are for a proxy in
/// front of us. More than one `Authorization` is none of ours, and no token at all.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next()?;
    if values.next().is_some() {
        return Some("");
    }
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The value of the query's `token`, `Err` if there are several.
pub(crate) fn query_token(query: &str) -> Result<Option<&str>, TwoTokens> {
    let mut tokens = query.split('&').filter_map(|pair| pair.strip_prefix("token="));
    match (tokens.next(), tokens.next()) {
        (token, None) => Ok(token),
        _ => Err(TwoTokens),
    }
}

/// A query that names `token` more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TwoTokens;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_carrier_counts() {
        type Headers<'a> = &'a [(&'static str, &'a str)];
        let both: Headers<'_> = &[("authorization", "Bearer h"), ("cookie", "cocuyo_grant=c")];
        let check = |prefix, pairs: Headers<'_>, expected: Option<(&str, bool)>| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(http::HeaderName::from_static(name), value.parse().unwrap());
            }
            let found = carried(prefix, &headers).map(|carried| (carried.token, carried.ambient));
            assert_eq!(found, expected, "{prefix:?} {pairs:?}");
        };
        check(None, &[], None);
        check(Some("p"), both, Some(("p", false)));
        check(None, both, Some(("h", false)));
        check(None, &[("authorization", "bearer  h")], Some(("h", false)));
        check(None, &[("cookie", "a=b; cocuyo_grant=c")], Some(("c", true)));
        check(None, &[("cookie", "cocuyo_grant=c; cocuyo_grant=d")], None);
        check(None, &[("authorization", "Basic h")], None);
        check(None, &[("authorization", "Bearer")], None);
        check(None, &[("authorization", "Basic h"), ("cookie", "cocuyo_grant=c")], Some(("c", true)));
        check(None, &[("authorization", "Bearer h"), ("authorization", "Bearer i")], Some(("", false)));
    }

    #[test]
    fn a_query_names_one_token() {
        assert_eq!(query_token(""), Ok(None));
        assert_eq!(query_token("a=b&token=x&xtoken=y"), Ok(Some("x")));
        assert_eq!(query_token("token=x&token=y"), Err(TwoTokens));
    }
}
