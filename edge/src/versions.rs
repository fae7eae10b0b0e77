//! What versions consist of, and their playlists: small things that are read once.

use std::sync::Arc;

use cmaf::VersionIndex;
use model::{ErrorKind, ObjectKey, RenditionName, VersionId, VideoId};
use moka::future::Cache;
use storage::ObjectStore;

use crate::document::Document;
use crate::error::EdgeError;
use crate::playlist;

/// Indexes and media playlists, each read or written once for all who wait for it.
pub(crate) struct Versions {
    store: Arc<dyn ObjectStore>,
    indexes: Cache<(VideoId, VersionId), Arc<VersionIndex>>,
    playlists: Cache<(VersionId, RenditionName), Document>,
}

impl Versions {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, bytes: u64) -> Self {
        // An index in memory is about as large as its JSON.
        let size = |index: &Arc<VersionIndex>| {
            let chunks = index.renditions.iter().flat_map(|rendition| &rendition.chunks);
            chunks.map(|chunk| 96 + 8 * chunk.segments.len()).sum::<usize>() + 1024
        };
        Self {
            store,
            indexes: Cache::builder()
                .max_capacity(bytes / 2)
                .weigher(move |_, index| weight(size(index)))
                .build(),
            playlists: Cache::builder()
                .max_capacity(bytes / 2)
                .weigher(|_, playlist: &Document| weight(playlist.size()))
                .build(),
        }
    }

    /// The index of a version; absent if there is no such version.
    pub(crate) async fn index(
        &self,
        video: VideoId,
        version: VersionId,
    ) -> Result<Arc<VersionIndex>, Arc<EdgeError>> {
        if let Some(index) = self.indexes.get(&(video, version)).await {
            return Ok(index);
        }
        self.indexes.try_get_with((video, version), self.read(video, version)).await
    }

    async fn read(&self, video: VideoId, version: VersionId) -> Result<Arc<VersionIndex>, EdgeError> {
        let key = ObjectKey::Index { video, version };
        let json = self.store.get(&key).await.map_err(|source| match source.kind() {
            ErrorKind::NotFound => EdgeError::Absent,
            _ => EdgeError::Read { key: key.into(), source },
        })?;
        let index = VersionIndex::from_json(&json)
            .map_err(|source| EdgeError::Unreadable { key: key.into(), source })?;
        // An index that was put in another's place would hand out another film.
        if (index.video, index.version) != (video, version) {
            return Err(EdgeError::Damaged { key: key.into() });
        }
        Ok(Arc::new(index))
    }

    /// The playlist of one rendition.
    pub(crate) async fn playlist(
        &self,
        index: &VersionIndex,
        name: RenditionName,
    ) -> Result<Document, EdgeError> {
        let key = (index.version, name);
        if let Some(playlist) = self.playlists.get(&key).await {
            return Ok(playlist);
        }
        let rendition = index.rendition(name).ok_or(EdgeError::Absent)?;
        Ok(self.playlists.get_with(key, async { Document::new(playlist::media(rendition)) }).await)
    }
}

/// For weighers, which count in 32 bits.
pub(crate) fn weight(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
