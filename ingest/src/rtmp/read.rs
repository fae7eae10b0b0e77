//! What a read brought. A thread's connections take turns with one buffer: three hundred of their own would have
//! left the processor's caches before each is read into again.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::ops::Deref;
use std::pin::Pin;
use std::task::ready;

use tokio::io::{AsyncRead, ReadBuf};

/// Read at once.
const AT_ONCE: usize = 64 << 10;

thread_local! {
    /// Empty while somebody has it.
    static SPARE: Cell<Box<[u8]>> = Cell::default();
}

/// The bytes of one read. Short-lived: who keeps it over a wait keeps the buffer from the others, who make
/// another one then.
#[derive(Debug)]
pub(super) struct Read {
    buffer: Box<[u8]>,
    len: usize,
}

impl Read {
    /// Reads what there is once there is something; nothing at the end.
    pub(super) async fn from<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Self> {
        poll_fn(|cx| {
            let mut read = Self::empty();
            let mut into = ReadBuf::new(&mut read.buffer);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut into))?;
            read.len = into.filled().len();
            Ok(read).into()
        })
        .await
    }

    fn empty() -> Self {
        let mut buffer = SPARE.take();
        if buffer.is_empty() {
            buffer = vec![0; AT_ONCE].into();
        }
        Self { buffer, len: 0 }
    }
}

impl Deref for Read {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

impl Drop for Read {
    fn drop(&mut self) {
        SPARE.set(std::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_read_has_what_came_and_gives_its_buffer_back() {
        let mut stream = &b"one"[..];
        let first = Read::from(&mut stream).await.unwrap();
        let place = first.as_ptr();
        assert_eq!(&first[..], b"one");
        assert_eq!(&Read::from(&mut &b"another"[..]).await.unwrap()[..], b"another", "while it is kept");
        assert_eq!(&first[..], b"one");
        drop(first);
        let end = Read::from(&mut stream).await.unwrap();
        assert_eq!((end.len(), end.as_ptr()), (0, place));
    }
}
