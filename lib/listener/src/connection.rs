use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::AbortHandle;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use ipnet::IpNet;
use model::ErrorKind;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::activity::{Activity, Pieces};
use crate::authority;
use crate::body::Body;
use crate::corked::corked;
use crate::door::Doors;
use crate::metrics::{Kind, Stage};
use crate::ordinary::{self, Left};
use crate::pace::Floor;
use crate::proxy_protocol;
use crate::rewound::Rewound;
use crate::stream::{Departure, Stream};
use crate::under_way::UnderWay;

/// The address at the other end of the connection, in the extensions of every request.
///
/// An IPv4 address is one also where it came to an IPv6 socket; behind a trusted proxy it is what
/// the proxy's PROXY header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// A path token has at most 2 KiB and browsers send a few cookies; 16 KiB is generous.
pub(crate) const MAX_HEADER_BYTES: usize = 16 << 10;

/// Bounds what a slow upload or a slow reader keeps in memory; a body that is already in memory
/// is queued by reference and does not count.
const MAX_BUFFER_BYTES: usize = 64 << 10;

/// How long a trusted proxy may take to say whom it speaks for.
const PROXY_HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a TLS handshake may take, on the worst of networks.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Sixteen full records: what is encrypted ahead of the socket, and handed to it in one call. Four,
/// rustls's default, make four times as many calls; more would not stay in the core's cache.
const MAX_ENCRYPTED_BYTES: usize = 256 << 10;

/// More than a page and its player ask for at once; each may keep a request open.
const MAX_STREAMS: u32 = 128;

/// Requests that were taken back before they were answered, after which the client is sent away.
/// RFC 9113 section 10.5 asks for some such bound; the rapid reset attack (CVE-2023-44487) is why.
const MAX_RESET_STREAMS: usize = 32;

/// Streams that were reset because of what the client sent on them, before it is sent away.
const MAX_FAULTY_STREAMS: usize = 64;

/// How one connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// By itself.
    Finished,
    /// Because the drain's time was over.
    Dropped,
}

/// What all connections of a thread have in common.
pub(crate) struct Terms {
    pub(crate) doors: Doors,
    pub(crate) header_timeout: Duration,
    pub(crate) floor: Floor,
    pub(crate) proxies: Vec<IpNet>,
    /// From then on no connection takes a further request.
    pub(crate) told: CancellationToken,
    /// From then on all are cut.
    pub(crate) dropped: CancellationToken,
    /// Where the requests of an HTTP/2 connection run.
    pub(crate) tracker: TaskTracker,
}

/// Serves one connection until its end.
pub(crate) async fn serve(
    tcp: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    terms: Arc<Terms>,
) -> Ended {
    let refused = |stage| terms.doors.connections().refuse(stage);
    let began = tokio::select! {
        began = begin(tcp, peer, tls, terms.floor, &terms.proxies, refused, |stream| stream) => began,
        () = terms.dropped.cancelled() => return Ended::Dropped,
    };
    match began {
        Ok((peer, wire)) => {
            let _open = terms.doors.connections().open(wire.kind());
            match wire {
                Wire::Plain(stream) => {
                    let departure = stream.departure();
                    serve_http1(stream, peer, Some(departure), terms).await
                }
                Wire::Encrypted(stream) => serve_http1(stream, peer, None, terms).await,
                Wire::Http2(stream) => serve_http2(stream, peer, terms).await,
            }
        }
        Err(error) => {
            // Clients go away and send rubbish all the time.
            tracing::debug!(error = &error as &dyn std::error::Error, "connection did not begin");
            Ended::Finished
        }
    }
}

/// What a connection speaks on.
pub(crate) enum Wire<S> {
    Plain(S),
    // Ten times the size of the other.
    Encrypted(Box<TlsStream<S>>),
    Http2(Box<TlsStream<S>>),
}

impl<S> Wire<S> {
    const fn kind(&self) -> Kind {
        match self {
            Self::Plain(_) => Kind::Plain,
            Self::Encrypted(_) => Kind::Tls,
            Self::Http2(_) => Kind::Http2,
        }
    }
}

/// What comes before the first request: the proxy's word, then the handshake, on what `wrap` makes of the
/// stream. `refused` hears at which stage it ended, if it did.
pub(crate) async fn begin<S: AsyncRead + AsyncWrite + Unpin>(
    tcp: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    floor: Floor,
    proxies: &[IpNet],
    refused: impl Fn(Stage),
    wrap: impl FnOnce(Stream) -> S,
) -> io::Result<(Peer, Wire<S>)> {
    let mut peer = canonical(peer);
    let mut first = Bytes::new();
    if proxies.iter().any(|network| network.contains(&peer.ip())) {
        let read = within(PROXY_HEADER_TIMEOUT, proxy_protocol::read(&tcp));
        let (source, behind) = read.await.inspect_err(|_| refused(Stage::ProxyHeader))?;
        peer = source.map_or(peer, canonical);
        first = behind;
    }
    let stream = wrap(Stream::new(tcp, first, floor));
    let Some(tls) = tls else { return Ok((Peer(peer), Wire::Plain(stream))) };
    let handshake = tls.accept_with(stream, |session| session.set_buffer_limit(Some(MAX_ENCRYPTED_BYTES)));
    let stream = within(HANDSHAKE_TIMEOUT, handshake).await.inspect_err(|_| refused(Stage::Handshake))?;
    let stream = Box::new(stream);
    let wire = match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => Wire::Http2(stream),
        _ => Wire::Encrypted(stream),
    };
    Ok((Peer(peer), wire))
}

async fn within<T>(timeout: Duration, what: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(timeout, what).await?
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// HTTP/1.1: by ourselves as long as it is ordinary, by hyper from the first request that is not.
async fn serve_http1<S>(stream: S, peer: Peer, departure: Option<Departure>, terms: Arc<Terms>) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    match ordinary::serve(stream, peer, departure.clone(), &terms).await {
        Left::Over => Ended::Finished,
        Left::Dropped => Ended::Dropped,
        Left::Unusual(stream, unread) => {
            serve_by_hyper(Rewound::new(unread, stream), peer, departure, terms).await
        }
    }
}

async fn serve_by_hyper<S>(stream: S, peer: Peer, departure: Option<Departure>, terms: Arc<Terms>) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let is_plain = departure.is_some();
    let doors = terms.doors.clone();
    let under_way = UnderWay::default();
    let sent = under_way.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        if let Some(departure) = &departure {
            request.extensions_mut().insert(departure.clone());
        }
        let answer = answer(request, peer, doors.clone());
        let sent = sent.clone();
        async move { Ok::<_, Infallible>(answer.await.map(|body| sent.look_after(body, None))) }
    });
    let connection = http1::Builder::new()
        // Without a timer hyper leaves the header timeout off, silently in some versions.
        .timer(TokioTimer::new())
        // Also the longest idle time between two requests: hyper counts from the moment it
        // begins to wait for a head.
        .header_read_timeout(terms.header_timeout)
        .max_header_size(MAX_HEADER_BYTES)
        .max_buf_size(MAX_BUFFER_BYTES)
        .keep_alive(true)
        // A client that has sent its request may close its half and still read the answer. With TLS
        // nobody does: there the end of what it sends is its departure, and ends the request.
        .half_close(is_plain)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        ended = until_ended(connection, std::future::pending(), &terms) => ended,
        () = under_way.loses_one() => Ended::Finished,
    }
}

async fn serve_http2<S>(stream: S, peer: Peer, terms: Arc<Terms>) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let (stream, cork) = corked(stream);
    let activity = Activity::default();
    let doors = terms.doors.clone();
    let requests = activity.clone();
    let under_way = UnderWay::default();
    let sent = under_way.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let open = requests.begin();
        let answer = answer(request, peer, doors.clone());
        let sent = sent.clone();
        async move {
            let stream = STREAM.try_with(Clone::clone).ok();
            let pieces = |body| Pieces::new(sent.look_after(body, stream), open);
            Ok::<_, Infallible>(answer.await.map(pieces))
        }
    });
    let connection = http2::Builder::new(OnThisThread(terms.tracker.clone()))
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_RESET_STREAMS)
        .max_local_error_reset_streams(MAX_FAULTY_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES as u32)
        .max_send_buf_size(MAX_BUFFER_BYTES)
        // Finds out about a client that is gone while its request is held.
        .keep_alive_interval(terms.header_timeout)
        .keep_alive_timeout(terms.header_timeout)
        .serve_connection(TokioIo::new(stream), service);
    // HTTP/2 has no end of its own for a client that asks for nothing more, or takes nothing more.
    let (timeout, floor) = (terms.header_timeout, terms.floor);
    let let_go = async move {
        tokio::select! {
            () = activity.idles(timeout) => {}
            () = activity.sticks(floor) => {}
        }
    };
    tokio::select! {
        // What the connection has written in a turn leaves behind it.
        biased;
        ended = until_ended(connection, let_go, &terms) => ended,
        () = cork.leave() => Ended::Finished,
        () = under_way.loses_one() => Ended::Finished,
    }
}

/// Drives a connection until it ends by itself, was told to end and did, or is dropped; `let_go`
/// is a reason of its own to tell it, and to wait no longer for it than for any stalled client.
async fn until_ended<C>(connection: C, let_go: impl Future<Output = ()>, terms: &Terms) -> Ended
where
    C: GracefulConnection<Error = hyper::Error>,
{
    let mut connection = pin!(connection);
    let is_let_go = tokio::select! {
        ended = connection.as_mut() => return finished(ended),
        () = terms.told.cancelled() => false,
        () = let_go => true,
    };
    connection.as_mut().graceful_shutdown();
    let stalled = async {
        match is_let_go {
            true => tokio::time::sleep(terms.floor.window).await,
            false => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = connection => finished(ended),
        () = terms.dropped.cancelled() => Ended::Dropped,
        () = stalled => Ended::Finished,
    }
}

fn finished(ended: hyper::Result<()>) -> Ended {
    if let Err(error) = ended {
        // As above; what a door could not do, it logged.
        tracing::debug!(error = &error as &dyn std::error::Error, "connection ended early");
    }
    Ended::Finished
}

async fn answer(mut request: Request<Incoming>, peer: Peer, doors: Doors) -> Response<Body> {
    request.extensions_mut().insert(peer);
    if authority::settle(&mut request) {
        doors.serve(request).await
    } else {
        doors.refuse(&request.into_parts().0, ErrorKind::Invalid).await
    }
}

tokio::task_local! {
    /// Ends the HTTP/2 stream whose request runs in this task, and nothing else of its connection.
    static STREAM: AbortHandle;
}

/// Runs the requests of an HTTP/2 connection on the connection's thread, where the drain waits for
/// them.
#[derive(Clone)]
struct OnThisThread(TaskTracker);

impl<F> hyper::rt::Executor<F> for OnThisThread
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, request: F) {
        let (request, stream) = futures::future::abortable(request);
        self.0.spawn(STREAM.scope(stream, request));
    }
}

#[cfg(test)]
mod tests;
