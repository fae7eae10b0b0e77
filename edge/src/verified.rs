//! Tokens that this thread has verified: a signature costs more than the request that it comes with.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::RandomState;
use model::{Grant, SessionId};

use crate::keyring::{Keyring, TokenError};
use crate::metrics::{Metrics, Token};
use crate::strangers::Strangers;

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

    /// The grant that `token` is, from this thread's memory if it was verified before, and else if
    /// `strangers` may be verified that come from `address`.
    ///
    /// Memory holds what never changes, that the signature is good; expiry and revocation are
    /// for the caller to look at every time.
    pub(crate) fn verify(
        &self,
        token: &str,
        address: Option<IpAddr>,
        strangers: &Strangers,
        metrics: &Metrics,
    ) -> Result<Arc<Grant>, TokenError> {
        thread_local! {
            static VERIFIED: RefCell<(u64, Recent)> = RefCell::new((0, Recent::new(GENERATION)));
        }
        VERIFIED.with_borrow_mut(|(epoch, recent)| {
            if *epoch != self.number {
                (*epoch, *recent) = (self.number, Recent::new(GENERATION));
            }
            if let Some(grant) = recent.get(token) {
                return Ok(grant);
            }
            if !strangers.may_be_verified(address, token, |session| recent.knows(session)) {
                metrics.looked_at(Token::Unheard);
                return Err(TokenError::TooMany);
            }
            let grant = self.keyring.verify(token).inspect_err(|_| metrics.looked_at(Token::Forged))?;
            metrics.looked_at(Token::Verified);
            let grant = Arc::new(grant);
            recent.insert(token, Arc::clone(&grant));
            Ok(grant)
        })
    }
}

/// The tokens used last, at least one generation of them and at most two: when the young
/// generation is full it becomes the old one, and what the old one held is forgotten unless it
/// was used meanwhile.
///
/// The key is the whole token, signature included: nothing shorter identifies it. Only who has
/// the origin's key can put one here, so the hash need not withstand anybody.
struct Recent {
    size: usize,
    young: Generation,
    old: Generation,
}

#[derive(Default)]
struct Generation {
    grants: HashMap<Box<str>, Arc<Grant>, RandomState>,
    sessions: HashSet<SessionId>,
}

impl Recent {
    fn new(size: usize) -> Self {
        Self { size, young: Generation::default(), old: Generation::default() }
    }

    fn get(&mut self, token: &str) -> Option<Arc<Grant>> {
        if let Some(grant) = self.young.grants.get(token) {
            return Some(Arc::clone(grant));
        }
        let grant = self.old.grants.remove(token)?;
        self.insert(token, Arc::clone(&grant));
        Some(grant)
    }

    fn insert(&mut self, token: &str, grant: Arc<Grant>) {
        if self.young.grants.len() >= self.size {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.sessions.insert(grant.sid);
        self.young.grants.insert(token.into(), grant);
    }

    /// Whether a grant of this login was verified lately.
    fn knows(&self, session: SessionId) -> bool {
        self.young.sessions.contains(&session) || self.old.sessions.contains(&session)
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
            rewind_s: 0,
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
                let found = recent.get(&token).unwrap_or_else(|| {
                    verified += 1;
                    recent.insert(&token, Arc::new(grant(height)));
                    recent.get(&token).unwrap()
                });
                assert_eq!(found.height, height, "{token}");
            }
            assert!(recent.young.grants.len() + recent.old.grants.len() <= 8);
            assert!(recent.young.sessions.len() + recent.old.sessions.len() <= 8);
        }
        assert_eq!(verified, 101, "the regular was verified once");
        assert!(recent.knows(SessionId::from_bits(1)) && !recent.knows(SessionId::from_bits(2)));
    }
}
