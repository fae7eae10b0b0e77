//! What SIGHUP does: the configuration is read again, and whoever can take something new from it
//! does. A configuration that is no good changes nothing.

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::config::{Config, Overrides};

/// What takes over a part of a new configuration.
type Taker = Box<dyn Fn(&Config) -> anyhow::Result<()> + Send + Sync>;

/// Everything that SIGHUP reaches, by name.
pub(crate) struct Reload {
    asked: Signal,
    takers: Vec<(&'static str, Taker)>,
}

impl Reload {
    /// From now on the signal, which would end the process otherwise, is only a question.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let asked = signal(SignalKind::hangup()).context("listen for SIGHUP")?;
        Ok(Self { asked, takers: Vec::new() })
    }

    /// From now on `take` is called with each new configuration.
    pub(crate) fn add(
        &mut self,
        name: &'static str,
        take: impl Fn(&Config) -> anyhow::Result<()> + Send + Sync + 'static,
    ) {
        self.takers.push((name, Box::new(take)));
    }

    /// Waits for the signal, again and again, until `stop`.
    pub(crate) async fn run(mut self, overrides: Overrides, stop: CancellationToken) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = self.asked.recv() => match Config::load(&overrides) {
                    Ok(config) => self.take(&config),
                    Err(error) => error!("the configuration was not read again: {error:#}"),
                },
            }
        }
    }

    fn take(&self, config: &Config) {
        for (name, take) in &self.takers {
            match take(config) {
                Ok(()) => info!("`{name}` goes by the new configuration"),
                Err(error) => error!("`{name}` goes by the old configuration: {error:#}"),
            }
        }
    }
}
