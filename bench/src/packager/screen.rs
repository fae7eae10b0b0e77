//! Chromium with somebody in front of it, driven by `bench/browser/watch.js`.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::door::{Door, PASSWORD, USERNAME};

/// A running browser, signed in; its end when dropped.
#[derive(Debug)]
pub(crate) struct Screen {
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

impl Screen {
    /// Starts a browser in front of `door`.
    pub(crate) fn start(door: &Door) -> anyhow::Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser/watch.js");
        let mut driver = Command::new("node")
            .arg(script)
            .args(["--base", &format!("http://{}", door.address())])
            .args(["--login", &format!("{USERNAME}:{PASSWORD}")])
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
        let screen = Self { driver, input, events };
        screen.until("ready", Duration::from_secs(60))?;
        Ok(screen)
    }

    /// Opens the watch page of `video`, which plays as soon as it can.
    pub(crate) fn watch(&mut self, video: &str) -> anyhow::Result<()> {
        self.command(&json!({ "watch": video }))?;
        self.until("open", Duration::from_secs(60)).map(drop)
    }

    /// Seeks to this part of the film; milliseconds until a picture of there was seen.
    pub(crate) fn seek(&mut self, part: f64) -> anyhow::Result<f64> {
        self.command(&json!({ "seek": part }))?;
        let events = self.until("sought", Duration::from_secs(120))?;
        events.last().and_then(|event| event.what["ms"].as_f64()).context("a seek takes time")
    }

    /// What has been counted since the page was opened.
    pub(crate) fn tally(&mut self) -> anyhow::Result<Value> {
        self.command(&json!({ "tally": true }))?;
        let events = self.until("tally", Duration::from_secs(30))?;
        Ok(events.last().map(|event| event.what.clone()).unwrap_or_default())
    }

    /// Leaves the page.
    pub(crate) fn close(&mut self) -> anyhow::Result<()> {
        self.command(&json!({ "close": true }))?;
        self.until("closed", Duration::from_secs(30)).map(drop)
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

    fn command(&mut self, command: &Value) -> anyhow::Result<()> {
        writeln!(self.input, "{command}").context("tell the browser")
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // The driver would close the browser when its input ends; a killed one takes it along too,
        // for the browser hangs on a pipe of the driver's.
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
