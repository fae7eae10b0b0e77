//! Serves a cell's reads of an object that has no local file.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
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
        let mut request = [0; 12];
        while self.socket.read_exact(&mut request).await.is_ok() {
            let (offset, length) = request.split_at(8);
            let offset = u64::from_le_bytes(offset.try_into().expect("eight bytes"));
            let length = u32::from_le_bytes(length.try_into().expect("four bytes"));
            let end = offset.checked_add(u64::from(length)).filter(|end| *end <= self.size);
            let (Some(end), true) = (end, length <= MAX_READ) else { break };
            let mut at = offset;
            while at < end {
                let number = at / BLOCK;
                let block = self.block(number).await?;
                let from = usize::try_from(at - number * BLOCK).expect("within a block");
                let until = usize::try_from((end - number * BLOCK).min(BLOCK)).expect("within a block");
                if self.socket.write_all(&block[from..until]).await.is_err() {
                    return Ok(());
                }
                at += (until - from) as u64;
            }
        }
        Ok(())
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
            let beyond = ask(&mut cell, object.len() as u64 - 1, 2).await;
            assert_eq!(beyond.unwrap_err().kind(), io::ErrorKind::UnexpectedEof, "the socket is closed");
        };
        let (served, ()) = tokio::join!(server.run(), reads);
        served.unwrap();
    }
}
