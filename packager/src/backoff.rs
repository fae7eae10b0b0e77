//! Trying again what a store could not do at the moment.

use std::time::Duration;

use model::ErrorKind;
use storage::StorageError;

/// How often, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Tries in all.
    tries: u32,
    /// Wait before the second, doubled before each further one,
    first: Duration,
    /// up to this.
    longest: Duration,
}

/// For a read that a cell waits for: 6 s in all.
pub(crate) const READ: Patience =
    Patience { tries: 6, first: Duration::from_millis(200), longest: Duration::from_secs(5) };
/// For a write whose bytes took minutes to make: the store may be away for five.
pub(crate) const WRITE: Patience =
    Patience { tries: 36, first: Duration::from_millis(200), longest: Duration::from_secs(10) };

/// Does `operation` until it succeeds, fails for good, or the tries are used up.
pub(crate) async fn insist<T, F>(
    patience: Patience,
    mut operation: impl FnMut() -> F,
) -> Result<T, StorageError>
where
    F: Future<Output = Result<T, StorageError>>,
{
    let mut wait = patience.first;
    for _ in 1..patience.tries {
        match operation().await {
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                tracing::debug!(%error, wait_ms = wait.as_millis(), "store is away, trying again");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(patience.longest);
            }
            result => return result,
        }
    }
    operation().await
}
