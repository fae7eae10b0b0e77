use std::fmt::Debug;
use std::future::Future;
use std::time::{Duration, Instant};

/// Asks again and again until `look` finds what it waits for, and returns that.
///
/// `look` returns `Ok(found)` or `Err(what it saw instead)`; after `patience` the last sight is
/// in the panic's message.
pub async fn until<T, S, F>(what: &str, patience: Duration, mut look: impl FnMut() -> F) -> T
where
    S: Debug,
    F: Future<Output = Result<T, S>>,
{
    let deadline = Instant::now() + patience;
    loop {
        match look().await {
            Ok(found) => return found,
            Err(seen) if Instant::now() >= deadline => {
                panic!("waited {} s for {what}; last saw {seen:?}", patience.as_secs())
            }
            // The pause between two looks, not a wait for anything.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
