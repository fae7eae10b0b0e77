//! Requests at a fixed rate, whether the server keeps up or not.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::load::Connection;

/// What is sent, how often, and what may come back.
pub(super) struct Paced<'a, F> {
    pub(super) address: SocketAddr,
    /// The loopback address of who sends.
    pub(super) from: Ipv4Addr,
    pub(super) per_s: u64,
    pub(super) connections: u64,
    /// In all.
    pub(super) requests: u64,
    /// The request of this number.
    pub(super) request: F,
    /// Statuses.
    pub(super) expected: &'a [u16],
}

impl<F: Fn(usize) -> Vec<u8> + Sync> Paced<'_, F> {
    /// Sends them all, and tells how long each took: since it was due, if the answer before it
    /// came too late to send it in time.
    pub(super) fn run(&self) -> anyhow::Result<Vec<Duration>> {
        let begin = Instant::now();
        let threads = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..self.connections).map(|n| scope.spawn(move || self.connection(n, begin))).collect();
            threads.into_iter().map(|thread| thread.join()).collect::<Vec<_>>()
        });
        let mut times = Vec::new();
        for thread in threads {
            times.extend(thread.map_err(|_| anyhow::anyhow!("a connection's thread panicked"))??);
        }
        Ok(times)
    }

    fn connection(&self, first: u64, begin: Instant) -> anyhow::Result<Vec<Duration>> {
        let mut connection = Connection::open(self.address, self.from, None)?;
        let mut times = Vec::new();
        for n in (first..self.requests).step_by(usize::try_from(self.connections)?) {
            let request = (self.request)(usize::try_from(n)?);
            let due = begin + Duration::from_secs_f64(n as f64 / self.per_s as f64);
            let started = if Instant::now() < due { wait_until(due) } else { due };
            let head = connection.ask(&request)?;
            ensure!(self.expected.contains(&head.status), "the server says {}", head.status);
            connection.drop_body(&head)?;
            times.push(started.elapsed());
        }
        Ok(times)
    }
}

/// The moment of waking up.
fn wait_until(due: Instant) -> Instant {
    loop {
        let now = Instant::now();
        match due.checked_duration_since(now).filter(|left| !left.is_zero()) {
            // Nobody unparks this thread.
            Some(left) => std::thread::park_timeout(left),
            None => return now,
        }
    }
}
