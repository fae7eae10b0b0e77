//! Chromium, driven by a script of `bench/browser`: one command a line goes in, one event a line comes out.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;

/// A running browser; its end when dropped.
#[derive(Debug)]
pub(crate) struct Browser {
    driver: Child,
    input: ChildStdin,
    events: Receiver<Event>,
}

/// Something that happened in the browser.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// When it was heard of.
    pub(crate) at: Instant,
    /// What.
    pub(crate) what: Value,
}

impl Event {
    /// The event's name.
    pub(crate) fn name(&self) -> &str {
        self.what["event"].as_str().unwrap_or_default()
    }
}

impl Browser {
    /// Starts a browser with this script of `bench/browser`.
    pub(crate) fn start(script: &str, arguments: &[&str]) -> anyhow::Result<Self> {
        let mut driver = Command::new("node")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("browser").join(script))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start node")?;
        let input = driver.stdin.take().context("its input is piped")?;
        let output = driver.stdout.take().context("its output is piped")?;
        let (sender, events) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let at = Instant::now();
                if let Ok(what) = serde_json::from_str(&line) {
                    let _ = sender.send(Event { at, what });
                }
            }
        });
        let browser = Self { driver, input, events };
        browser.until("ready", Duration::from_secs(60))?;
        Ok(browser)
    }

    /// Waits for the event called `name`; it and all before it.
    pub(crate) fn until(&self, name: &str, limit: Duration) -> anyhow::Result<Vec<Event>> {
        let deadline = Instant::now() + limit;
        let mut seen = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = self.events.recv_timeout(left);
            let event = event.with_context(|| format!("wait for `{name}`; last seen: {:?}", seen.last()))?;
            if event.name() == "failed" {
                bail!("in the browser: {}", event.what["why"]);
            }
            seen.push(event);
            if seen.last().is_some_and(|event| event.name() == name) {
                return Ok(seen);
            }
        }
    }

    /// Gives a command, and waits for what it says when it has done it.
    pub(crate) fn ask(&mut self, command: &Value, answer: &str, limit: Duration) -> anyhow::Result<Value> {
        self.tell(command)?;
        Ok(self.until(answer, limit)?.pop().map(|event| event.what).unwrap_or_default())
    }

    /// Gives a command.
    pub(crate) fn tell(&mut self, command: &Value) -> anyhow::Result<()> {
        writeln!(self.input, "{command}").context("tell the browser")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver would close the browser when its input ends; a killed one takes it along too,
        // for the browser hangs on a pipe of the driver's.
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
