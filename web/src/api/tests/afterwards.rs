use cmaf::{Bandwidth, ChunkRef, RenditionIndex, RenditionKind, SegmentRef, VersionIndex};
use model::cell::Ratio;
use model::{ChunkHash, ObjectKey, Role, VideoId, Visibility};
use serde_json::{Value, json};

use crate::testing::Site;

/// A film of fifteen segments of 4 s, and its index.
async fn film(site: &Site, owner: &crate::testing::Somebody) -> VideoId {
    let video = site.video(owner, Visibility::Public, 0).await;
    let version = site.state.catalog.video(video).await.unwrap().unwrap().version().unwrap();
    let hash = ChunkHash::of(b"chunk");
    let segments = vec![SegmentRef { size_bytes: 10, duration: 4000 }; 15];
    let rendition = RenditionIndex {
        name: "360p".parse().unwrap(),
        codecs: String::new(),
        timescale: 1000,
        kind: RenditionKind::Video { width: 640, height: 360, frame_rate: Ratio::new(25, 1) },
        bandwidth: Bandwidth::default(),
        init_size: 1,
        init_hash: hash,
        chunks: vec![ChunkRef { number: 0, hash, size_bytes: 155, index_bytes: 5, segments }],
    };
    let (format, renditions) = (VersionIndex::FORMAT, vec![rendition]);
    let index = VersionIndex { format, video, version, duration_ms: 60_000, renditions };
    site.state.store.put(&ObjectKey::Index { video, version }, index.to_json()).await.unwrap();
    video
}

#[tokio::test]
async fn a_trim_says_what_is_left_and_is_told_to_its_owner_only() {
    let site = Site::open().await;
    let (ana, eva) =
        (site.somebody("ana", Role::Creator, 0).await, site.somebody("eva", Role::Creator, 0).await);
    let video = film(&site, &ana).await;
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
