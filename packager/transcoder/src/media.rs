//! The media file as libav reads it: a descriptor, or ranges asked of the parent.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use model::cell::Source;

/// Bytes asked for at once over the socket.
const BLOCK: u64 = 1 << 20;
/// Blocks kept: the interleaving of badly muxed files jumps between a few places.
const KEPT_BLOCKS: usize = 16;
/// Bytes of a glance: the parent fetches no more for one.
const GLANCE: u64 = 512;
/// How many places are glanced at at once.
const GLANCES: usize = 64;
/// How long a file in a store may be looked at here and there: somebody waits for the film.
const PATIENCE: Duration = Duration::from_millis(500);

/// The media file, with a position.
#[derive(Debug)]
pub(crate) struct Media {
    origin: Origin,
    size: u64,
    position: u64,
    failure: ReadFailure,
}

#[derive(Debug)]
enum Origin {
    File(File),
    Ranges {
        socket: UnixStream,
        blocks: VecDeque<(u64, Vec<u8>)>,
        /// What was glanced at last, by its offset.
        glances: BTreeMap<u64, Vec<u8>>,
    },
}

/// The first failed read, told apart from the end of the file: libav reports both alike.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReadFailure(Arc<OnceLock<(io::ErrorKind, String)>>);

impl ReadFailure {
    /// Fails if a read has failed.
    pub(crate) fn check(&self) -> io::Result<()> {
        self.0.get().map_or(Ok(()), |(kind, text)| Err(io::Error::new(*kind, text.clone())))
    }
}

impl Media {
    pub(crate) fn new(descriptor: OwnedFd, source: Source) -> Self {
        let (origin, size) = match source {
            Source::File { size } => (Origin::File(descriptor.into()), size),
            Source::Ranges { size } => (Origin::far(descriptor.into()), size),
        };
        Self { origin, size, position: 0, failure: ReadFailure::default() }
    }

    /// The same file from its beginning, with its own memory of failed reads. Only one of the two
    /// may be read at a time: they share the descriptor.
    pub(crate) fn again(&self) -> io::Result<Self> {
        let origin = match &self.origin {
            Origin::File(file) => Origin::File(file.try_clone()?),
            Origin::Ranges { socket, .. } => Origin::far(socket.try_clone()?),
        };
        Ok(Self { origin, size: self.size, position: 0, failure: ReadFailure::default() })
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Lets `see` look at these places in turn, by their numbers, until it says that it has seen enough;
    /// the first bytes at each are quick to read then. Whether it has seen all of them: it has not, too,
    /// if a store is so slow that somebody would wait too long for the rest.
    pub(crate) fn look_at(
        &mut self,
        offsets: &[u64],
        mut see: impl FnMut(&mut Self, usize) -> io::Result<bool>,
    ) -> io::Result<bool> {
        let begin = Instant::now();
        for (some, first) in offsets.chunks(GLANCES).zip((0..).step_by(GLANCES)) {
            if self.is_far() && is_too_slow(begin.elapsed(), first, offsets.len()) {
                return Ok(false);
            }
            self.glance(some)?;
            for number in first..first + some.len() {
                if !see(self, number)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Whether to glance at so many places, some bytes at each, costs time.
    pub(crate) fn is_far(&self) -> bool {
        matches!(self.origin, Origin::Ranges { .. })
    }

    /// Makes the next small reads at these offsets, not more than [`GLANCES`], quick: where each would
    /// be a request to a store, they are one.
    fn glance(&mut self, offsets: &[u64]) -> io::Result<()> {
        let Origin::Ranges { socket, glances, .. } = &mut self.origin else { return Ok(()) };
        let wanted = offsets.iter().filter(|offset| **offset < self.size);
        let wanted: Vec<(u64, u64)> =
            wanted.map(|offset| (*offset, GLANCE.min(self.size - offset))).take(GLANCES).collect();
        *glances = wanted.iter().map(|(offset, _)| *offset).zip(fetch(socket, &wanted)?).collect();
        Ok(())
    }

    /// A handle that tells later whether reading failed.
    pub(crate) fn failure(&self) -> ReadFailure {
        self.failure.clone()
    }

    /// Up to `length` bytes at `offset`; the position stays.
    pub(crate) fn peek(&mut self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length.min(left)];
        self.fill(offset, &mut bytes)?;
        Ok(bytes)
    }

    /// Fills `bytes` with those at `offset`; the position stays. That the file ends before is a
    /// failure.
    pub(crate) fn fill(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let mut filled = 0;
        while filled < bytes.len() {
            let at = offset.saturating_add(filled as u64);
            if at >= self.size {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            filled += self.origin.read_at(&mut bytes[filled..], at, self.size)?;
        }
        Ok(())
    }
}

/// Whether looking at so many places as there are takes longer than it may, when these took so long.
fn is_too_slow(elapsed: Duration, done: usize, all: usize) -> bool {
    done > 0 && elapsed.as_secs_f64() * all as f64 > PATIENCE.as_secs_f64() * done as f64
}

impl Origin {
    fn far(socket: UnixStream) -> Self {
        Self::Ranges { socket, blocks: VecDeque::new(), glances: BTreeMap::new() }
    }

    /// Reads at least one byte at `offset`, which lies before `size`.
    fn read_at(&mut self, buffer: &mut [u8], offset: u64, size: u64) -> io::Result<usize> {
        let read = match self {
            Self::File(file) => file.read_at(buffer, offset)?,
            Self::Ranges { glances, .. } if let Some(seen) = seen(glances, offset) => {
                let read = seen.len().min(buffer.len());
                buffer[..read].copy_from_slice(&seen[..read]);
                read
            }
            Self::Ranges { socket, blocks, .. } => {
                let start = offset - offset % BLOCK;
                let found = blocks.iter().position(|(at, _)| *at == start);
                let block = match found.and_then(|index| blocks.remove(index)) {
                    Some(block) => block,
                    None => {
                        let fetched = fetch(socket, &[(start, BLOCK.min(size - start))])?;
                        (start, fetched.into_iter().next().unwrap_or_default())
                    }
                };
                let rest = &block.1[(offset - start) as usize..];
                let read = rest.len().min(buffer.len());
                buffer[..read].copy_from_slice(&rest[..read]);
                // The most recently used block stands last.
                blocks.push_back(block);
                if blocks.len() > KEPT_BLOCKS {
                    blocks.pop_front();
                }
                read
            }
        };
        // A file that is shorter than announced is not a file that ends.
        if read == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(read) }
    }
}

/// What was glanced at from `offset` on.
fn seen(glances: &BTreeMap<u64, Vec<u8>>, offset: u64) -> Option<&[u8]> {
    let (start, bytes) = glances.range(..=offset).next_back()?;
    bytes.get(usize::try_from(offset - start).ok()?..).filter(|rest| !rest.is_empty())
}

/// Asks the parent for ranges, each an offset and a length; see [`Source::Ranges`].
fn fetch(socket: &mut UnixStream, ranges: &[(u64, u64)]) -> io::Result<Vec<Vec<u8>>> {
    let request = |(offset, length): &(u64, u64)| {
        [&offset.to_le_bytes()[..], &(*length as u32).to_le_bytes()[..]].concat()
    };
    socket.write_all(&ranges.iter().flat_map(request).collect::<Vec<u8>>())?;
    let answer = |(_, length): &(u64, u64)| {
        let mut bytes = vec![0; *length as usize];
        socket.read_exact(&mut bytes)?;
        Ok(bytes)
    };
    ranges.iter().map(answer).collect()
}

impl Read for Media {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.size.saturating_sub(self.position)).unwrap_or(usize::MAX);
        let wanted = left.min(buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        match self.origin.read_at(&mut buffer[..wanted], self.position, self.size) {
            Ok(read) => {
                self.position += read as u64;
                Ok(read)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let _ = self.failure.0.set((error.kind(), error.to_string()));
                Err(error)
            }
        }
    }
}

impl Seek for Media {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.size.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_will_be_too_slow_is_so_at_once() {
        let ms = Duration::from_millis;
        assert!(!is_too_slow(ms(900), 0, 1000), "nothing is known yet");
        assert!(!is_too_slow(ms(31), 64, 1000));
        assert!(is_too_slow(ms(33), 64, 1000));
        assert!(!is_too_slow(ms(499), 999, 999));
    }

    /// Serves ranges of `bytes` until the socket closes; gives the offsets that were asked for.
    fn parent(mut socket: UnixStream, bytes: Vec<u8>) -> std::thread::JoinHandle<Vec<u64>> {
        std::thread::spawn(move || {
            let mut asked = Vec::new();
            let mut request = [0; 12];
            while socket.read_exact(&mut request).is_ok() {
                let offset = u64::from_le_bytes(request[..8].try_into().unwrap());
                let length = u32::from_le_bytes(request[8..].try_into().unwrap());
                asked.push(offset);
                socket.write_all(&bytes[offset as usize..][..length as usize]).unwrap();
            }
            asked
        })
    }

    #[test]
    fn ranges_are_read_in_blocks_and_kept() {
        let bytes: Vec<u8> = (0..2 * BLOCK + 77).map(|n| (n % 251) as u8).collect();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let served = parent(theirs, bytes.clone());
        let mut media = Media::new(ours.into(), Source::Ranges { size: bytes.len() as u64 });
        assert_eq!(media.peek(0, 4).unwrap(), bytes[..4]);
        let mut read = Vec::new();
        media.read_to_end(&mut read).unwrap();
        assert!(read == bytes);
        media.seek(SeekFrom::End(-5)).unwrap();
        read.clear();
        media.read_to_end(&mut read).unwrap();
        assert_eq!(read, bytes[bytes.len() - 5..]);
        media.failure().check().unwrap();
        drop(media);
        assert_eq!(served.join().unwrap(), [0, BLOCK, 2 * BLOCK]);
    }

    #[test]
    fn a_closed_socket_and_a_short_file_are_failures_not_ends() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        let mut short = tempfile::tempfile().unwrap();
        short.write_all(b"abc").unwrap();
        for mut media in [
            Media::new(ours.into(), Source::Ranges { size: 9 }),
            Media::new(short.into(), Source::File { size: 9 }),
        ] {
            let failure = media.failure();
            media.read_to_end(&mut Vec::new()).unwrap_err();
            failure.check().unwrap_err();
        }
    }
}
