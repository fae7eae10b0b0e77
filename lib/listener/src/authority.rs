//! The host that a request is for.

use http::header::HOST;
use http::uri::Authority;
use http::{HeaderValue, Request, Version};

/// Puts the host of a request into `Host`, wherever it stood, for all doors to find it there.
///
/// `false` if the request has none, several, or something else in its place: 400, as RFC 9112
/// section 3.2 demands.
pub(crate) fn settle<B>(request: &mut Request<B>) -> bool {
    // Absolute form and HTTP/2: what `Host` says does not count (RFC 9112, section 3.2.2).
    let named = request.uri().authority().map(|named| HeaderValue::from_str(named.as_str()));
    let mut hosts = request.headers().get_all(HOST).iter();
    let (first, second) = (hosts.next(), hosts.next());
    if second.is_some() || !first.is_none_or(is_host) {
        return false;
    }
    match (first, named) {
        (_, Some(Ok(named))) if is_host(&named) => {
            request.headers_mut().insert(HOST, named);
            true
        }
        (_, Some(_)) => false,
        (Some(_), None) => true,
        (None, None) => request.version() < Version::HTTP_11,
    }
}

/// Whether a `Host` names one.
pub(crate) fn is_host(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    // Empty for a URL without a host. User and password have no place in it.
    bytes.is_empty() || (!bytes.contains(&b'@') && Authority::try_from(bytes).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_host_counts() {
        for (version, target, hosts, expected) in [
            (Version::HTTP_11, "/", &["a.example"][..], Some(Some("a.example"))),
            (Version::HTTP_11, "/", &["a.example:80"], Some(Some("a.example:80"))),
            (Version::HTTP_11, "/", &["[::1]:80"], Some(Some("[::1]:80"))),
            (Version::HTTP_11, "/", &[""], Some(Some(""))),
            (Version::HTTP_11, "/", &[], None),
            (Version::HTTP_11, "/", &["a.example", "a.example"], None),
            (Version::HTTP_11, "/", &["a example"], None),
            (Version::HTTP_11, "/", &["a.example/x"], None),
            (Version::HTTP_11, "/", &["user@a.example"], None),
            (Version::HTTP_11, "http://b.example/", &["a.example"], Some(Some("b.example"))),
            (Version::HTTP_11, "http://b.example/", &["a.example", "b.example"], None),
            (Version::HTTP_11, "http://user@b.example/", &["b.example"], None),
            (Version::HTTP_10, "/", &[], Some(None)),
            (Version::HTTP_2, "https://b.example/", &[], Some(Some("b.example"))),
            (Version::HTTP_2, "/", &[], None),
        ] {
            let mut request = Request::builder().version(version).uri(target);
            for host in hosts {
                request = request.header(HOST, *host);
            }
            let mut request = request.body(()).unwrap();
            let settled =
                settle(&mut request).then(|| request.headers().get(HOST).map(|host| host.to_str().unwrap()));
            assert_eq!(settled, expected, "{version:?} {target} {hosts:?}");
        }
    }
}
