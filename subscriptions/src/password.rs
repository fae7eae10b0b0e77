use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

use crate::SubscriptionsError;

/// Memory in KiB, passes and lanes of argon2id: the least that OWASP's password storage advice
/// allows, because sign-ins share their machine with video.
const COST: (u32, u32, u32) = (19_456, 2, 1);

/// Characters that a password has at least.
pub const MIN_PASSWORD: usize = 8;
/// Bytes that a password has at most; longer ones are refused, never cut.
const MAX_BYTES: usize = 1024;

/// A password that is too short or too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a password has at least 8 characters and at most 1024 bytes")]
pub struct InvalidPassword;

/// Refuses what is not worth hashing.
pub(crate) fn check(password: &str) -> Result<(), InvalidPassword> {
    let fits = password.chars().count() >= MIN_PASSWORD && password.len() <= MAX_BYTES;
    if fits { Ok(()) } else { Err(InvalidPassword) }
}

/// How many wait for each that hashes: some four seconds.
const WAITING_EACH: usize = 128;

/// Hashes passwords, a few at a time, on threads where nothing else waits.
#[derive(Debug, Clone)]
pub(crate) struct Hasher {
    slots: Arc<Semaphore>,
    /// Places for those who wait and those who hash. When all are taken the answer is "not now":
    /// a crowd must not make each one wait for minutes.
    places: Arc<Semaphore>,
    /// Verified in place of the hash of an account that does not exist, so that the answer takes
    /// as long.
    decoy: Arc<str>,
}

impl Hasher {
    /// A hasher that runs `at_once` hashes at a time.
    pub(crate) fn new(at_once: usize) -> Self {
        let decoy = hash(b"nobody's password", b"nobody's salt...");
        let at_once = at_once.max(1);
        let places = Arc::new(Semaphore::new(at_once * (1 + WAITING_EACH)));
        Self { slots: Arc::new(Semaphore::new(at_once)), places, decoy: decoy.into() }
    }

    /// Waits for a turn, unless too many do.
    pub(crate) async fn turn(&self) -> Result<Turn, SubscriptionsError> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| SubscriptionsError::Busy)?;
        let slot = Arc::clone(&self.slots).acquire_owned().await.expect("the semaphore is never closed");
        Ok(Turn { decoy: Arc::clone(&self.decoy), permits: [slot, place] })
    }
}

/// A turn at hashing one password.
pub(crate) struct Turn {
    decoy: Arc<str>,
    permits: [OwnedSemaphorePermit; 2],
}

impl Turn {
    /// The PHC string of `password` with `salt`.
    pub(crate) async fn hash(self, password: String, salt: [u8; 16]) -> Result<String, SubscriptionsError> {
        blocking(move || {
            let hashed = hash(password.as_bytes(), &salt);
            drop(self.permits);
            hashed
        })
        .await
    }

    /// Whether `password` is the one of `expected`; `None` takes as long and is never right.
    /// The turn is given back, for whoever must count the failure before the next one begins.
    pub(crate) async fn verify(
        self,
        password: String,
        expected: Option<String>,
    ) -> Result<(bool, Self), SubscriptionsError> {
        blocking(move || {
            let fits = verify(password.as_bytes(), expected.as_deref().unwrap_or(&self.decoy));
            (fits && expected.is_some(), self)
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, SubscriptionsError> {
    spawn_blocking(work).await.map_err(SubscriptionsError::Hashing)
}

fn argon2() -> Argon2<'static> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None).expect("the constants are within argon2's limits");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hash(password: &[u8], salt: &[u8; 16]) -> String {
    argon2()
        .hash_password_with_salt(password, salt)
        .expect("lengths of password, salt and output are within argon2's limits")
        .to_string()
}

fn verify(password: &[u8], phc: &str) -> bool {
    PasswordHash::new(phc).is_ok_and(|expected| argon2().verify_password(password, &expected).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_names_its_cost_and_fits_its_password_only() {
        let phc = hash("contraseña segura".as_bytes(), b"0123456789abcdef");
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        assert!(verify("contraseña segura".as_bytes(), &phc));
        assert!(!verify("contrasena segura".as_bytes(), &phc));
        assert!(!verify(b"", &phc) && !verify(b"x", "not a hash"));
    }

    #[test]
    fn long_passwords_count_to_their_last_byte() {
        let long = "x".repeat(MAX_BYTES);
        let phc = hash(long.as_bytes(), b"0123456789abcdef");
        assert!(verify(long.as_bytes(), &phc));
        assert!(!verify(&long.as_bytes()[..MAX_BYTES - 1], &phc));
    }

    #[test]
    fn lengths_are_counted_in_characters_and_capped_in_bytes() {
        assert_eq!(check("ñandúes"), Err(InvalidPassword));
        assert_eq!(check("ñandúes!"), Ok(()));
        assert_eq!(check(&"x".repeat(MAX_BYTES)), Ok(()));
        assert_eq!(check(&"x".repeat(MAX_BYTES + 1)), Err(InvalidPassword));
    }

    #[tokio::test]
    async fn nobody_has_the_password_of_nobody() {
        let hasher = Hasher::new(1);
        let (fits, _) = hasher.turn().await.unwrap().verify("nobody's password".into(), None).await.unwrap();
        assert!(!fits);
    }

    #[tokio::test]
    async fn a_crowd_is_told_to_come_back() {
        let hasher = Hasher::new(1);
        let turn = hasher.turn().await.unwrap();
        let mut waiting: Vec<_> = (0..WAITING_EACH).map(|_| Box::pin(hasher.turn())).collect();
        for one in &mut waiting {
            assert!(futures::poll!(one).is_pending());
        }
        assert!(matches!(hasher.turn().await, Err(SubscriptionsError::Busy)));
        drop(turn);
        assert!(waiting.remove(0).await.is_ok());
        assert!(matches!(futures::poll!(Box::pin(hasher.turn())), std::task::Poll::Pending));
    }
}
