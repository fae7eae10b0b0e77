use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::door::Doors;
use crate::stream::Stream;

/// The address at the other end of the connection, in the extensions of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// A path token has at most 2 KiB and browsers send a few cookies; 16 KiB is generous.
const MAX_HEADER_BYTES: usize = 16 << 10;

/// Bounds what a slow upload or a slow reader keeps in memory; a body that is already in memory
/// is queued by reference and does not count.
const MAX_BUFFER_BYTES: usize = 64 << 10;

/// How one connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// By itself.
    Finished,
    /// Because the drain's time was over.
    Dropped,
}

/// Serves one connection until its end; after `told` it takes no further request, at `dropped`
/// it is cut.
pub(crate) async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    doors: Doors,
    header_timeout: Duration,
    told: CancellationToken,
    dropped: CancellationToken,
) -> Ended {
    let stream = Stream::new(stream);
    let departure = stream.departure();
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        request.extensions_mut().insert(departure.clone());
        let doors = doors.clone();
        async move { Ok::<_, Infallible>(doors.serve(request).await) }
    });
    let connection = http1::Builder::new()
        // Without a timer hyper leaves the header timeout off, silently in some versions.
        .timer(TokioTimer::new())
        // Also the longest idle time between two requests: hyper counts from the moment it
        // begins to wait for a head.
        .header_read_timeout(header_timeout)
        .max_header_size(MAX_HEADER_BYTES)
        .max_buf_size(MAX_BUFFER_BYTES)
        .keep_alive(true)
        // A client that has sent its request may close its half and still read the answer.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);

    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = told.cancelled() => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = dropped.cancelled() => return Ended::Dropped,
            }
        }
    };
    if let Err(error) = ended {
        // Clients go away and send rubbish all the time; what a door could not do, it logged.
        tracing::debug!(error = &error as &dyn std::error::Error, "connection ended early");
    }
    Ended::Finished
}
