use model::Role;
use serde_json::{Value, json};

use crate::testing::Site;

fn whole(shown: &Value) -> Vec<(&str, bool)> {
    let told = |view: &'_ Value| view["whole"].as_bool().unwrap();
    shown["renditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|view| (view["name"].as_str().unwrap(), told(view)))
        .collect()
}

#[tokio::test]
async fn a_film_is_shown_and_played_while_it_is_made() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    let queued = site.upload(&ana, "Later").await;
    let shown = site.get(&format!("/api/v1/videos/{queued}"), Some(&ana)).await.json();
    assert_eq!(
        (&shown["stage"], &shown["queue_place"], &shown["plays"]),
        (&json!("queued"), &json!(1), &json!(false))
    );
    site.post(&format!("/api/v1/videos/{queued}/cancel"), Some(&ana), Value::Null).await;

    let (video, _) = site.planned(&ana).await;
    let path = format!("/api/v1/videos/{video}");
    let shown = site.get(&path, Some(&ana)).await.json();
    assert_eq!((&shown["state"], &shown["stage"]), (&json!("packaging"), &json!("probing")));
    assert_eq!((&shown["plays"], &shown["version"]), (&json!(false), &Value::Null));
    let refused = site.post(&format!("{path}/playback"), Some(&ana), Value::Null).await;
    assert_eq!(refused.refusal(), (409, "not_ready".into()));
}

#[tokio::test]
async fn what_plays_names_all_that_is_planned_and_what_of_it_is_whole() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    let (video, version) = site.growing(&ana).await;
    let path = format!("/api/v1/videos/{video}");
    let shown = site.get(&path, Some(&ana)).await.json();
    assert_eq!((&shown["state"], &shown["stage"]), (&json!("packaging"), &json!("playable")), "{shown}");
    assert_eq!((&shown["plays"], &shown["version"]), (&json!(true), &json!(version.to_string())));
    assert_eq!((&shown["duration_ms"], &shown["thumbnail_url"]), (&json!(24_000), &Value::Null));
    let mut names = whole(&shown);
    names.sort_unstable();
    assert_eq!(names, [("144p", false), ("360p", false), ("720p", false), ("a32", true)]);
    let percent = shown["progress"].as_u64().unwrap();
    assert!((1..100).contains(&percent), "{shown}");
    let playing = site.post(&format!("{path}/playback"), Some(&ana), Value::Null).await.json();
    assert_eq!(playing["url"], format!("/v/{video}/{version}/multivariant.m3u8"));

    site.whole_lane_a().await;
    let shown = site.get(&path, Some(&ana)).await.json();
    assert_eq!(shown["stage"], "improving");
    let mut names = whole(&shown);
    names.sort_unstable();
    assert_eq!(names, [("144p", true), ("360p", true), ("720p", false), ("a32", true)]);
    assert!(shown["thumbnail_url"].as_str().unwrap().ends_with("/thumbnail.jpg"));
}

#[tokio::test]
async fn owners_and_keepers_of_the_queue_cancel_what_is_under_way() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    let berta = site.somebody("berta", Role::Creator, 0).await;
    let keeper = site.somebody("keeper", Role::Moderator, 0).await;
    let (video, _) = site.growing(&ana).await;
    let (path, nothing) = (format!("/api/v1/videos/{video}"), Value::Null);
    let cancel = format!("{path}/cancel");
    assert_eq!(site.post(&cancel, None, nothing.clone()).await.refusal().0, 401);
    assert_eq!(site.post(&cancel, Some(&berta), nothing.clone()).await.refusal().0, 404, "it is a draft");
    let cancelled = site.post(&cancel, Some(&ana), nothing.clone()).await.json();
    assert_eq!((&cancelled["state"], &cancelled["plays"]), (&json!("failed"), &json!(false)));
    assert_eq!(cancelled["failure"]["code"], "cancelled");
    assert_eq!(site.post(&cancel, Some(&ana), nothing.clone()).await.refusal(), (409, "conflict".into()));

    let retried = site.post(&format!("{path}/retry"), Some(&ana), nothing.clone()).await.json();
    assert_eq!((&retried["state"], &retried["queue_place"]), (&json!("queued"), &json!(1)));
    assert_eq!(site.post(&cancel, Some(&keeper), nothing.clone()).await.json()["state"], "failed");
    let ready = site.video(&ana, model::Visibility::Public, 0).await;
    let refused = site.post(&format!("/api/v1/videos/{ready}/cancel"), Some(&ana), nothing).await;
    assert_eq!(refused.refusal().0, 409, "there is nothing to cancel");
}

#[tokio::test]
async fn only_keepers_of_the_queue_set_priorities() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    let berta = site.somebody("berta", Role::Creator, 0).await;
    let keeper = site.somebody("keeper", Role::Moderator, 0).await;
    let first = site.upload(&ana, "First").await;
    site.clock.advance(std::time::Duration::from_secs(1));
    let second = format!("/api/v1/videos/{}", site.upload(&ana, "Second").await);
    let ahead = json!({"priority": 5});
    assert_eq!(site.patch(&second, None, ahead.clone()).await.refusal().0, 401);
    assert_eq!(site.patch(&second, Some(&ana), ahead.clone()).await.refusal().0, 403);
    assert_eq!(site.patch(&second, Some(&berta), ahead.clone()).await.refusal().0, 404);
    let titled = json!({"priority": 5, "title": "Mine"});
    assert_eq!(site.patch(&second, Some(&keeper), titled).await.refusal().0, 404, "no more than the queue");
    assert_eq!(site.get(&second, Some(&ana)).await.json()["queue_place"], 2);

    let moved = site.patch(&second, Some(&keeper), ahead).await.json();
    assert_eq!((&moved["priority"], &moved["queue_place"]), (&json!(5), &json!(1)));
    let shown = site.get(&format!("/api/v1/videos/{first}"), Some(&ana)).await.json();
    assert_eq!((&shown["priority"], &shown["queue_place"]), (&json!(0), &json!(2)));
}
