//! Ports for streams that are not HTTP: bound, encrypted and proxied like the others, and then handed
//! over.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use ipnet::IpNet;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::either::Either;

use crate::certificates::Certificates;
use crate::config::Config;
use crate::connection::{Wire, begin};
use crate::error::ListenerError;
use crate::gathered::{Crowd, Gathered};
use crate::listener::{EXHAUSTED_PAUSE, is_exhausted};
use crate::pace::Floor;
use crate::port::{Place, Port};

/// A port of one socket.
pub struct StreamPort {
    address: SocketAddr,
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
    floor: Floor,
    proxies: Arc<[IpNet]>,
    crowd: Crowd,
}

/// A connection on which nothing was read yet.
pub struct Arrival {
    tcp: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    floor: Floor,
    proxies: Arc<[IpNet]>,
    crowd: Crowd,
}

impl StreamPort {
    /// Binds it, to be encrypted if there are `certificates`; within a tokio runtime. Of `config` hold
    /// the stall timeout, the least pace, and the proxies.
    ///
    /// # Errors
    ///
    /// [`ListenerError::Bind`], [`ListenerError::Inherit`], or [`ListenerError::Tls`].
    pub fn open(
        place: Place,
        certificates: Option<&Certificates>,
        config: &Config,
    ) -> Result<Self, ListenerError> {
        let Port { address, sockets } = Port::open(place, 1, config.stall_timeout())?;
        let socket = sockets.into_iter().map(TcpListener::from_std).next();
        let socket = socket.unwrap_or_else(|| Err(io::ErrorKind::NotFound.into()));
        let socket = socket.map_err(|source| ListenerError::Bind { address, source })?;
        let tls = certificates.map(Certificates::stream_terms).transpose()?.map(TlsAcceptor::from);
        let floor = Floor { bytes_per_s: config.min_bytes_per_s, window: config.stall_timeout() };
        let proxies = config.proxy_protocol_from.clone().into();
        Ok(Self { address, socket, tls, floor, proxies, crowd: Crowd::new() })
    }

    /// The address, with the number that was found if 0 was asked for.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the next connection. Dropping the future loses none.
    pub async fn accept(&self) -> Arrival {
        loop {
            match self.socket.accept().await {
                Ok((tcp, peer)) => {
                    let (tls, proxies) = (self.tls.clone(), Arc::clone(&self.proxies));
                    let crowd = self.crowd.clone();
                    return Arrival { tcp, peer, tls, floor: self.floor, proxies, crowd };
                }
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
}

impl Arrival {
    /// Hears a proxy out and shakes hands, each in its time: who is at the other end, and the stream. What
    /// it brings behind some 64 KiB is read some milliseconds after it came, with more of it at once.
    ///
    /// # Errors
    ///
    /// When the other end goes away, takes too long, or speaks something else.
    pub async fn open(
        self,
    ) -> io::Result<(SocketAddr, impl AsyncRead + AsyncWrite + Unpin + Send + 'static)> {
        let gathered = |stream| Gathered::new(stream, self.crowd);
        let begun = begin(self.tcp, self.peer, self.tls, self.floor, &self.proxies, |_| (), gathered);
        let (peer, wire) = begun.await?;
        let stream = match wire {
            Wire::Plain(stream) => Either::Left(stream),
            Wire::Encrypted(stream) | Wire::Http2(stream) => Either::Right(stream),
        };
        Ok((peer.0, stream))
    }
}

// No key ever stands in a log.
impl std::fmt::Debug for StreamPort {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("StreamPort").field(&self.address).finish()
    }
}
