//! Chunks: how messages share a connection (RTMP 1.0 §5.3). Pure.

mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use reader::ChunkReader;
pub(crate) use writer::ChunkWriter;

use bytes::Bytes;

/// A whole message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// What it is: see [`super::message::kind`].
    pub(crate) kind: u8,
    /// Of which message stream; 0 is the connection's own.
    pub(crate) stream: u32,
    /// Milliseconds, modulo 2^32.
    pub(crate) timestamp: u32,
    pub(crate) payload: Bytes,
}

/// What both sides begin with.
const FIRST_CHUNK_SIZE: u32 = 128;
/// In a field of three bytes: the number is in four more bytes behind the header.
const EXTENDED: u32 = 0xff_ffff;
