//! The HTTP/1.1 of nearly every request at an edge: a `GET` or `HEAD` without a body, answered with a
//! body whose length is known.
//!
//! It does less than hyper and so costs less (`docs/design/0008-ordinary-requests.md`): a head is read
//! in one pass, an answer's head and its first bytes go out in one call, and a connection that waits
//! holds a kilobyte. Whatever is not ordinary is for hyper, which gets the connection with what was
//! read of it and keeps it; so nothing has to be refused here, and nothing is.

mod head;
mod request;

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::request::Parts;
use http::{Method, Response};
use http_body::Body as _;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, Sleep};

use crate::body::Body;
use crate::connection::{MAX_HEADER_BYTES, Peer, Terms};
use crate::stream::Departure;
use crate::under_way::RECHECK;
use request::Read;

/// Room for most heads; a greater one takes more.
const HEAD_ROOM: usize = 1 << 10;

/// How it ended here.
pub(crate) enum Left<S> {
    /// The connection is over.
    Over,
    /// So it is, because the drain's time was over.
    Dropped,
    /// It goes on, with bytes that were read already and not answered.
    Unusual(S, Bytes),
}

/// Serves a connection as long as its requests are ordinary. Without a `departure` a client that
/// ends what it sends has gone.
pub(crate) async fn serve<S>(stream: S, peer: Peer, departure: Option<Departure>, terms: &Terms) -> Left<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let connection = Connection {
        stream,
        unread: BytesMut::new(),
        head: Vec::new(),
        patience: Patience::new(terms.header_timeout),
    };
    tokio::select! {
        left = connection.serve(peer, departure, terms) => left,
        () = terms.dropped.cancelled() => Left::Dropped,
    }
}

struct Connection<S> {
    stream: S,
    /// What was read and not yet understood.
    unread: BytesMut,
    /// The head that is written, kept for its memory.
    head: Vec<u8>,
    patience: Patience,
}

enum Next {
    Request(Box<Parts>),
    Unusual,
    Over,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    async fn serve(mut self, peer: Peer, departure: Option<Departure>, terms: &Terms) -> Left<S> {
        let mut told = pin!(terms.told.cancelled());
        loop {
            let mut request = match self.next(told.as_mut(), terms).await {
                Next::Request(request) => request,
                Next::Unusual => return Left::Unusual(self.stream, self.unread.freeze()),
                Next::Over => return Left::Over,
            };
            let is_head = request.method == Method::HEAD;
            request.extensions.insert(peer);
            if let Some(departure) = &departure {
                request.extensions.insert(departure.clone());
            }
            let Some(answer) = terms.doors.answer_bodiless(*request) else { return Left::Over };
            let answered = match departure {
                Some(_) => Some(answer.await),
                None => self.while_there(answer).await,
            };
            let Some(response) = answered else { return Left::Over };
            let is_last = terms.told.is_cancelled();
            match self.send(response, is_head, is_last).await {
                Ok(true) => {}
                Ok(false) => {
                    let _gone_or_not = self.stream.shutdown().await;
                    return Left::Over;
                }
                Err(error) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "connection ended early");
                    return Left::Over;
                }
            }
        }
    }

    /// Waits for the next request.
    async fn next(&mut self, mut told: Pin<&mut impl Future<Output = ()>>, terms: &Terms) -> Next {
        self.patience.begin();
        loop {
            match request::read(&self.unread) {
                Read::Whole(request, len) if terms.doors.take_bodiless(&request) => {
                    self.unread.advance(len);
                    return Next::Request(request);
                }
                Read::Whole(..) | Read::Unusual => return Next::Unusual,
                Read::More if self.unread.len() > MAX_HEADER_BYTES => return Next::Unusual,
                Read::More => {}
            }
            let is_idle = self.unread.is_empty();
            if is_idle {
                // What waits keeps no more than it will need.
                self.unread = BytesMut::with_capacity(HEAD_ROOM);
            } else {
                self.unread.reserve(HEAD_ROOM);
            }
            tokio::select! {
                read = self.stream.read_buf(&mut self.unread) => match read {
                    Ok(0) | Err(_) => return Next::Over,
                    Ok(_) => {}
                },
                () = told.as_mut(), if is_idle => return Next::Over,
                () = self.patience.ends() => return self.timed_out(is_idle).await,
            }
        }
    }

    /// Nothing came for too long: the end of an idle connection, or of a head that never ends.
    async fn timed_out(&mut self, is_idle: bool) -> Next {
        if !is_idle {
            // RFC 9110 §15.5.9.
            let answer = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
            let _gone_or_not = self.stream.write_all(answer).await;
        }
        let _gone_or_not = self.stream.shutdown().await;
        Next::Over
    }

    /// Waits for an answer, as long as the client goes on sending or might.
    async fn while_there<T>(&mut self, answer: impl Future<Output = T>) -> Option<T> {
        let mut answer = pin!(answer);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                return Poll::Ready(Some(answer));
            }
            while self.unread.len() < MAX_HEADER_BYTES {
                self.unread.reserve(HEAD_ROOM);
                let mut read = pin!(self.stream.read_buf(&mut self.unread));
                match ready!(read.as_mut().poll(cx)) {
                    Ok(0) | Err(_) => return Poll::Ready(None),
                    Ok(_) => {}
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Sends an answer; whether another may follow on the connection.
    async fn send(&mut self, response: Response<Body>, is_head: bool, is_last: bool) -> io::Result<bool> {
        let (parts, mut body) = response.into_parts();
        let length = body.size_hint().exact();
        let goes_on = !is_last && (length.is_some() || is_head);
        head::write(&parts, length, goes_on, &mut self.head);
        let mut head = Bytes::from(std::mem::take(&mut self.head));
        let has_body = !is_head && !head::is_bodiless(parts.status);
        let mut piece = if has_body { next_piece(&mut body).await? } else { None };
        let mut first = piece.take().unwrap_or_default();
        while head.has_remaining() || first.has_remaining() {
            let written = self.write(&[IoSlice::new(&head), IoSlice::new(&first)], &mut body).await?;
            let of_head = written.min(head.len());
            head.advance(of_head);
            first.advance(written - of_head);
        }
        while has_body && let Some(mut piece) = next_piece(&mut body).await? {
            while piece.has_remaining() {
                let written = self.write(&[IoSlice::new(&piece)], &mut body).await?;
                piece.advance(written);
            }
        }
        self.stream.flush().await?;
        Ok(goes_on)
    }

    /// Writes some of it, and looks after the body meanwhile.
    async fn write(&mut self, pieces: &[IoSlice<'_>], body: &mut Body) -> io::Result<usize> {
        let mut timer: Option<Pin<Box<Sleep>>> = None;
        let written = std::future::poll_fn(|cx| {
            loop {
                if let Poll::Ready(written) = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces) {
                    return Poll::Ready(written);
                }
                let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(RECHECK)));
                ready!(timer.as_mut().poll(cx));
                body.look_after().map_err(io::Error::other)?;
                timer.as_mut().reset(Instant::now() + RECHECK);
            }
        });
        match written.await? {
            0 => Err(io::ErrorKind::WriteZero.into()),
            written => Ok(written),
        }
    }
}

/// The next bytes of a body.
async fn next_piece(body: &mut Body) -> io::Result<Option<Bytes>> {
    loop {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await;
        match frame.transpose().map_err(io::Error::other)?.map(http_body::Frame::into_data) {
            None => return Ok(None),
            Some(Ok(bytes)) if !bytes.is_empty() => return Ok(Some(bytes)),
            // Trailers have no place behind a body of known length.
            Some(_) => {}
        }
    }
}

/// How long a connection may wait for a head. Its timer is left alone until it goes off: setting it
/// for each request would cost more than looking at the time.
struct Patience {
    timeout: Duration,
    until: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    fn new(timeout: Duration) -> Self {
        Self { timeout, until: Instant::now() + timeout, timer: None }
    }

    fn begin(&mut self) {
        self.until = Instant::now() + self.timeout;
    }

    async fn ends(&mut self) {
        std::future::poll_fn(|cx| self.poll_end(cx)).await;
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(self.until)));
        loop {
            ready!(timer.as_mut().poll(cx));
            if Instant::now() >= self.until {
                return Poll::Ready(());
            }
            timer.as_mut().reset(self.until);
        }
    }
}

#[cfg(test)]
mod tests;
