//! Chromium with somebody in front of it, driven by `bench/browser/watch.js`.

use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};

use crate::browser::Browser;
pub(crate) use crate::browser::Event;
use crate::door::{Door, PASSWORD, USERNAME};

/// A running browser, signed in; its end when dropped.
#[derive(Debug)]
pub(crate) struct Screen(Browser);

impl Screen {
    /// Starts a browser in front of `door`.
    pub(crate) fn start(door: &Door) -> anyhow::Result<Self> {
        let (base, login) = (format!("http://{}", door.address()), format!("{USERNAME}:{PASSWORD}"));
        Ok(Self(Browser::start("watch.js", &["--base", &base, "--login", &login])?))
    }

    /// Opens the watch page of `video`, which plays as soon as it can.
    pub(crate) fn watch(&mut self, video: &str) -> anyhow::Result<()> {
        self.0.ask(&json!({ "watch": video }), "open", Duration::from_secs(60)).map(drop)
    }

    /// Seeks to this part of the film; milliseconds until a picture of there was seen.
    pub(crate) fn seek(&mut self, part: f64) -> anyhow::Result<f64> {
        let sought = self.0.ask(&json!({ "seek": part }), "sought", Duration::from_secs(120))?;
        sought["ms"].as_f64().context("a seek takes time")
    }

    /// What has been counted since the page was opened.
    pub(crate) fn tally(&mut self) -> anyhow::Result<Value> {
        self.0.ask(&json!({ "tally": true }), "tally", Duration::from_secs(30))
    }

    /// Leaves the page.
    pub(crate) fn close(&mut self) -> anyhow::Result<()> {
        self.0.ask(&json!({ "close": true }), "closed", Duration::from_secs(30)).map(drop)
    }

    /// Waits for the event called `name`; it and all before it.
    pub(crate) fn until(&self, name: &str, limit: Duration) -> anyhow::Result<Vec<Event>> {
        self.0.until(name, limit)
    }
}
