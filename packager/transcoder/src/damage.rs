//! How much of a file the decoders refused.

use std::sync::atomic::{AtomicU64, Ordering};

/// Frames or packets that decoders refused, counted over all threads.
#[derive(Debug, Default)]
pub(crate) struct Damage(AtomicU64);

impl Damage {
    pub(crate) fn count(&self, damaged: bool) {
        if damaged {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
