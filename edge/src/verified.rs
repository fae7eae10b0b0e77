//! Tokens that this thread has verified: a signature costs four times what a request costs.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::Grant;

use crate::keyring::{Keyring, TokenError};

/// Verified tokens of one generation; two are kept, so a thread holds at most twice as many, of
/// about 1 KiB each.
const GENERATION: usize = 8192;

/// A set of keys with a number of its own in this process. Grants verified by one epoch are
/// forgotten in the next, so a key that was withdrawn takes its grants with it.
#[derive(Debug)]
pub(crate) struct Epoch {
    number: u64,
    keyring: Keyring,
}

impl Epoch {
    pub(crate) fn new(keyring: Keyring) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self { number: NEXT.fetch_add(1, Ordering::Relaxed), keyring }
    }

    /// The grant that `token` is, from this thread's memory if it was verified before.
    pub(crate) fn verify(&self, token: &str) -> Result<Arc<Grant>, TokenError> {
        thread_local! {
            static VERIFIED: RefCell<Verified> = RefCell::default();
        }
        VERIFIED.with_borrow_mut(|verified| verified.of(self, token))
    }
}

#[derive(Default)]
struct Verified {
    epoch: u64,
    young: HashMap<Box<str>, Arc<Grant>>,
    old: HashMap<Box<str>, Arc<Grant>>,
}

impl Verified {
    /// The key is the whole token, signature included: nothing shorter identifies it.
    fn of(&mut self, epoch: &Epoch, token: &str) -> Result<Arc<Grant>, TokenError> {
        if self.epoch != epoch.number {
            *self = Self { epoch: epoch.number, ..Self::default() };
        }
        if let Some(grant) = self.young.get(token) {
            return Ok(Arc::clone(grant));
        }
        let grant = match self.old.remove(token) {
            Some(grant) => grant,
            None => Arc::new(epoch.keyring.verify(token)?),
        };
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(token.into(), Arc::clone(&grant));
        Ok(grant)
    }
}
