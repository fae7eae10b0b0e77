use http::{HeaderMap, Method};
use model::UploadId;

/// Where uploads are created; each one lies below.
pub(crate) const BASE: &str = "/api/v1/uploads";

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// What the server speaks.
    Options,
    /// A new upload.
    Create,
    /// How far an upload is.
    Head(UploadId),
    /// More bytes for it.
    Patch(UploadId),
    /// The end of it.
    Delete(UploadId),
    /// A path that is nobody's.
    Nothing,
    /// A method that the path does not have; these are allowed.
    NotAllowed(&'static str),
}

impl Route {
    /// Whether the path lies in this door's part of the site.
    pub(crate) fn is_ours(path: &str) -> bool {
        path.strip_prefix(BASE).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Reads a request. `X-HTTP-Method-Override` on a `POST` names the method for clients that
    /// cannot send it (tus 1.0, "X-HTTP-Method-Override").
    pub(crate) fn decode(method: &Method, path: &str, headers: &HeaderMap) -> Self {
        let overriding = headers.get("x-http-method-override").filter(|_| method == Method::POST);
        let method = match overriding {
            Some(name) => name.as_bytes(),
            None => method.as_str().as_bytes(),
        };
        let id = match path.strip_prefix(BASE) {
            Some("" | "/") => None,
            Some(rest) => match rest.strip_prefix('/').and_then(|id| id.parse().ok()) {
                Some(id) => Some(id),
                None => return Self::Nothing,
            },
            None => return Self::Nothing,
        };
        match (method, id) {
            (b"OPTIONS", _) => Self::Options,
            (b"POST", None) => Self::Create,
            (b"HEAD", Some(id)) => Self::Head(id),
            (b"PATCH", Some(id)) => Self::Patch(id),
            (b"DELETE", Some(id)) => Self::Delete(id),
            (_, None) => Self::NotAllowed("OPTIONS, POST"),
            (_, Some(_)) => Self::NotAllowed("OPTIONS, HEAD, PATCH, DELETE"),
        }
    }

    /// The route's name, for logs.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Options => "upload_options",
            Self::Create => "upload_create",
            Self::Head(_) => "upload_head",
            Self::Patch(_) => "upload_patch",
            Self::Delete(_) => "upload_delete",
            Self::Nothing | Self::NotAllowed(_) => "upload_none",
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_whole_surface() {
        let id = UploadId::from_bits(5);
        let one = format!("{BASE}/{id}");
        let none = HeaderMap::new();
        for (method, path, expected) in [
            ("OPTIONS", BASE, Route::Options),
            ("OPTIONS", &one, Route::Options),
            ("POST", BASE, Route::Create),
            ("POST", "/api/v1/uploads/", Route::Create),
            ("HEAD", &one, Route::Head(id)),
            ("PATCH", &one, Route::Patch(id)),
            ("DELETE", &one, Route::Delete(id)),
            ("GET", BASE, Route::NotAllowed("OPTIONS, POST")),
            ("HEAD", BASE, Route::NotAllowed("OPTIONS, POST")),
            ("POST", &one, Route::NotAllowed("OPTIONS, HEAD, PATCH, DELETE")),
            ("GET", &one, Route::NotAllowed("OPTIONS, HEAD, PATCH, DELETE")),
            ("HEAD", "/api/v1/uploads/../x", Route::Nothing),
            ("HEAD", "/api/v1/uploads/%2e%2e", Route::Nothing),
            ("HEAD", &format!("{one}/"), Route::Nothing),
            ("HEAD", &format!("{BASE}//{id}"), Route::Nothing),
            ("HEAD", &one.to_uppercase(), Route::Nothing),
            ("HEAD", &one[..one.len() - 1], Route::Nothing),
        ] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(Route::decode(&method, path, &none), expected, "{method} {path}");
        }
        assert!(Route::is_ours(BASE) && Route::is_ours(&one) && !Route::is_ours("/api/v1/uploadsx"));
    }

    #[test]
    fn a_post_may_stand_for_another_method() {
        let id = UploadId::from_bits(5);
        let headers = HeaderMap::from_iter([(
            "x-http-method-override".parse().unwrap(),
            HeaderValue::from_static("PATCH"),
        )]);
        let path = format!("{BASE}/{id}");
        assert_eq!(Route::decode(&Method::POST, &path, &headers), Route::Patch(id));
        assert_eq!(Route::decode(&Method::HEAD, &path, &headers), Route::Head(id));
    }
}
