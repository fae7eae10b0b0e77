use std::time::Duration;

use model::{Clock, ObjectKey, Role, Visibility};
use serde_json::{Value, json};

use super::videos::claims;
use crate::testing::Site;

#[tokio::test]
async fn administrators_have_a_film_encoded_anew_and_it_stays_ready() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    let (berta, admin) =
        (site.somebody("berta", Role::Creator, 0).await, site.somebody("jefa", Role::Admin, 0).await);
    let (video, old) = site.whole(&ana).await;
    let path = format!("/api/v1/videos/{video}");
    let door = format!("{path}/reencode");
    let order = json!({"renditions": ["360p", "144p"], "preset": "slower"});
    assert_eq!(site.post(&door, None, order.clone()).await.refusal().0, 401);
    assert_eq!(site.post(&door, Some(&berta), order.clone()).await.refusal().0, 404, "it is a draft");
    assert_eq!(site.post(&door, Some(&ana), order.clone()).await.refusal().0, 403);

    for (order, code) in [
        (json!({"renditions": ["360p"], "preset": "veryfast"}), "invalid_body"),
        (json!({"renditions": ["360p"]}), "invalid_body"),
        (json!({"renditions": [], "preset": "slow"}), "invalid_renditions"),
        (json!({"renditions": ["480p"], "preset": "slow"}), "invalid_renditions"),
        (json!({"renditions": ["360p"], "preset": "slow"}), "invalid_renditions"),
        (json!({"renditions": ["a32"], "preset": "slow"}), "invalid_renditions"),
    ] {
        assert_eq!(site.post(&door, Some(&admin), order).await.refusal(), (400, code.into()));
    }
    let nowhere = format!("/api/v1/videos/{}/reencode", model::VideoId::from_bits(5));
    assert_eq!(site.post(&nowhere, Some(&admin), order.clone()).await.refusal().0, 404);

    let queued = site.post(&door, Some(&admin), order.clone()).await;
    assert_eq!(queued.status, 202);
    let told = json!({"renditions": ["360p", "144p"], "preset": "slower", "progress": 0});
    assert_eq!(queued.json()["reencode"], told);
    let again = site.post(&door, Some(&admin), order.clone()).await;
    assert_eq!(again.refusal(), (409, "reencode_under_way".into()));
    let shown = site.get(&path, Some(&ana)).await.json();
    assert_eq!(
        (&shown["state"], &shown["stage"], &shown["progress"]),
        (&json!("ready"), &json!("ready"), &json!(100))
    );
    assert_eq!((&shown["version"], &shown["reencode"]), (&json!(old.to_string()), &told));
    site.patch(&path, Some(&ana), json!({"visibility": "public"})).await;
    assert_eq!(site.get(&path, Some(&berta)).await.json()["reencode"], Value::Null, "none of theirs");

    let cancelled = site.post(&format!("{path}/cancel"), Some(&ana), Value::Null).await.json();
    assert_eq!((&cancelled["state"], &cancelled["reencode"]), (&json!("ready"), &Value::Null));
    assert_eq!(site.post(&format!("{path}/cancel"), Some(&ana), Value::Null).await.refusal().0, 409);

    site.state.store.delete(&ObjectKey::Original { video }).await.unwrap();
    let lost = site.post(&door, Some(&admin), order).await;
    assert_eq!(lost.refusal(), (409, "original_missing".into()));
}

#[tokio::test]
async fn what_is_not_ready_or_has_no_plan_is_not_encoded_anew() {
    let site = Site::open().await;
    let (ana, admin) =
        (site.somebody("ana", Role::Creator, 0).await, site.somebody("jefa", Role::Admin, 0).await);
    let order = json!({"renditions": ["144p"], "preset": "slow"});
    let without_plan = site.video(&ana, Visibility::Public, 0).await;
    let (growing, _) = site.growing(&ana).await;
    for (video, code) in [(growing, "not_ready"), (without_plan, "no_plan")] {
        let refused =
            site.post(&format!("/api/v1/videos/{video}/reencode"), Some(&admin), order.clone()).await;
        assert_eq!(refused.refusal(), (409, code.into()));
    }
}

#[tokio::test]
async fn who_watches_what_was_replaced_renews_for_that_while_it_is_kept() {
    let site = Site::open().await;
    let (ana, admin) =
        (site.somebody("ana", Role::Creator, 0).await, site.somebody("jefa", Role::Admin, 0).await);
    let (video, old) = site.whole(&ana).await;
    let path = format!("/api/v1/videos/{video}");
    site.post(
        &format!("{path}/reencode"),
        Some(&admin),
        json!({"renditions": ["360p"], "preset": "veryslow"}),
    )
    .await;
    let new = site.replaced(video).await;
    assert_ne!(new, old);
    let play = async |query: &str| {
        let answer = site.post(&format!("{path}/playback{query}"), Some(&ana), Value::Null).await.json();
        let version = answer["url"].as_str().unwrap().split('/').nth(3).unwrap().to_owned();
        let grant = claims(&answer["token"]);
        assert_eq!(grant["version"], version);
        (version, grant["exp"].as_i64().unwrap() - site.clock.now().as_seconds())
    };
    let watching = format!("?version={old}");
    assert_eq!(play("").await, (new.to_string(), 600));
    assert_eq!(play(&watching).await, (old.to_string(), 600));
    let stranger = format!("?version={}", model::VersionId::from_bits(5));
    assert_eq!(play(&stranger).await.0, new.to_string());
    let refused = site.post(&format!("{path}/playback?version=x"), Some(&ana), Value::Null).await;
    assert_eq!(refused.refusal(), (400, "invalid_query".into()));

    // No grant lives longer than the version is kept for.
    site.clock.advance(Duration::from_secs(6 * 3600 - 200));
    assert_eq!(play(&watching).await, (old.to_string(), 200));
    site.clock.advance(Duration::from_secs(200));
    assert_eq!(play(&watching).await.0, new.to_string());
}
