use std::io;
use std::marker::PhantomData;

use bytes::{Buf, Bytes, BytesMut};
use model::cell::{FrameError, FrameLengths, decode_head};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Why no frame could be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BrokenFrame {
    #[error("said what no cell says: {0}")]
    Frame(#[from] FrameError),
    #[error("stopped in the middle of a frame")]
    Cut,
    #[error("cannot be heard: {0}")]
    Read(#[from] io::Error),
}

/// Reads frames whose heads are messages of one kind; memory grows with the bytes that came, not with
/// those that were announced.
#[derive(Debug)]
pub(crate) struct FrameReader<R, M> {
    reader: R,
    buffer: BytesMut,
    message: PhantomData<fn() -> M>,
}

impl<R: AsyncRead + Unpin, M: DeserializeOwned> FrameReader<R, M> {
    const READ: usize = 256 << 10;

    pub(crate) fn new(reader: R) -> Self {
        Self { reader, buffer: BytesMut::new(), message: PhantomData }
    }

    /// The next frame, `None` at a clean end. Nothing is lost when the future is dropped.
    pub(crate) async fn next(&mut self) -> Result<Option<(M, Bytes)>, BrokenFrame> {
        loop {
            if let Some(frame) = self.take()? {
                return Ok(Some(frame));
            }
            self.buffer.reserve(Self::READ);
            if self.reader.read_buf(&mut self.buffer).await? == 0 {
                return if self.buffer.is_empty() { Ok(None) } else { Err(BrokenFrame::Cut) };
            }
        }
    }

    fn take(&mut self) -> Result<Option<(M, Bytes)>, FrameError> {
        let Some(lengths) = self.buffer.first_chunk::<{ FrameLengths::SIZE }>() else { return Ok(None) };
        let lengths = FrameLengths::parse(*lengths)?;
        let (head, payload) = (lengths.head as usize, lengths.payload as usize);
        if self.buffer.len() < FrameLengths::SIZE + head + payload {
            return Ok(None);
        }
        self.buffer.advance(FrameLengths::SIZE);
        let reply = decode_head(&self.buffer.split_to(head))?;
        Ok(Some((reply, self.buffer.split_to(payload).freeze())))
    }
}

#[cfg(test)]
mod tests {
    use model::RenditionName;
    use model::cell::{Reply, encode_head};
    use tokio::io::AsyncWriteExt;

    use super::*;

    fn frame(number: u32, payload: &[u8]) -> Vec<u8> {
        let reply = Reply::Segment { rendition: RenditionName::Video { height: 144 }, number };
        [encode_head(&reply, payload.len()).unwrap(), payload.to_vec()].concat()
    }

    #[tokio::test]
    async fn frames_survive_any_cut_between_reads() {
        let bytes = [frame(0, b"first"), frame(1, b""), frame(2, b"third")].concat();
        for at in 0..bytes.len() {
            let (mut cell, ours) = tokio::io::duplex(1 << 10);
            let mut frames = FrameReader::<_, Reply>::new(ours);
            cell.write_all(&bytes[..at]).await.unwrap();
            let mut payloads = Vec::new();
            // Reads what is whole; the call that would wait for more is dropped half-way.
            while let Ok(next) = tokio::time::timeout(std::time::Duration::ZERO, frames.next()).await {
                payloads.push(next.unwrap().unwrap().1);
            }
            cell.write_all(&bytes[at..]).await.unwrap();
            drop(cell);
            while let Some((_, payload)) = frames.next().await.unwrap() {
                payloads.push(payload);
            }
            assert_eq!(payloads, [&b"first"[..], b"", b"third"], "cut at {at}");
        }
    }

    #[tokio::test]
    async fn what_is_no_frame_is_an_error() {
        for (bytes, expected) in [
            (&[0xff; 16][..], "over the limit"),
            (&[1, 0, 0, 0, 0, 0, 0, 0, b'{'][..], "not a message"),
            (&frame(0, b"payload")[..20], "in the middle"),
        ] {
            let error = FrameReader::<_, Reply>::new(bytes).next().await.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
