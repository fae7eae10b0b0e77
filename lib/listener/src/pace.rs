//! How slow a client may be. A dead one is TCP's business (`TCP_USER_TIMEOUT`); this is about one
//! that takes a byte now and then, so that TCP sees progress and a seat is never free again.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// The least that has to move while a client is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Floor {
    /// Zero asks for nothing.
    pub(crate) bytes_per_s: u32,
    /// The time over which it is an average. Only time counts in which the client is waited for.
    pub(crate) window: Duration,
}

/// What moved so far in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Moved {
    bytes: u64,
    waited: Duration,
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// To be asked again after this much more waiting.
    Open(Duration),
    /// A new window may begin.
    Enough,
    TooSlow,
}

fn judge(moved: Moved, floor: Floor) -> Verdict {
    match floor.window.checked_sub(moved.waited) {
        Some(rest) if !rest.is_zero() => Verdict::Open(rest),
        _ if moved.bytes < floor.bytes_in(moved.waited) => Verdict::TooSlow,
        _ => Verdict::Enough,
    }
}

impl Floor {
    pub(crate) fn bytes_in(self, time: Duration) -> u64 {
        (f64::from(self.bytes_per_s) * time.as_secs_f64()) as u64
    }
}

/// One direction of a connection, or one body, held against its floor.
#[derive(Debug)]
pub(crate) struct Flow {
    floor: Floor,
    moved: Moved,
    waits_since: Option<Instant>,
    /// Made at the first wait; most connections never have one.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Flow {
    pub(crate) fn new(floor: Floor) -> Self {
        Self { floor, moved: Moved::default(), waits_since: None, timer: None }
    }

    /// Bytes moved: the client is not waited for any more.
    pub(crate) fn moves(&mut self, bytes: usize) {
        self.moved.bytes += bytes as u64;
        if let Some(since) = self.waits_since.take() {
            self.moved.waited += since.elapsed();
        }
    }

    /// The client is waited for; ready when it has been too slow.
    pub(crate) fn poll_too_slow(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.floor.bytes_per_s == 0 {
            return Poll::Pending;
        }
        loop {
            let now = Instant::now();
            let since = *self.waits_since.get_or_insert(now);
            let waited = self.moved.waited + (now - since);
            match judge(Moved { waited, ..self.moved }, self.floor) {
                Verdict::TooSlow => {
                    return Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, "the client is too slow"));
                }
                Verdict::Enough => {
                    self.moved = Moved::default();
                    self.waits_since = Some(now);
                }
                Verdict::Open(rest) => {
                    let timer =
                        self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(now + rest)));
                    // One that is early is left alone until then: setting it costs more than a look.
                    if timer.is_elapsed() {
                        timer.as_mut().reset(now + rest);
                    }
                    if timer.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_judged_when_it_has_been_waited_for_long_enough() {
        let floor = Floor { bytes_per_s: 1000, window: Duration::from_secs(10) };
        let open = |ms| Verdict::Open(Duration::from_millis(ms));
        for (bytes, waited_ms, expected) in [
            (0, 0, open(10_000)),
            (0, 9_999, open(1)),
            (0, 10_000, Verdict::TooSlow),
            (9_999, 10_000, Verdict::TooSlow),
            (10_000, 10_000, Verdict::Enough),
            // Found late, it is measured by the time that it really had.
            (10_000, 20_000, Verdict::TooSlow),
            (20_000, 20_000, Verdict::Enough),
        ] {
            let moved = Moved { bytes, waited: Duration::from_millis(waited_ms) };
            assert_eq!(judge(moved, floor), expected, "{moved:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_counts_only_while_the_client_is_waited_for() {
        let mut flow = Flow::new(Floor { bytes_per_s: 10, window: Duration::from_secs(10) });
        let second = Duration::from_secs(1);
        // A hundred windows in which the client is always there at once.
        for _ in 0..1000 {
            tokio::time::advance(second).await;
            flow.moves(1);
        }
        flow.moved = Moved::default();
        let began = Instant::now();
        let error = std::future::poll_fn(|cx| flow.poll_too_slow(cx)).await;
        assert_eq!((error.kind(), began.elapsed().as_secs()), (io::ErrorKind::TimedOut, 10));
    }
}
