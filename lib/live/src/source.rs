use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use model::{RenditionName, VersionId, VideoId};

use crate::{Event, Position, Update};

/// Where an edge gets live events from: the packager of its own process by a function call, another
/// one by way of the internal door.
///
/// What it says "no such" of is `None`; what cannot be found out now is an error.
#[async_trait]
pub trait LiveSource: Send + Sync + 'static {
    /// The event; with `newer_than` it waits, at most two seconds, for another revision than that
    /// and then says what there is.
    async fn event(
        &self,
        video: VideoId,
        version: VersionId,
        newer_than: Option<u64>,
    ) -> Result<Option<Arc<Event>>, Failure>;

    /// What is new of a rendition behind `after`; waits for it at most two seconds, and is then an
    /// empty update. With the bytes of new parts, as far as they are still in memory.
    async fn news(
        &self,
        video: VideoId,
        version: VersionId,
        rendition: RenditionName,
        after: Position,
    ) -> Result<Option<Update>, Failure>;

    /// The bytes of one piece.
    async fn bytes(
        &self,
        video: VideoId,
        version: VersionId,
        rendition: RenditionName,
        piece: Piece,
    ) -> Result<Option<Bytes>, Failure>;
}

/// Why a source could not say.
pub type Failure = Box<dyn Error + Send + Sync>;

/// A piece of a rendition that has bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Piece {
    /// Initialisation segment number n.
    Init(u32),
    /// The closed segment msn, as one.
    Segment(u32),
    /// Of segment msn the part n, from 0.
    Part(u32, u32),
}
