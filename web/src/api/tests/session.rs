use axum::body::Body;
use http::{Method, Request};
use model::Role;
use serde_json::{Value, json};

use crate::Config;
use crate::testing::{Answer, PASSWORD, Site};

const PATH: &str = "/api/v1/session";

/// A request as a browser sends it: the session in a cookie, and where it comes from.
async fn browse(site: &Site, method: Method, path: &str, cookie: &str, from: Option<(&str, &str)>) -> Answer {
    let mut request = Request::builder().method(method).uri(path).header("host", "cocuyo.example");
    request = request.header("cookie", format!("theme=dark; {cookie}"));
    if let Some((name, value)) = from {
        request = request.header(name, value);
    }
    site.send(request.body(Body::empty()).unwrap()).await
}

fn cookie_of(answer: &Answer) -> String {
    answer.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn somebody_signs_in_is_known_and_signs_out() {
    let site = Site::open().await;
    site.somebody("ana", Role::Creator, 1).await;
    let answer = site.post(PATH, None, json!({"username": "Ana", "password": PASSWORD})).await;
    assert_eq!(answer.status, 201);
    let cookie = answer.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.ends_with("; Path=/; Max-Age=15552000; HttpOnly; SameSite=Lax"), "{cookie}");
    let token = answer.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(cookie_of(&answer), format!("cocuyo_session={token}"));

    let known = browse(&site, Method::GET, PATH, &cookie_of(&answer), None).await;
    assert_eq!(
        known.json(),
        json!({
            "username": "ana", "role": "creator", "tier": 1, "entitled_until": null, "may_upload": true,
            "rights": {
                "greatest_height": 720, "downloads": true, "ads": false, "concurrent_streams": 1, "rewind_s": 1800,
                "publish": {"bitrate_kbps": 8000, "short_side": 1080, "duration_s": 43200}
            }
        })
    );

    let ours = Some(("sec-fetch-site", "same-origin"));
    let out = browse(&site, Method::DELETE, PATH, &cookie_of(&answer), ours).await;
    assert_eq!(out.status, 204);
    assert!(out.headers["set-cookie"].to_str().unwrap().starts_with("cocuyo_session=; Path=/; Max-Age=0;"));
    let gone = browse(&site, Method::GET, PATH, &cookie_of(&answer), None).await;
    assert_eq!(gone.refusal(), (401, "unauthenticated".into()));
    assert_eq!(gone.headers["www-authenticate"], "Bearer");
    assert_eq!(site.delete(PATH, None).await.status, 204, "again, by nobody");
}

#[tokio::test]
async fn strangers_are_told_the_same_whatever_they_try() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Viewer, 0).await;
    let try_it = async |username: &str, password: &str| {
        site.post(PATH, None, json!({"username": username, "password": password})).await
    };
    let expected = try_it("ana", "wrong password").await;
    assert_eq!(expected.refusal(), (401, "wrong_credentials".into()));
    for (username, password) in [("nobody", PASSWORD), ("", ""), ("a b", PASSWORD), ("ana' OR 1=1 --", "x")] {
        let answer = try_it(username, password).await;
        assert_eq!(answer.json(), expected.json(), "{username:?}");
    }
    for _ in 0..9 {
        try_it("ana", "wrong password").await;
    }
    let slowed = try_it("ana", PASSWORD).await;
    assert_eq!(slowed.refusal(), (429, "too_many_attempts".into()));
    assert_eq!(slowed.headers["retry-after"], "31");
    assert_eq!(site.get(PATH, Some(&ana)).await.status, 200, "who is in stays in");
}

#[tokio::test]
async fn who_signs_in_over_and_over_is_asked_to_wait() {
    let site = Site::open().await;
    site.somebody("ana", Role::Viewer, 0).await;
    let mut answers = Vec::new();
    while answers.last().is_none_or(|answer: &Answer| answer.status == 201) && answers.len() < 31 {
        answers.push(site.post(PATH, None, json!({"username": "ana", "password": PASSWORD})).await);
    }
    let refused = answers.last().unwrap();
    // One session was begun by `somebody`.
    assert_eq!((answers.len(), refused.refusal()), (30, (429, "too_many".into())));
    assert_eq!(refused.headers["retry-after"], "901");
}

#[tokio::test]
async fn credentials_for_a_proxy_do_not_hide_the_cookie() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Viewer, 0).await;
    let ask = async |method: Method, authorization: &str, from: &str| {
        let request = Request::builder().method(method).uri(PATH).header("authorization", authorization);
        let request = request.header("sec-fetch-site", from);
        let request = request.header("cookie", format!("cocuyo_session={}", ana.token));
        site.send(request.body(Body::empty()).unwrap()).await.status.as_u16()
    };
    for proxy in ["Basic YTpi", "Negotiate", "Bearers x"] {
        assert_eq!(ask(Method::GET, proxy, "same-origin").await, 200, "{proxy}");
        assert_eq!(
            ask(Method::DELETE, proxy, "cross-site").await,
            403,
            "{proxy}: it is a cookie all the same"
        );
    }
    for bad in ["Bearer x", "bearer", "BEARER "] {
        assert_eq!(ask(Method::GET, bad, "same-origin").await, 401, "{bad}: a bearer goes before the cookie");
    }
    assert_eq!(ask(Method::DELETE, "Basic YTpi", "same-origin").await, 204);
}

#[tokio::test]
async fn only_our_own_pages_change_anything_with_a_cookie() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Viewer, 0).await;
    let cookie = format!("cocuyo_session={}", ana.token);
    let foreign = [
        None,
        Some(("sec-fetch-site", "cross-site")),
        Some(("sec-fetch-site", "same-site")),
        Some(("origin", "https://evil.example")),
        Some(("origin", "https://cocuyo.example.evil.example")),
        Some(("origin", "null")),
    ];
    for path in [PATH, "/api/v1/videos/x", "/my/videos/x/delete", "/nowhere"] {
        for method in [Method::DELETE, Method::POST, Method::PATCH, Method::PUT] {
            for from in foreign {
                let answer = browse(&site, method.clone(), path, &cookie, from).await;
                assert_eq!(answer.refusal(), (403, "cross_site".into()), "{method} {path} {from:?}");
            }
        }
    }
    assert_eq!(site.get(PATH, Some(&ana)).await.status, 200, "still signed in");
    // Even without a session: a form that signs a victim in as somebody else.
    let mut sign_in =
        Request::post(PATH).header("origin", "https://evil.example").header("host", "cocuyo.example");
    sign_in = sign_in.header("content-type", "application/json");
    let body = json!({"username": "ana", "password": PASSWORD}).to_string();
    assert_eq!(site.send(sign_in.body(body.into()).unwrap()).await.refusal().0, 403);

    let ours = Some(("origin", "https://cocuyo.example"));
    assert_eq!(browse(&site, Method::DELETE, PATH, &cookie, ours).await.status, 204);
}

#[tokio::test]
async fn a_bearer_goes_before_a_cookie_and_two_cookies_are_none() {
    let site = Site::open().await;
    let (ana, berta) =
        (site.somebody("ana", Role::Viewer, 0).await, site.somebody("berta", Role::Viewer, 0).await);
    let who = async |bearer: Option<&str>, cookie: String| {
        let mut request = Request::get(PATH).header("cookie", cookie);
        if let Some(bearer) = bearer {
            request = request.header("authorization", bearer);
        }
        site.send(request.body(Body::empty()).unwrap()).await.json()["username"].clone()
    };
    let cookie = format!("cocuyo_session={}", ana.token);
    assert_eq!(who(Some(&format!("bearer {}", berta.token)), cookie.clone()).await, "berta");
    assert_eq!(who(Some("Bearer wrong"), cookie.clone()).await, Value::Null);
    assert_eq!(who(None, cookie.clone()).await, "ana");
    assert_eq!(who(None, format!("{cookie}; cocuyo_session={}", berta.token)).await, Value::Null);
}

#[tokio::test]
async fn a_site_behind_https_insists_on_it() {
    let site = Site::open_with(Config { secure_cookies: true, ..Config::default() }).await;
    site.somebody("ana", Role::Viewer, 0).await;
    let answer = site.post(PATH, None, json!({"username": "ana", "password": PASSWORD})).await;
    assert!(answer.headers["set-cookie"].to_str().unwrap().ends_with("; Secure"));
    assert_eq!(answer.headers["strict-transport-security"], "max-age=31536000");
}
