//! Earlier versions that were replaced, once nobody can have a grant for them any more.

use catalog::Catalog;
use futures::TryStreamExt;
use model::{ObjectKey, Timestamp};
use storage::ObjectStore;

use crate::PackagerError;
use crate::sweep::Swept;

/// Removes the objects of outlived versions, and then their rows: what a crash leaves is removed
/// the next time.
///
/// # Errors
///
/// The first failure of the store or the catalog.
pub(crate) async fn remove(
    catalog: &Catalog,
    store: &dyn ObjectStore,
    now: Timestamp,
) -> Result<Swept, PackagerError> {
    let mut swept = Swept::default();
    for (video, version) in catalog.outlived_versions(now).await? {
        let objects: Vec<_> = store.list(&ObjectKey::version_prefix(video, version)).try_collect().await?;
        for object in objects {
            let Ok(key) = object.name.parse::<ObjectKey>() else { continue };
            store.delete(&key).await?;
            swept.objects += 1;
            swept.bytes += object.size_bytes;
        }
        catalog.forget_version(version, now).await?;
        tracing::info!(video.id = %video, version.id = %version, "removed the earlier version `{version}`");
    }
    Ok(swept)
}
