//! What there was of versions that were given up.

use catalog::{Catalog, Job, KnownVideo};
use futures::{StreamExt, TryStreamExt};
use model::{ObjectKey, VideoState};
use storage::ObjectStore;

use crate::{PackagerError, named};

/// Removes the objects of a failed or cancelled video's versions, or of a re-encode that was given
/// up, so that a disk which they filled is not full until the sweeper comes. What another worker
/// stores after this is the sweeper's.
///
/// # Errors
///
/// The first failure of the store or the catalog.
pub(crate) async fn remove(
    catalog: &Catalog,
    store: &dyn ObjectStore,
    job: &Job,
) -> Result<(), PackagerError> {
    let video = job.video;
    let Some(known) = catalog.known_video(video).await? else { return Ok(()) };
    if !was_given_up(&known, job) {
        return Ok(());
    }
    let objects: Vec<_> = store.list(&ObjectKey::video_prefix(video)).try_collect().await?;
    // Asked for once more, it may have a version that was begun before some of these objects.
    let Some(known) = catalog.known_video(video).await?.filter(|again| again.state == known.state) else {
        return Ok(());
    };
    let keys = objects.into_iter().filter_map(|object| object.name.parse::<ObjectKey>().ok());
    let is_named = |key: &ObjectKey| named::version_of(key).is_none_or(|version| known.names(version));
    let keys: Vec<ObjectKey> = keys.filter(|key| !is_named(key)).collect();
    if !keys.is_empty() {
        tracing::info!("removing {} objects of what was given up", keys.len());
    }
    let removing = futures::stream::iter(keys).map(|key| async move { store.delete(&key).await });
    Ok(removing.buffer_unordered(8).try_collect().await?)
}

/// Whether what the job was a part of will not be.
fn was_given_up(known: &KnownVideo, job: &Job) -> bool {
    // The objects of a deleted video go with its row.
    !known.deleted
        && match known.state {
            VideoState::Failed { .. } => true,
            VideoState::Ready { .. } => job.work.version().is_some_and(|version| !known.names(version)),
            VideoState::Uploading | VideoState::Queued { .. } | VideoState::Packaging { .. } => false,
            // They have no jobs.
            VideoState::Event { .. } | VideoState::Ended { .. } => false,
        }
}
