//! One line for each request, when its body has been sent or its client has gone.
//!
//! A thread of its own writes them. If the disk does not keep up, lines are lost and counted; nobody
//! waits for a log.

mod cmcd;
mod line;

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use http::request::Parts;
use http::{Response, StatusCode};
use model::{Clock, Timestamp};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use serde::{Deserialize, Serialize};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};

use crate::body::{Body, Sent};
use crate::connection::Peer;
use crate::door::Outcome;
use crate::error::ListenerError;
use line::{Asked, Line};

/// Where the access log goes, and in which form.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The file that lines are added to; none are written if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// The lines' form.
    pub format: Format,
}

/// The form of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// As Apache and nginx write it, with times, cache and CMCD behind it.
    #[default]
    Combined,
    /// One JSON object.
    Json,
}

/// Lines that wait to be written: some 20 MiB at most.
const WAITING: usize = 1 << 16;

/// An open access log.
#[derive(Clone)]
pub struct AccessLog(Arc<Open>);

struct Open {
    lines: NonBlocking,
    lost: ErrorCounter,
    format: Format,
    clock: Arc<dyn Clock>,
    reopen: Arc<AtomicBool>,
    /// Writes what waits when the last handle goes.
    _writer: WorkerGuard,
}

impl AccessLog {
    /// Opens the log that `config` names, if it names one.
    ///
    /// # Errors
    ///
    /// [`ListenerError::AccessLog`] when the file cannot be opened for writing.
    pub fn open(config: &Config, clock: Arc<dyn Clock>) -> Result<Option<Self>, ListenerError> {
        let Some(path) = &config.file else { return Ok(None) };
        let failed = |source| ListenerError::AccessLog { path: path.clone(), source };
        let reopen = Arc::new(AtomicBool::new(false));
        let file =
            Reopened { file: append(path).map_err(failed)?, path: path.clone(), asked: Arc::clone(&reopen) };
        let builder = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(WAITING);
        let (lines, writer) = builder.thread_name("access-log").finish(file);
        let lost = lines.error_counter();
        let open = Open { lines, lost, format: config.format, clock, reopen, _writer: writer };
        Ok(Some(Self(Arc::new(open))))
    }

    /// Goes on in a new file of the same name: whoever rotates logs has moved the old one away.
    pub fn reopen(&self) {
        self.0.reopen.store(true, Ordering::Relaxed);
    }

    /// Begins a line about a request.
    pub(crate) fn begin(&self, request: &Parts) -> Entry {
        let asked = Asked::of(request, request.extensions.get().map(|Peer(peer)| peer.ip()));
        let (at, started) = (self.0.clock.now(), Instant::now());
        Entry { log: self.clone(), asked, at, started }
    }
}

/// Shows how many lines were lost.
impl Collector for AccessLog {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let lost = ConstCounter::new(self.0.lost.dropped_lines() as u64);
        let help = "Lines of the access log that were lost because the disk did not keep up";
        let metric = encoder.encode_descriptor("cocuyo_access_log_lost", help, None, lost.metric_type())?;
        lost.encode(metric)
    }
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLog").finish_non_exhaustive()
    }
}

/// A line that is not finished.
pub(crate) struct Entry {
    log: AccessLog,
    asked: Asked,
    at: Timestamp,
    started: Instant,
}

impl Entry {
    /// The answer's head is known; its end writes the line.
    pub(crate) fn answered(self, response: &mut Response<Body>) {
        let outcome = response.extensions().get().copied().unwrap_or(Outcome::of("none"));
        let (status, first_byte) = (response.status(), self.started.elapsed());
        let end = End { entry: self, status, outcome, first_byte_ms: first_byte.as_millis() };
        response.body_mut().tell_at_its_end(end);
    }
}

/// What writes the line.
struct End {
    entry: Entry,
    status: StatusCode,
    outcome: Outcome,
    first_byte_ms: u128,
}

impl Sent for End {
    fn ended(&mut self, bytes: u64) {
        let Entry { log, asked, at, started } = &self.entry;
        let line = Line {
            asked,
            at: *at,
            status: self.status.as_u16(),
            outcome: self.outcome,
            bytes,
            first_byte_ms: self.first_byte_ms,
            whole_ms: started.elapsed().as_millis(),
        };
        let text = match log.0.format {
            Format::Combined => line.combined(),
            Format::Json => line.json(),
        };
        // Into a queue; whether it is full is counted there.
        let _counted = log.0.lines.clone().write_all(text.as_bytes());
    }
}

/// A file that is opened again when that was asked for.
struct Reopened {
    file: File,
    path: PathBuf,
    asked: Arc<AtomicBool>,
}

impl Write for Reopened {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.asked.swap(false, Ordering::Relaxed) {
            match append(&self.path) {
                Ok(file) => self.file = file,
                Err(error) => tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "cannot open the access log `{}` again; the old file goes on",
                    self.path.display()
                ),
            }
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn append(path: &Path) -> io::Result<File> {
    File::options().create(true).append(true).open(path)
}
