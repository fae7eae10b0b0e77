//! A publisher's way to the packager: a stream socket, and what is kept for a packager that goes away
//! and comes back.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use model::feed::{FeedAnswer, FeedMessage, FeedOver, read_frame, write_frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, OnceCell, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::backlog::Backlog;
use super::{Item, Metrics};

/// From one try to reach a packager to the next.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long what is left may take to be sent when the publisher has gone.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Bytes that are written at once; a packet that is longer goes alone.
const BATCH: usize = 64 << 10;

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
    backlog: Mutex<Backlog>,
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
            backlog: Mutex::default(),
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

    /// Puts an item on its way; what the packager does not take in time is dropped and counted.
    pub(crate) fn push(&self, item: Item) {
        self.shared.with_backlog(|backlog| backlog.push(item, self.shared.since.elapsed()));
        self.shared.more.notify_one();
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
    fn with_backlog<T>(&self, change: impl FnOnce(&mut Backlog) -> T) -> T {
        let mut backlog = self.backlog.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut backlog);
        self.metrics.dropped.inc_by(backlog.take_dropped());
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
            match converse(&shared, stream, is_first).await {
                Ended::Over(over) => return Some(over),
                Ended::Finished => return None,
                Ended::Lost { was_accepted } => {
                    if was_accepted {
                        (pause, is_first) = (FIRST_PAUSE, false);
                    }
                    // What it was sent may be gone with it.
                    shared.with_backlog(Backlog::rewind);
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
    let (input, output) = stream.into_split();
    let mut was_accepted = false;
    let ended = tokio::select! {
        biased;
        over = listen(input, || {
            was_accepted = true;
            shared.metrics.resumed.inc_by((!is_first).into());
        }) => over.map(Ended::Over),
        sent = send(shared, output) => sent.ok().map(|()| Ended::Finished),
    };
    ended.unwrap_or(Ended::Lost { was_accepted })
}

/// Hears the packager until it says that the feed is over, or goes away.
async fn listen(mut input: OwnedReadHalf, mut accepted: impl FnMut()) -> Option<FeedOver> {
    let mut bytes = BytesMut::new();
    loop {
        while let Some((answer, _)) = read_frame(&mut bytes).ok()? {
            match answer {
                FeedAnswer::Accepted => accepted(),
                FeedAnswer::Over(over) => return Some(over),
            }
        }
        if input.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// Says everything anew, and then what comes, until nothing more comes.
async fn send(shared: &Shared, mut output: OwnedWriteHalf) -> std::io::Result<()> {
    let mut batch = BytesMut::new();
    frame(&shared.begin, b"", &mut batch);
    shared.with_backlog(|backlog| {
        for config in backlog.configs() {
            frame(&FeedMessage::Config(config.clone()), b"", &mut batch);
        }
        for track in backlog.others() {
            frame(&FeedMessage::Others { track }, b"", &mut batch);
        }
    });
    loop {
        // Before the look at what is there: what comes meanwhile wakes it up at once.
        let more = shared.more.notified();
        let finished = shared.finished.get().copied();
        shared.with_backlog(|backlog| {
            while batch.len() < BATCH
                && let Some(item) = backlog.next()
            {
                put(item, &mut batch);
            }
        });
        if !batch.is_empty() {
            output.write_all_buf(&mut batch).await?;
            continue;
        }
        match finished {
            None => more.await,
            Some(said_so) => {
                if said_so {
                    frame(&FeedMessage::End, b"", &mut batch);
                    output.write_all_buf(&mut batch).await?;
                }
                return output.shutdown().await;
            }
        }
    }
}

fn put(item: &Item, batch: &mut BytesMut) {
    match item {
        Item::Config(config) => frame(&FeedMessage::Config(config.clone()), b"", batch),
        Item::Others(track) => frame(&FeedMessage::Others { track: *track }, b"", batch),
        Item::Packet(packet) => {
            let model::feed::Packet { track, dts, cts_offset, key, ref data } = *packet;
            frame(&FeedMessage::Packet { track, dts, cts_offset, key }, data, batch);
        }
    }
}

/// A door bounds what it gives to a feed, so that every frame can be written.
fn frame(message: &FeedMessage, payload: &[u8], batch: &mut BytesMut) {
    if let Err(error) = write_frame(message, payload, batch) {
        tracing::error!(error = &error as &dyn std::error::Error, "a message of a feed is too long");
    }
}
