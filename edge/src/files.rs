//! Plain MP4 files that exist nowhere: maps onto the chunks that players stream.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use cmaf::{ChunkIndex, Piece, RenditionIndex, VersionIndex, VirtualMp4, VirtualTrack, read_chunk_index};
use futures::{StreamExt, TryStreamExt};
use model::{ObjectKey, RenditionName, VersionId};
use moka::future::Cache;
use storage::ObjectStore;

use crate::error::EdgeError;
use crate::media::MediaCache;
use crate::versions::weight;

/// Sample indexes of chunks that are read at once.
const TAILS: usize = 16;

pub(crate) struct Files {
    store: Arc<dyn ObjectStore>,
    media: Arc<MediaCache>,
    mapped: Cache<(VersionId, RenditionName), Arc<File>>,
}

/// A version's file of one picture and the sound that goes with it.
pub(crate) struct File {
    index: Arc<VersionIndex>,
    pub(crate) map: VirtualMp4,
}

impl Files {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, media: Arc<MediaCache>, bytes: u64) -> Self {
        // The head holds some 12 bytes per sample, the map some 40 per segment of 100 samples.
        let size = |file: &Arc<File>| weight(file.map.head().len() * 5 / 4 + 1024);
        let mapped = Cache::builder().max_capacity(bytes).weigher(move |_, file| size(file)).build();
        Self { store, media, mapped }
    }

    /// The file of `picture`, mapped once for all who wait for it.
    pub(crate) async fn of(
        &self,
        index: &Arc<VersionIndex>,
        picture: RenditionName,
    ) -> Result<Arc<File>, Arc<EdgeError>> {
        let key = (index.version, picture);
        if let Some(file) = self.mapped.get(&key).await {
            return Ok(file);
        }
        self.mapped.try_get_with(key, self.map(index, picture)).await
    }

    async fn map(&self, index: &Arc<VersionIndex>, picture: RenditionName) -> Result<Arc<File>, EdgeError> {
        let picture = index.rendition(picture).ok_or(EdgeError::Absent)?;
        let names: Vec<_> = [Some(picture), index.audio_for(picture.name)]
            .into_iter()
            .flatten()
            .map(|track| track.name)
            .collect();
        let mut parts = Vec::with_capacity(names.len());
        for name in &names {
            let rendition = index.rendition(*name).ok_or(EdgeError::Absent)?;
            parts.push((self.inits(index, rendition).await?, tails(&*self.store, index, rendition).await?));
        }
        let key = ObjectKey::Index { video: index.video, version: index.version };
        let index = Arc::clone(index);
        // A film's tables are megabytes: too long a computation for a thread that serves others.
        let built = tokio::task::spawn_blocking(move || {
            let tracks: Vec<_> = names
                .iter()
                .zip(&parts)
                .filter_map(|(name, (inits, chunks))| {
                    Some(VirtualTrack { rendition: index.rendition(*name)?, inits, chunks })
                })
                .collect();
            let map = VirtualMp4::build(&tracks)?;
            Ok(Arc::new(File { index: Arc::clone(&index), map }))
        });
        built
            .await
            .expect("building a map does not panic and is not aborted")
            .map_err(|source| EdgeError::Unreadable { key: key.into(), source })
    }

    async fn inits(&self, index: &VersionIndex, rendition: &RenditionIndex) -> Result<Vec<Bytes>, EdgeError> {
        let mut inits = Vec::with_capacity(rendition.changes.len() + 1);
        for format in rendition.formats() {
            let key = index.init_key(rendition.name, format.number);
            let read = self.store.get(&key).await;
            let bytes = read.map_err(|source| EdgeError::Read { key: key.into(), source })?;
            if model::ChunkHash::of(&bytes) != format.init_hash {
                return Err(EdgeError::Damaged { key: key.into() });
            }
            inits.push(bytes);
        }
        Ok(inits)
    }

    /// The bytes at the start of `range`, as many as are at hand in one place.
    pub(crate) async fn read(&self, file: &File, range: Range<u64>) -> Result<Bytes, Arc<EdgeError>> {
        let absent = || Arc::new(EdgeError::Absent);
        match file.map.piece(range).ok_or_else(absent)? {
            Piece::Head(range) => Ok(file.map.head().slice(range)),
            Piece::Object { rendition, number, range, .. } => {
                let index = &file.index;
                let rendition = index.rendition(rendition).ok_or_else(absent)?;
                let found = rendition.chunks.binary_search_by_key(&number, |chunk| chunk.number);
                let chunk = &rendition.chunks[found.map_err(|_| absent())?];
                let mut start = 0;
                for (place, segment) in chunk.segments.iter().enumerate() {
                    let end = start + u64::from(segment.size_bytes);
                    if range.start < end {
                        let object = index.chunk_key(rendition.name, chunk);
                        let (media, _) = self.media.segment((object, chunk, place)).await?;
                        let wanted = (range.start - start) as usize..(range.end.min(end) - start) as usize;
                        return Ok(media.bytes.slice(wanted));
                    }
                    start = end;
                }
                Err(absent())
            }
        }
    }
}

/// The sample indexes of all chunks of a rendition.
pub(crate) async fn tails(
    store: &dyn ObjectStore,
    index: &VersionIndex,
    rendition: &RenditionIndex,
) -> Result<Vec<ChunkIndex>, EdgeError> {
    let reads = rendition.chunks.iter().map(|chunk| async {
        let key = index.chunk_key(rendition.name, chunk);
        let tail = store.get_range(&key, chunk.index_range()).await;
        let tail = tail.map_err(|source| EdgeError::Read { key: key.into(), source })?;
        read_chunk_index(&tail).map_err(|source| EdgeError::Unreadable { key: key.into(), source })
    });
    let reads: Vec<_> = reads.collect();
    futures::stream::iter(reads).buffered(TAILS).try_collect().await
}
