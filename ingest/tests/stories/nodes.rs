//! Two nodes at one upload.

use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use catalog::Catalog;
use database::on_both_engines;
use futures::stream::BoxStream;
use model::{Clock, ObjectKey, UploadId};
use storage::{Listed, Memory, ObjectStore, Part, Parts, StorageError, Unfinished};

use crate::stack::{START, Setup, Stack, request};

/// A store behind which another node finishes an upload just when this one ends it.
#[derive(Debug, Default)]
struct Overtaken {
    store: Memory,
    finishes: Arc<OnceLock<(Catalog, UploadId)>>,
}

#[async_trait]
impl ObjectStore for Overtaken {
    async fn put(&self, key: &ObjectKey, bytes: Bytes) -> Result<(), StorageError> {
        self.store.put(key, bytes).await
    }
    async fn put_file(&self, key: &ObjectKey, file: &Path) -> Result<(), StorageError> {
        self.store.put_file(key, file).await
    }
    async fn get(&self, key: &ObjectKey) -> Result<Bytes, StorageError> {
        self.store.get(key).await
    }
    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, StorageError> {
        self.store.get_range(key, range).await
    }
    async fn size(&self, key: &ObjectKey) -> Result<Option<u64>, StorageError> {
        self.store.size(key).await
    }
    async fn delete(&self, key: &ObjectKey) -> Result<(), StorageError> {
        self.store.delete(key).await
    }
    fn list<'a>(&'a self, prefix: &str) -> BoxStream<'a, Result<Listed, StorageError>> {
        self.store.list(prefix)
    }
    fn parts(&self) -> Option<&dyn Parts> {
        Some(self)
    }
}

#[async_trait]
impl Parts for Overtaken {
    fn least_part_size(&self) -> u64 {
        1 << 20
    }
    async fn start_parts(&self, _: &ObjectKey) -> Result<String, StorageError> {
        unreachable!("the other node has begun them")
    }
    async fn put_part(&self, _: &ObjectKey, _: &str, _: u32, _: Bytes) -> Result<String, StorageError> {
        unreachable!("the other node has stored them")
    }
    async fn complete_parts(&self, _: &ObjectKey, _: &str, _: &[Part]) -> Result<(), StorageError> {
        unreachable!("the other node completes them")
    }
    async fn abort_parts(&self, key: &ObjectKey, _: &str) -> Result<(), StorageError> {
        self.store.put(key, Bytes::from_static(b"01234")).await?;
        let (catalog, id) = self.finishes.get().unwrap();
        catalog.complete_upload(*id, START).await.unwrap();
        Ok(())
    }
    async fn unfinished_parts(&self) -> Result<Vec<Unfinished>, StorageError> {
        Ok(Vec::new())
    }
}

on_both_engines! {
    async fn an_upload_that_another_node_finishes_keeps_its_original(test: &TestDatabase) {
        let store = Overtaken::default();
        let finishes = store.finishes.clone();
        let stack = Stack::with(test, Setup { store: Some(Arc::new(store)), ..Setup::default() }).await;
        let upload = stack.create(5).await;
        finishes.set((stack.catalog.clone(), upload.id)).unwrap();
        // The other node has every byte.
        stack.catalog.start_upload_parts(upload.id, "token").await.unwrap();
        let expires_at = stack.clock.now() + Duration::from_secs(3600);
        stack.catalog.advance_upload(upload.id, 0, 5, expires_at).await.unwrap();
        let answer = stack.send(request("DELETE", &upload.path)).await;
        assert_eq!(answer.status, 409, "{answer:?}");
        assert!(answer.body.contains("\"upload_finished\""), "{answer:?}");
        assert_eq!(stack.state(&upload).await, "queued");
        assert_eq!(stack.original(&upload).await, b"01234");
    }
}
