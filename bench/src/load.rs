//! A load client that costs less than any server: blocking threads, requests written beforehand,
//! and bodies that the kernel throws away (`MSG_TRUNC`, tcp(7)) instead of copying them here.

use std::io::{Read, Write};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use socket2::{Domain, Socket, Type};

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
    /// What.
    pub(crate) targets: &'a [Target],
    /// With which grants, in turn, one for each connection; none sends no `Authorization`.
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
    /// Half of the requests took at most this.
    pub(crate) p50: Duration,
    /// And 99 % at most this.
    pub(crate) p99: Duration,
}

impl Load<'_> {
    /// Carries the load out; any wrong answer ends it.
    pub(crate) fn run(&self) -> anyhow::Result<Done> {
        let left = AtomicU64::new(self.requests);
        let begin = Instant::now();
        let threads = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.connections)
                .map(|n| (n, &left))
                .map(|(n, left)| scope.spawn(move || self.connection(n, left)))
                .collect();
            threads.into_iter().map(|thread| thread.join()).collect::<Vec<_>>()
        });
        let wall = begin.elapsed();
        let (mut bytes, mut times) = (0, Vec::new());
        for thread in threads {
            let (more, took) = thread.map_err(|_| anyhow::anyhow!("a connection's thread panicked"))??;
            bytes += more;
            times.extend(took);
        }
        times.sort();
        let at = |part: usize| times.get(times.len() * part / 100).copied().unwrap_or_default();
        Ok(Done { bytes, wall, p50: at(50), p99: at(99) })
    }

    /// Fetches everything once and compares every byte; what was cold is warm then.
    pub(crate) fn verify(&self) -> anyhow::Result<()> {
        let mut connection = self.connect()?;
        for (n, target) in self.targets.iter().enumerate() {
            connection.write_all(&self.request(n, target))?;
            let mut head = Head::read(&mut connection)?;
            head.body.resize(usize::try_from(head.len)?, 0);
            connection.read_exact(&mut head.body[head.had..])?;
            ensure!(blake3::hash(&head.body) == target.hash, "{} has other bytes", target.path);
        }
        Ok(())
    }

    fn connection(&self, n: usize, left: &AtomicU64) -> anyhow::Result<(u64, Vec<Duration>)> {
        let requests: Vec<Vec<u8>> = self.targets.iter().map(|target| self.request(n, target)).collect();
        let mut connection = self.connect()?;
        // The kernel fills none of it.
        let mut nowhere = vec![MaybeUninit::uninit(); 8 << 20];
        // A step without a common divisor visits everything in an order of its own.
        let step = (0..).map(|more| 7919 + more).find(|step| gcd(*step, requests.len()) == 1).unwrap_or(1);
        let mut at = n * 101 % requests.len();
        let (mut bytes, mut times) = (0, Vec::new());
        while left.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            let begin = Instant::now();
            connection.write_all(&requests[at])?;
            let head = Head::read(&mut connection)?;
            ensure!(head.len == self.targets[at].len, "{} has {} bytes", self.targets[at].path, head.len);
            let mut missing = head.len - head.had as u64;
            while missing > 0 {
                let window = nowhere.len().min(usize::try_from(missing)?);
                let flags = libc::MSG_TRUNC | libc::MSG_WAITALL;
                let dropped = connection.recv_with_flags(&mut nowhere[..window], flags)?;
                ensure!(dropped > 0, "{} is cut short", self.targets[at].path);
                missing -= dropped as u64;
            }
            bytes += head.len;
            times.push(begin.elapsed());
            at = (at + step) % requests.len();
        }
        Ok((bytes, times))
    }

    fn connect(&self) -> anyhow::Result<Socket> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_tcp_nodelay(true)?;
        // A server that hangs must not hang the measurement.
        socket.set_read_timeout(Some(Duration::from_secs(30)))?;
        socket.connect(&self.address.into()).with_context(|| format!("connect to {}", self.address))?;
        Ok(socket)
    }

    fn request(&self, connection: usize, target: &Target) -> Vec<u8> {
        let mut text = format!("GET {} HTTP/1.1\r\nHost: {}\r\nAccept: */*\r\n", target.path, self.address);
        if let Some(grant) = self.grants.get(connection % self.grants.len().max(1)) {
            text += &format!("Authorization: Bearer {grant}\r\n");
        }
        text += "\r\n";
        text.into_bytes()
    }
}

/// The head of an answer, and what came with it.
struct Head {
    len: u64,
    /// Bytes of the body that were read already, at the start of `body`.
    had: usize,
    body: Vec<u8>,
}

impl Head {
    fn read(connection: &mut Socket) -> anyhow::Result<Self> {
        let mut buffer = [0; 2048];
        let mut filled = 0;
        loop {
            let more = connection.read(&mut buffer[filled..])?;
            ensure!(more > 0, "the server hung up");
            filled += more;
            let Some(end) = buffer[..filled].windows(4).position(|window| window == b"\r\n\r\n") else {
                ensure!(filled < buffer.len(), "a head of more than {filled} bytes");
                continue;
            };
            let text = std::str::from_utf8(&buffer[..end])?;
            if !text.starts_with("HTTP/1.1 200") {
                bail!("the server says {}", text.lines().next().unwrap_or_default());
            }
            let length = text.lines().filter_map(|line| line.split_once(':'));
            let length = length.clone().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
            let len = length.context("an answer without length")?.1.trim().parse()?;
            let body = buffer[end + 4..filled].to_vec();
            return Ok(Self { len, had: body.len(), body });
        }
    }
}

const fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
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
        let load = Load { address: serve(&BODY), targets: &good, grants: &[], connections: 3, requests: 10 };
        assert_eq!(load.run().unwrap().bytes, 3_000_000);
        load.verify().unwrap();
        let other = [target(300_000, blake3::hash(b"other"))];
        assert!(Load { targets: &other, ..load.clone() }.verify().is_err());
        let longer = [target(300_001, blake3::hash(&BODY))];
        assert!(Load { targets: &longer, ..load }.run().is_err());
    }
}
