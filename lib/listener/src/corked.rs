//! What an HTTP/2 connection writes in one turn, sent at the turn's end.
//!
//! h2 flushes behind each frame, and a frame of media has 16 KiB and a head of 9 bytes: each made a full TLS
//! record, a tiny one and a call of its own (docs/design/0017-frames-that-leave-together.md).

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Sent before the turn's end once there is so much of it.
const AT_ONCE: usize = 64 << 10;

/// A stream whose flushes wait until [`Cork::leave`] is polled.
#[derive(Debug)]
pub(crate) struct Corked<S>(Arc<Mutex<Held<S>>>);

/// Lets out what was written.
#[derive(Debug)]
pub(crate) struct Cork<S>(Arc<Mutex<Held<S>>>);

#[derive(Debug)]
struct Held<S> {
    stream: S,
    written: Vec<u8>,
    /// Of `written`.
    sent: usize,
}

pub(crate) fn corked<S>(stream: S) -> (Corked<S>, Cork<S>) {
    let held = Arc::new(Mutex::new(Held { stream, written: Vec::new(), sent: 0 }));
    (Corked(Arc::clone(&held)), Cork(held))
}

impl<S: AsyncWrite + Unpin> Cork<S> {
    /// Sends what the task has written since it was polled last: to be polled behind what writes, in the same
    /// task. Ends when the stream can't be written to any more.
    pub(crate) async fn leave(self) {
        poll_fn(|cx| match lock(&self.0).poll_leave(cx) {
            Poll::Ready(Err(_)) => Poll::Ready(()),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        })
        .await;
    }
}

impl<S: AsyncWrite + Unpin> Held<S> {
    fn poll_leave(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.written.len() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.written[self.sent..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.sent += sent,
            }
        }
        // An idle connection holds no memory.
        self.written = Vec::new();
        self.sent = 0;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.written.len() < AT_ONCE { Poll::Ready(Ok(())) } else { self.poll_leave(cx) }
    }

    fn hold(&mut self, bytes: &[u8]) -> usize {
        // A frame of media seldom comes alone.
        if self.written.capacity() == 0 && bytes.len() > AT_ONCE / 8 {
            self.written.reserve(AT_ONCE + bytes.len());
        }
        self.written.extend_from_slice(bytes);
        bytes.len()
    }
}

fn lock<S>(held: &Mutex<Held<S>>) -> MutexGuard<'_, Held<S>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: AsyncRead + Unpin> AsyncRead for Corked<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut lock(&self.0).stream).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Corked<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut held = lock(&self.0);
        ready!(held.poll_room(cx))?;
        Poll::Ready(Ok(held.hold(bytes)))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut held = lock(&self.0);
        ready!(held.poll_room(cx))?;
        Poll::Ready(Ok(bytes.iter().map(|bytes| held.hold(bytes)).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Waits for nothing: the turn's end sends it.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut held = lock(&self.0);
        ready!(held.poll_leave(cx))?;
        Pin::new(&mut held.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn what_is_flushed_leaves_at_the_end_of_the_turn_and_all_at_once() {
        let (ours, mut theirs) = tokio::io::duplex(1 << 20);
        let (mut stream, cork) = corked(ours);
        stream.write_all(b"one, ").await.unwrap();
        stream.flush().await.unwrap();
        stream.write_all(b"two").await.unwrap();
        let mut got = [0; 20];
        assert!(futures::poll!(std::pin::pin!(theirs.read(&mut got))).is_pending());
        assert!(futures::poll!(std::pin::pin!(cork.leave())).is_pending());
        assert_eq!(theirs.read(&mut got).await.unwrap(), 8);
        assert_eq!(got[..8], *b"one, two");
    }

    #[tokio::test]
    async fn what_nobody_takes_is_held_up_to_a_limit() {
        let (ours, mut theirs) = tokio::io::duplex(1000);
        let (mut stream, cork) = corked(ours);
        stream.write_all(&[7; AT_ONCE - 1]).await.unwrap();
        stream.write_all(&[7; 10]).await.unwrap();
        assert!(futures::poll!(std::pin::pin!(stream.write(&[7]))).is_pending());
        let mut taken = 0;
        let taking = async {
            while taken < AT_ONCE + 9 {
                taken += theirs.read(&mut [0; 1000]).await.unwrap();
            }
        };
        tokio::select! {
            () = taking => {}
            () = cork.leave() => unreachable!("the stream is there"),
        }
        stream.write_all(b"more").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        theirs.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"more");
    }

    #[tokio::test]
    async fn a_stream_that_is_gone_ends_it() {
        let (ours, theirs) = tokio::io::duplex(1000);
        let (mut stream, cork) = corked(ours);
        drop(theirs);
        stream.write_all(b"nobody").await.unwrap();
        cork.leave().await;
    }
}
