use http::Method;
use model::Role;
use serde_json::{Value, json};

use crate::testing::Site;

const PATH: &str = "/api/v1/webhook";

#[tokio::test]
async fn a_creator_says_where_to_be_told_and_learns_the_secret_once() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    let (eva, leo) =
        (site.somebody("eva", Role::Creator, 0).await, site.somebody("leo", Role::Viewer, 3).await);
    let put = async |person, body| site.call(Method::PUT, PATH, Some(person), body).await;
    assert_eq!(site.get(PATH, Some(&ana)).await.refusal().0, 404);
    let made = put(&ana, json!({"url": "https://hooks.example/a?b=c#d"})).await.json();
    assert_eq!(made["url"], "https://hooks.example/a?b=c");
    let secret = made["secret"].as_str().unwrap().to_owned();
    assert_eq!(secret.len(), 43);
    let shown = site.get(PATH, Some(&ana)).await.json();
    assert_eq!(shown, json!({"url": "https://hooks.example/a?b=c", "secret": null}));
    let kept = site.state.catalog.webhook_of(ana.account).await.unwrap().unwrap();
    assert_eq!(kept.secret, secret);
    assert_eq!(site.get(PATH, Some(&eva)).await.refusal().0, 404, "it is Ana's");
    let own = put(&ana, json!({"url": "http://hooks.example/", "secret": "a-secret-of-my-own"})).await.json();
    assert_eq!(own["secret"], Value::Null);

    for body in [
        json!({"url": "hooks.example"}),
        json!({"url": "ftp://hooks.example/"}),
        json!({"url": "https://me:pass@hooks.example/"}),
        json!({"url": "https://hooks.example/", "secret": "short"}),
        json!({"url": "https://hooks.example/", "secret": "with spaces in between"}),
    ] {
        assert_eq!(put(&ana, body).await.refusal(), (400, "invalid_webhook".to_owned()));
    }
    assert_eq!(put(&leo, json!({"url": "https://hooks.example/"})).await.refusal().0, 403);
    assert_eq!(site.get(PATH, None).await.refusal().0, 401);
    assert_eq!(site.delete(PATH, Some(&ana)).await.status, 204);
    assert_eq!(site.get(PATH, Some(&ana)).await.refusal().0, 404);
}
