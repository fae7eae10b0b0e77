use bytes::{BufMut, BytesMut};

use super::{FIRST_CHUNK_SIZE, Message};

/// Writes messages in chunks. All that this side says is short, seldom, and at time 0: each message
/// has a whole header.
#[derive(Debug)]
pub(crate) struct ChunkWriter {
    chunk_size: u32,
}

impl ChunkWriter {
    pub(crate) const fn new() -> Self {
        Self { chunk_size: FIRST_CHUNK_SIZE }
    }

    /// Chunks are of this size from now on; the other side is to be told before.
    pub(crate) const fn set_chunk_size(&mut self, size: u32) {
        self.chunk_size = size;
    }

    /// Puts a message behind `output`, on chunk stream `id`, which is below 64.
    pub(crate) fn send(&self, id: u8, message: &Message, output: &mut BytesMut) {
        output.put_u8(id);
        output.put_uint(message.timestamp.into(), 3);
        output.put_uint(message.payload.len() as u64, 3);
        output.put_u8(message.kind);
        output.put_u32_le(message.stream);
        for (number, chunk) in message.payload.chunks(self.chunk_size as usize).enumerate() {
            if number > 0 {
                output.put_u8(3 << 6 | id);
            }
            output.put_slice(chunk);
        }
    }
}
