//! The chunks of one job on their way to the store.

use std::path::Path;
use std::sync::Arc;

use cmaf::GrowingIndex;
use futures::future::{BoxFuture, try_join_all};
use futures::stream::{FuturesUnordered, StreamExt};
use model::ObjectKey;
use storage::{ObjectStore, StorageError};

use crate::output::Batch;
use crate::rendition::Piece;
use crate::{backoff, faults};

/// Batches on their way at a time: enough to hide a far store's latency, few enough that the
/// scratch folder holds minutes of media and not hours.
const AT_ONCE: usize = 4;

/// Stores chunks while others are made.
pub(crate) struct Storing<'a> {
    store: &'a Arc<dyn ObjectStore>,
    growing: &'a GrowingIndex,
    on_their_way: FuturesUnordered<BoxFuture<'a, Result<Batch, StorageError>>>,
}

impl<'a> Storing<'a> {
    pub(crate) fn new(store: &'a Arc<dyn ObjectStore>, growing: &'a GrowingIndex) -> Self {
        Self { store, growing, on_their_way: FuturesUnordered::new() }
    }

    /// Begins to store a batch; a store that is away is asked again for some minutes.
    pub(crate) fn begin(&mut self, batch: Batch) {
        let (store, growing) = (self.store, self.growing);
        self.on_their_way.push(Box::pin(async move {
            faults::at(faults::BEFORE_PUT);
            if !faults::skips_put() {
                try_join_all(batch.pieces.iter().map(|piece| put_piece(store, growing, piece))).await?;
            }
            faults::at(faults::STORED);
            Ok(batch)
        }));
    }

    /// Whether so many are on their way that no more should be made.
    pub(crate) fn is_full(&self) -> bool {
        self.on_their_way.len() >= AT_ONCE
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.on_their_way.is_empty()
    }

    /// Waits until one more has arrived; `None` when none is on its way. May be dropped and
    /// called again.
    pub(crate) async fn one(&mut self) -> Option<Result<Batch, StorageError>> {
        self.on_their_way.next().await
    }
}

async fn put_piece(
    store: &Arc<dyn ObjectStore>,
    growing: &GrowingIndex,
    Piece { rendition, chunk, file }: &Piece,
) -> Result<(), StorageError> {
    let key = growing.chunk_key(*rendition, chunk);
    backoff::insist(backoff::WRITE, || put_file(&**store, &key, file, chunk.size_bytes)).await
}

/// Stores a file. A try whose answer was lost took the file over: then the object is there, and
/// its key, which holds its hash, says that it is the same.
pub(crate) async fn put_file(
    store: &dyn ObjectStore,
    key: &ObjectKey,
    file: &Path,
    size_bytes: u64,
) -> Result<(), StorageError> {
    match store.put_file(key, file).await {
        Err(error) => match store.size(key).await {
            Ok(Some(size)) if size == size_bytes => Ok(()),
            _ => Err(error),
        },
        stored => stored,
    }
}
