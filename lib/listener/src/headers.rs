use http::header::{HeaderMap, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};

/// Adds what every response of every door carries, unless the door said otherwise.
///
/// `nosniff`, so that nothing that a stranger uploaded is run as a script; and a referrer policy
/// that keeps path tokens (`/t/…`) from other sites.
pub fn secure(headers: &mut HeaderMap) {
    headers.entry(X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
    headers.entry(REFERRER_POLICY).or_insert(HeaderValue::from_static("same-origin"));
}
