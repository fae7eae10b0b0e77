//! Bytes of media, checked before anybody gets them, the wanted ones kept in memory.
//!
//! The unit of storage and of checking is the chunk: its key ends in the hash of its bytes. The
//! unit of serving is the segment. The first segment that is wanted of a chunk reads the whole
//! chunk, checks it and keeps its segments; afterwards single segments are read again when
//! memory has let go of them. Whoever waits for the same bytes waits for one read.

use std::sync::Arc;

use bytes::Bytes;
use cmaf::ChunkRef;
use futures::{StreamExt, TryStreamExt};
use listener::ETag;
use model::{ChunkHash, ErrorKind, ObjectKey};
use moka::future::Cache;
use storage::ObjectStore;
use tokio::sync::Semaphore;

use crate::error::EdgeError;
use crate::metrics::Found;
use crate::shelf::{HasSize, Shelf};
use crate::versions::Place;

/// Bytes with their tag.
#[derive(Debug, Clone)]
pub(crate) struct Media {
    pub(crate) bytes: Bytes,
    pub(crate) etag: ETag,
}

impl Media {
    /// Bytes that are tagged with their hash.
    pub(crate) fn of(bytes: Bytes) -> Self {
        let etag = ETag::strong(&ChunkHash::of(&bytes).to_string()[..32]);
        Self { bytes, etag }
    }
}

impl HasSize for Media {
    fn size(&self) -> usize {
        self.bytes.len()
    }
}

/// What is kept in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    /// A segment, by its place in its chunk.
    Segment(ChunkHash, usize),
    /// A whole small object.
    Object(ObjectKey),
}

/// Chunks read at once: each has up to a minute of media in flight.
const FILLS: usize = 4;
/// Segments of one chunk that are read ahead of the one being hashed.
const AHEAD: usize = 4;
/// Chunks that are remembered as checked; 64 bytes each.
const CHECKED: u64 = 1 << 18;
/// Bytes of a segment, some with others.
const USUAL: u64 = 256 << 10;

pub(crate) struct MediaCache {
    store: Arc<dyn ObjectStore>,
    kept: Shelf<Key, Media>,
    checked: Cache<ChunkHash, ()>,
    fills: Semaphore,
}

impl MediaCache {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, bytes: u64) -> Self {
        Self {
            store,
            kept: Shelf::new(bytes, USUAL),
            checked: Cache::builder().max_capacity(CHECKED).build(),
            fills: Semaphore::new(FILLS),
        }
    }

    /// Segment `place` of the chunk that is `object`.
    pub(crate) async fn segment(
        &self,
        (object, chunk, place): Place<'_>,
    ) -> Result<(Media, Found), Arc<EdgeError>> {
        let key = Key::Segment(chunk.hash, place);
        if let Some(media) = self.kept.get(&key) {
            return Ok((media, Found::Memory));
        }
        if !self.checked.contains_key(&chunk.hash) {
            self.checked.try_get_with(chunk.hash, self.check(object, chunk)).await?;
        }
        let media = self.kept.read(key, self.read_segment(object, chunk, place)).await?;
        Ok((media, Found::Store))
    }

    /// An object that is served whole; checked where its hash is known.
    pub(crate) async fn object(
        &self,
        key: ObjectKey,
        hash: Option<ChunkHash>,
    ) -> Result<(Media, Found), Arc<EdgeError>> {
        if let Some(media) = self.kept.get(&Key::Object(key)) {
            return Ok((media, Found::Memory));
        }
        let read = async {
            let bytes = self.store.get(&key).await.map_err(|source| match source.kind() {
                // Pictures need not be there; what an index names must.
                ErrorKind::NotFound if hash.is_none() => EdgeError::Absent,
                _ => EdgeError::Read { key: key.into(), source },
            })?;
            let found = ChunkHash::of(&bytes);
            if hash.is_some_and(|hash| hash != found) {
                return Err(EdgeError::Damaged { key: key.into() });
            }
            Ok(Media { bytes, etag: ETag::strong(&found.to_string()[..32]) })
        };
        Ok((self.kept.read(Key::Object(key), read).await?, Found::Store))
    }

    /// Reads a chunk whole, compares its hash, and keeps its segments.
    async fn check(&self, object: ObjectKey, chunk: &ChunkRef) -> Result<(), EdgeError> {
        let _turn = self.fills.acquire().await.expect("the semaphore is never closed");
        let failed = |source| EdgeError::Read { key: object.into(), source };
        let mut at = 0;
        let segments = chunk.segments.iter().map(|segment| u64::from(segment.size_bytes));
        let ranges: Vec<_> = segments
            .chain([u64::from(chunk.index_bytes)])
            .map(|len| {
                at += len;
                at - len..at
            })
            .collect();
        let mut pieces = futures::stream::iter(ranges)
            .map(|range| self.store.get_range(&object, range))
            .buffered(AHEAD)
            .map_err(failed);
        let mut hasher = blake3::Hasher::new();
        let mut read = Vec::with_capacity(chunk.segments.len());
        while let Some(piece) = pieces.try_next().await? {
            hasher.update(&piece);
            read.push(piece);
            // A piece is hashed in less than a millisecond; others have their turn in between.
            tokio::task::yield_now().await;
        }
        let whole = self.store.size(&object).await.map_err(failed)?;
        if ChunkHash::from_blake3(hasher.finalize()) != chunk.hash || whole != Some(chunk.size_bytes) {
            return Err(EdgeError::Damaged { key: object.into() });
        }
        for (place, bytes) in read.into_iter().take(chunk.segments.len()).enumerate() {
            let media = Media { bytes, etag: segment_tag(chunk.hash, place) };
            self.kept.insert(Key::Segment(chunk.hash, place), media);
        }
        Ok(())
    }

    async fn read_segment(
        &self,
        object: ObjectKey,
        chunk: &ChunkRef,
        place: usize,
    ) -> Result<Media, EdgeError> {
        let sizes = |segments: &[cmaf::SegmentRef]| {
            segments.iter().map(|segment| u64::from(segment.size_bytes)).sum::<u64>()
        };
        let start = sizes(&chunk.segments[..place]);
        let range = start..start + u64::from(chunk.segments[place].size_bytes);
        let bytes = self
            .store
            .get_range(&object, range)
            .await
            .map_err(|source| EdgeError::Read { key: object.into(), source })?;
        Ok(Media { bytes, etag: segment_tag(chunk.hash, place) })
    }
}

/// The same on every edge: a download that was cut goes on anywhere.
fn segment_tag(chunk: ChunkHash, place: usize) -> ETag {
    ETag::strong(&format!("{}-{place}", &chunk.to_string()[..32]))
}
