use std::fmt::Debug;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use model::{ObjectKey, Timestamp};

use crate::StorageError;

/// Where objects are kept: a folder, S3, or memory.
#[async_trait]
pub trait ObjectStore: Debug + Send + Sync + 'static {
    /// Stores `bytes` under `key`; they are durable when this returns.
    async fn put(&self, key: &ObjectKey, bytes: Bytes) -> Result<(), StorageError>;

    /// Stores the bytes of `file` under `key` and takes the file over: when this returns they
    /// are durable and `file` is gone. After an error the file is where it was, unless the
    /// object is already there.
    async fn put_file(&self, key: &ObjectKey, file: &Path) -> Result<(), StorageError>;

    /// The whole object; meant for small ones. `NotFound` if there is none.
    async fn get(&self, key: &ObjectKey) -> Result<Bytes, StorageError>;

    /// Exactly the bytes of `range`; kind `Range` if the object does not have all of them.
    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, StorageError>;

    /// The object's length in bytes, `None` if there is no such object.
    async fn size(&self, key: &ObjectKey) -> Result<Option<u64>, StorageError>;

    /// Removes the object; removing what is absent succeeds.
    async fn delete(&self, key: &ObjectKey) -> Result<(), StorageError>;

    /// All objects whose name begins with `prefix`, in no particular order. What is written or
    /// removed meanwhile may or may not appear.
    fn list<'a>(&'a self, prefix: &str) -> BoxStream<'a, Result<Listed, StorageError>>;

    /// The file that holds the object, where a store has files; it need not exist.
    fn local_file(&self, key: &ObjectKey) -> Option<PathBuf> {
        let _ = key;
        None
    }

    /// Writing an object in parts that survive the writer, where a store has that. Others are
    /// given a whole file.
    fn parts(&self) -> Option<&dyn Parts> {
        None
    }
}

/// Writing one object in parts, over several requests and processes (S3's multipart upload).
///
/// Nothing is to be seen of the object before [`Parts::complete_parts`].
#[async_trait]
pub trait Parts: Send + Sync {
    /// The fewest bytes of a part that is not the last.
    fn least_part_size(&self) -> u64;

    /// Begins, and gives the token that the other calls need.
    async fn start_parts(&self, key: &ObjectKey) -> Result<String, StorageError>;

    /// Stores part `number`, from 1; a part may be written again. Gives its tag.
    async fn put_part(
        &self,
        key: &ObjectKey,
        token: &str,
        number: u32,
        bytes: Bytes,
    ) -> Result<String, StorageError>;

    /// Makes the object out of `parts`, which stand in order. `NotFound` if the token is spent:
    /// the caller then looks at [`ObjectStore::size`] to see whether an earlier try arrived.
    async fn complete_parts(&self, key: &ObjectKey, token: &str, parts: &[Part]) -> Result<(), StorageError>;

    /// Forgets the parts; a token that is spent already is no error.
    async fn abort_parts(&self, key: &ObjectKey, token: &str) -> Result<(), StorageError>;

    /// All objects that were begun and neither completed nor forgotten: they take room and no
    /// listing shows them.
    async fn unfinished_parts(&self) -> Result<Vec<Unfinished>, StorageError>;
}

/// A stored part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its place, from 1.
    pub number: u32,
    /// What the store called it.
    pub tag: String,
}

/// An object whose parts wait to be completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// The name that it is to have.
    pub name: String,
    /// What the other calls need.
    pub token: String,
    /// When it was begun, by the store's clock.
    pub started: Timestamp,
}

/// An object in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name: an [`ObjectKey`] as text, or something that is not ours.
    pub name: String,
    /// Length in bytes.
    pub size_bytes: u64,
    /// When it was written, by the store's clock.
    pub modified: Timestamp,
}

#[async_trait]
impl ObjectStore for Arc<dyn ObjectStore> {
    async fn put(&self, key: &ObjectKey, bytes: Bytes) -> Result<(), StorageError> {
        self.as_ref().put(key, bytes).await
    }

    async fn put_file(&self, key: &ObjectKey, file: &Path) -> Result<(), StorageError> {
        self.as_ref().put_file(key, file).await
    }

    async fn get(&self, key: &ObjectKey) -> Result<Bytes, StorageError> {
        self.as_ref().get(key).await
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, StorageError> {
        self.as_ref().get_range(key, range).await
    }

    async fn size(&self, key: &ObjectKey) -> Result<Option<u64>, StorageError> {
        self.as_ref().size(key).await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), StorageError> {
        self.as_ref().delete(key).await
    }

    fn list<'a>(&'a self, prefix: &str) -> BoxStream<'a, Result<Listed, StorageError>> {
        self.as_ref().list(prefix)
    }

    fn local_file(&self, key: &ObjectKey) -> Option<PathBuf> {
        self.as_ref().local_file(key)
    }

    fn parts(&self) -> Option<&dyn Parts> {
        self.as_ref().parts()
    }
}
