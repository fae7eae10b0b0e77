//! A better version beside the one that plays.
#![expect(clippy::unwrap_used, reason = "test support, outside any test function")]

use std::time::Duration;

use bytes::Bytes;
use model::{Clock, ObjectKey, RenditionName, SlowPreset, VersionId, VideoId, VideoState};
use packager::{doctor, sweep};
use storage::ObjectStore;

use crate::house::{House, clip, transcoder};

const P240: RenditionName = RenditionName::Video { height: 240 };
const NEW: VersionId = VersionId::from_bits(2);
/// How long a grant may live, and a body that it began.
const KEPT: Duration = Duration::from_secs(7 * 3600);

/// Has 240p of a film encoded anew.
async fn order(house: &House, video: VideoId) {
    let (catalog, now) = (&house.catalog, house.clock.now());
    catalog.start_reencode(video, NEW, &[P240], SlowPreset::Veryslow, now).await.unwrap();
}

async fn get(house: &House, key: ObjectKey) -> Bytes {
    house.store.get(&key).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_encoded_anew_is_the_same_to_the_byte() {
    for house in [House::new().await, House::with_folder().await] {
        let packager = house.start(house.config(transcoder()));
        let video = house.upload(clip(12)).await;
        house.until_ready(video).await;
        let old = house.index(video).await;
        let before = house.bucket().await;
        order(&house, video).await;
        house.until(video, |video| video.version() == Some(NEW)).await;
        packager.stop().await;

        let new = house.index(video).await;
        assert_eq!(new.duration_ms, old.duration_ms);
        for (old_rendition, new_rendition) in old.renditions.iter().zip(&new.renditions) {
            let rendition = old_rendition.name;
            if rendition == P240 {
                assert_ne!(new_rendition.chunks, old_rendition.chunks);
                assert_eq!(new_rendition.segment_count(), old_rendition.segment_count());
                continue;
            }
            assert_eq!(new_rendition, old_rendition);
            let init = |version| ObjectKey::Init { video, version, rendition, number: 0 };
            assert_eq!(get(&house, init(NEW)).await, get(&house, init(old.version)).await);
            for chunk in &old_rendition.chunks {
                let (from, to) = (old.chunk_key(rendition, chunk), new.chunk_key(rendition, chunk));
                assert_eq!(get(&house, to).await, get(&house, from).await);
            }
        }
        let poster = |version| ObjectKey::Poster { video, version };
        assert_eq!(get(&house, poster(NEW)).await, get(&house, poster(old.version)).await);
        assert_eq!(doctor::examine(&house.catalog, &*house.store).await.unwrap(), []);

        // As many objects again, until nobody can have a grant for the first ones.
        let both = house.bucket().await;
        assert_eq!(both.len(), 2 * before.len() - 1, "{both:#?}");
        let until = house.clock.now() + KEPT;
        let early =
            sweep::sweep(&house.catalog, &*house.store, until - Duration::from_secs(1)).await.unwrap();
        assert_eq!((early.objects, house.bucket().await), (0, both));
        let swept = sweep::sweep(&house.catalog, &*house.store, until).await.unwrap();
        assert_eq!(swept.objects as usize, before.len() - 1);
        let left = house.bucket().await;
        assert!(left.iter().all(|name| !name.contains(&old.version.to_string())), "{left:#?}");
        assert_eq!(doctor::examine(&house.catalog, &*house.store).await.unwrap(), []);
    }
}

/// The video plays as it did, and nothing of the re-encode is left.
async fn assert_untouched(house: &House, video: VideoId, state: VideoState, bucket: &[String]) {
    house.until_bucket(|now| now == bucket).await;
    let shown = house.until(video, |video| video.reencode.is_none()).await;
    assert_eq!(shown.state, state);
    assert_eq!(doctor::examine(&house.catalog, &*house.store).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_cancelled_leaves_nothing() {
    let house = House::new().await;
    let pictures = r#"*'"preset":"veryslow"'*'"task":"pictures"'*"#;
    let packager = house.start(house.config(house.stalling(pictures)));
    let video = house.upload(clip(12)).await;
    house.until_ready(video).await;
    let (state, bucket) = (house.video(video).await.state, house.bucket().await);
    order(&house, video).await;
    house.until_file(&house.mark()).await;
    let carried = ObjectKey::Thumbnail { video, version: NEW };
    assert!(house.store.size(&carried).await.unwrap().is_some(), "there was something to remove");
    house.catalog.cancel_video(video, house.clock.now()).await.unwrap();
    assert_untouched(&house, video, state, &bucket).await;
    packager.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_damaged_is_not_carried_over() {
    let house = House::new().await;
    let packager = house.start(house.config(transcoder()));
    let video = house.upload(clip(12)).await;
    house.until_ready(video).await;
    let index = house.index(video).await;
    let chunk = &index.renditions[0].chunks[1];
    let size = usize::try_from(chunk.size_bytes).unwrap();
    let key = index.chunk_key(index.renditions[0].name, chunk);
    house.store.delete(&key).await.unwrap();
    house.store.put(&key, vec![0; size].into()).await.unwrap();
    let (state, bucket) = (house.video(video).await.state, house.bucket().await);
    order(&house, video).await;
    house.until(video, |video| video.reencode.is_none()).await;
    assert_untouched(&house, video, state, &bucket).await;
    packager.stop().await;
}
