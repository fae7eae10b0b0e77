//! Closed segments and initialisation segments, as long as there is room.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use live::Piece;
use model::{RenditionName, VersionId};

use crate::error::EdgeError;
use crate::media::Media;
use crate::metrics::Found;
use crate::shelf::Shelf;

/// Bytes of a segment, some with others.
const USUAL: u64 = 256 << 10;

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Piece(VersionId, RenditionName, Piece),
    /// A segment that was put together from its parts.
    Gathered(VersionId, RenditionName, u32),
    /// So many segments from the first.
    Joined(VersionId, RenditionName, u32, usize),
}

/// Names are never used twice, so nothing here grows old.
pub(super) struct Pieces(Shelf<Key, Media>);

impl Pieces {
    pub(super) fn new(bytes: u64) -> Self {
        Self(Shelf::new(bytes, USUAL))
    }

    /// A piece; whoever wants one that is not there waits for one `read` of it.
    pub(super) async fn piece(
        &self,
        (version, name, piece): (VersionId, RenditionName, Piece),
        read: impl Future<Output = Result<Media, EdgeError>>,
    ) -> Result<(Media, Found), Arc<EdgeError>> {
        self.get(Key::Piece(version, name, piece), read).await
    }

    /// A segment that `gather` puts together, if it can.
    pub(super) async fn gathered(
        &self,
        (version, name, msn): (VersionId, RenditionName, u32),
        gather: impl FnOnce() -> Option<Bytes>,
    ) -> Option<Media> {
        let key = Key::Gathered(version, name, msn);
        if let Some(media) = self.0.get(&key) {
            return Some(media);
        }
        let read = async { gather().map(Media::of).ok_or(EdgeError::Absent) };
        self.0.read(key, read).await.ok()
    }

    /// Segments as one, in the same way.
    pub(super) async fn joined(
        &self,
        (version, name, first, count): (VersionId, RenditionName, u32, usize),
        join: impl Future<Output = Result<Media, EdgeError>>,
    ) -> Result<(Media, Found), Arc<EdgeError>> {
        self.get(Key::Joined(version, name, first, count), join).await
    }

    async fn get(
        &self,
        key: Key,
        read: impl Future<Output = Result<Media, EdgeError>>,
    ) -> Result<(Media, Found), Arc<EdgeError>> {
        if let Some(media) = self.0.get(&key) {
            return Ok((media, Found::Memory));
        }
        Ok((self.0.read(key, read).await?, Found::Store))
    }
}
