//! What there was of versions that were given up.

use catalog::Catalog;
use futures::{StreamExt, TryStreamExt};
use model::{ObjectKey, VideoId, VideoState};
use storage::ObjectStore;

use crate::{PackagerError, named};

/// Removes the objects of a failed or cancelled video's versions, so that a disk which they filled
/// is not full until the sweeper comes. What another worker stores after this is the sweeper's.
///
/// # Errors
///
/// The first failure of the store or the catalog.
pub(crate) async fn remove(
    catalog: &Catalog,
    store: &dyn ObjectStore,
    video: VideoId,
) -> Result<(), PackagerError> {
    let Some(known) = catalog.known_video(video).await? else { return Ok(()) };
    // The objects of a deleted video go with its row.
    if known.deleted || !matches!(known.state, VideoState::Failed { .. }) {
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
