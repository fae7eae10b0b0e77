//! The life of the process: one tracker for all tasks, two tokens for its end.
//!
//! The first SIGTERM or SIGINT is soft: doors and workers finish what they hold. A second one, or
//! the end of the grace period, is hard. A task that dies unexpectedly stops the process with a
//! failing exit code, because a server without one of its parts only looks alive.

use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, error, info, warn};

/// All tasks of the process and the two ways to end them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lifecycle {
    tasks: TaskTracker,
    soft: CancellationToken,
    hard: CancellationToken,
    drained: CancellationToken,
    failed: Arc<AtomicBool>,
}

impl Lifecycle {
    /// Cancelled when parts should finish and end.
    pub(crate) fn stop(&self) -> CancellationToken {
        self.soft.clone()
    }

    /// Cancelled when the public doors have given their last answer.
    pub(crate) fn drained(&self) -> CancellationToken {
        self.drained.clone()
    }

    /// Runs a part of the process until it ends; ending before it was asked to is a failure.
    pub(crate) fn spawn<F>(&self, name: &'static str, part: F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let life = self.clone();
        let watched = async move {
            let guard = FailUnlessDisarmed { life: &life, name, armed: true };
            let result = tokio::select! {
                result = part => result,
                () = life.hard.cancelled() => {
                    warn!("`{name}` ran out of time to stop");
                    Ok(())
                }
            };
            match result {
                Ok(()) if life.soft.is_cancelled() => guard.disarm(),
                Ok(()) => error!("`{name}` ended without being asked to"),
                Err(error) => error!("`{name}` failed: {error:#}"),
            }
        };
        self.tasks.spawn(watched.instrument(tracing::info_span!("part", name)));
    }

    /// Waits for a signal or a failure, then for all parts, at most `grace` long.
    pub(crate) async fn run(self, grace: Duration) -> anyhow::Result<ExitCode> {
        let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
        tokio::select! {
            _ = terminate.recv() => info!("asked to stop"),
            _ = interrupt.recv() => info!("asked to stop"),
            () = self.soft.cancelled() => {}
        }
        self.soft.cancel();
        self.tasks.close();
        tokio::select! {
            () = self.tasks.wait() => {}
            () = tokio::time::sleep(grace) => warn!("stopping hard after {} s of grace", grace.as_secs()),
            _ = terminate.recv() => warn!("asked again, stopping hard"),
            _ = interrupt.recv() => warn!("asked again, stopping hard"),
        }
        self.hard.cancel();
        // What is left only has to be dropped; nothing of it may hold the process for long.
        let _ = tokio::time::timeout(Duration::from_secs(2), self.tasks.wait()).await;
        let failed = self.failed.load(Ordering::SeqCst);
        info!("stopped");
        Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

/// Turns the unexpected end of a part, panics included, into the end of the process.
struct FailUnlessDisarmed<'a> {
    life: &'a Lifecycle,
    name: &'static str,
    armed: bool,
}

impl FailUnlessDisarmed<'_> {
    fn disarm(mut self) {
        self.armed = false;
    }
}

impl Drop for FailUnlessDisarmed<'_> {
    fn drop(&mut self) {
        if self.armed {
            if std::thread::panicking() {
                error!("`{}` panicked", self.name);
            }
            self.life.failed.store(true, Ordering::SeqCst);
            self.life.soft.cancel();
        }
    }
}
