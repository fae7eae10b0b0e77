use bytes::{Buf, BytesMut};

use super::{EXTENDED, FIRST_CHUNK_SIZE, Message};
use crate::rtmp::error::RtmpError;

/// Encoders use six; what is more only costs memory.
const MAX_STREAMS: usize = 64;
/// The specification asks for 128 at least. Smaller ones are a way to burn a core with headers.
const MIN_CHUNK_SIZE: u32 = 128;
/// Room that is made for a message before its bytes are there.
const FIRST_ROOM: usize = 64 << 10;

/// Puts messages together, each chunk stream's apart from the others'.
#[derive(Debug)]
pub(crate) struct ChunkReader {
    chunk_size: u32,
    max_message: usize,
    streams: Vec<Stream>,
    /// The stream whose chunk is being read, and how much of that chunk is to come.
    current: Option<(usize, usize)>,
    /// Bytes of all unfinished messages.
    held: usize,
}

/// What the next header of a chunk stream may leave out, and its unfinished message.
#[derive(Debug, Default)]
struct Stream {
    id: u32,
    timestamp: u32,
    delta: u32,
    /// The number of the last header that was too large for three bytes.
    extended: Option<u32>,
    length: usize,
    kind: u8,
    message_stream: u32,
    payload: BytesMut,
    is_open: bool,
}

impl ChunkReader {
    /// Takes messages of at most `max_message` bytes, and no more than twice that of unfinished ones.
    pub(crate) fn new(max_message: usize) -> Self {
        Self { chunk_size: FIRST_CHUNK_SIZE, max_message, streams: Vec::new(), current: None, held: 0 }
    }

    /// Takes longer messages from now on.
    pub(crate) fn allow(&mut self, max_message: usize) {
        self.max_message = max_message;
    }

    /// The other side's chunks are of another size from now on.
    pub(crate) fn set_chunk_size(&mut self, size: u32) -> Result<(), RtmpError> {
        // The first bit is zero.
        if !(MIN_CHUNK_SIZE..1 << 31).contains(&size) {
            return Err(RtmpError::Malformed("chunk size"));
        }
        self.chunk_size = size;
        Ok(())
    }

    /// The other side gives up the message that it has begun on a chunk stream.
    pub(crate) fn abort(&mut self, id: u32) {
        if let Some(stream) = self.streams.iter_mut().find(|stream| stream.id == id && stream.is_open) {
            self.held -= stream.payload.len();
            stream.payload.clear();
            stream.is_open = false;
        }
    }

    /// Takes chunks from `input` until a message is whole; `None` when more bytes are needed.
    pub(crate) fn receive(&mut self, input: &mut &[u8]) -> Result<Option<Message>, RtmpError> {
        loop {
            let (index, left) = match self.current {
                Some(current) => current,
                None => {
                    let Some((size, index)) = self.header(input)? else { return Ok(None) };
                    input.advance(size);
                    let stream = &self.streams[index];
                    (index, (stream.length - stream.payload.len()).min(self.chunk_size as usize))
                }
            };
            let stream = &mut self.streams[index];
            let here = left.min(input.len());
            self.held += here;
            // Twice: the two tracks of an encoder that interleaves them.
            if self.held > 2 * self.max_message {
                return Err(RtmpError::TooMuch("unfinished messages"));
            }
            stream.payload.extend_from_slice(&input[..here]);
            input.advance(here);
            self.current = (here < left).then_some((index, left - here));
            if self.current.is_some() {
                return Ok(None);
            }
            if stream.payload.len() == stream.length {
                self.held -= stream.length;
                return Ok(Some(stream.close()));
            }
        }
    }

    /// Reads the header at the beginning of `input`, once all of it is there: its length, and whose
    /// chunk follows.
    fn header(&mut self, input: &[u8]) -> Result<Option<(usize, usize)>, RtmpError> {
        let Some((format, id, basic)) = basic_header(input) else { return Ok(None) };
        let fields = &input[basic..];
        let size = [11, 7, 3, 0][usize::from(format)];
        let Some((fields, behind)) = fields.split_at_checked(size) else { return Ok(None) };
        let number = (format < 3).then(|| u24(fields));
        let known = self.streams.iter().position(|stream| stream.id == id);
        let extended = match number {
            Some(EXTENDED) => match behind.first_chunk() {
                Some(bytes) => Some(u32::from_be_bytes(*bytes)),
                None => return Ok(None),
            },
            Some(_) => None,
            // A chunk without a number of its own repeats the extended one, or it does not.
            None => match known.and_then(|known| self.streams[known].extended) {
                Some(number) => match repeats(behind, number) {
                    Some(repeats) => repeats.then_some(number),
                    None => return Ok(None),
                },
                None => None,
            },
        };
        let size = basic + size + if extended.is_some() { 4 } else { 0 };

        let index = match known {
            Some(index) => index,
            None if format != 0 => return Err(RtmpError::Malformed("chunk stream without a beginning")),
            None if self.streams.len() == MAX_STREAMS => return Err(RtmpError::TooMuch("chunk streams")),
            None => {
                self.streams.push(Stream { id, ..Stream::default() });
                self.streams.len() - 1
            }
        };
        let stream = &mut self.streams[index];
        if stream.is_open {
            return match format {
                3 => Ok(Some((size, index))),
                _ => Err(RtmpError::Malformed("message within a message")),
            };
        }
        if let Some(number) = number {
            stream.extended = extended;
            stream.delta = extended.unwrap_or(number);
        }
        if format < 2 {
            stream.length = u24(&fields[3..]) as usize;
            stream.kind = fields[6];
        }
        if format == 0 {
            // The only number of this protocol that begins with its least byte.
            stream.message_stream = u32::from_le_bytes([fields[7], fields[8], fields[9], fields[10]]);
            stream.timestamp = 0;
        }
        if stream.length > self.max_message {
            return Err(RtmpError::TooMuch("message"));
        }
        stream.open();
        Ok(Some((size, index)))
    }
}

impl Stream {
    /// Begins a message. Its time goes on by the delta also where its header has no number; behind an
    /// absolute time that is the delta itself (§5.3.1.2.4), which ffmpeg counts on.
    fn open(&mut self) {
        self.timestamp = self.timestamp.wrapping_add(self.delta);
        self.payload = BytesMut::with_capacity(self.length.min(FIRST_ROOM));
        self.is_open = true;
    }

    fn close(&mut self) -> Message {
        self.is_open = false;
        let payload = std::mem::take(&mut self.payload).freeze();
        Message { kind: self.kind, stream: self.message_stream, timestamp: self.timestamp, payload }
    }
}

/// Format, chunk stream and length of the basic header.
fn basic_header(input: &[u8]) -> Option<(u8, u32, usize)> {
    let (&first, rest) = input.split_first()?;
    let (id, size) = match first & 0x3f {
        0 => (u32::from(*rest.first()?) + 64, 2),
        1 => (u32::from(u16::from_le_bytes(*rest.first_chunk()?)) + 64, 3),
        id => (u32::from(id), 1),
    };
    Some((first >> 6, id, size))
}

/// Whether `bytes` begin with `number`: ffmpeg and today's OBS repeat it in every chunk, as Flash did,
/// others never, as the specification can be read too. `None` while it cannot be known.
fn repeats(bytes: &[u8], number: u32) -> Option<bool> {
    let number = number.to_be_bytes();
    let there = bytes.len().min(number.len());
    match bytes[..there] == number[..there] {
        true if there < number.len() => None,
        repeats => Some(repeats),
    }
}

fn u24(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]])
}
