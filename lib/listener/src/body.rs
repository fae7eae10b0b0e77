use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::Stream;
use http_body::{Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};

/// What goes wrong while a body is sent; the client sees a cut connection.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of every response.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

/// A body that is in memory.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// No body.
pub fn empty() -> Body {
    full(Bytes::new())
}

/// A body of exactly `len` bytes that come piece by piece.
///
/// The length is promised in the head, so a stream that ends early or runs over is an error and
/// cuts the connection: a client never takes a part for the whole.
pub fn sized(len: u64, pieces: impl Stream<Item = Result<Bytes, BoxError>> + Send + 'static) -> Body {
    Promised { remaining: len, pieces: Box::pin(pieces) }.boxed_unsync()
}

struct Promised<S> {
    remaining: u64,
    pieces: Pin<Box<S>>,
}

#[derive(Debug, thiserror::Error)]
enum PromiseError {
    #[error("body ends {missing} bytes early")]
    Short { missing: u64 },
    #[error("body runs over its length")]
    Long,
}

impl<S: Stream<Item = Result<Bytes, BoxError>>> http_body::Body for Promised<S> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.remaining == 0 {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(match ready!(self.pieces.as_mut().poll_next(context)) {
            Some(Ok(piece)) => match self.remaining.checked_sub(piece.len() as u64) {
                Some(rest) => {
                    self.remaining = rest;
                    Ok(Frame::data(piece))
                }
                None => Err(PromiseError::Long.into()),
            },
            Some(Err(error)) => Err(error),
            None => Err(PromiseError::Short { missing: self.remaining }.into()),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}
