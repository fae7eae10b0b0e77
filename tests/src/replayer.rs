use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::{AbortHandle, JoinSet};

use crate::tape::VIDEO;
use crate::{Tape, rtmp, until};

/// Publishes a [`Tape`] round and round in real time, with times and key frames as a story wants them.
/// The connection is cut when this is dropped.
#[derive(Debug)]
pub struct Replayer {
    course: Arc<Course>,
    sends: AbortHandle,
    _tasks: JoinSet<()>,
}

/// What may be changed while it publishes.
#[derive(Debug, Default)]
struct Course {
    /// Milliseconds by which times are greater than they are on the tape, of pictures and of sound.
    pictures: AtomicI64,
    sound: AtomicI64,
    has_no_keys: AtomicBool,
}

/// Between two looks at what is due.
const TICK: Duration = Duration::from_millis(20);

impl Replayer {
    /// Begins to publish at `url`, which ends in the stream key; the first time is `first_ms`.
    pub async fn start(url: &str, tape: &Arc<Tape>, first_ms: u32) -> Self {
        let (server, key) = url.rsplit_once('/').expect("a key behind the server");
        let address = server.strip_prefix("rtmp://").and_then(|rest| rest.strip_suffix("/live"));
        let stream = rtmp::publish(address.expect("rtmp://HOST:PORT/live"), key).await.expect("publish");
        let first = AtomicI64::new(first_ms.into());
        let course = Course { sound: AtomicI64::new(first_ms.into()), pictures: first, ..Course::default() };
        let course = Arc::new(course);
        let mut tasks = JoinSet::new();
        let sends = tasks.spawn(send(stream, Arc::clone(tape), Arc::clone(&course)));
        Self { course, sends, _tasks: tasks }
    }

    /// From now on all times are so many milliseconds greater.
    pub fn jump(&self, ms: i64) {
        self.jump_pictures(ms);
        self.jump_sound(ms);
    }

    /// [`Replayer::jump`] of the pictures alone,
    pub fn jump_pictures(&self, ms: i64) {
        self.course.pictures.fetch_add(ms, Ordering::Relaxed);
    }

    /// and of the sound alone.
    pub fn jump_sound(&self, ms: i64) {
        self.course.sound.fetch_add(ms, Ordering::Relaxed);
    }

    /// Whether pictures from now on all say that decoding cannot begin with them.
    pub fn has_no_keys(&self, has_none: bool) {
        self.course.has_no_keys.store(has_none, Ordering::Relaxed);
    }

    /// Waits until the server has hung up.
    pub async fn let_go(&self) {
        until("the server to hang up", Duration::from_secs(20), async || {
            if self.sends.is_finished() { Ok(()) } else { Err("it publishes") }
        })
        .await;
    }
}

async fn send(mut stream: TcpStream, tape: Arc<Tape>, course: Arc<Course>) {
    let began = Instant::now();
    let mut heard = vec![0; 4096];
    let mut out: Vec<u8> = tape.headers().iter().flat_map(|tag| tag.chunks(0)).collect();
    let mut next = 0;
    loop {
        let now = began.elapsed().as_millis() as u64;
        loop {
            let (at, tag) = tape.tag(next);
            if at > now {
                break;
            }
            let shift = if tag.kind == VIDEO { &course.pictures } else { &course.sound };
            // Thirty-two bits that go round.
            let time = (at.cast_signed() + shift.load(Ordering::Relaxed)) as u32;
            match course.has_no_keys.load(Ordering::Relaxed) {
                true => out.extend(tag.without_key().chunks(time)),
                false => out.extend(tag.chunks(time)),
            }
            next += 1;
        }
        if stream.write_all(&out).await.is_err() {
            return;
        }
        out.clear();
        // Acknowledgements: nobody wants them, but they must not fill the line.
        if stream.try_read(&mut heard).is_ok_and(|read| read == 0) {
            return;
        }
        tokio::time::sleep(TICK).await;
    }
}
