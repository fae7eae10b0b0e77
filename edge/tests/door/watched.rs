//! A store that counts what is read of it, and can spoil it or keep it waiting.

use std::ops::Range;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use model::ObjectKey;
use storage::{Flaky, Listed, Memory, ObjectStore, StorageError};
use tokio::sync::watch;

/// A store that is watched.
#[derive(Debug)]
pub(crate) struct Watched<S> {
    store: S,
    reads: AtomicUsize,
    /// Objects of which every read comes back with its first bit flipped.
    spoilt: Mutex<Vec<ObjectKey>>,
    /// The object whose readers wait,
    held: watch::Sender<Option<ObjectKey>>,
    /// and how many do.
    waiting: watch::Sender<usize>,
    is_away: AtomicBool,
    /// Answers while the store is away.
    away: Flaky<Memory>,
}

impl<S> Watched<S> {
    pub(crate) fn new(store: S) -> Self {
        Self {
            store,
            reads: AtomicUsize::new(0),
            spoilt: Mutex::default(),
            held: watch::Sender::new(None),
            waiting: watch::Sender::new(0),
            is_away: AtomicBool::new(false),
            away: Flaky::new(Memory::default(), u32::MAX),
        }
    }

    /// Whether every read fails from now on.
    pub(crate) fn go_away(&self, away: bool) {
        self.is_away.store(away, Ordering::SeqCst);
    }

    /// Lets nobody read ranges of `key` until [`Watched::release`].
    pub(crate) fn hold(&self, key: ObjectKey) {
        self.held.send_replace(Some(key));
    }

    pub(crate) fn release(&self) {
        self.held.send_replace(None);
    }

    /// Waits until somebody wants what is held.
    pub(crate) async fn is_wanted(&self) {
        self.waiting.subscribe().wait_for(|waiting| *waiting > 0).await.unwrap();
    }

    pub(crate) fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    pub(crate) fn spoil(&self, key: ObjectKey) {
        self.spoilt.lock().unwrap().push(key);
    }

    fn read(&self, key: &ObjectKey, bytes: Bytes) -> Bytes {
        self.reads.fetch_add(1, Ordering::SeqCst);
        if !self.spoilt.lock().unwrap().contains(key) {
            return bytes;
        }
        let mut bytes = bytes.to_vec();
        if let Some(first) = bytes.first_mut() {
            *first ^= 0x80;
        }
        bytes.into()
    }
}

#[async_trait]
impl<S: ObjectStore> ObjectStore for Watched<S> {
    async fn put(&self, key: &ObjectKey, bytes: Bytes) -> Result<(), StorageError> {
        self.store.put(key, bytes).await
    }

    async fn put_file(&self, key: &ObjectKey, file: &Path) -> Result<(), StorageError> {
        self.store.put_file(key, file).await
    }

    async fn get(&self, key: &ObjectKey) -> Result<Bytes, StorageError> {
        let away = self.is_away.load(Ordering::SeqCst);
        let result = if away { self.away.get(key).await } else { self.store.get(key).await };
        result.map(|bytes| self.read(key, bytes)).inspect_err(|_| {
            self.reads.fetch_add(1, Ordering::SeqCst);
        })
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, StorageError> {
        if *self.held.borrow() == Some(*key) {
            self.waiting.send_modify(|waiting| *waiting += 1);
            self.held.subscribe().wait_for(|held| *held != Some(*key)).await.unwrap();
        }
        let away = self.is_away.load(Ordering::SeqCst);
        let result =
            if away { self.away.get_range(key, range).await } else { self.store.get_range(key, range).await };
        result.map(|bytes| self.read(key, bytes)).inspect_err(|_| {
            self.reads.fetch_add(1, Ordering::SeqCst);
        })
    }

    async fn size(&self, key: &ObjectKey) -> Result<Option<u64>, StorageError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.store.size(key).await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), StorageError> {
        self.store.delete(key).await
    }

    fn list<'a>(&'a self, prefix: &str) -> BoxStream<'a, Result<Listed, StorageError>> {
        self.store.list(prefix)
    }
}
