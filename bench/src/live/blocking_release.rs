//! How soon everybody who waits for a playlist has it when there is something new in it.
//!
//! The waiters are connections that ask and then read nothing: when the bytes of each answer were there
//! the kernel has written down (`SO_TIMESTAMPNS`), which on loopback is when the server wrote them. So
//! no client competes with the server for the processor while it answers.

use std::io::IoSliceMut;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use nix::sys::socket::sockopt::ReceiveTimestampns;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt};

use super::Bench;
use super::capture::capture;
use super::event::Event;
use super::listing::{Listing, query};
use super::publisher::{Publisher, Publishing};
use crate::installation::{Engines, Installation, Setup};
use crate::report::{Line, quantile, say};

/// How much further ahead than the segment that grows is asked for: everybody has asked before it is there.
const AHEAD: u64 = 2;

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let mut installation = Installation::start(Setup::on(Engines::Folder))?;
    installation.configure("[http]\nmax_connections = 20000\n[packager]\nlive_cores = 0\n")?;
    let event = Event::announce(&installation)?;
    let capture = capture("640x360", 600)?;
    let publishing = bench.runtime.block_on(async {
        let publisher = Publisher::connect(installation.rtmp(), &event.key).await?;
        anyhow::Ok(publisher.send(&capture, Duration::from_millis(10)))
    })?;
    let source = event.source(&installation)?;
    let path = format!("{}{source}/playlist.m3u8", event.folder(&installation)?);
    // The window has its usual length, so that deltas are as they are later.
    std::thread::sleep(Duration::from_secs(if bench.options.quick { 14 } else { 40 }));
    let mut lines = Vec::new();
    for (waiters, releases) in [(1000, bench.size(None, 20, 3)), (10_000, bench.size(None, 10, 1))] {
        let (mut spread, mut since_packet, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
        let mut connections = connect(installation.door().address().parse()?, waiters)?;
        for _ in 0..releases {
            ensure!(!publishing.has_ended(), "the publisher was let go");
            let released = release(&installation, &path, &mut connections, &publishing)?;
            say(format!(
                "{waiters} waiters: p50 {:.1} ms, p99 {:.1} ms, last {:.1} ms, {} bytes, first {:.1} ms behind a packet",
                quantile(&released.after_first_ms, 0.5),
                quantile(&released.after_first_ms, 0.99),
                quantile(&released.after_first_ms, 1.0),
                released.bytes,
                released.first_ms,
            ));
            spread.push(quantile(&released.after_first_ms, 0.99));
            since_packet.push(released.first_ms);
            sizes.push(released.bytes as f64);
        }
        lines.push(Line::median(format!("blocking_release_p99_ms_{waiters}"), &spread));
        lines.push(Line::new(
            format!("blocking_release_p99_worst_ms_{waiters}"),
            format!("{:.1}", quantile(&spread, 1.0)),
        ));
        lines.push(Line::median(format!("blocking_release_first_ms_{waiters}"), &since_packet));
        lines.push(Line::new(format!("blocking_release_bytes_{waiters}"), quantile(&sizes, 1.0)));
    }
    Ok(lines)
}

/// One release.
struct Released {
    /// When each waiter had all of its answer, in milliseconds behind the first one's first byte.
    after_first_ms: Vec<f64>,
    /// When the first had it, behind the packet that was sent last before.
    first_ms: f64,
    /// Of an answer, its head too.
    bytes: usize,
}

fn connect(address: SocketAddr, count: usize) -> anyhow::Result<Vec<TcpStream>> {
    let connect = |_| {
        let stream = TcpStream::connect(address).context("connect a waiter")?;
        stream.set_read_timeout(Some(Duration::from_secs(15)))?;
        stream.set_nodelay(true)?;
        setsockopt(&stream, ReceiveTimestampns, &true).context("ask for timestamps")?;
        Ok(stream)
    };
    (0..count).map(connect).collect()
}

fn release(
    installation: &Installation,
    path: &str,
    connections: &mut [TcpStream],
    publishing: &Publishing,
) -> anyhow::Result<Released> {
    use std::io::Write;
    let text = installation.door().fetch(path, None)?;
    let listing = Listing::read(&String::from_utf8_lossy(&text));
    let (msn, part) = listing.hint.context("a part is made")?;
    // The segment before counts as the last one as long as nothing of the next is listed.
    let last = if part > 0 { msn } else { msn.saturating_sub(1) };
    let query = query((last + AHEAD, 0), true);
    let request = format!("GET {path}{query} HTTP/1.1\r\nHost: bench\r\nAccept: */*\r\n\r\n");
    for connection in connections.iter_mut() {
        connection.write_all(request.as_bytes()).context("ask")?;
    }
    // Nothing may have been answered while others had not asked.
    let asked = now();
    connections[0].set_nonblocking(true)?;
    while connections[0].peek(&mut [0]).is_err() {
        ensure!(now() < asked + 10.0, "nobody was answered in ten seconds");
        std::thread::sleep(Duration::from_millis(5));
    }
    connections[0].set_nonblocking(false)?;
    std::thread::sleep(Duration::from_secs(1));
    let (mut arrivals, mut bytes) = (Vec::with_capacity(connections.len()), 0);
    for connection in connections.iter() {
        let (at, size) = arrival(connection)?;
        ensure!(at >= asked, "answered before everybody had asked: the machine is too slow");
        arrivals.push(at);
        bytes = size;
    }
    let first = arrivals.iter().copied().fold(f64::INFINITY, f64::min);
    let ago = Duration::from_secs_f64((now() - first).max(0.0));
    let released = Instant::now().checked_sub(ago).context("a moment since the machine began")?;
    let sent = publishing.last_write(released).context("something was sent before")?;
    Ok(Released {
        after_first_ms: arrivals.iter().map(|at| (at - first) * 1000.0).collect(),
        first_ms: (released - sent).as_secs_f64() * 1000.0,
        bytes,
    })
}

/// Reads an answer; when its last bytes came, and how many there are.
fn arrival(connection: &TcpStream) -> anyhow::Result<(f64, usize)> {
    let mut answer = Vec::new();
    let mut at = None;
    loop {
        let mut buffer = [0_u8; 16 << 10];
        let mut slices = [IoSliceMut::new(&mut buffer)];
        let mut control = nix::cmsg_space!(nix::sys::time::TimeSpec);
        let fd = connection.as_raw_fd();
        let message = recvmsg::<()>(fd, &mut slices, Some(&mut control), MsgFlags::empty())
            .context("read an answer")?;
        for note in message.cmsgs().context("read a timestamp")? {
            if let ControlMessageOwned::ScmTimestampns(time) = note {
                at = Some(time.tv_sec() as f64 + time.tv_nsec() as f64 / 1e9);
            }
        }
        let read = message.bytes;
        ensure!(read > 0, "the server hung up: {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&buffer[..read]);
        if let Some(length) = length(&answer)? {
            ensure!(answer.len() <= length, "more than an answer");
            if answer.len() == length {
                return Ok((at.context("the kernel wrote no time down")?, length));
            }
        }
    }
}

/// Bytes of the whole answer, once its head is there.
fn length(answer: &[u8]) -> anyhow::Result<Option<usize>> {
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&answer[..end])?;
    ensure!(head.starts_with("HTTP/1.1 200"), "{head}");
    let mut headers = head.lines().filter_map(|line| line.split_once(':'));
    let length = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    Ok(Some(end + 4 + length.context("an answer has a length")?.1.trim().parse::<usize>()?))
}

/// Seconds since 1970, as the kernel writes them down.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
