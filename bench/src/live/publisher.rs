//! An encoder that is a connection of this program: it says what encoders say, and sends a capture.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::BytesMut;
use tests::Tape;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// Somebody who may publish, and has not begun.
#[derive(Debug)]
pub(super) struct Publisher(TcpStream);

/// Somebody who publishes; the connection is cut when this is dropped.
#[derive(Debug)]
pub(super) struct Publishing {
    task: JoinHandle<()>,
    progress: Arc<Progress>,
}

/// How far somebody is.
#[derive(Debug, Default)]
struct Progress {
    /// When media was handed to the kernel lately.
    writes: Mutex<VecDeque<Instant>>,
    /// Nothing is sent any more.
    is_frozen: AtomicBool,
}

/// Writes that are remembered: of some seconds.
const REMEMBERED: usize = 256;
/// Longest wait for an answer: what takes longer is stuck.
pub(super) const STUCK: Duration = Duration::from_secs(10);

impl Publisher {
    /// Connects and asks to publish with this key.
    pub(super) async fn connect(address: &str, key: &str) -> anyhow::Result<Self> {
        let publish = tests::rtmp::publish(address, key);
        Ok(Self(tokio::time::timeout(STUCK, publish).await.context("no answer")??))
    }

    /// Sends the capture round and round in real time, what is due every `tick`.
    pub(super) fn send(self, capture: &Tape, tick: Duration) -> Publishing {
        let (capture, progress) = (capture.clone(), Arc::new(Progress::default()));
        let told = Arc::clone(&progress);
        let task = tokio::spawn(async move {
            let Self(mut stream) = self;
            let mut ticks = tokio::time::interval(tick);
            let (mut next, mut out, start) = (0, BytesMut::new(), Instant::now());
            let mut heard = vec![0; 4096];
            loop {
                ticks.tick().await;
                if told.is_frozen.load(Ordering::Acquire) {
                    continue;
                }
                next = capture.due(next, start.elapsed().as_millis() as u32, &mut out);
                if out.is_empty() {
                    continue;
                }
                if stream.write_all_buf(&mut out).await.is_err() {
                    return;
                }
                let mut writes = told.writes.lock().unwrap_or_else(PoisonError::into_inner);
                writes.truncate(REMEMBERED - 1);
                writes.push_front(Instant::now());
                drop(writes);
                // Acknowledgements: nobody wants them, but they must not fill the line.
                loop {
                    match stream.try_read(&mut heard) {
                        Ok(0) => return,
                        Ok(_) => {}
                        Err(_) => break,
                    }
                }
            }
        });
        Publishing { task, progress }
    }
}

impl Publishing {
    /// Whether the server has hung up.
    pub(super) fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// The last time before `moment` when something was sent; only what was sent lately is remembered.
    pub(super) fn last_write(&self, moment: Instant) -> Option<Instant> {
        let writes = self.progress.writes.lock().unwrap_or_else(PoisonError::into_inner);
        writes.iter().copied().find(|at| *at <= moment)
    }

    /// Stops to send and lets the connection stand, as a machine does that has lost its network.
    pub(super) fn freeze(&self) {
        self.progress.is_frozen.store(true, Ordering::Release);
    }
}

impl Drop for Publishing {
    fn drop(&mut self) {
        self.task.abort();
    }
}
