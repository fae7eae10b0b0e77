use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connection::{self, Ended};
use crate::door::Doors;
use crate::error::ListenerError;

/// Where and how to listen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Accepting threads, each with a runtime and a socket of its own; one per core if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<NonZeroUsize>,
    /// Connections at once; further ones wait in the kernel's queue. Keep it below the process's
    /// limit of open files.
    pub max_connections: NonZeroUsize,
    /// Seconds for a request's head to arrive, and for an idle connection to stay open.
    pub header_timeout_s: NonZeroUsize,
    /// Seconds after which a connection that takes none of what is sent to it is closed.
    pub stall_timeout_s: NonZeroUsize,
    /// Seconds that answers under way have to finish when the process stops.
    pub drain_s: u32,
}

impl Default for Config {
    fn default() -> Self {
        let nonzero = |number| NonZeroUsize::new(number).expect("a default is not 0");
        Self {
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8080)),
            threads: None,
            max_connections: nonzero(8192),
            header_timeout_s: nonzero(30),
            stall_timeout_s: nonzero(120),
            drain_s: 20,
        }
    }
}

/// How a drain went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Drained {
    /// Connections that were cut because the time was over.
    pub dropped: usize,
}

/// Bound sockets, one per accepting thread, all on one address (SO_REUSEPORT).
#[derive(Debug)]
pub struct Listener {
    sockets: Vec<TcpListener>,
    address: SocketAddr,
    config: Config,
}

/// Connections that wait in the kernel for one thread; the kernel caps it at `somaxconn`.
const BACKLOG: i32 = 4096;

/// How long to wait for descriptors to be closed when there are none left.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);

impl Listener {
    /// Binds the address for all threads; accepts nothing yet, but clients may already connect.
    ///
    /// # Errors
    ///
    /// [`ListenerError::Bind`] with the address and the reason, also when another process of the
    /// same user listens there with SO_REUSEPORT.
    pub fn bind(config: &Config) -> Result<Self, ListenerError> {
        let failed = |source| ListenerError::Bind { address: config.listen, source };
        let threads =
            config.threads.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
        // SO_REUSEPORT would share the port with a second copy of this program; a socket without
        // it finds out whether the port is free.
        drop(socket(config.listen, config, false).map_err(failed)?);
        let mut address = config.listen;
        let mut sockets = Vec::with_capacity(threads);
        for _ in 0..threads {
            let socket = socket(address, config, true).map_err(failed)?;
            socket.listen(BACKLOG).map_err(failed)?;
            let socket = TcpListener::from(socket);
            address = socket.local_addr().map_err(failed)?;
            sockets.push(socket);
        }
        Ok(Self { sockets, address, config: config.clone() })
    }

    /// The address, with the port that was found if 0 was asked for.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts and serves until `stop`; then closes the sockets, tells every connection that its
    /// present answer is the last, waits for `drain_s` and cuts the rest.
    ///
    /// Dropping the future cuts everything at once.
    ///
    /// # Errors
    ///
    /// [`ListenerError::Start`] and [`ListenerError::Died`] when the machine, or a defect, takes a
    /// thread away; the others are then stopped too.
    pub async fn run(self, doors: Doors, stop: CancellationToken) -> Result<Drained, ListenerError> {
        let stop = stop.child_token();
        let abort = CancellationToken::new();
        let _abort_when_dropped = abort.clone().drop_guard();
        let seats = Arc::new(Semaphore::new(self.config.max_connections.get().min(Semaphore::MAX_PERMITS)));
        let mut threads = Vec::with_capacity(self.sockets.len());
        for (number, socket) in self.sockets.into_iter().enumerate() {
            let (done, ended) = oneshot::channel();
            let thread = Thread {
                doors: doors.clone(),
                seats: Arc::clone(&seats),
                config: self.config.clone(),
                // A child of its own: polling a token takes its lock, which no two threads share.
                stop: stop.child_token(),
                abort: abort.child_token(),
            };
            std::thread::Builder::new()
                .name(format!("door-{number}"))
                .spawn(move || {
                    let _receiver_gone = done.send(thread.run(socket));
                })
                .map_err(ListenerError::Start)?;
            threads.push(ended.map(move |ended| match ended {
                Ok(Ok(drained)) => Ok(drained),
                Ok(Err(error)) => Err(ListenerError::Start(error)),
                Err(_) => Err(ListenerError::Died(number)),
            }));
        }
        let ended = futures::future::try_join_all(threads).await?;
        Ok(Drained { dropped: ended.iter().map(|drained| drained.dropped).sum() })
    }
}

fn socket(address: SocketAddr, config: &Config, reuse_port: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(reuse_port)?;
    socket.set_nonblocking(true)?;
    // Accepted connections inherit both on Linux, which saves two calls for each.
    socket.set_tcp_nodelay(true)?;
    let stalled = Duration::from_secs(config.stall_timeout_s.get() as u64);
    socket.set_tcp_user_timeout(Some(stalled))?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// What one accepting thread needs.
struct Thread {
    doors: Doors,
    seats: Arc<Semaphore>,
    config: Config,
    stop: CancellationToken,
    abort: CancellationToken,
}

impl Thread {
    fn run(self, socket: TcpListener) -> io::Result<Drained> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.accept_until_stopped(socket))
    }

    async fn accept_until_stopped(self, socket: TcpListener) -> io::Result<Drained> {
        let socket = tokio::net::TcpListener::from_std(socket)?;
        let connections = Connections { thread: &self, tracker: TaskTracker::new(), dropped: Arc::default() };
        // Stopping comes first: a flood of connections must not put it off.
        tokio::select! {
            biased;
            () = self.stop.cancelled() => {}
            () = self.abort.cancelled() => {}
            () = connections.accept_for_ever(&socket) => {}
        }
        // Whoever is already in the kernel's queue is still served: closing the socket would
        // reset them.
        let socket = socket.into_std()?;
        while let Ok((stream, peer)) = socket.accept() {
            stream.set_nonblocking(true)?;
            connections.serve(TcpStream::from_std(stream)?, peer, None);
        }
        drop(socket);
        connections.drain().await
    }
}

/// The connections of one thread.
struct Connections<'a> {
    thread: &'a Thread,
    tracker: TaskTracker,
    dropped: Arc<AtomicUsize>,
}

impl Connections<'_> {
    async fn accept_for_ever(&self, socket: &tokio::net::TcpListener) {
        loop {
            let seat = Arc::clone(&self.thread.seats).acquire_owned().await;
            match socket.accept().await {
                Ok((stream, peer)) => self.serve(stream, peer, seat.ok()),
                Err(error) if is_exhausted(&error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "no descriptor or memory left for a connection; waiting for one to be closed"
                    );
                    tokio::time::sleep(EXHAUSTED_PAUSE).await;
                }
                // It concerns one connection that is gone before it was accepted.
                Err(_) => {}
            }
        }
    }

    fn serve(&self, stream: TcpStream, peer: SocketAddr, seat: Option<OwnedSemaphorePermit>) {
        let Thread { doors, config, stop, abort, .. } = self.thread;
        let header_timeout = Duration::from_secs(config.header_timeout_s.get() as u64);
        let served =
            connection::serve(stream, peer, doors.clone(), header_timeout, stop.clone(), abort.clone());
        let dropped = Arc::clone(&self.dropped);
        self.tracker.spawn(async move {
            if served.await == Ended::Dropped {
                dropped.fetch_add(1, Ordering::Relaxed);
            }
            drop(seat);
        });
    }

    /// Waits for all to end, and cuts those that do not in time.
    async fn drain(self) -> io::Result<Drained> {
        self.tracker.close();
        let grace = Duration::from_secs(self.thread.config.drain_s.into());
        if tokio::time::timeout(grace, self.tracker.wait()).await.is_err() {
            self.thread.abort.cancel();
            self.tracker.wait().await;
        }
        Ok(Drained { dropped: self.dropped.load(Ordering::Relaxed) })
    }
}

/// Whether `error` says that the process or the machine has run out of something, so that trying
/// again at once would only burn the core.
fn is_exhausted(error: &io::Error) -> bool {
    // Linux: ENOMEM, ENFILE, EMFILE, ENOBUFS; `io::ErrorKind` has no words for most of them.
    matches!(error.raw_os_error(), Some(12 | 23 | 24 | 105))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exhaustion_makes_the_accept_loop_wait() {
        for (code, expected) in [(12, true), (23, true), (24, true), (105, true), (103, false), (4, false)] {
            assert_eq!(is_exhausted(&io::Error::from_raw_os_error(code)), expected, "{code}");
        }
    }

    #[test]
    fn a_taken_port_is_told_with_its_address() {
        let first =
            Listener::bind(&Config { listen: ([127, 0, 0, 1], 0).into(), ..Config::default() }).unwrap();
        let second = Listener::bind(&Config { listen: first.address(), ..Config::default() }).unwrap_err();
        assert_eq!(second.to_string(), format!("listen on `{}`", first.address()));
        assert_eq!(second.kind(), model::ErrorKind::Conflict);
    }
}
