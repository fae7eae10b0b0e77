//! Which objects the rows and the indexes name: what the sweeper spares and the doctor misses.

use std::collections::BTreeMap;

use bytes::Bytes;
use cmaf::{GrowingIndex, VersionIndex};
use model::{ErrorKind, ObjectKey, VersionId, VideoId};
use storage::{ObjectStore, StorageError};

/// What is known of a version's index object.
#[derive(Debug)]
pub(crate) enum Found {
    /// It names these objects, with their lengths where it states them.
    Names(BTreeMap<ObjectKey, Option<u64>>),
    /// It is not there.
    Missing,
    /// It cannot be read.
    Unreadable(String),
}

/// Reads the index of a version.
pub(crate) async fn by_index(
    store: &dyn ObjectStore,
    video: VideoId,
    version: VersionId,
) -> Result<Found, StorageError> {
    let key = ObjectKey::Index { video, version };
    let bytes: Bytes = match store.get(&key).await {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::Missing),
        Err(error) => return Err(error),
    };
    Ok(match VersionIndex::from_json(&bytes) {
        Ok(index) if (index.video, index.version) == (video, version) => Found::Names(names(&index)),
        Ok(_) => Found::Unreadable("it is another version's".to_owned()),
        Err(error) => Found::Unreadable(error.to_string()),
    })
}

fn names(index: &VersionIndex) -> BTreeMap<ObjectKey, Option<u64>> {
    let (video, version) = (index.video, index.version);
    let mut names = BTreeMap::from([(ObjectKey::Index { video, version }, None)]);
    if index.videos().next().is_some() {
        names.insert(ObjectKey::Poster { video, version }, None);
        names.insert(ObjectKey::Thumbnail { video, version }, None);
    }
    for rendition in &index.renditions {
        let name = rendition.name;
        names.extend(
            rendition
                .formats()
                .map(|format| (index.init_key(name, format.number), Some(u64::from(format.init_size)))),
        );
        let chunks = rendition.chunks.iter();
        names.extend(chunks.map(|chunk| (index.chunk_key(rendition.name, chunk), Some(chunk.size_bytes))));
    }
    names
}

/// What the rows of a version in the making name; its pictures and its index no row names.
pub(crate) fn by_rows(growing: &GrowingIndex) -> BTreeMap<ObjectKey, Option<u64>> {
    let (video, version) = (growing.video, growing.version);
    let mut names = BTreeMap::new();
    for rendition in growing.renditions() {
        if let Some(init) = growing.announced(rendition) {
            let key = ObjectKey::Init { video, version, rendition, number: 0 };
            names.insert(key, Some(init.init_size.into()));
        }
        let chunks = growing.chunks(rendition).iter();
        names.extend(chunks.map(|chunk| (growing.chunk_key(rendition, chunk), Some(chunk.size_bytes))));
    }
    names
}

/// The version that an object is part of; `None` for an original.
pub(crate) fn version_of(key: &ObjectKey) -> Option<VersionId> {
    match *key {
        ObjectKey::Original { .. } => None,
        ObjectKey::Init { version, .. }
        | ObjectKey::Chunk { version, .. }
        | ObjectKey::Index { version, .. }
        | ObjectKey::Poster { version, .. }
        | ObjectKey::Thumbnail { version, .. } => Some(version),
    }
}
