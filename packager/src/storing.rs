//! The objects of one attempt on their way to the store.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, FuturesUnordered, StreamExt};
use model::ObjectKey;
use storage::{ObjectStore, StorageError};

use crate::backoff;

/// Objects on their way at a time: enough to hide a far store's latency, few enough that the
/// scratch folder holds minutes of media and not hours.
const AT_ONCE: usize = 4;
/// How long the removal of an abandoned version's objects may keep a worker.
const TIDY: Duration = Duration::from_secs(10);

/// Something to be stored.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) key: ObjectKey,
    pub(crate) content: Content,
}

/// Where its bytes are.
#[derive(Debug)]
pub(crate) enum Content {
    /// In memory.
    Bytes(Bytes),
    /// In the scratch folder.
    File {
        /// The file, which the store takes over.
        path: PathBuf,
        /// Its length.
        size_bytes: u64,
    },
}

/// Stores objects while others are made.
pub(crate) struct Storing {
    store: Arc<dyn ObjectStore>,
    on_their_way: FuturesUnordered<BoxFuture<'static, Result<(), StorageError>>>,
    /// All that were ever begun: whether they arrived or not, they are this attempt's.
    keys: Vec<ObjectKey>,
}

impl Storing {
    pub(crate) fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self { store, on_their_way: FuturesUnordered::new(), keys: Vec::new() }
    }

    /// Begins to store an object; a store that is away is asked again for some minutes.
    pub(crate) fn begin(&mut self, Object { key, content }: Object) {
        self.keys.push(key);
        let store = self.store.clone();
        self.on_their_way.push(Box::pin(async move {
            match content {
                Content::Bytes(bytes) => {
                    backoff::insist(backoff::WRITE, || store.put(&key, bytes.clone())).await
                }
                Content::File { path, size_bytes } => {
                    backoff::insist(backoff::WRITE, || put_file(&*store, &key, &path, size_bytes)).await
                }
            }
        }));
    }

    /// Whether so many are on their way that no more should be made.
    pub(crate) fn is_full(&self) -> bool {
        self.on_their_way.len() >= AT_ONCE
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.on_their_way.is_empty()
    }

    /// Waits until one more has arrived; may be dropped and called again.
    pub(crate) async fn one(&mut self) -> Result<(), StorageError> {
        self.on_their_way.next().await.unwrap_or(Ok(()))
    }

    /// Waits until all have arrived.
    pub(crate) async fn all(&mut self) -> Result<(), StorageError> {
        while !self.is_idle() {
            self.one().await?;
        }
        Ok(())
    }

    /// Removes them as far as that goes quickly: a disk that an attempt filled must not stay full
    /// until the sweeper comes.
    pub(crate) async fn remove(self) {
        let Self { store, on_their_way, keys } = self;
        drop(on_their_way);
        let store = &store;
        let removing = stream::iter(keys).for_each_concurrent(8, |key| async move {
            if let Err(error) = store.delete(&key).await {
                tracing::debug!(%error, "left `{key}` to the sweeper");
            }
        });
        _ = tokio::time::timeout(TIDY, removing).await;
    }
}

/// Stores a file. A try whose answer was lost took the file over: then the object is there, and
/// its key, which holds its hash, says that it is the same.
async fn put_file(
    store: &dyn ObjectStore,
    key: &ObjectKey,
    path: &Path,
    size_bytes: u64,
) -> Result<(), StorageError> {
    match store.put_file(key, path).await {
        Err(error) => match store.size(key).await {
            Ok(Some(size)) if size == size_bytes => Ok(()),
            _ => Err(error),
        },
        stored => stored,
    }
}
