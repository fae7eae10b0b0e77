use std::sync::Arc;

use model::{Role, Visibility};
use serde_json::{Value, json};

use crate::testing::{Site, SixHundredBytes, TenSeconds};

#[tokio::test]
async fn a_clip_is_its_makers_and_says_what_there_is() {
    let mut site = Site::open().await;
    let (ana, eva) =
        (site.somebody("ana", Role::Creator, 0).await, site.somebody("eva", Role::Creator, 0).await);
    let (event, _) = site.event(&ana, Visibility::Unlisted, 2).await;
    let path = format!("/api/v1/events/{event}/clips");
    let last = |s: u32| json!({"title": "Gol", "last_s": s});
    assert_eq!(site.post(&path, Some(&ana), last(5)).await.refusal().0, 503, "no packager is here");
    site.with_clips(Arc::new(TenSeconds));
    let clip = site.post(&path, Some(&ana), last(5)).await;
    assert_eq!(clip.status, 201);
    let clip = clip.json();
    assert_eq!(
        (&clip["state"], &clip["title"], &clip["owner"]),
        (&json!("ready"), &json!("Gol"), &json!("ana"))
    );
    assert_eq!((&clip["visibility"], &clip["min_tier"]), (&json!("unlisted"), &json!(2)));
    let order = json!({"title": "Gol", "from_s": 1, "to_s": 4.5, "visibility": "draft", "min_tier": 0});
    let draft = site.post(&path, Some(&ana), order).await.json();
    assert_eq!((&draft["visibility"], &draft["min_tier"]), (&json!("draft"), &json!(0)));
    let cases = [
        (last(11), 400, "clip_not_there"),
        (last(66), 503, "unavailable"),
        (last(77), 409, "not_on_air"),
        (last(0), 400, "invalid_clip"),
        (last(5000), 400, "invalid_clip"),
        (json!({"title": "Gol", "from_s": 4, "to_s": 2}), 400, "invalid_clip"),
        (json!({"title": " ", "last_s": 5}), 400, "invalid_title"),
        (json!({"last_s": 5}), 400, "invalid_body"),
    ];
    for (order, status, code) in cases {
        assert_eq!(site.post(&path, Some(&ana), order).await.refusal(), (status, code.to_owned()));
    }
    let told = site.post(&path, Some(&ana), last(11)).await.json();
    assert_eq!(told["detail"], "Of the event there is 0:00 to 0:10");
    assert_eq!(site.post(&path, Some(&eva), last(5)).await.refusal().0, 403);
    assert_eq!(site.post(&path, None, last(5)).await.refusal().0, 401);
}

#[tokio::test]
async fn who_may_not_upload_makes_no_clips() {
    let mut site = Site::open().await;
    site.with_clips(Arc::new(TenSeconds));
    let (ana, root) =
        (site.somebody("ana", Role::Creator, 0).await, site.somebody("root1", Role::Admin, 0).await);
    let (event, _) = site.event(&ana, Visibility::Public, 0).await;
    let path = format!("/api/v1/events/{event}/clips");
    let order = || json!({"title": "Gol", "last_s": 5});
    assert_eq!(site.post(&path, Some(&ana), order()).await.status, 201);
    // The event is still hers.
    let demoted = site.patch("/api/v1/accounts/ana", Some(&root), json!({"role": "viewer"})).await;
    assert_eq!(demoted.status, 200);
    assert_eq!(site.post(&path, Some(&ana), order()).await.refusal(), (403, "forbidden".to_owned()));
    let videos = site.state.catalog.videos_of(ana.account, &catalog::Page::default()).await.unwrap();
    assert_eq!(videos.items.len(), 2, "the event and the first clip");
}

#[tokio::test]
async fn clips_count_like_uploads_and_one_too_many_leaves_nothing() {
    let mut site = Site::open().await;
    site.with_clips(Arc::new(SixHundredBytes(site.state.store.clone())));
    let ana = site.somebody("ana", Role::Creator, 0).await;
    let (event, _) = site.event(&ana, Visibility::Public, 0).await;
    let path = format!("/api/v1/events/{event}/clips");
    let clip = site.post(&path, Some(&ana), json!({"title": "Gol", "last_s": 5})).await;
    assert_eq!(clip.status, 201);
    let refused = site.post(&path, Some(&ana), json!({"title": "Otro", "last_s": 5})).await;
    assert_eq!(refused.refusal(), (429, "quota_exceeded".to_owned()));
    assert_eq!(refused.json()["detail"], "600 of 1000 bytes are used");
    assert_eq!(site.objects().await.len(), 1, "of the second there is nothing");
}

#[tokio::test]
async fn a_trim_says_what_is_left_and_is_told_to_its_owner_only() {
    let site = Site::open().await;
    let (ana, eva) =
        (site.somebody("ana", Role::Creator, 0).await, site.somebody("eva", Role::Creator, 0).await);
    let video = site.film_of_segments(&ana).await;
    let path = format!("/api/v1/videos/{video}/trim");
    for wrong in [
        json!({}),
        json!({"from_s": 3.9}),
        json!({"to_s": 56.5}),
        json!({"from_s": 60}),
        json!({"from_s": 8, "to_s": 8}),
        json!({"from_s": -8}),
        json!({"from_s": 1e300}),
    ] {
        let refused = site.post(&path, Some(&ana), wrong.clone()).await.refusal();
        assert_eq!(refused, (400, "invalid_trim".to_owned()), "{wrong}");
    }
    assert_eq!(site.post(&path, Some(&eva), json!({"from_s": 8})).await.refusal().0, 403);
    assert_eq!(site.delete(&path, Some(&ana)).await.refusal(), (409, "nothing_to_undo".to_owned()));
    let told = site.post(&path, Some(&ana), json!({"from_s": 9, "to_s": 50})).await;
    assert_eq!(told.status, 202);
    let left = json!({"from_ms": 8000, "to_ms": 52_000, "under_way": true, "undo_until": null});
    assert_eq!(told.json()["trim"], left);
    let again = site.post(&path, Some(&ana), json!({"from_s": 9})).await.refusal();
    assert_eq!(again, (409, "version_under_way".to_owned()));
    let shown = site.get(&format!("/api/v1/videos/{video}"), Some(&eva)).await.json();
    assert_eq!(shown["trim"], Value::Null);
}
