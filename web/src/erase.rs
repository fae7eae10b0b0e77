//! Deleting a video: rows say it first, then its objects go, then its last row.

use catalog::Catalog;
use futures::TryStreamExt;
use model::{ObjectKey, Timestamp, VideoId};
use storage::ObjectStore;

use crate::WebError;

/// Deletes a video and all its objects.
///
/// From the first step on nobody sees or plays it; what a crash leaves of the rest,
/// [`finish_erasures`] does.
///
/// # Errors
///
/// `NotFound` when there is no such video; failures of either side.
pub async fn erase(
    catalog: &Catalog,
    store: &dyn ObjectStore,
    video: VideoId,
    now: Timestamp,
) -> Result<(), WebError> {
    catalog.delete_video(video, now).await?;
    finish(catalog, store, video).await
}

/// Finishes the deletions that a crash or a lost store interrupted; for start-up and now and then.
///
/// # Errors
///
/// The first failure; the others are tried the next time.
pub async fn finish_erasures(catalog: &Catalog, store: &dyn ObjectStore) -> Result<(), WebError> {
    for video in catalog.deleted_videos().await? {
        finish(catalog, store, video).await?;
    }
    Ok(())
}

async fn finish(catalog: &Catalog, store: &dyn ObjectStore, video: VideoId) -> Result<(), WebError> {
    let prefix = ObjectKey::video_prefix(video);
    let mut listed = store.list(&prefix);
    let mut count = 0_u64;
    while let Some(object) = listed.try_next().await? {
        // What is not one of our keys was put there by somebody else, and is theirs to delete.
        let Ok(key) = object.name.parse::<ObjectKey>() else { continue };
        store.delete(&key).await?;
        count += 1;
    }
    catalog.forget_video(video).await?;
    tracing::info!(video.id = %video, objects = count, "erased video `{video}` and its {count} objects");
    Ok(())
}
