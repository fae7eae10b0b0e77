//! An encoder that is a connection of this program: it says what encoders say, and sends a capture.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::capture::{CHUNK_SIZE, Capture, message};

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

/// Sizes of the handshake, and what it says first.
const PACKET: usize = 1536;
const VERSION: u8 = 3;
/// Bytes of a chunk, until another number is said.
const FIRST_CHUNK_SIZE: usize = 128;
/// Writes that are remembered: of some seconds.
const REMEMBERED: usize = 256;
/// Longest wait for an answer: what takes longer is stuck.
pub(super) const STUCK: Duration = Duration::from_secs(10);

impl Publisher {
    /// Connects and asks to publish with this key.
    pub(super) async fn connect(address: &str, key: &str) -> anyhow::Result<Self> {
        tokio::time::timeout(STUCK, Self::begin(address, key)).await.context("no answer")?
    }

    async fn begin(address: &str, key: &str) -> anyhow::Result<Self> {
        let mut stream = TcpStream::connect(address).await.context("connect")?;
        stream.set_nodelay(true)?;
        let mut hello = vec![VERSION];
        hello.resize(1 + PACKET, 0);
        stream.write_all(&hello).await.context("say hello")?;
        let mut answer = vec![0; 1 + 2 * PACKET];
        stream.read_exact(&mut answer).await.context("hear hello")?;
        let mut out = BytesMut::from(&answer[1..=PACKET]);
        message(2, 1, 0, 0, &(CHUNK_SIZE as u32).to_be_bytes(), FIRST_CHUNK_SIZE, &mut out);
        let mut connect = BytesMut::new();
        text(&mut connect, "connect");
        number(&mut connect, 1.0);
        connect.put_u8(0x03);
        let url = format!("rtmp://{address}/live");
        for (name, value) in [("app", "live"), ("flashVer", "FMLE/3.0 (compatible; bench)"), ("tcUrl", &url)]
        {
            connect.put_u16(name.len() as u16);
            connect.put_slice(name.as_bytes());
            text(&mut connect, value);
        }
        connect.put_slice(&[0, 0, 9]);
        message(3, 20, 0, 0, &connect, CHUNK_SIZE, &mut out);
        let mut create = BytesMut::new();
        text(&mut create, "createStream");
        number(&mut create, 2.0);
        create.put_u8(0x05);
        message(3, 20, 0, 0, &create, CHUNK_SIZE, &mut out);
        // The first stream of a connection is called 1 by everybody.
        let mut publish = BytesMut::new();
        text(&mut publish, "publish");
        number(&mut publish, 3.0);
        publish.put_u8(0x05);
        text(&mut publish, key);
        text(&mut publish, "live");
        message(3, 20, 0, 1, &publish, CHUNK_SIZE, &mut out);
        stream.write_all(&out).await.context("ask to publish")?;
        let mut heard = Vec::new();
        loop {
            ensure!(stream.read_buf(&mut heard).await.context("hear")? > 0, "hung up: {}", shown(&heard));
            if holds(&heard, "NetStream.Publish.Start") {
                return Ok(Self(stream));
            }
            if holds(&heard, "NetStream.Publish.") || holds(&heard, "Rejected") {
                bail!("refused: {}", shown(&heard));
            }
        }
    }

    /// Sends the capture round and round in real time, what is due every `tick`.
    pub(super) fn send(self, capture: &Capture, tick: Duration) -> Publishing {
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

fn text(out: &mut BytesMut, text: &str) {
    out.put_u8(0x02);
    out.put_u16(text.len() as u16);
    out.put_slice(text.as_bytes());
}

fn number(out: &mut BytesMut, number: f64) {
    out.put_u8(0x00);
    out.put_f64(number);
}

fn holds(heard: &[u8], word: &str) -> bool {
    heard.windows(word.len()).any(|window| window == word.as_bytes())
}

/// What can be read of an answer.
fn shown(heard: &[u8]) -> String {
    heard.iter().filter(|byte| (0x20..0x7f).contains(*byte)).map(|byte| char::from(*byte)).collect()
}
