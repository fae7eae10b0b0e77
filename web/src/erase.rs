//! Deleting a video: rows say it first, then its objects go, then its last row.

use catalog::Catalog;
use futures::TryStreamExt;
use model::{ErrorKind, ObjectKey, Timestamp, VideoId};
use storage::ObjectStore;

use crate::WebError;
use crate::error::chain;
use crate::playback::moment_of_change;

/// Deletions at the same time; each is one request to a store.
const AT_ONCE: usize = 8;

/// Deletes a video and all its objects.
///
/// From its first step on nobody sees or plays it, and it succeeds from then on: what a crash or
/// a lost store leaves of the rest, [`finish_erasures`] does.
///
/// # Errors
///
/// `NotFound` when there is no such video, failures of the catalog.
pub async fn erase(
    catalog: &Catalog,
    store: &dyn ObjectStore,
    video: VideoId,
    now: Timestamp,
) -> Result<(), WebError> {
    let before = catalog.video(video).await?.ok_or(ErrorKind::NotFound)?;
    catalog.delete_video(video, moment_of_change(&before, now)).await?;
    if let Err(error) = finish(catalog, store, video, now).await {
        let why = chain(&error);
        tracing::warn!(video.id = %video, error = why, "objects of deleted video `{video}` are left: {why}");
    }
    Ok(())
}

/// Finishes the deletions that something interrupted, or that a worker was in the way of; for
/// start-up and every minute.
///
/// # Errors
///
/// The first failure; the rest is tried the next time.
pub async fn finish_erasures(
    catalog: &Catalog,
    store: &dyn ObjectStore,
    now: Timestamp,
) -> Result<(), WebError> {
    for video in catalog.deleted_videos().await? {
        finish(catalog, store, video, now).await?;
    }
    Ok(())
}

async fn finish(
    catalog: &Catalog,
    store: &dyn ObjectStore,
    video: VideoId,
    now: Timestamp,
) -> Result<(), WebError> {
    delete_objects(store, video).await?;
    if catalog.forget_video(video, now).await? {
        tracing::info!(video.id = %video, "erased video `{video}`");
    }
    Ok(())
}

/// Deletes the objects of a video that no row names any more, or yet.
pub(crate) async fn delete_objects(store: &dyn ObjectStore, video: VideoId) -> Result<(), WebError> {
    let listed = store.list(&ObjectKey::video_prefix(video));
    let keys = listed.try_filter_map(async |object| Ok(object.name.parse::<ObjectKey>().ok()));
    keys.try_for_each_concurrent(AT_ONCE, async |key| store.delete(&key).await).await?;
    Ok(())
}
