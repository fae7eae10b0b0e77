//! Serves a cell's reads of an object that has no local file.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use futures::stream::{StreamExt, iter};
use model::ObjectKey;
use storage::{ObjectStore, StorageError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::backoff;

/// What is read from the store at once: demuxers read forwards, in far smaller pieces.
const BLOCK: u64 = 2 << 20;
/// Blocks kept: the index at the file's end, and some around each of the tracks' places.
const BLOCKS: usize = 16;
/// The longest read that is answered.
const MAX_READ: u32 = 16 << 20;
/// Bytes of a request: an offset in eight, a length in four.
const REQUEST: usize = 12;
/// Reads up to this length are glances: exactly these bytes are fetched, and not kept,
const GLANCE: u64 = 4 << 10;
/// and of those that were asked for together so many are under way.
const AT_ONCE: usize = 16;

/// One end of a socket whose other end is the cell's media descriptor.
#[derive(Debug)]
pub(super) struct RangeServer {
    socket: UnixStream,
    store: Arc<dyn ObjectStore>,
    key: ObjectKey,
    size: u64,
    /// Blocks by number, the latest used last.
    blocks: VecDeque<(u64, Bytes)>,
}

impl RangeServer {
    pub(super) fn new(
        socket: std::os::unix::net::UnixStream,
        store: Arc<dyn ObjectStore>,
        key: ObjectKey,
        size: u64,
    ) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self { socket: UnixStream::from_std(socket)?, store, key, size, blocks: VecDeque::new() })
    }

    /// Answers reads until the cell closes its end or asks for what is not there.
    ///
    /// # Errors
    ///
    /// The store's, after some tries; the cell sees its socket closed.
    pub(super) async fn run(mut self) -> Result<(), StorageError> {
        let mut asked = BytesMut::new();
        loop {
            while asked.len() < REQUEST {
                if matches!(self.socket.read_buf(&mut asked).await, Ok(0) | Err(_)) {
                    return Ok(());
                }
            }
            let mut ranges = Vec::new();
            while asked.len() >= REQUEST {
                let Some(range) = self.range(asked.get_u64_le(), asked.get_u32_le()) else { return Ok(()) };
                ranges.push(range);
            }
            for together in ranges.chunk_by(|one, next| is_glance(one) && is_glance(next)) {
                let answered = match together {
                    [range] if !is_glance(range) => self.answer(range.clone()).await?,
                    glances => self.answer_glances(glances).await?,
                };
                if answered.is_err() {
                    return Ok(());
                }
            }
        }
    }

    /// What is asked for, if it is there.
    fn range(&self, offset: u64, length: u32) -> Option<Range<u64>> {
        let end = offset.checked_add(u64::from(length)).filter(|end| *end <= self.size)?;
        (length <= MAX_READ).then_some(offset..end)
    }

    /// Sends a range; the inner error says that nobody listens.
    async fn answer(&mut self, range: Range<u64>) -> Result<io::Result<()>, StorageError> {
        let Range { start: mut at, end } = range;
        while at < end {
            let number = at / BLOCK;
            let block = self.block(number).await?;
            let from = usize::try_from(at - number * BLOCK).expect("within a block");
            let until = usize::try_from((end - number * BLOCK).min(BLOCK)).expect("within a block");
            if let Err(error) = self.socket.write_all(&block[from..until]).await {
                return Ok(Err(error));
            }
            at += (until - from) as u64;
        }
        Ok(Ok(()))
    }

    /// Sends small ranges, in order.
    async fn answer_glances(&mut self, ranges: &[Range<u64>]) -> Result<io::Result<()>, StorageError> {
        let (store, key) = (&self.store, &self.key);
        let fetch = |range: Range<u64>| async move {
            if range.is_empty() {
                return Ok(Bytes::new());
            }
            backoff::insist(backoff::READ, || store.get_range(key, range.clone())).await
        };
        let mut answers = iter(ranges.to_vec()).map(fetch).buffered(AT_ONCE);
        while let Some(answer) = answers.next().await {
            if let Err(error) = self.socket.write_all(&answer?).await {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }

    async fn block(&mut self, number: u64) -> Result<Bytes, StorageError> {
        if let Some(at) = self.blocks.iter().position(|(kept, _)| *kept == number) {
            let block = self.blocks.remove(at).expect("found just now");
            self.blocks.push_back(block.clone());
            return Ok(block.1);
        }
        let range = number * BLOCK..((number + 1) * BLOCK).min(self.size);
        let bytes = backoff::insist(backoff::READ, || self.store.get_range(&self.key, range.clone())).await?;
        if self.blocks.len() == BLOCKS {
            self.blocks.pop_front();
        }
        self.blocks.push_back((number, bytes.clone()));
        Ok(bytes)
    }
}

fn is_glance(range: &Range<u64>) -> bool {
    range.end - range.start <= GLANCE
}

#[cfg(test)]
mod tests {
    use model::VideoId;
    use storage::{Flaky, Memory};

    use super::*;

    async fn ask(socket: &mut UnixStream, offset: u64, length: u32) -> io::Result<Vec<u8>> {
        socket.write_all(&[&offset.to_le_bytes()[..], &length.to_le_bytes()].concat()).await?;
        let mut answer = vec![0; length as usize];
        socket.read_exact(&mut answer).await?;
        Ok(answer)
    }

    #[tokio::test]
    async fn a_cell_reads_an_object_through_a_store_that_stumbles() {
        let object: Vec<u8> = (0..5 * BLOCK / 2).map(|n| (n % 251) as u8).collect();
        let key = ObjectKey::Original { video: VideoId::from_bits(1) };
        let memory = Memory::new(Arc::new(model::SystemClock));
        memory.put(&key, object.clone().into()).await.unwrap();
        let store: Arc<dyn ObjectStore> = Arc::new(Flaky::new(memory, 1));
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let server = RangeServer::new(ours, store, key, object.len() as u64).unwrap();
        theirs.set_nonblocking(true).unwrap();
        let mut cell = UnixStream::from_std(theirs).unwrap();
        let reads = async {
            for (offset, length) in [(0, 12), (BLOCK - 3, 7), (BLOCK * 2, (BLOCK / 2) as u32), (9, 0)] {
                let expected = &object[offset as usize..][..length as usize];
                assert!(ask(&mut cell, offset, length).await.unwrap() == expected, "{length} at {offset}");
            }
            // Some at once, answered in order.
            let glances = [(7, 3), (BLOCK + 1, 4), (0, 0), (2, 1), (9, 1 + GLANCE as u32), (1, 2)];
            let asked: Vec<u8> = glances
                .iter()
                .flat_map(|(offset, length)| [&offset.to_le_bytes()[..], &length.to_le_bytes()].concat())
                .collect();
            cell.write_all(&asked).await.unwrap();
            for (offset, length) in glances {
                let mut answer = vec![0; length as usize];
                cell.read_exact(&mut answer).await.unwrap();
                assert!(answer == object[offset as usize..][..length as usize], "{length} at {offset}");
            }
            let beyond = ask(&mut cell, object.len() as u64 - 1, 2).await;
            assert_eq!(beyond.unwrap_err().kind(), io::ErrorKind::UnexpectedEof, "the socket is closed");
        };
        let (served, ()) = tokio::join!(server.run(), reads);
        served.unwrap();
    }
}
