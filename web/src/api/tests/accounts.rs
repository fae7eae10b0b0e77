use http::Method;
use model::{Revoked, Role};
use serde_json::{Value, json};

use crate::Config;
use crate::testing::{PASSWORD, START, Site};

const PATH: &str = "/api/v1/accounts";

#[tokio::test]
async fn anybody_becomes_a_viewer_and_nothing_more() {
    let site = Site::open().await;
    let answer = site.post(PATH, None, json!({"username": "Ana", "password": PASSWORD})).await;
    assert_eq!(answer.status, 201);
    assert_eq!(
        answer.json(),
        json!({
            "username": "ana", "role": "viewer", "tier": 0, "entitled_until": null, "disabled": false,
            "created_at": START.as_millis()
        })
    );
    let cases = [
        (json!({"username": "ana", "password": PASSWORD}), 409, "username_taken"),
        (json!({"username": "admin", "password": PASSWORD}), 400, "username_invalid"),
        (json!({"username": "a/../b", "password": PASSWORD}), 400, "username_invalid"),
        (json!({"username": "berta", "password": "short"}), 400, "password_invalid"),
        (json!({"username": "berta", "password": PASSWORD, "role": "admin"}), 403, "forbidden"),
        (json!({"username": "berta", "password": PASSWORD, "tier": 3}), 403, "forbidden"),
        (json!({"username": "berta", "password": PASSWORD, "is_admin": true}), 400, "invalid_body"),
        (json!({"username": "berta"}), 400, "invalid_body"),
        (json!({"username": ["berta"], "password": PASSWORD}), 400, "invalid_body"),
    ];
    for (body, status, code) in cases {
        let answer = site.post(PATH, None, body.clone()).await;
        assert_eq!(answer.refusal(), (status, code.into()), "{body}");
    }
    let closed = Site::open_with(Config { registration: false, ..Config::default() }).await;
    let answer = closed.post(PATH, None, json!({"username": "ana", "password": PASSWORD})).await;
    assert_eq!(answer.refusal(), (403, "registration_closed".into()));
}

#[tokio::test]
async fn administrators_make_and_change_accounts() {
    let site = Site::open_with(Config { registration: false, ..Config::default() }).await;
    let admin = site.somebody("root1", Role::Admin, 0).await;
    let admin = Some(&admin);
    let new = json!({"username": "carla", "password": PASSWORD, "role": "creator", "tier": 2});
    assert_eq!(site.post(PATH, admin, new).await.json()["role"], "creator");
    let end = START.as_millis() + 60_000;
    let path = "/api/v1/accounts/carla";
    let change = json!({"tier": 3, "entitled_until": end, "role": "moderator"});
    let changed = site.patch(path, admin, change).await.json();
    assert_eq!((&changed["tier"], &changed["entitled_until"]), (&json!(3), &json!(end)));
    assert_eq!(changed["role"], "moderator");
    site.clock.advance(std::time::Duration::from_secs(60));
    let over = site.get(path, admin).await.json();
    assert_eq!((&over["tier"], &over["entitled_until"]), (&json!(0), &Value::Null));

    for (body, status, code) in [
        (json!({"entitled_until": end}), 400, "invalid_body"),
        (json!({"tier": 4}), 400, "invalid_body"),
        (json!({"role": "god"}), 400, "invalid_body"),
        (json!({"username": "other"}), 400, "invalid_body"),
        (json!({"password": "short"}), 400, "password_invalid"),
    ] {
        assert_eq!(site.patch(path, admin, body.clone()).await.refusal(), (status, code.into()), "{body}");
    }
    let alone = site.patch("/api/v1/accounts/root1", admin, json!({"disabled": true})).await;
    assert_eq!(alone.refusal(), (409, "last_administrator".into()));
    assert_eq!(site.patch("/api/v1/accounts/nobody", admin, json!({})).await.refusal().0, 404);
    let all = site.get("/api/v1/accounts?limit=1", admin).await.json();
    assert_eq!((&all["items"][0]["username"], &all["next"]), (&json!("carla"), &json!("carla")));
    let rest = site.get("/api/v1/accounts?cursor=carla", admin).await.json();
    assert_eq!((&rest["items"][0]["username"], &rest["next"]), (&json!("root1"), &Value::Null));
}

#[tokio::test]
async fn a_ban_ends_sessions_and_grants() {
    let site = Site::open().await;
    let (admin, ana) =
        (site.somebody("root1", Role::Admin, 0).await, site.somebody("ana", Role::Viewer, 1).await);
    let path = "/api/v1/accounts/ana";
    assert_eq!(site.patch(path, Some(&admin), json!({"disabled": true})).await.json()["disabled"], true);
    assert_eq!(site.get("/api/v1/session", Some(&ana)).await.refusal().0, 401);
    let again = site.post("/api/v1/session", None, json!({"username": "ana", "password": PASSWORD})).await;
    assert_eq!(again.refusal(), (401, "wrong_credentials".into()));
    let revoked = site.state.subscriptions.revocations(START).await.unwrap();
    assert_eq!(revoked[0].revoked, Revoked::Account(ana.account));
}

#[tokio::test]
async fn people_see_and_change_only_themselves() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Moderator, 0).await;
    site.somebody("berta", Role::Viewer, 0).await;
    let person = Some(&ana);
    assert_eq!(site.get("/api/v1/accounts/ANA", person).await.status, 200);
    assert_eq!(site.get("/api/v1/accounts/berta", person).await.refusal().0, 404);
    assert_eq!(site.get("/api/v1/accounts/ana", None).await.refusal().0, 401);
    assert_eq!(site.get(PATH, person).await.refusal().0, 403);
    assert_eq!(site.patch("/api/v1/accounts/ana", person, json!({"tier": 3})).await.refusal().0, 403);

    let path = "/api/v1/accounts/me/password";
    let put = async |body: Value| site.call(Method::PUT, path, person, body).await;
    let wrong = put(json!({"current": "not this", "new": "a new password"})).await;
    assert_eq!(wrong.refusal(), (401, "wrong_credentials".into()));
    let weak = put(json!({"current": PASSWORD, "new": "short"})).await;
    assert_eq!(weak.refusal(), (400, "password_invalid".into()));
    assert_eq!(put(json!({"current": PASSWORD, "new": "a new password"})).await.status, 204);
    assert_eq!(site.get("/api/v1/session", person).await.status, 200, "this session goes on");
    let sign_in = async |password: &str| {
        site.post("/api/v1/session", None, json!({"username": "ana", "password": password})).await.status
    };
    assert_eq!((sign_in(PASSWORD).await.as_u16(), sign_in("a new password").await.as_u16()), (401, 201));
}

#[tokio::test]
async fn tiers_are_the_operators_data() {
    let site = Site::open().await;
    let (admin, ana) =
        (site.somebody("root1", Role::Admin, 0).await, site.somebody("ana", Role::Viewer, 0).await);
    let tiers = site.get("/api/v1/tiers", None).await.json();
    let heights: Vec<_> =
        tiers["items"].as_array().unwrap().iter().map(|tier| &tier["greatest_height"]).collect();
    assert_eq!(heights, [480, 720, 1080, 4320]);
    let rights = json!({
        "greatest_height": 360, "downloads": true, "ads": true, "concurrent_streams": 1, "rewind_s": 0
    });
    let put = async |path: &str, person| site.call(Method::PUT, path, Some(person), rights.clone()).await;
    assert_eq!(put("/api/v1/tiers/0", &ana).await.refusal().0, 403);
    assert_eq!(put("/api/v1/tiers/4", &admin).await.refusal().0, 404);
    assert_eq!(put("/api/v1/tiers/0", &admin).await.json()["greatest_height"], 360);
    assert_eq!(site.get("/api/v1/session", Some(&ana)).await.json()["rights"]["greatest_height"], 360);
    let publish = |answer: &Value| answer["publish"]["bitrate_kbps"].clone();
    assert_eq!(publish(&put("/api/v1/tiers/0", &admin).await.json()), 8000, "left out, it stays");
    let mut more = rights.clone();
    more["publish"] = json!({"bitrate_kbps": 500, "short_side": 480, "duration_s": 60});
    let changed = site.call(Method::PUT, "/api/v1/tiers/0", Some(&admin), more).await;
    assert_eq!(publish(&changed.json()), 500);
    assert_eq!(publish(&put("/api/v1/tiers/0", &admin).await.json()), 500);
}
