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
    ///
    /// Memory holds what never changes, that the signature is good; expiry and revocation are
    /// for the caller to look at every time.
    pub(crate) fn verify(&self, token: &str) -> Result<Arc<Grant>, TokenError> {
        thread_local! {
            static VERIFIED: RefCell<(u64, Recent)> = RefCell::new((0, Recent::new(GENERATION)));
        }
        VERIFIED.with_borrow_mut(|(epoch, recent)| {
            if *epoch != self.number {
                (*epoch, *recent) = (self.number, Recent::new(GENERATION));
            }
            recent.get_or(token, || self.keyring.verify(token))
        })
    }
}

/// The tokens used last, at least one generation of them and at most two: when the young
/// generation is full it becomes the old one, and what the old one held is forgotten unless it
/// was used meanwhile.
///
/// The key is the whole token, signature included: nothing shorter identifies it.
struct Recent {
    generation: usize,
    young: HashMap<Box<str>, Arc<Grant>>,
    old: HashMap<Box<str>, Arc<Grant>>,
}

impl Recent {
    fn new(generation: usize) -> Self {
        Self { generation, young: HashMap::new(), old: HashMap::new() }
    }

    fn get_or<E>(&mut self, token: &str, verify: impl FnOnce() -> Result<Grant, E>) -> Result<Arc<Grant>, E> {
        if let Some(grant) = self.young.get(token) {
            return Ok(Arc::clone(grant));
        }
        let grant = match self.old.remove(token) {
            Some(grant) => grant,
            None => Arc::new(verify()?),
        };
        if self.young.len() >= self.generation {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(token.into(), Arc::clone(&grant));
        Ok(grant)
    }
}

#[cfg(test)]
mod tests {
    use model::{AccountId, SessionId, Tier, Uses, VersionId, VideoId};

    use super::*;

    fn grant(height: u16) -> Grant {
        Grant {
            iss: String::new(),
            aud: String::new(),
            sub: AccountId::from_bits(1),
            sid: SessionId::from_bits(1),
            tier: Tier::NONE,
            video: VideoId::from_bits(1),
            version: VersionId::from_bits(1),
            height,
            uses: Uses::PLAY,
            rate: None,
            iat: 0,
            exp: 0,
        }
    }

    #[test]
    fn what_is_used_stays_and_memory_is_bounded() {
        let mut recent = Recent::new(4);
        let mut verified = 0;
        for n in 0u16..100 {
            for (token, height) in [("regular".to_owned(), 9999), (format!("passing {n}"), n)] {
                let found = recent.get_or::<()>(&token, || {
                    verified += 1;
                    Ok(grant(height))
                });
                assert_eq!(found.unwrap().height, height, "{token}");
            }
            assert!(recent.young.len() + recent.old.len() <= 8);
        }
        assert_eq!(verified, 101, "the regular was verified once");
    }

    #[test]
    fn a_refusal_is_not_remembered() {
        let mut recent = Recent::new(4);
        assert_eq!(recent.get_or("x", || Err("forged")), Err("forged"));
        assert!(recent.get_or::<()>("x", || Ok(grant(1))).is_ok());
    }
}
