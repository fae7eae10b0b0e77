//! Connections that bring live streams, looked at now and then.
//!
//! A publisher sends some seventy small pieces in a second. To be woken for each costs more than to take it,
//! so once a connection has shown by its bytes what it is, the kernel gathers what comes, and it is looked at
//! in turns: the rarer, the more of them there are (docs/design/0016-looks-at-publishers.md).

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::stream::Stream;

/// What brings more than this is past its handshakes, each of whose turns would wait for a look.
const HANDSHAKE: usize = 64 << 10;
/// Read at once.
const AT_ONCE: usize = 64 << 10;
/// Whose look finds so much is looked at sooner: the kernel holds 64 KiB for a connection before it has
/// learnt that there is more, and who sends waits for room.
const MUCH: usize = 32 << 10;
/// Looks fall on so few moments that many connections have theirs together.
const GRID: Duration = Duration::from_millis(5);

/// Those of one port that are looked at.
#[derive(Debug, Clone)]
pub(crate) struct Crowd {
    members: Arc<AtomicU32>,
    began: Instant,
}

/// A connection that is gathered in time.
#[derive(Debug)]
pub(crate) struct Gathered {
    socket: Socket,
    brought: usize,
    crowd: Crowd,
}

#[derive(Debug)]
enum Socket {
    Watched(Stream),
    /// Not registered with the runtime: nothing but its looks wakes it.
    Unwatched(Unwatched),
    /// It could be neither.
    Gone,
}

#[derive(Debug)]
struct Unwatched {
    tcp: TcpStream,
    look: Pin<Box<Sleep>>,
    /// What this look found.
    found: usize,
    crowd: Crowd,
}

/// From a look that found so many bytes to the next. A lone publisher is not delayed by anything that a viewer
/// sees; three hundred wait a fifth of a second at most, and cost less than half of what they did.
fn period(members: u32, found: usize) -> Duration {
    let least = 2 * GRID;
    match found {
        MUCH.. => least,
        _ => Duration::from_micros(u64::from(members) * 667).clamp(least, 40 * GRID),
    }
}

impl Crowd {
    pub(crate) fn new() -> Self {
        Self { members: Arc::default(), began: Instant::now() }
    }

    /// When somebody is looked at next of whom a look at `now` found so many bytes.
    fn next_look(&self, now: Instant, found: usize) -> Instant {
        let at = now + period(self.members.load(Ordering::Relaxed), found);
        let behind = (at - self.began).as_nanos() % GRID.as_nanos();
        // Less than the grid's 5,000,000.
        at + GRID - Duration::from_nanos(behind as u64)
    }
}

impl Gathered {
    pub(crate) fn new(stream: Stream, crowd: Crowd) -> Self {
        Self { socket: Socket::Watched(stream), brought: 0, crowd }
    }

    /// Gathers it from now on, if it is time.
    fn turn(&mut self) -> io::Result<()> {
        if self.brought <= HANDSHAKE || !matches!(self.socket, Socket::Watched(_)) {
            return Ok(());
        }
        if let Socket::Watched(stream) = std::mem::replace(&mut self.socket, Socket::Gone) {
            self.socket = Socket::Unwatched(Unwatched::new(stream.into_std()?, &self.crowd));
        }
        Ok(())
    }
}

impl AsyncRead for Gathered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.turn()?;
        let before = into.filled().len();
        ready!(match &mut self.socket {
            Socket::Watched(stream) => Pin::new(stream).poll_read(cx, into),
            Socket::Unwatched(stream) => stream.poll_read(cx, into),
            Socket::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        })?;
        self.brought = self.brought.saturating_add(into.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Gathered {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Watched(stream) => Pin::new(stream).poll_write(cx, bytes),
            Socket::Unwatched(stream) => stream.poll_write(cx, bytes),
            Socket::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Neither kind keeps anything.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Watched(stream) => Pin::new(stream).poll_shutdown(cx),
            Socket::Unwatched(stream) => Poll::Ready(stream.tcp.shutdown(Shutdown::Write)),
            Socket::Gone => Poll::Ready(Ok(())),
        }
    }
}

impl Unwatched {
    /// Of a socket that does not block.
    fn new(tcp: TcpStream, crowd: &Crowd) -> Self {
        crowd.members.fetch_add(1, Ordering::Relaxed);
        Self { tcp, look: Box::pin(sleep_until(Instant::now())), found: 0, crowd: crowd.clone() }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let room = into.remaining().min(AT_ONCE);
        let read = ready!(self.poll_attempt(cx, |mut tcp| {
            // To be cleared only if it is new, which those of rustls and of RTMP are not.
            let read = tcp.read(into.initialize_unfilled_to(room))?;
            into.advance(read);
            Ok(read)
        }))?;
        self.found += read;
        // All of it, most likely.
        if (1..room).contains(&read) {
            self.rest();
        }
        Poll::Ready(Ok(()))
    }

    /// What is written does not wait for a look unless there is no room for it.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match (&self.tcp).write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.poll_attempt(cx, |mut tcp| tcp.write(bytes))
            }
            written => Poll::Ready(written),
        }
    }

    /// What `attempt` comes to, now or at a later look.
    fn poll_attempt<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut attempt: impl FnMut(&TcpStream) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            ready!(self.look.as_mut().poll(cx));
            match attempt(&self.tcp) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.rest(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return Poll::Ready(done),
            }
        }
    }

    fn rest(&mut self) {
        let next = self.crowd.next_look(Instant::now(), std::mem::take(&mut self.found));
        self.look.as_mut().reset(next);
    }
}

impl Drop for Unwatched {
    fn drop(&mut self) {
        self.crowd.members.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
