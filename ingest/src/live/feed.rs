//! A publisher's way to the packager: a stream socket, and what is kept for a packager that goes away
//! and comes back.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use model::feed::{FeedAnswer, FeedMessage, FeedOver, read_frame};
use tokio::net::UnixStream;
use tokio::sync::{Notify, OnceCell, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::outflow::{Outflow, Written};
use super::{Item, Metrics};

/// From one try to reach a packager to the next.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long what is left may take to be sent when the publisher has gone.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What one publisher brings, on its way.
#[derive(Debug)]
pub(crate) struct Feed {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    socket: PathBuf,
    begin: FeedMessage,
    metrics: Metrics,
    since: Instant,
    outflow: Mutex<Outflow>,
    /// There is something for the task: what the packager has no room for, or the end.
    more: Notify,
    /// Set when nothing more comes: whether the publisher said so.
    finished: OnceCell<bool>,
}

impl Feed {
    /// Begins to send to the packager at `socket`, `begin` first. `over` is told when the packager says
    /// that the feed is over.
    pub(crate) fn open(
        socket: PathBuf,
        begin: FeedMessage,
        metrics: Metrics,
        over: oneshot::Sender<FeedOver>,
        tasks: &TaskTracker,
    ) -> Self {
        let shared = Arc::new(Shared {
            socket,
            begin,
            metrics,
            since: Instant::now(),
            outflow: Mutex::default(),
            more: Notify::new(),
            finished: OnceCell::new(),
        });
        let sent = Arc::clone(&shared);
        let task = tasks.spawn(async move {
            if let Some(said) = run(sent).await {
                // Whoever has left meanwhile need not hear it.
                let _ = over.send(said);
            }
        });
        Self { shared, task }
    }

    /// Takes an item that came at `now`, for [`Feed::send`]; what the packager does not take in time is
    /// dropped and counted.
    pub(crate) fn push(&self, item: Item, now: Instant) {
        let now = now.saturating_duration_since(self.shared.since);
        self.shared.with_outflow(|outflow| outflow.backlog.push(item, now));
    }

    /// Sends what was taken, now if the packager has room.
    pub(crate) fn send(&self) {
        let written = self.shared.with_outflow(|outflow| match outflow.is_full() {
            // The task waits for room.
            true => Ok(Written::All),
            false => outflow.write(),
        });
        // It finds the error, too, if it is one.
        if !matches!(written, Ok(Written::All)) {
            self.shared.more.notify_one();
        }
    }

    /// Sends what is left, and that the publisher has finished if it said so.
    pub(crate) async fn finish(mut self, said_so: bool) {
        let _ = self.shared.finished.set(said_so);
        self.shared.more.notify_one();
        // One that was over has been heard.
        if !self.task.is_finished() {
            let _ = tokio::time::timeout(LAST_WORDS, &mut self.task).await;
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn with_outflow<T>(&self, change: impl FnOnce(&mut Outflow) -> T) -> T {
        let mut outflow = self.outflow.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut outflow);
        self.metrics.dropped.inc_by(outflow.backlog.take_dropped());
        changed
    }
}

/// How a conversation with a packager ended.
enum Ended {
    /// It went away.
    Lost { was_accepted: bool },
    /// The feed is over for it.
    Over(FeedOver),
    /// All was sent.
    Finished,
}

async fn run(shared: Arc<Shared>) -> Option<FeedOver> {
    let mut pause = FIRST_PAUSE;
    let (mut is_first, mut is_missed) = (true, false);
    loop {
        if let Ok(stream) = UnixStream::connect(&shared.socket).await {
            let ended = converse(&shared, stream, is_first).await;
            shared.with_outflow(Outflow::disconnect);
            match ended {
                Ended::Over(over) => return Some(over),
                Ended::Finished => return None,
                Ended::Lost { was_accepted } => {
                    if was_accepted {
                        (pause, is_first) = (FIRST_PAUSE, false);
                    }
                    // What it was sent may be gone with it.
                    shared.with_outflow(|outflow| outflow.backlog.rewind());
                    tracing::warn!(begin = ?shared.begin, "the packager went away; what comes is kept for it");
                }
            }
        } else if !is_missed {
            is_missed = true;
            tracing::warn!(socket = %shared.socket.display(), "no packager takes live streams; trying again");
        }
        tokio::time::sleep(pause).await;
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}

async fn converse(shared: &Shared, stream: UnixStream, is_first: bool) -> Ended {
    let socket = Arc::new(stream);
    shared.with_outflow(|outflow| outflow.connect(Arc::clone(&socket), &shared.begin));
    let mut was_accepted = false;
    let ended = tokio::select! {
        biased;
        over = listen(&socket, || {
            was_accepted = true;
            shared.metrics.resumed.inc_by((!is_first).into());
        }) => over.map(Ended::Over),
        sent = send(shared, &socket) => sent.ok().map(|()| Ended::Finished),
    };
    ended.unwrap_or(Ended::Lost { was_accepted })
}

/// Hears the packager until it says that the feed is over, or goes away.
async fn listen(socket: &UnixStream, mut accepted: impl FnMut()) -> Option<FeedOver> {
    let mut bytes = BytesMut::new();
    loop {
        while let Some((answer, _)) = read_frame(&mut bytes).ok()? {
            match answer {
                FeedAnswer::Accepted => accepted(),
                FeedAnswer::Over(over) => return Some(over),
            }
        }
        socket.readable().await.ok()?;
        match socket.try_read_buf(&mut bytes) {
            Ok(0) => return None,
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => return None,
            _ => {}
        }
    }
}

/// Sends what there is whenever there is room again, until nothing more comes.
async fn send(shared: &Shared, socket: &UnixStream) -> std::io::Result<()> {
    let mut has_ended = false;
    loop {
        // Before the look at what is there: what comes meanwhile wakes it up at once.
        let more = shared.more.notified();
        let finished = shared.finished.get().copied();
        match (shared.with_outflow(Outflow::write)?, finished) {
            (Written::Part, _) => socket.writable().await?,
            (Written::All, None) => more.await,
            (Written::All, Some(true)) if !has_ended => {
                has_ended = true;
                shared.with_outflow(Outflow::end);
            }
            (Written::All, Some(_)) => return Ok(()),
        }
    }
}
