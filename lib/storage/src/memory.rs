use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use model::{Clock, ObjectKey, SystemClock, Timestamp};

use crate::{Listed, ObjectStore, Operation, StorageError};

/// Objects in memory, for tests.
#[derive(Debug)]
pub struct Memory {
    objects: Mutex<BTreeMap<String, Object>>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, Clone)]
struct Object {
    bytes: Bytes,
    modified: Timestamp,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(Arc::new(SystemClock))
    }
}

impl Memory {
    /// An empty store whose objects are dated by `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { objects: Mutex::default(), clock }
    }

    fn objects(&self) -> MutexGuard<'_, BTreeMap<String, Object>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn found(&self, key: &ObjectKey) -> Option<Bytes> {
        self.objects().get(&key.to_string()).map(|object| object.bytes.clone())
    }
}

#[async_trait]
impl ObjectStore for Memory {
    async fn put(&self, key: &ObjectKey, bytes: Bytes) -> Result<(), StorageError> {
        let modified = self.clock.now();
        self.objects().insert(key.to_string(), Object { bytes, modified });
        Ok(())
    }

    async fn put_file(&self, key: &ObjectKey, file: &Path) -> Result<(), StorageError> {
        let failed = |error| StorageError::io(Operation::Put, key, error);
        let bytes = tokio::fs::read(file).await.map_err(failed)?;
        self.put(key, bytes.into()).await?;
        tokio::fs::remove_file(file).await.map_err(failed)
    }

    async fn get(&self, key: &ObjectKey) -> Result<Bytes, StorageError> {
        self.found(key).ok_or_else(|| StorageError::absent(Operation::Get, key))
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, StorageError> {
        let bytes = self.get(key).await?;
        let size = bytes.len() as u64;
        if range.start > range.end || range.end > size {
            return Err(StorageError::range(key, &range, size));
        }
        Ok(bytes.slice(range.start as usize..range.end as usize))
    }

    async fn size(&self, key: &ObjectKey) -> Result<Option<u64>, StorageError> {
        Ok(self.found(key).map(|bytes| bytes.len() as u64))
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), StorageError> {
        self.objects().remove(&key.to_string());
        Ok(())
    }

    fn list<'a>(&'a self, prefix: &str) -> BoxStream<'a, Result<Listed, StorageError>> {
        let listed: Vec<_> = self
            .objects()
            .range(prefix.to_owned()..)
            .take_while(|(name, _)| name.starts_with(prefix))
            .map(|(name, object)| {
                let size_bytes = object.bytes.len() as u64;
                Ok(Listed { name: name.clone(), size_bytes, modified: object.modified })
            })
            .collect();
        stream::iter(listed).boxed()
    }
}
