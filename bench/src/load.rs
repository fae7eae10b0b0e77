//! A load client that costs less than any server: blocking threads, requests written beforehand,
//! and bodies that the kernel throws away (`MSG_TRUNC`, tcp(7)) instead of copying them here. Only
//! what is encrypted has to be read.

mod connection;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use rustls::ClientConfig;

pub(crate) use connection::Connection;

/// One thing to fetch, and what it should be.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Path of the request.
    pub(crate) path: String,
    /// Bytes of the body.
    pub(crate) len: u64,
    /// Their BLAKE3.
    pub(crate) hash: blake3::Hash,
}

/// What to ask for.
#[derive(Debug, Clone)]
pub(crate) struct Load<'a> {
    /// Where.
    pub(crate) address: SocketAddr,
    /// By TLS, if there is a configuration for it.
    pub(crate) tls: Option<&'a Arc<ClientConfig>>,
    /// What.
    pub(crate) targets: &'a [Target],
    /// Which of them one after the other, round and round.
    pub(crate) order: &'a [usize],
    /// With which grants, in turn, request by request; none sends no `Authorization`.
    pub(crate) grants: &'a [String],
    /// How many connections at once.
    pub(crate) connections: usize,
    /// How many requests in all.
    pub(crate) requests: u64,
}

/// How it went.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Done {
    /// Bytes of bodies.
    pub(crate) bytes: u64,
    /// From the first request to the end of the last answer.
    pub(crate) wall: Duration,
    /// 99 % of the requests took at most this, if somebody looked.
    pub(crate) p99: Option<Duration>,
}

impl Load<'_> {
    /// Carries the load out; any wrong answer ends it.
    pub(crate) fn run(&self) -> anyhow::Result<Done> {
        let next = AtomicU64::new(0);
        let begin = Instant::now();
        let threads = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..self.connections).map(|_| scope.spawn(|| self.connection(&next))).collect();
            threads.into_iter().map(|thread| thread.join()).collect::<Vec<_>>()
        });
        let wall = begin.elapsed();
        let (mut bytes, mut times) = (0, Vec::new());
        for thread in threads {
            let (more, took) = thread.map_err(|_| anyhow::anyhow!("a connection's thread panicked"))??;
            bytes += more;
            times.extend(took);
        }
        Ok(Done { bytes, wall, p99: Some(p99(times)) })
    }

    /// Fetches everything once and compares every byte; what was cold is warm then.
    pub(crate) fn verify(&self) -> anyhow::Result<()> {
        let mut connection = self.connect()?;
        for (n, target) in self.targets.iter().enumerate() {
            let mut head = connection.ask(&request(self.address, &target.path, self.grant(n)))?;
            head.succeeded()?;
            connection.read_body(&mut head)?;
            ensure!(blake3::hash(&head.body) == target.hash, "{} has other bytes", target.path);
        }
        Ok(())
    }

    /// One connection takes whatever request is the next, so that in the end the same things were
    /// asked for, whichever server answered.
    fn connection(&self, next: &AtomicU64) -> anyhow::Result<(u64, Vec<Duration>)> {
        let start = |target: &Target| request_start(self.address, &target.path).into_bytes();
        let starts: Vec<Vec<u8>> = self.targets.iter().map(start).collect();
        let ends: Vec<Vec<u8>> = match self.grants {
            [] => vec![request_end(None).into_bytes()],
            grants => grants.iter().map(|grant| request_end(Some(grant)).into_bytes()).collect(),
        };
        let mut connection = self.connect()?;
        let (mut bytes, mut times, mut request) = (0, Vec::new(), Vec::new());
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= self.requests {
                return Ok((bytes, times));
            }
            let n = usize::try_from(n)?;
            let at = self.order[n % self.order.len()];
            request.clear();
            request.extend_from_slice(&starts[at]);
            request.extend_from_slice(&ends[n % ends.len()]);
            let begin = Instant::now();
            let head = connection.ask(&request)?;
            head.succeeded()?;
            ensure!(head.len == self.targets[at].len, "{} has {} bytes", self.targets[at].path, head.len);
            connection.drop_body(&head)?;
            bytes += head.len;
            times.push(begin.elapsed());
        }
    }

    fn connect(&self) -> anyhow::Result<Connection> {
        Connection::open(self.address, Ipv4Addr::LOCALHOST, self.tls)
    }

    fn grant(&self, n: usize) -> Option<&str> {
        self.grants.get(n % self.grants.len().max(1)).map(String::as_str)
    }
}

/// A request as it goes over the line.
pub(crate) fn request(address: SocketAddr, path: &str, grant: Option<&str>) -> Vec<u8> {
    (request_start(address, path) + &request_end(grant)).into_bytes()
}

fn request_start(address: SocketAddr, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: */*\r\n")
}

fn request_end(grant: Option<&str>) -> String {
    grant.map_or("\r\n".to_owned(), |grant| format!("Authorization: Bearer {grant}\r\n\r\n"))
}

/// What 99 % of `times` are not above.
pub(crate) fn p99(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() * 99 / 100).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// Serves `body` for each request, to as many connections as come.
    fn serve(body: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for mut connection in listener.incoming().map_while(Result::ok) {
                std::thread::spawn(move || {
                    let mut request = [0; 1024];
                    while connection.read(&mut request).is_ok_and(|read| read > 0) {
                        let head = format!("HTTP/1.1 200 OK\r\ncontent-LENGTH: {}\r\n\r\n", body.len());
                        let _ = connection.write_all(&[head.as_bytes(), body].concat());
                    }
                });
            }
        });
        address
    }

    #[test]
    fn every_byte_is_counted_and_a_wrong_one_is_found() {
        static BODY: [u8; 300_000] = [7; 300_000];
        let target = |len, hash| Target { path: "/a".to_owned(), len, hash };
        let good = [target(300_000, blake3::hash(&BODY))];
        let load = Load {
            address: serve(&BODY),
            tls: None,
            targets: &good,
            order: &[0],
            grants: &[],
            connections: 3,
            requests: 10,
        };
        assert_eq!(load.run().unwrap().bytes, 3_000_000);
        load.verify().unwrap();
        let other = [target(300_000, blake3::hash(b"other"))];
        assert!(Load { targets: &other, ..load.clone() }.verify().is_err());
        let longer = [target(300_001, blake3::hash(&BODY))];
        assert!(Load { targets: &longer, ..load }.run().is_err());
    }
}
