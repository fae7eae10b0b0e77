//! A connection's TCP stream: hyper or rustls reads and writes it, and whoever keeps a request
//! waiting may learn that its client has hung up.

use std::future::pending;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::pace::{Floor, Flow};

/// The stream, for hyper and rustls.
#[derive(Debug)]
pub(crate) struct Stream {
    tcp: Arc<TcpStream>,
    /// What was read already, behind a PROXY header.
    first: Bytes,
    outflow: Flow,
}

/// Tells when the client of a request has hung up; in the extensions of requests on plain
/// connections.
///
/// With TLS and with HTTP/2 it is not needed: there a client that hangs up, or takes one request
/// back, has the future that answers it dropped.
///
/// A client may close its half once it has sent its request and still read the answer, and a
/// browser that aborts a request closes both: here they look the same. So who learns of it ends
/// a wait with some answer, and does not cut the connection.
#[derive(Debug, Clone)]
pub struct Departure(Weak<TcpStream>);

impl Stream {
    /// `first` was read already.
    pub(crate) fn new(tcp: TcpStream, first: Bytes, floor: Floor) -> Self {
        Self { tcp: Arc::new(tcp), first, outflow: Flow::new(floor) }
    }

    /// The socket, which the runtime does not watch any more; what was read already is lost.
    pub(crate) fn into_std(self) -> io::Result<std::net::TcpStream> {
        Arc::into_inner(self.tcp).ok_or(io::ErrorKind::ResourceBusy)?.into_std()
    }

    pub(crate) fn departure(&self) -> Departure {
        Departure(Arc::downgrade(&self.tcp))
    }
}

impl Departure {
    /// Waits until the client will send nothing more. With a further request behind this one it
    /// is not known, and the wait has no end.
    pub async fn happens(&self) {
        let Some(stream) = self.0.upgrade() else { return };
        match stream.peek(&mut [0]).await {
            Ok(0) | Err(_) => {}
            Ok(_) => pending().await,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.first.is_empty() {
            let len = into.remaining().min(self.first.len());
            into.put_slice(&self.first[..len]);
            self.first.advance(len);
            return Poll::Ready(Ok(()));
        }
        loop {
            ready!(self.tcp.poll_read_ready(cx))?;
            match self.tcp.try_read_buf(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read.map(drop)),
            }
        }
    }
}

impl Stream {
    fn poll_written(
        &mut self,
        cx: &mut Context<'_>,
        mut write: impl FnMut(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            if self.tcp.poll_write_ready(cx)?.is_pending() {
                return self.outflow.poll_too_slow(cx).map(Err);
            }
            match write(&self.tcp) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => {
                    if let Ok(len) = written {
                        self.outflow.moves(len);
                    }
                    return Poll::Ready(written);
                }
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_written(cx, |tcp| tcp.try_write(bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_written(cx, |tcp| tcp.try_write_vectored(bytes))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(socket2::SockRef::from(&*self.tcp).shutdown(Shutdown::Write))
    }
}
