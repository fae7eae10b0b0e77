use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use model::{ErrorKind, ObjectKey};

use crate::{Listed, ObjectStore, Operation, Part, Parts, StorageError, Unfinished};

/// A store for tests that fails the first tries of every operation on every object.
#[derive(Debug)]
pub struct Flaky<S> {
    store: S,
    failures: u32,
    fault: Fault,
    tries: Mutex<HashMap<(Operation, String), u32>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Refuse,
    LoseAnswer,
}

impl<S> Flaky<S> {
    /// The first `failures` tries of each operation on each object do nothing and fail.
    pub fn new(store: S, failures: u32) -> Self {
        Self { store, failures, fault: Fault::Refuse, tries: Mutex::default() }
    }

    /// The first `failures` tries of each operation on each object have their effect, and fail
    /// nevertheless, as when a link breaks before the answer.
    pub fn losing_answers(store: S, failures: u32) -> Self {
        Self { fault: Fault::LoseAnswer, ..Self::new(store, failures) }
    }

    /// The store within.
    pub fn inner(&self) -> &S {
        &self.store
    }

    async fn tried<T>(
        &self,
        operation: Operation,
        subject: impl ToString,
        work: impl Future<Output = Result<T, StorageError>>,
    ) -> Result<T, StorageError> {
        let subject = subject.to_string();
        let fails = self.fails(operation, &subject);
        if fails && self.fault == Fault::Refuse {
            return Err(injected(operation, subject));
        }
        let result = work.await?;
        if fails { Err(injected(operation, subject)) } else { Ok(result) }
    }

    fn fails(&self, operation: Operation, subject: &str) -> bool {
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        let tries = tries.entry((operation, subject.to_owned())).or_default();
        *tries += 1;
        *tries <= self.failures
    }
}

fn injected(operation: Operation, subject: String) -> StorageError {
    StorageError::new(operation, subject, ErrorKind::Unavailable, "injected fault")
}

#[async_trait]
impl<S: ObjectStore> ObjectStore for Flaky<S> {
    async fn put(&self, key: &ObjectKey, bytes: Bytes) -> Result<(), StorageError> {
        self.tried(Operation::Put, key, self.store.put(key, bytes)).await
    }

    async fn put_file(&self, key: &ObjectKey, file: &Path) -> Result<(), StorageError> {
        self.tried(Operation::Put, key, self.store.put_file(key, file)).await
    }

    async fn get(&self, key: &ObjectKey) -> Result<Bytes, StorageError> {
        self.tried(Operation::Get, key, self.store.get(key)).await
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, StorageError> {
        self.tried(Operation::Get, key, self.store.get_range(key, range)).await
    }

    async fn size(&self, key: &ObjectKey) -> Result<Option<u64>, StorageError> {
        self.tried(Operation::Size, key, self.store.size(key)).await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), StorageError> {
        self.tried(Operation::Delete, key, self.store.delete(key)).await
    }

    fn list<'a>(&'a self, prefix: &str) -> BoxStream<'a, Result<Listed, StorageError>> {
        if self.fails(Operation::List, prefix) {
            return stream::iter([Err(injected(Operation::List, prefix.to_owned()))]).boxed();
        }
        self.store.list(prefix)
    }

    fn local_file(&self, key: &ObjectKey) -> Option<PathBuf> {
        self.store.local_file(key)
    }

    fn parts(&self) -> Option<&dyn Parts> {
        self.store.parts().map(|_| self as &dyn Parts)
    }
}

impl<S: ObjectStore> Flaky<S> {
    fn inner_parts(&self) -> &dyn Parts {
        self.store.parts().expect("`parts` gives this only for a store that has them")
    }
}

#[async_trait]
impl<S: ObjectStore> Parts for Flaky<S> {
    fn least_part_size(&self) -> u64 {
        self.inner_parts().least_part_size()
    }

    async fn start_parts(&self, key: &ObjectKey) -> Result<String, StorageError> {
        self.tried(Operation::StartParts, key, self.inner_parts().start_parts(key)).await
    }

    async fn put_part(
        &self,
        key: &ObjectKey,
        token: &str,
        number: u32,
        bytes: Bytes,
    ) -> Result<String, StorageError> {
        let subject = format!("{key} #{number}");
        self.tried(Operation::PutPart, subject, self.inner_parts().put_part(key, token, number, bytes)).await
    }

    async fn complete_parts(&self, key: &ObjectKey, token: &str, parts: &[Part]) -> Result<(), StorageError> {
        self.tried(Operation::CompleteParts, key, self.inner_parts().complete_parts(key, token, parts)).await
    }

    async fn abort_parts(&self, key: &ObjectKey, token: &str) -> Result<(), StorageError> {
        self.tried(Operation::AbortParts, key, self.inner_parts().abort_parts(key, token)).await
    }

    async fn unfinished_parts(&self) -> Result<Vec<Unfinished>, StorageError> {
        self.tried(Operation::ListParts, "", self.inner_parts().unfinished_parts()).await
    }
}
