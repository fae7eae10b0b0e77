//! What was read once and does not change, kept in memory as long as there is room.

use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;

use moka::future::Cache as Reading;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use crate::error::EdgeError;

/// Bytes of a part. Parts are locked apart and each is full by itself, so small ones would let go of
/// long segments while others have room.
const PART: u64 = 256 << 20;
/// Parts at most.
const PARTS: u64 = 16;

/// What knows how many bytes it takes.
pub(crate) trait HasSize {
    /// Bytes in memory, about.
    fn size(&self) -> usize;
}

/// Values by key. To find one is all that most requests do, so that is what is cheap; whoever wants
/// what is not there waits for one read of it, together with all others who want it.
pub(crate) struct Shelf<K, V> {
    kept: Cache<K, V, BySize>,
    /// Holds nothing: it only knows who is reading what.
    reading: Reading<K, V>,
}

#[derive(Debug, Clone, Copy)]
struct BySize;

impl<K, V: HasSize> Weighter<K, V> for BySize {
    fn weight(&self, _: &K, value: &V) -> u64 {
        value.size() as u64 + 256
    }
}

impl<K, V> Shelf<K, V>
where
    K: Hash + Eq + Copy + Send + Sync + 'static,
    V: HasSize + Clone + Send + Sync + 'static,
{
    /// A shelf with room for so many bytes, in things of about `usual` bytes.
    pub(crate) fn new(bytes: u64, usual: u64) -> Self {
        let options = OptionsBuilder::new()
            .weight_capacity(bytes)
            .estimated_items_capacity(usize::try_from(bytes / usual.max(1)).unwrap_or(1).max(16))
            .shards((bytes / PART).clamp(1, PARTS) as usize)
            .build()
            .expect("both capacities are given");
        let kept =
            Cache::with_options(options, BySize, DefaultHashBuilder::default(), DefaultLifecycle::default());
        Self { kept, reading: Reading::builder().max_capacity(0).build() }
    }

    /// The value, if it is there.
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.kept.get(key)
    }

    /// Keeps a value.
    pub(crate) fn insert(&self, key: K, value: V) {
        self.kept.insert(key, value);
    }

    /// The value that `read` brings, once for all who ask for it at a time.
    pub(crate) async fn read(
        &self,
        key: K,
        read: impl Future<Output = Result<V, EdgeError>>,
    ) -> Result<V, Arc<EdgeError>> {
        let once = async {
            // It may have come meanwhile.
            if let Some(value) = self.kept.get(&key) {
                return Ok(value);
            }
            let value = read.await?;
            self.kept.insert(key, value.clone());
            Ok(value)
        };
        self.reading.try_get_with(key, once).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use bytes::Bytes;
    use futures::future::join_all;

    use super::*;

    impl HasSize for Bytes {
        fn size(&self) -> usize {
            self.len()
        }
    }

    #[tokio::test]
    async fn whoever_wants_the_same_waits_for_one_read() {
        let shelf = Shelf::<u32, Bytes>::new(1 << 20, 1 << 10);
        let reads = &AtomicU32::new(0);
        let read = |fails: bool| async move {
            reads.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            if fails { Err(EdgeError::Absent) } else { Ok(Bytes::from_static(b"x")) }
        };
        let failed = join_all((0..100).map(|_| shelf.read(1, read(true)))).await;
        assert!(failed.iter().all(Result::is_err));
        assert_eq!((reads.load(Ordering::Relaxed), shelf.get(&1)), (1, None), "a failure is not kept");
        let found = join_all((0..100).map(|_| shelf.read(1, read(false)))).await;
        assert!(found.iter().all(Result::is_ok));
        assert_eq!((reads.load(Ordering::Relaxed), shelf.get(&1)), (2, Some(Bytes::from_static(b"x"))));
    }

    #[test]
    fn it_holds_what_it_has_room_for_long_things_too() {
        let shelf = Shelf::<u32, Bytes>::new(64 << 20, 1 << 20);
        for key in 0..1000 {
            shelf.insert(key, vec![0; 6 << 20].into());
        }
        let held = (0..1000).filter_map(|key| shelf.get(&key)).map(|bytes| bytes.len()).sum::<usize>();
        assert!((24 << 20..=64 << 20).contains(&held), "{held}");
    }
}
