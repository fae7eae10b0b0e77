use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures::FutureExt;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::certificates::Certificates;
use crate::config::Config;
use crate::connection::{self, Ended, Terms};
use crate::door::Doors;
use crate::error::ListenerError;
use crate::pace::Floor;
use crate::port::{Place, Port};

/// How a drain went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Drained {
    /// Connections that were cut because the time was over.
    pub dropped: usize,
}

/// Bound ports, each with a socket per accepting thread.
#[derive(Debug)]
pub struct Listener {
    http: Port,
    https: Option<(Port, Certificates)>,
    threads: usize,
    config: Config,
}

/// How long to wait for descriptors to be closed when there are none left.
pub(crate) const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);

impl Listener {
    /// Binds the address for all threads; accepts nothing yet, but clients may already connect.
    ///
    /// # Errors
    ///
    /// [`ListenerError::Bind`] with the address and the reason, also when another process of the
    /// same user listens there with SO_REUSEPORT.
    pub fn bind(config: &Config) -> Result<Self, ListenerError> {
        Self::open(Place::At(config.listen), config)
    }

    /// [`Listener::bind`], with the port from elsewhere than `config.listen`.
    ///
    /// # Errors
    ///
    /// [`ListenerError::Bind`]; [`ListenerError::Inherit`] for a socket that does not listen.
    pub fn open(place: Place, config: &Config) -> Result<Self, ListenerError> {
        let threads =
            config.threads.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
        let http = Port::open(place, threads, config.stall_timeout())?;
        Ok(Self { http, https: None, threads, config: config.clone() })
    }

    /// A port for HTTPS beside the plain one: the same threads, doors and limits.
    ///
    /// # Errors
    ///
    /// As [`Listener::open`]; [`ListenerError::Tls`] if the machine gives no random numbers.
    pub fn with_https(self, place: Place, certificates: Certificates) -> Result<Self, ListenerError> {
        let port = Port::open(place, self.threads, self.config.stall_timeout())?;
        Ok(Self { https: Some((port, certificates)), ..self })
    }

    /// The address of the plain port, with the number that was found if 0 was asked for.
    pub const fn address(&self) -> SocketAddr {
        self.http.address
    }

    /// The address of the HTTPS port, if there is one.
    pub fn https_address(&self) -> Option<SocketAddr> {
        self.https.as_ref().map(|(port, _)| port.address)
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
        let mut doorsteps: Vec<Vec<Doorstep>> =
            self.http.sockets.into_iter().map(|socket| vec![Doorstep { socket, tls: None }]).collect();
        if let Some((port, certificates)) = self.https {
            let tls = TlsAcceptor::from(certificates.terms()?);
            for (doorsteps, socket) in doorsteps.iter_mut().zip(port.sockets) {
                doorsteps.push(Doorstep { socket, tls: Some(tls.clone()) });
            }
        }
        let mut threads = Vec::with_capacity(self.threads);
        for (number, doorsteps) in doorsteps.into_iter().enumerate() {
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
                    let _receiver_gone = done.send(thread.run(doorsteps));
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

/// One thread's socket of one port, and what its clients are to speak first.
struct Doorstep<S = TcpListener> {
    socket: S,
    tls: Option<TlsAcceptor>,
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
    fn run(self, doorsteps: Vec<Doorstep>) -> io::Result<Drained> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.accept_until_stopped(doorsteps))
    }

    async fn accept_until_stopped(self, doorsteps: Vec<Doorstep>) -> io::Result<Drained> {
        let listening = |Doorstep { socket, tls }| {
            Ok(Doorstep { socket: tokio::net::TcpListener::from_std(socket)?, tls })
        };
        let doorsteps = doorsteps.into_iter().map(listening).collect::<io::Result<Vec<_>>>()?;
        let tracker = TaskTracker::new();
        let terms = Arc::new(Terms {
            doors: self.doors,
            header_timeout: self.config.header_timeout(),
            floor: Floor { bytes_per_s: self.config.min_bytes_per_s, window: self.config.stall_timeout() },
            proxies: self.config.proxy_protocol_from,
            told: self.stop.clone(),
            dropped: self.abort.clone(),
            tracker: tracker.clone(),
        });
        let connections = Connections { seats: self.seats, terms, tracker, dropped: Arc::default() };
        // Stopping comes first: a flood of connections must not put it off.
        tokio::select! {
            biased;
            () = self.stop.cancelled() => {}
            () = self.abort.cancelled() => {}
            () = connections.accept_for_ever(&doorsteps) => {}
        }
        // Whoever is already in the kernel's queue is still served: closing the socket would
        // reset them.
        for Doorstep { socket, tls } in doorsteps {
            let socket = socket.into_std()?;
            while let Ok((stream, peer)) = socket.accept() {
                stream.set_nonblocking(true)?;
                connections.serve(TcpStream::from_std(stream)?, peer, tls.clone(), None);
            }
        }
        connections.drain(Duration::from_secs(self.config.drain_s.into())).await
    }
}

/// The connections of one thread.
struct Connections {
    seats: Arc<Semaphore>,
    terms: Arc<Terms>,
    tracker: TaskTracker,
    dropped: Arc<AtomicUsize>,
}

impl Connections {
    async fn accept_for_ever(&self, doorsteps: &[Doorstep<tokio::net::TcpListener>]) {
        // Whose turn it is to be looked at first: a flood at one port must not close the other.
        let mut first = 0;
        loop {
            let seat = Arc::clone(&self.seats).acquire_owned().await;
            first = (first + 1) % doorsteps.len();
            let accepted = poll_fn(|cx| {
                for doorstep in doorsteps.iter().cycle().skip(first).take(doorsteps.len()) {
                    if let Poll::Ready(accepted) = doorstep.socket.poll_accept(cx) {
                        return Poll::Ready(accepted.map(|accepted| (accepted, &doorstep.tls)));
                    }
                }
                Poll::Pending
            });
            match accepted.await {
                Ok(((stream, peer), tls)) => self.serve(stream, peer, tls.clone(), seat.ok()),
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

    fn serve(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        tls: Option<TlsAcceptor>,
        seat: Option<OwnedSemaphorePermit>,
    ) {
        let served = connection::serve(stream, peer, tls, Arc::clone(&self.terms));
        let dropped = Arc::clone(&self.dropped);
        self.tracker.spawn(async move {
            if served.await == Ended::Dropped {
                dropped.fetch_add(1, Ordering::Relaxed);
            }
            drop(seat);
        });
    }

    /// Waits for all to end, and cuts those that do not in time.
    async fn drain(self, grace: Duration) -> io::Result<Drained> {
        self.tracker.close();
        if tokio::time::timeout(grace, self.tracker.wait()).await.is_err() {
            self.terms.dropped.cancel();
            self.tracker.wait().await;
        }
        Ok(Drained { dropped: self.dropped.load(Ordering::Relaxed) })
    }
}

/// Whether `error` says that the process or the machine has run out of something, so that trying
/// again at once would only burn the core.
pub(crate) fn is_exhausted(error: &io::Error) -> bool {
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
