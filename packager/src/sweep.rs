//! Removes the objects that nothing names: what killed workers left, and versions that were replaced
//! and that nobody can be watching any more.
//!
//! An object is named by its video's row (the original) or by the index of a published version.
//! While a video is being packaged all its versions are spared, and so is whatever is younger
//! than [`MIN_AGE`] or does not look like a key of ours. A catalog that knows no video at all is
//! more likely another bucket's than this one's: nothing is swept by it.

use std::time::Duration;

use catalog::{Catalog, KnownVideo};
use futures::StreamExt;
use model::{ObjectKey, Timestamp, VersionId, VideoId};
use storage::ObjectStore;

use crate::named::{self, Found};
use crate::{PackagerError, outlived};

/// Younger objects may belong to something that is just being made.
pub const MIN_AGE: Duration = Duration::from_secs(24 * 3600);

/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Objects that it removed.
    pub objects: u64,
    /// Bytes that this freed.
    pub bytes: u64,
}

/// Sweeps the whole store; `now` is measured against the ages that the store gives, and against the
/// moments at which the last grants for earlier versions end.
///
/// # Errors
///
/// The first failure of the store or the catalog; what was removed until then was rubbish.
/// `Conflict` before anything is removed, when the catalog knows no video and the store holds some.
pub async fn sweep(
    catalog: &Catalog,
    store: &dyn ObjectStore,
    now: Timestamp,
) -> Result<Swept, PackagerError> {
    refuse_stranger(catalog, store).await?;
    let mut swept = outlived::remove(catalog, store, now).await?;
    let mut judge = Judge { catalog, store, video: None, version: None };
    let mut objects = store.list(ObjectKey::ROOT);
    while let Some(object) = objects.next().await {
        let object = object?;
        let Ok(key) = object.name.parse::<ObjectKey>() else { continue };
        if now.since(object.modified) < MIN_AGE || judge.is_named(&key).await? {
            continue;
        }
        store.delete(&key).await?;
        tracing::info!("swept `{key}`, {} bytes", object.size_bytes);
        swept.objects += 1;
        swept.bytes += object.size_bytes;
    }
    Ok(swept)
}

/// Refuses a catalog to which nothing in the bucket can belong.
async fn refuse_stranger(catalog: &Catalog, store: &dyn ObjectStore) -> Result<(), PackagerError> {
    let mut objects = store.list(ObjectKey::ROOT);
    while let Some(object) = objects.next().await {
        if object?.name.parse::<ObjectKey>().is_ok() {
            // Asked behind the listing: a video's row is older than its first object.
            let videos = catalog.known_videos(None).await?;
            return if videos.is_empty() { Err(PackagerError::Stranger) } else { Ok(()) };
        }
    }
    Ok(())
}

/// Answers whether an object is named. Listings come folder by folder, so the video and the
/// index that were asked about last are mostly those that are asked about next.
struct Judge<'a> {
    catalog: &'a Catalog,
    store: &'a dyn ObjectStore,
    video: Option<(VideoId, Option<KnownVideo>)>,
    version: Option<(VersionId, Found)>,
}

impl Judge<'_> {
    async fn is_named(&mut self, key: &ObjectKey) -> Result<bool, PackagerError> {
        let id = key.video();
        if self.video.as_ref().is_none_or(|(video, _)| *video != id) {
            self.video = Some((id, self.catalog.known_video(id).await?));
        }
        let Some((_, Some(known))) = &self.video else { return Ok(false) };
        let Some(version) = named::version_of(key) else { return Ok(!known.deleted) };
        if !known.names(version) {
            return Ok(false);
        }
        if known.growing.as_ref().is_some_and(|growing| growing.version == version) {
            // A worker may be about to name it: the same bytes, made once more, have the same key.
            return Ok(true);
        }
        if self.version.as_ref().is_none_or(|(read, _)| *read != version) {
            self.version = Some((version, named::by_index(self.store, id, version).await?));
        }
        Ok(match &self.version {
            Some((_, Found::Names(names))) => names.contains_key(key),
            // A version without its index is the doctor's to report, not ours to finish off.
            _ => true,
        })
    }
}
