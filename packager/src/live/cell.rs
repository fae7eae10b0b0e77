//! An event's cell, seen from outside: fed, listened to, and never waited for.
//!
//! Whoever has a packet gives it to [`LiveCell::feed`] and goes on. A task of its own keeps the cell
//! supplied, checks what it says and passes it on as [`LiveEvent`]s, of which [`LiveEvent::Ended`] is
//! the last, whatever happened. Its end is no error and not the event's: its rungs have a gap until
//! another cell is started, with the next key frame.
//!
//! To make other rungs, or of another configuration, start another cell, feed it from a key frame on,
//! and [`finish`](LiveCell::finish) this one.
//!
//! # Cancellation
//!
//! A [`LiveCell`] that is dropped has its process killed and reaped; so has one whose events nobody
//! takes any more.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Buf, Bytes};
use model::cell::live::{LiveInput, LivePlan, LiveReply, LiveTrack};
use model::cell::{Request, encode_head};
use model::feed::{FeedTrack, Packet};
use model::{FailureReason, RenditionName};
use tokio::io::AsyncWriteExt;
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span};

use super::backlog::{Backlog, BacklogLimits, Waiting};
use super::verify::Verifier;
use crate::cell::{FrameReader, LEAVE, Process};

/// How willingly a cell leaves the processor to others: to the server itself, at 0, and to nobody else.
const NICENESS: i32 = 2;
/// Events that wait to be taken: a second or two of all renditions. When they are not, the cell is
/// listened to no more, falls behind, and packets are left out.
const EVENTS: usize = 512;
/// What a cell is started with.
#[derive(Debug, Clone, Copy)]
pub struct LiveStart<'a> {
    /// The program `cocuyo-transcoder`.
    pub program: &'a Path,
    /// A folder to run in.
    pub folder: &'a Path,
    /// How much may wait for it.
    pub limits: BacklogLimits,
    /// The longest silence of one that has something to do; [`LiveStart::QUIET`] is enough.
    pub quiet: Duration,
    /// Where its tasks are spawned.
    pub tasks: &'a TaskTracker,
    /// Stops it.
    pub stop: &'a CancellationToken,
}

impl LiveStart<'_> {
    /// Far longer than a machine that is busy keeps a cell from its work.
    pub const QUIET: Duration = Duration::from_secs(10);
}

/// What a cell gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LiveEvent {
    /// What a decoder of a rendition must know; before its first packet, and once.
    Init {
        /// Of which rendition.
        rendition: RenditionName,
        /// Its configuration.
        track: LiveTrack,
    },
    /// A coded picture or frame of sound; see [`LiveReply::Packet`].
    Packet {
        /// Of which rendition,
        rendition: RenditionName,
        /// when it is decoded, in ticks of the feed,
        dts: i64,
        /// how much later it is shown.
        cts_offset: i32,
        /// Whether decoding can start here.
        key: bool,
        /// Ticks until the next one; of pictures, as a rule.
        duration: u32,
        /// Its bytes.
        data: Bytes,
    },
    /// The cell is gone and reaped.
    Ended(LiveEnding),
}

/// How a cell ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LiveEnding {
    /// It was finished, and has said everything.
    Finished,
    /// It will not process the feed: another one would not either.
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
    /// It had something to do and was silent.
    TimedOut,
    /// It was stopped by us.
    Stopped,
}

/// A running cell.
#[derive(Debug)]
pub struct LiveCell {
    shared: Arc<Shared>,
    /// Cancelled with this value.
    dropped: CancellationToken,
    has_video: bool,
    has_audio: bool,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Something was added.
    news: Notify,
}

#[derive(Debug)]
struct State {
    backlog: Backlog,
    is_finishing: bool,
    /// Of the picture, and of the sound.
    damaged: [u64; 2],
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under the lock leaves it half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long to wait before a cell is started anew that ended by itself, after so many that did: not at
/// all after the first, which may have met one bad packet.
pub fn restart_after(ended: u32) -> Duration {
    match ended {
        ..=1 => Duration::ZERO,
        2..=7 => Duration::from_millis(500) * 2u32.pow(ended - 2),
        _ => Duration::from_secs(30),
    }
}

impl LiveCell {
    /// Starts the program with a plan. What is fed first should be a key frame.
    ///
    /// # Errors
    ///
    /// When the program cannot be started: a defect of the installation.
    pub fn start(start: LiveStart<'_>, plan: LivePlan) -> io::Result<(Self, mpsc::Receiver<LiveEvent>)> {
        let LiveStart { program, folder, limits, quiet, tasks, stop } = start;
        let (process, stdin, stdout) = Process::start(program, folder, Vec::new(), NICENESS, tasks)?;
        let state = State { backlog: Backlog::new(limits), is_finishing: false, damaged: [0; 2] };
        let shared = Arc::new(Shared { state: Mutex::new(state), news: Notify::new() });
        let (events, taken) = mpsc::channel(EVENTS);
        let (has_video, has_audio) = (plan.video.is_some(), plan.audio.is_some());
        let verifier = Verifier::new(&plan);
        let request = encode_head(&Request::Live { plan }, 0).map_err(io::Error::other)?;
        let dropped = CancellationToken::new();
        let task = Task {
            process,
            stdin,
            frames: FrameReader::new(stdout),
            shared: shared.clone(),
            outgoing: [request.into(), Bytes::new()],
            is_deaf: false,
            has_said_end: false,
            verifier,
            newest: i64::MIN,
            quiet,
            owed: Some(Instant::now()),
            events,
            stop: stop.clone(),
            dropped: dropped.clone(),
        };
        tasks.spawn(task.run().instrument(Span::current()));
        Ok((Self { shared, dropped, has_video, has_audio }, taken))
    }

    /// Gives it a packet; with `idr` all its rungs have an IDR picture where this one is shown. Waits for
    /// nothing: where too much waits already, packets are left out up to the next key frame.
    pub fn feed(&self, packet: Packet, idr: bool) {
        let is_wanted = match packet.track {
            FeedTrack::Video => self.has_video,
            FeedTrack::Audio => self.has_audio,
        };
        if is_wanted {
            self.shared.state().backlog.push(packet, idr);
            self.shared.news.notify_one();
        }
    }

    /// The feed is over: what waits is still done, what the encoders hold comes out, and then
    /// [`LiveEvent::Ended`]. Not to be fed any more.
    pub fn finish(&self) {
        self.shared.state().is_finishing = true;
        self.shared.news.notify_one();
    }

    /// How much media has been fed and is not done.
    pub fn behind(&self) -> Duration {
        self.shared.state().backlog.behind()
    }

    /// Packets that were left out so far because the cell was behind.
    pub fn left_out(&self) -> u64 {
        self.shared.state().backlog.left_out()
    }

    /// Packets and pictures that the decoders found damaged so far.
    pub fn damaged(&self) -> u64 {
        self.shared.state().damaged.iter().sum()
    }
}

impl Drop for LiveCell {
    fn drop(&mut self) {
        self.dropped.cancel();
    }
}

/// What keeps a cell supplied and listens to it.
struct Task {
    process: Process,
    stdin: ChildStdin,
    frames: FrameReader<ChildStdout, LiveReply>,
    shared: Arc<Shared>,
    /// What is being written: a head, and its payload.
    outgoing: [Bytes; 2],
    /// It has closed its input.
    is_deaf: bool,
    has_said_end: bool,
    verifier: Verifier,
    /// When the last picture or sound is shown or heard that was fed.
    newest: i64,
    /// Since when it has had something to do and said nothing.
    owed: Option<Instant>,
    quiet: Duration,
    events: mpsc::Sender<LiveEvent>,
    stop: CancellationToken,
    dropped: CancellationToken,
}

impl Task {
    async fn run(mut self) {
        let ending = self.supply().await;
        let Self { process, stdin, events, stop, .. } = self;
        // A cell leaves when its input ends.
        drop(stdin);
        let last = LiveEvent::Ended(see_out(process, ending).await);
        // Whoever does not listen any more need not be told; nor is one waited for who will not.
        tokio::select! {
            biased;
            _ = events.send(last.clone()) => {}
            () = stop.cancelled() => drop(events.try_send(last)),
        }
    }

    /// Until it ends, or is to.
    async fn supply(&mut self) -> LiveEnding {
        loop {
            self.load();
            let has_more = !self.is_deaf && self.outgoing.iter().any(Buf::has_remaining);
            let deadline = self.owed.map(|since| since + self.quiet);
            let [head, payload] = &mut self.outgoing;
            let outgoing = if head.has_remaining() { head } else { payload };
            let heard = tokio::select! {
                biased;
                () = self.stop.cancelled() => return LiveEnding::Stopped,
                () = self.dropped.cancelled() => return LiveEnding::Stopped,
                heard = self.frames.next() => heard,
                written = self.stdin.write_buf(outgoing), if has_more => {
                    // One that is deaf is dead, as is seen next, or runs out of time.
                    self.is_deaf |= written.is_err();
                    // It may have been quicker than its plan.
                    if self.owes() {
                        self.owed.get_or_insert_with(Instant::now);
                    }
                    continue;
                }
                () = self.shared.news.notified(), if !has_more => continue,
                () = until(deadline) => return LiveEnding::TimedOut,
            };
            let event = match heard {
                Ok(Some((reply, data))) => self.judge(reply, data),
                Ok(None) => Err(LiveEnding::Crashed { how: "closed its output".to_owned() }),
                Err(error) => Err(LiveEnding::Crashed { how: error.to_string() }),
            };
            let event = match event {
                Ok(Some(event)) => event,
                Ok(None) => continue,
                Err(ending) => return ending,
            };
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return LiveEnding::Stopped,
                () = self.dropped.cancelled() => return LiveEnding::Stopped,
                sent = self.events.send(event) => if sent.is_err() {
                    return LiveEnding::Stopped;
                },
            }
            // The time in which nobody listened was not the cell's.
            self.owed = self.owed.map(|_| Instant::now());
        }
    }

    /// Takes the next message up for writing, when the last one is written.
    fn load(&mut self) {
        if self.is_deaf || self.has_said_end || self.outgoing.iter().any(Buf::has_remaining) {
            return;
        }
        let mut state = self.shared.state();
        let (input, data) = match state.backlog.pop() {
            Some(Waiting { packet, idr }) => {
                let Packet { track, dts, cts_offset, key, data } = packet;
                self.newest = self.newest.max(dts.saturating_add(cts_offset.into()));
                (LiveInput::Packet { track, dts, cts_offset, key, idr }, data)
            }
            None if state.is_finishing => {
                self.has_said_end = true;
                (LiveInput::End, Bytes::new())
            }
            None => return,
        };
        // What is too long for a frame cannot have come through one.
        if let Ok(head) = encode_head(&input, data.len()) {
            self.outgoing = [head.into(), data];
        }
    }

    /// What to pass on of a message.
    fn judge(&mut self, reply: LiveReply, data: Bytes) -> Result<Option<LiveEvent>, LiveEnding> {
        let crashed = |how| LiveEnding::Crashed { how };
        let event = match reply {
            LiveReply::Init { rendition, track } => {
                self.verifier.init(rendition, &track).map_err(crashed)?;
                Some(LiveEvent::Init { rendition, track })
            }
            LiveReply::Packet { rendition, dts, cts_offset, key, duration } => {
                let said = (dts, cts_offset, key);
                self.verifier.packet(rendition, said, &data, self.newest).map_err(crashed)?;
                Some(LiveEvent::Packet { rendition, dts, cts_offset, key, duration, data })
            }
            LiveReply::Passed { track, dts, damaged } => {
                let mut state = self.shared.state();
                state.backlog.passed(track, dts);
                state.damaged[usize::from(track == FeedTrack::Audio)] = damaged;
                None
            }
            LiveReply::Done if self.has_said_end => return Err(LiveEnding::Finished),
            LiveReply::Done => return Err(crashed("was done before the feed was over".to_owned())),
            LiveReply::Refused { reason, detail } => return Err(LiveEnding::Refused { reason, detail }),
        };
        self.owed = self.owes().then(Instant::now);
        Ok(event)
    }

    /// Whether it has something to do.
    fn owes(&self) -> bool {
        // A deaf one gets nothing any more, whatever waits for it.
        self.is_deaf
            || !self.verifier.is_ready()
            || self.has_said_end
            || self.shared.state().backlog.is_owed()
    }
}

/// Waits until a cell is gone, and adds to its ending what was seen of it.
async fn see_out(mut process: Process, mut ending: LiveEnding) -> LiveEnding {
    let grace = match ending {
        LiveEnding::Finished | LiveEnding::Refused { .. } => LEAVE,
        LiveEnding::Crashed { .. } => Duration::from_millis(100),
        // It holds nothing that has to be put away.
        LiveEnding::TimedOut | LiveEnding::Stopped => Duration::ZERO,
    };
    let status = process.leave(grace).await;
    let last_words = process.last_words().await;
    if let LiveEnding::Crashed { how } = &mut ending {
        how.extend(status.map(|status| format!(" ({status})")));
        how.extend(last_words.map(|words| format!(": {words}")));
    }
    ending
}

/// Waits until then; without a time, for ever.
async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
