//! A caller that tries again, as every user of a store does.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use model::{ErrorKind, ObjectKey};

use crate::{Flaky, Listed, ObjectStore, Part, Parts, StorageError, Unfinished};

/// Repeats what a flaky store refuses, exactly as often as it refuses.
#[derive(Debug)]
pub(super) struct Patient<S> {
    store: Flaky<S>,
    failures: u32,
    repeated: Mutex<BTreeSet<&'static str>>,
}

impl<S> Patient<S> {
    pub(super) fn new(store: S, failures: u32) -> Self {
        Self { store: Flaky::new(store, failures), failures, repeated: Mutex::default() }
    }

    /// The methods that were refused as often as was asked for, and then worked.
    pub(super) fn repeated(&self) -> Vec<&'static str> {
        self.repeated.lock().unwrap().iter().copied().collect()
    }

    async fn again<T, W>(&self, method: &'static str, work: impl Fn() -> W) -> Result<T, StorageError>
    where
        W: Future<Output = Result<T, StorageError>>,
    {
        for _ in 0..self.failures {
            match work().await {
                Err(error) if error.kind() == ErrorKind::Unavailable => {}
                outcome => return outcome,
            }
        }
        let outcome = work().await;
        if outcome.is_ok() {
            self.repeated.lock().unwrap().insert(method);
        }
        outcome
    }
}

#[async_trait]
impl<S: ObjectStore> ObjectStore for Patient<S> {
    async fn put(&self, key: &ObjectKey, bytes: Bytes) -> Result<(), StorageError> {
        self.again("put", || self.store.put(key, bytes.clone())).await
    }

    async fn put_file(&self, key: &ObjectKey, file: &Path) -> Result<(), StorageError> {
        self.again("put_file", || self.store.put_file(key, file)).await
    }

    async fn get(&self, key: &ObjectKey) -> Result<Bytes, StorageError> {
        self.again("get", || self.store.get(key)).await
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, StorageError> {
        self.again("get_range", || self.store.get_range(key, range.clone())).await
    }

    async fn size(&self, key: &ObjectKey) -> Result<Option<u64>, StorageError> {
        self.again("size", || self.store.size(key)).await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), StorageError> {
        self.again("delete", || self.store.delete(key)).await
    }

    fn list<'a>(&'a self, prefix: &str) -> BoxStream<'a, Result<Listed, StorageError>> {
        let prefix = prefix.to_owned();
        stream::once(
            async move { self.again("list", || self.store.list(&prefix).try_collect::<Vec<_>>()).await },
        )
        .map_ok(|listed| stream::iter(listed.into_iter().map(Ok)))
        .try_flatten()
        .boxed()
    }

    fn parts(&self) -> Option<&dyn Parts> {
        self.store.parts().map(|_| self as &dyn Parts)
    }
}

#[async_trait]
impl<S: ObjectStore> Parts for Patient<S> {
    fn least_part_size(&self) -> u64 {
        self.store.least_part_size()
    }

    async fn start_parts(&self, key: &ObjectKey) -> Result<String, StorageError> {
        self.again("start_parts", || self.store.start_parts(key)).await
    }

    async fn put_part(
        &self,
        key: &ObjectKey,
        token: &str,
        number: u32,
        bytes: Bytes,
    ) -> Result<String, StorageError> {
        self.again("put_part", || self.store.put_part(key, token, number, bytes.clone())).await
    }

    async fn complete_parts(&self, key: &ObjectKey, token: &str, parts: &[Part]) -> Result<(), StorageError> {
        self.again("complete_parts", || self.store.complete_parts(key, token, parts)).await
    }

    async fn abort_parts(&self, key: &ObjectKey, token: &str) -> Result<(), StorageError> {
        self.again("abort_parts", || self.store.abort_parts(key, token)).await
    }

    async fn unfinished_parts(&self) -> Result<Vec<Unfinished>, StorageError> {
        self.again("unfinished_parts", || self.store.unfinished_parts()).await
    }
}
