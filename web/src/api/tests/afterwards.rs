use std::sync::Arc;

use async_trait::async_trait;
use catalog::NewVersion;
use model::{ClipRefusal, ClipStretch, Role, VersionId, VideoId, Visibility};
use serde_json::{Value, json};

use crate::LiveClips;
use crate::testing::Site;

/// Of an event there are ten seconds.
#[derive(Debug)]
struct TenSeconds;

#[async_trait]
impl LiveClips for TenSeconds {
    async fn clip(
        &self,
        _: VideoId,
        stretch: ClipStretch,
        _: VideoId,
        version: VersionId,
    ) -> Option<Result<NewVersion, ClipRefusal>> {
        let made = NewVersion { version, duration_ms: 4000, renditions: Vec::new(), stretches: None };
        Some(match stretch {
            ClipStretch::Between { from_ms, to_ms: ..=10_000 } if from_ms < 10_000 => Ok(made),
            ClipStretch::Last { ms: 1000..=10_000 } => Ok(made),
            ClipStretch::Last { ms: 66_000 } => return None,
            ClipStretch::Last { ms: 77_000 } => Err(ClipRefusal::NotOnAir),
            _ => Err(ClipRefusal::NotThere { from_ms: 0, to_ms: 10_000 }),
        })
    }
}

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
