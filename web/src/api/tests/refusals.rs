use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request};
use model::{Role, Visibility};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::testing::{PASSWORD, Site};

#[tokio::test]
async fn every_answer_has_the_headers_that_protect_it() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    let video = site.video(&ana, Visibility::Public, 0).await;
    for (path, status) in [
        ("/api/v1/videos".to_owned(), 200),
        (format!("/api/v1/videos/{video}"), 200),
        ("/api/v1/session".to_owned(), 401),
        ("/api/v1/videos/x".to_owned(), 404),
        ("/api/v1/nothing".to_owned(), 404),
        ("/api/v1/videos?limit=x".to_owned(), 400),
        ("/api/openapi.json".to_owned(), 200),
    ] {
        let answer = site.get(&path, None).await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(answer.headers["cache-control"], "no-store", "{path}");
        assert_eq!(
            answer.headers["content-security-policy"], "default-src 'none'; frame-ancestors 'none'",
            "{path}"
        );
        assert_eq!(answer.headers["x-frame-options"], "DENY", "{path}");
        assert_eq!(answer.headers["referrer-policy"], "same-origin", "{path}");
        assert!(!answer.headers.contains_key("access-control-allow-origin"), "{path}");
    }
    let page = site.get("/", None).await;
    assert_eq!(page.headers["x-content-type-options"], "nosniff");
    assert!(page.headers["content-security-policy"].to_str().unwrap().contains("frame-ancestors 'none'"));
}

#[tokio::test]
async fn problems_are_told_in_the_readers_language() {
    let site = Site::open().await;
    let title = async |name: &str, value: &str| {
        let request = Request::get("/api/v1/session").header(name, value).body(Body::empty()).unwrap();
        let answer = site.send(request).await;
        (answer.headers["content-language"].to_str().unwrap().to_owned(), answer.json()["title"].clone())
    };
    assert_eq!(title("accept-language", "en-GB").await, ("en".into(), json!("You need to sign in")));
    assert_eq!(title("accept-language", "fr").await, ("es".into(), json!("Hay que iniciar sesión")));
    assert_eq!(title("cookie", "lang=en").await.0, "en");
}

#[tokio::test]
async fn bodies_that_nobody_asked_for_are_refused() {
    let site = Site::open().await;
    let send = async |content_type: &str, body: String| {
        let request = Request::post("/api/v1/session").header("content-type", content_type);
        site.send(request.body(body.into()).unwrap()).await.refusal()
    };
    let good = json!({"username": "ana", "password": PASSWORD}).to_string();
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""] {
        assert_eq!(send(content_type, good.clone()).await, (415, "unsupported".into()), "{content_type}");
    }
    let json = "application/json; charset=utf-8";
    assert_eq!(send(json, good.clone()).await.0, 401, "nobody has an account");
    let doubled = r#"{"username": "a", "username": "b", "password": "c"}"#;
    let deep = "[".repeat(10_000);
    for body in ["", "{", "null", "\"x\"", "{\"username\":1}", doubled, deep.as_str(), "\u{feff}{}"] {
        assert_eq!(
            send(json, body.into()).await,
            (400, "invalid_body".into()),
            "{}",
            &body[..body.len().min(40)]
        );
    }
    let large = json!({"username": "ana", "password": "x".repeat(70_000)}).to_string();
    assert_eq!(send(json, large).await, (413, "too_large".into()));
    let long = json!({"username": "ana", "password": "x".repeat(2000)}).to_string();
    assert_eq!(send(json, long).await.0, 401, "no account has such a password");
}

#[tokio::test]
async fn a_body_that_never_ends_is_not_waited_for() {
    let site = Site::open().await;
    let impatient = crate::router_with(site.state.clone(), Duration::ZERO);
    for (path, content_type) in [
        ("/api/v1/session", "application/json"),
        ("/sign-in", "application/x-www-form-urlencoded"),
        ("/nowhere", "text/plain"),
    ] {
        let body = Body::from_stream(futures::stream::pending::<Result<Bytes, Infallible>>());
        let request = Request::post(path).header("content-type", content_type).header("content-length", "9");
        let answered = impatient.clone().oneshot(request.body(body).unwrap());
        let answer = tokio::time::timeout(Duration::from_secs(10), answered).await;
        let answer = answer.unwrap_or_else(|_| panic!("{path} waits for its body")).unwrap();
        assert_eq!(answer.status(), 408, "{path}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json", "{path}");
    }
}

#[tokio::test]
async fn paths_that_are_no_ids_name_nothing() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    for id in ["..", "%2e%2e", "%2f", "%00", "a%2Fb", "00000000000000000000000000%00", "%ff", "x%0d%0ay"] {
        for suffix in ["", "/playback", "/retry", "//"] {
            let path = format!("/api/v1/videos/{id}{suffix}");
            for method in [Method::GET, Method::POST, Method::DELETE] {
                let answer = site.call(method.clone(), &path, Some(&ana), Value::Null).await;
                assert!([404, 405].contains(&answer.status.as_u16()), "{method} {path}: {answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_method_that_a_resource_lacks_is_named_among_those_it_has() {
    let site = Site::open().await;
    let answer = site.call(Method::PUT, "/api/v1/session", None, Value::Null).await;
    assert_eq!(answer.refusal(), (405, "method_not_allowed".into()));
    let allow = answer.headers["allow"].to_str().unwrap();
    for method in ["GET", "POST", "DELETE"] {
        assert!(allow.contains(method), "{allow}");
    }
}

/// Each route that changes or tells something private, by everybody: nobody, a viewer, another
/// creator, a moderator. None of them gets in where only owners and administrators may.
#[tokio::test]
async fn nobody_gets_in_where_they_do_not_belong() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    let others = [
        site.somebody("viewer", Role::Viewer, 3).await,
        site.somebody("creator", Role::Creator, 3).await,
        site.somebody("moderator", Role::Moderator, 3).await,
    ];
    let (hidden, public) =
        (site.video(&ana, Visibility::Private, 0).await, site.video(&ana, Visibility::Public, 0).await);
    let title = json!({"title": "Mine now"});
    let rights =
        json!({"greatest_height": 1, "downloads": true, "ads": true, "concurrent_streams": 1, "rewind_s": 1});
    let routes = [
        (Method::GET, format!("/api/v1/videos/{hidden}"), Value::Null, 404),
        (Method::PATCH, format!("/api/v1/videos/{hidden}"), title.clone(), 404),
        (Method::DELETE, format!("/api/v1/videos/{hidden}"), Value::Null, 404),
        (Method::POST, format!("/api/v1/videos/{hidden}/playback"), Value::Null, 404),
        (Method::POST, format!("/api/v1/videos/{hidden}/retry"), Value::Null, 404),
        (Method::PATCH, format!("/api/v1/videos/{public}"), title, 403),
        (Method::DELETE, format!("/api/v1/videos/{public}"), Value::Null, 403),
        (Method::POST, format!("/api/v1/videos/{public}/retry"), Value::Null, 403),
        (Method::GET, "/api/v1/accounts".into(), Value::Null, 403),
        (Method::GET, "/api/v1/accounts/ana".into(), Value::Null, 404),
        (Method::PATCH, "/api/v1/accounts/ana".into(), json!({"disabled": true}), 403),
        (Method::PUT, "/api/v1/tiers/0".into(), rights, 403),
    ];
    for (method, path, body, expected) in routes {
        for other in &others {
            let answer = site.call(method.clone(), &path, Some(other), body.clone()).await;
            assert_eq!(answer.status.as_u16(), expected, "{method} {path} {other:?}");
        }
        let nobody = site.call(method.clone(), &path, None, body).await.status.as_u16();
        let reads = method == Method::GET || path.ends_with("/playback");
        let expected = if reads && path.contains("/videos/") { 404 } else { 401 };
        assert_eq!(nobody, expected, "{method} {path}");
    }
    assert_eq!(site.get(&format!("/api/v1/videos/{public}"), None).await.json()["title"], "A film");
}
