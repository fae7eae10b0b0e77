//! A transcoder cell, seen from outside: started, listened to, stopped and always reaped.
//!
//! The cell reads a stranger's file with millions of lines of C, so nothing about it is trusted:
//! its frames are bounded, its time is limited, its whole process group is killed, and its end,
//! clean or not, is a value ([`Ending`]) and never an error of ours.
//!
//! # Cancellation
//!
//! [`Cell::next`] may be dropped and called again. A [`Cell`] that is dropped kills its process
//! group; the runtime reaps it.

mod frames;
mod media;
mod process;
mod ranges;
mod stderr;
mod way;

use std::io;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use command_fds::FdMapping;
use model::FailureReason;
use model::cell::{MEDIA_FD, Reply, Request, Source, encode_head};
use nix::sys::signal::Signal;
use storage::StorageError;
use tokio::io::AsyncWriteExt;
use tokio::process::{ChildStdin, ChildStdout};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span};

pub(crate) use frames::FrameReader;
pub(crate) use media::Media;
pub(crate) use process::{LEAVE, Process};
pub(crate) use way::{RightOfWay, Way};

/// How long a cell may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Time for opening a file, and in hand at any later moment.
    pub grace: Duration,
    /// Further time for each unit of media time that is done.
    pub pace: u32,
    /// The longest silence.
    pub quiet: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        // A ladder up to 2160p takes some ten times its length on one slow core; three times as
        // much is no longer a film but an attack on the queue.
        Self { grace: Duration::from_secs(120), pace: 30, quiet: Duration::from_secs(120) }
    }
}

impl Patience {
    /// With a cell that others may keep from the processor for minutes.
    pub(crate) fn with_one_that_gives_way(self) -> Self {
        Self { grace: self.grace * 4, pace: self.pace * 4, quiet: self.quiet * 4 }
    }
}

/// How a cell ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// It did what it was asked.
    Finished {
        /// Frames or packets that its decoders refused.
        damaged: u64,
        /// How much had to be filled up, in milliseconds, because nothing there can be decoded.
        missing_ms: u64,
    },
    /// It will not process the file.
    Refused {
        /// Why, for the owner.
        reason: FailureReason,
        /// Why, for the log.
        detail: String,
    },
    /// It died, or said something that no cell says.
    Crashed {
        /// What was seen of it, for the log.
        how: String,
    },
    /// It was too slow, or silent for too long.
    TimedOut,
    /// It was asked to stop, by us.
    Stopped,
    /// The store failed it.
    Starved(StorageError),
    /// It could not read its file: the disk or the store is at fault, not the media.
    Unread,
}

/// What a cell says next.
#[derive(Debug)]
pub(crate) enum Said {
    /// A message that is not the last.
    Message {
        /// The message.
        reply: Reply,
        /// What comes with it.
        payload: Bytes,
    },
    /// Nothing more: it is gone and reaped.
    Ended(Ending),
}

/// What a cell is started with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start<'a> {
    /// The program `cocuyo-transcoder`.
    pub(crate) program: &'a Path,
    /// An empty folder to run in.
    pub(crate) scratch: &'a Path,
    /// How long it may take.
    pub(crate) patience: Patience,
    /// How willingly it leaves the processor to others, up to 19; the server itself is at 0.
    pub(crate) niceness: i32,
    /// Where its two helpers, for its standard error and its reads, are spawned.
    pub(crate) tasks: &'a TaskTracker,
    /// Stops it.
    pub(crate) stop: &'a CancellationToken,
}

/// A running cell.
#[derive(Debug)]
pub(crate) struct Cell {
    process: Process,
    /// Held open until the end: its closing tells the cell that its packager is gone.
    stdin: ChildStdin,
    frames: FrameReader<ChildStdout, Reply>,
    patience: Patience,
    /// When the media time done so far is used up.
    deadline: Instant,
    /// When it was last heard.
    heard: Instant,
    way: Way,
    /// Since when it stands still for others.
    still: Option<Instant>,
    stop: CancellationToken,
    reads: Option<JoinHandle<Result<(), StorageError>>>,
    ending: Option<Ending>,
}

/// The exit status of a cell whose media could not be read (`EX_IOERR` of sysexits.h).
const UNREAD: i32 = 74;

impl Cell {
    /// Starts the program on `media` and gives it its request.
    ///
    /// # Errors
    ///
    /// When the program cannot be started: a defect of the installation, not of the file.
    pub(crate) async fn start(
        start: Start<'_>,
        way: Way,
        media: Media,
        request: impl FnOnce(Source) -> Request,
    ) -> io::Result<Self> {
        let Start { program, scratch, patience, niceness, tasks, stop } = start;
        let (source, fd, server) = media.into_descriptor()?;
        let fds = vec![FdMapping { parent_fd: fd, child_fd: MEDIA_FD }];
        let (process, stdin, stdout) = Process::start(program, scratch, fds, niceness, tasks)?;
        let reads = server.map(|server| tasks.spawn(server.run().instrument(Span::current())));
        let now = Instant::now();
        let mut cell = Self {
            process,
            stdin,
            frames: FrameReader::new(stdout),
            patience,
            deadline: now + patience.grace,
            heard: now,
            way,
            still: None,
            stop: stop.clone(),
            reads,
            ending: None,
        };
        cell.ask(&request(source)).await?;
        cell.give_or_take_way();
        Ok(cell)
    }

    async fn ask(&mut self, request: &Request) -> io::Result<()> {
        let frame = encode_head(request, 0).map_err(io::Error::other)?;
        // A request is smaller than a pipe, so this waits for no one. A cell that is dead already
        // is noticed by the first read.
        match self.stdin.write_all(&frame).await {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }

    /// What it says next; after [`Said::Ended`] nothing more.
    pub(crate) async fn next(&mut self) -> Said {
        while self.ending.is_none() {
            let deadline = self.deadline.min(self.heard + self.patience.quiet);
            let heard = tokio::select! {
                biased;
                () = self.stop.cancelled() => Err(Ending::Stopped),
                () = self.way.changed() => {
                    self.give_or_take_way();
                    continue;
                }
                frame = self.frames.next() => self.judge(frame),
                () = tokio::time::sleep_until(deadline), if self.still.is_none() => Err(Ending::TimedOut),
            };
            match heard {
                Ok((reply, payload)) => return Said::Message { reply, payload },
                Err(ending) => self.ending = Some(ending),
            }
        }
        self.leave().await;
        Said::Ended(self.settle().await)
    }

    /// Lets it stand still, or go on, as the others ask.
    fn give_or_take_way(&mut self) {
        if self.process.is_gone() {
            return;
        }
        match (self.way.is_barred(), self.still) {
            (true, None) => {
                self.process.signal(Signal::SIGSTOP);
                self.still = Some(Instant::now());
            }
            (false, Some(since)) => {
                self.process.signal(Signal::SIGCONT);
                self.still = None;
                self.forgive(since);
            }
            _ => {}
        }
    }

    /// Gives it the time that encoding `media` may take.
    pub(crate) fn extend(&mut self, media: Duration) {
        self.deadline += media.saturating_mul(self.patience.pace);
    }

    /// From now on it leaves the processor to others, like one that was started with `niceness`
    /// and this way, and may take the longer for it.
    pub(crate) fn give_way(&mut self, niceness: i32, way: Way) {
        self.process.set_niceness(niceness);
        self.patience = self.patience.with_one_that_gives_way();
        self.way = way;
        self.give_or_take_way();
    }

    /// The time since `since` was ours and not the cell's: it waited for us to listen.
    pub(crate) fn forgive(&mut self, since: Instant) {
        let now = Instant::now();
        self.deadline += now - since;
        self.heard = now;
    }

    /// Ends it for what it said: its output breaks the plan.
    pub(crate) async fn condemn(&mut self, how: String) -> Ending {
        self.ending = Some(Ending::Crashed { how });
        self.leave().await;
        self.settle().await
    }

    /// Ends it because we cannot go on.
    pub(crate) async fn halt(&mut self) {
        self.ending = Some(Ending::Stopped);
        self.leave().await;
    }

    fn judge(
        &mut self,
        frame: Result<Option<(Reply, Bytes)>, frames::BrokenFrame>,
    ) -> Result<(Reply, Bytes), Ending> {
        self.heard = Instant::now();
        match frame {
            Ok(Some((Reply::Done { damaged, missing_ms, .. }, _))) => {
                Err(Ending::Finished { damaged, missing_ms })
            }
            Ok(Some((Reply::Refused { reason, detail }, _))) => Err(Ending::Refused { reason, detail }),
            // A cell that never pauses is always ready before its deadline's sleep is looked at.
            Ok(Some(_)) if self.heard >= self.deadline => Err(Ending::TimedOut),
            Ok(Some(message)) => Ok(message),
            Ok(None) => Err(Ending::Crashed { how: "closed its output".to_owned() }),
            Err(error) => Err(Ending::Crashed { how: error.to_string() }),
        }
    }

    /// Sees it out: those that are done leave by themselves, others are told to, and then made to.
    async fn leave(&mut self) {
        if matches!(self.ending, Some(Ending::Stopped | Ending::TimedOut)) {
            self.process.terminate();
        }
        let is_condemned = matches!(self.ending, Some(Ending::Crashed { .. }));
        let grace = if is_condemned { Duration::from_millis(100) } else { LEAVE };
        match (&mut self.ending, self.process.leave(grace).await) {
            (Some(ending @ Ending::Crashed { .. }), Some(status)) if status.code() == Some(UNREAD) => {
                *ending = Ending::Unread;
            }
            (Some(Ending::Crashed { how }), Some(status)) => how.push_str(&format!(" ({status})")),
            _ => {}
        }
    }

    /// The ending, with what its helpers know about it. Whoever drops this on the way and asks
    /// again goes on from where it was.
    async fn settle(&mut self) -> Ending {
        if let (Some(tail), Some(Ending::Crashed { how })) =
            (self.process.last_words().await, &mut self.ending)
        {
            how.push_str(": ");
            how.push_str(&tail);
        }
        // The reads end with the process, too, unless the store is what one waits for.
        if let Some(reads) = &mut self.reads {
            // A cell that ended well has read what it needed; one that did not may have been let
            // down.
            if !matches!(self.ending, Some(Ending::Stopped | Ending::Finished { .. })) {
                match tokio::time::timeout(LEAVE, &mut *reads).await {
                    Ok(Ok(Err(error))) => self.ending = Some(Ending::Starved(error)),
                    // It was silent because nobody answered it.
                    Err(_) if matches!(self.ending, Some(Ending::TimedOut)) => {
                        self.ending = Some(Ending::Unread);
                    }
                    _ => {}
                }
            }
            reads.abort();
            self.reads = None;
        }
        self.ending.take().unwrap_or(Ending::Stopped)
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        // Its store may keep it for minutes.
        if let Some(reads) = &self.reads {
            reads.abort();
        }
    }
}

#[cfg(test)]
mod tests;
