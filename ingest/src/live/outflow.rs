//! The backlog of a feed, and the socket to its packager that it flows into. Whoever puts something in
//! writes it, too, as long as there is room: to wake a task of its own for it costs as much as the write.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use model::feed::{FeedMessage, Packet, write_frame};
use tokio::net::UnixStream;

use super::Item;
use super::backlog::Backlog;

/// Bytes that are written at once; a packet that is longer goes alone.
const BATCH: usize = 64 << 10;

/// Room for frames that a thread keeps: the greatest key frames are rare.
const MOST_KEPT: usize = 4 * BATCH;

thread_local! {
    /// The frames of one write. All feeds of a thread take turns with it, so that it stays in the processor's
    /// caches.
    static FRAMES: RefCell<BytesMut> = RefCell::default();
}

#[derive(Debug, Default)]
pub(super) struct Outflow {
    pub(super) backlog: Backlog,
    /// While there is a packager at the other end.
    socket: Option<Arc<UnixStream>>,
    /// Frames for which there was no room.
    rest: BytesMut,
}

/// What a write came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// There is nothing more to be written, or nobody to write to.
    All,
    /// There is no room for more.
    Part,
}

impl Outflow {
    /// Begins anew with a packager that knows nothing: it is told `begin`, and what holds before the first
    /// item.
    pub(super) fn connect(&mut self, socket: Arc<UnixStream>, begin: &FeedMessage) {
        self.rest.clear();
        frame(begin, b"", &mut self.rest);
        for config in self.backlog.configs() {
            frame(&FeedMessage::Config(config.clone()), b"", &mut self.rest);
        }
        for track in self.backlog.others() {
            frame(&FeedMessage::Others { track }, b"", &mut self.rest);
        }
        self.socket = Some(socket);
    }

    /// There is no packager any more.
    pub(super) fn disconnect(&mut self) {
        self.socket = None;
        self.rest.clear();
    }

    /// The last word.
    pub(super) fn end(&mut self) {
        frame(&FeedMessage::End, b"", &mut self.rest);
    }

    /// Whether somebody waits for room already.
    pub(super) fn is_full(&self) -> bool {
        !self.rest.is_empty()
    }

    /// Writes what there is.
    ///
    /// # Errors
    ///
    /// When the packager is gone.
    pub(super) fn write(&mut self) -> io::Result<Written> {
        let Some(socket) = &self.socket else { return Ok(Written::All) };
        while !self.rest.is_empty() {
            match taken(socket.try_write(&self.rest))? {
                0 => return Ok(Written::Part),
                taken => self.rest.advance(taken),
            }
        }
        // A stall's memory is not kept.
        self.rest = BytesMut::new();
        let (backlog, rest) = (&mut self.backlog, &mut self.rest);
        FRAMES.with_borrow_mut(|frames| {
            loop {
                frames.clear();
                if frames.capacity() > MOST_KEPT {
                    *frames = BytesMut::new();
                }
                while frames.len() < BATCH
                    && let Some(item) = backlog.next()
                {
                    put(item, frames);
                }
                if frames.is_empty() {
                    return Ok(Written::All);
                }
                let taken = taken(socket.try_write(frames))?;
                rest.extend_from_slice(&frames[taken..]);
                if !rest.is_empty() {
                    return Ok(Written::Part);
                }
            }
        })
    }
}

/// How much of it was taken: nothing where there is no room.
fn taken(written: io::Result<usize>) -> io::Result<usize> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
        written => written,
    }
}

fn put(item: &Item, frames: &mut BytesMut) {
    match item {
        Item::Config(config) => frame(&FeedMessage::Config(config.clone()), b"", frames),
        Item::Others(track) => frame(&FeedMessage::Others { track: *track }, b"", frames),
        Item::Packet(packet) => {
            let Packet { track, dts, cts_offset, key, ref data } = *packet;
            frame(&FeedMessage::Packet { track, dts, cts_offset, key }, data, frames);
        }
    }
}

/// A door bounds what it gives to a feed, so that every frame can be written.
fn frame(message: &FeedMessage, payload: &[u8], frames: &mut BytesMut) {
    if let Err(error) = write_frame(message, payload, frames) {
        tracing::error!(error = &error as &dyn std::error::Error, "a message of a feed is too long");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use model::feed::{FeedConfig, FeedTrack, read_frame};
    use tokio::io::AsyncReadExt;

    use super::*;

    fn packet(dts: i64, data: impl Into<Bytes>) -> Item {
        let data = data.into();
        Item::Packet(Packet { track: FeedTrack::Audio, dts, cts_offset: 0, key: true, data })
    }

    #[tokio::test]
    async fn what_there_is_no_room_for_follows_in_its_order() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let ours = Arc::new(ours);
        let config = FeedConfig::Aac { asc: vec![0x11, 0x90] };
        let mut outflow = Outflow::default();
        outflow.backlog.push(Item::Config(config.clone()), Duration::ZERO);
        assert_eq!(outflow.write().unwrap(), Written::All, "to nobody");
        outflow.connect(Arc::clone(&ours), &FeedMessage::End);
        assert!(outflow.is_full(), "it has not begun yet");
        ours.writable().await.unwrap();
        assert_eq!(outflow.write().unwrap(), Written::All);
        let sent = async {
            for n in 0..500 {
                outflow.backlog.push(packet(n, vec![n as u8; 3000]), Duration::ZERO);
                if !outflow.is_full() {
                    outflow.write().unwrap();
                }
            }
            assert!(outflow.is_full(), "of 1.5 MB");
            while outflow.write().unwrap() == Written::Part {
                ours.writable().await.unwrap();
            }
            assert!(!outflow.is_full());
            outflow.end();
            assert_eq!(outflow.write().unwrap(), Written::All);
            outflow.disconnect();
            drop(ours);
        };
        let read = async {
            let mut wire = BytesMut::new();
            while theirs.read_buf(&mut wire).await.unwrap() > 0 {}
            wire
        };
        let ((), mut wire) = tokio::join!(sent, read);
        let mut next = || read_frame(&mut wire).unwrap();
        assert_eq!(next(), Some((FeedMessage::End, Bytes::new())), "what it was told to begin with");
        assert_eq!(next(), Some((FeedMessage::Config(config), Bytes::new())));
        for n in 0..500 {
            let head = FeedMessage::Packet { track: FeedTrack::Audio, dts: n, cts_offset: 0, key: true };
            assert_eq!(next(), Some((head, vec![n as u8; 3000].into())));
        }
        assert_eq!((next(), next()), (Some((FeedMessage::End, Bytes::new())), None));
    }
}
