//! The way back to the packager: whole frames, one at a time, from whichever thread has one.

use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use model::cell::{Reply, encode_head};
use serde::Serialize;

use crate::error::{CellError, Result};

/// At most four messages of progress a second.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// Writes replies, and says how far the slowest track is.
pub(crate) struct Replies {
    state: Mutex<State>,
}

struct State {
    out: Box<dyn Write + Send>,
    /// Per track, the media time behind which it is done.
    positions: Vec<u64>,
    said: u64,
    said_at: Option<Instant>,
}

/// One track's part of the progress.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Track(usize);

impl Replies {
    pub(crate) fn new(out: impl Write + Send + 'static) -> Self {
        let state = State { out: Box::new(out), positions: Vec::new(), said: 0, said_at: None };
        Self { state: Mutex::new(state) }
    }

    /// Sends one reply.
    pub(crate) fn send(&self, reply: &impl Serialize, payload: &[u8]) -> Result<()> {
        self.state().send(reply, payload, &[])
    }

    /// Sends one reply whose payload is in two places: megabytes are not put together first.
    pub(crate) fn send_in_two(&self, reply: &Reply, payload: &[u8], rest: &[u8]) -> Result<()> {
        self.state().send(reply, payload, rest)
    }

    /// Adds a track. To be called before any advances.
    pub(crate) fn track(&self) -> Track {
        let mut state = self.state();
        state.positions.push(0);
        Track(state.positions.len() - 1)
    }

    /// A track is done up to a moment, in milliseconds.
    pub(crate) fn advance(&self, track: Track, position_ms: u64) -> Result<()> {
        self.state().advance(track, position_ms, Instant::now())
    }

    /// A track is done.
    pub(crate) fn end(&self, track: Track) -> Result<()> {
        self.advance(track, u64::MAX)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A thread that panicked in mid-frame ends the process anyway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn send(&mut self, reply: &impl Serialize, payload: &[u8], rest: &[u8]) -> Result<()> {
        let mut frame = encode_head(reply, payload.len() + rest.len())?;
        frame.extend_from_slice(payload);
        let mut write = || -> io::Result<()> {
            self.out.write_all(&frame)?;
            self.out.write_all(rest)?;
            self.out.flush()
        };
        write().map_err(CellError::Gone)
    }

    fn advance(&mut self, track: Track, position_ms: u64, now: Instant) -> Result<()> {
        let position = &mut self.positions[track.0];
        *position = position_ms.max(*position);
        let slowest = self.positions.iter().copied().min().unwrap_or(0);
        let due = self.said_at.is_none_or(|at| now.duration_since(at) >= PROGRESS_EVERY);
        if slowest <= self.said || slowest == u64::MAX || !due {
            return Ok(());
        }
        (self.said, self.said_at) = (slowest, Some(now));
        self.send(&Reply::Progress { position_ms: slowest }, &[], &[])
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use model::cell::{FrameLengths, decode_head};

    use super::*;

    struct Sink(mpsc::Sender<Vec<u8>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn progress_is_that_of_the_slowest_and_not_too_often() {
        let (sender, said) = mpsc::channel();
        let replies = Replies::new(Sink(sender));
        let (a, b) = (replies.track(), replies.track());
        let start = Instant::now();
        let mut state = replies.state();
        for (track, position, after_ms) in [
            (a, 100, 0),
            (b, 40, 0),
            (b, 90, 100),
            (b, 95, 300),
            (b, 200, 600),
            (a, u64::MAX, 900),
            (b, u64::MAX, 999),
        ] {
            state.advance(track, position, start + Duration::from_millis(after_ms)).unwrap();
        }
        let heads: Vec<Reply> = said
            .try_iter()
            .filter(|bytes| !bytes.is_empty())
            .map(|bytes| decode_head(&bytes[FrameLengths::SIZE..]).unwrap())
            .collect();
        let positions = [40, 95, 100, 200].map(|position_ms| Reply::Progress { position_ms });
        assert_eq!(heads, positions);
    }

    #[test]
    fn a_reader_that_left_is_noticed() {
        let (sender, said) = mpsc::channel();
        drop(said);
        let error = Replies::new(Sink(sender)).send(&Reply::Progress { position_ms: 0 }, &[]).unwrap_err();
        assert!(matches!(error, CellError::Gone(_)));
        assert!(error.refusal().is_none());
    }
}
