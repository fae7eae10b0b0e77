//! A viewer of a live event: Chromium with the site's own player, driven by `bench/browser/live.js`.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::door::{PASSWORD, USERNAME};

/// A browser that may watch; its end when dropped.
#[derive(Debug)]
pub(super) struct Player(Browser);

/// What was seen of a player so far.
#[derive(Debug, Clone)]
pub(super) struct Look {
    /// Fatal errors of hls.js,
    pub(super) fatal: Vec<String>,
    /// and all of them.
    pub(super) errors: u64,
    /// How often the player was opened: a second time means that it gave up once.
    pub(super) engines: u64,
    /// `waiting` events behind the first picture, and how long they lasted.
    pub(super) stalls: u64,
    pub(super) stalled_ms: f64,
    /// Lines of the picture.
    pub(super) height: u64,
    /// What the page would have told the viewer.
    pub(super) failure: Option<String>,
    /// What it takes the line for, in bits per second.
    pub(super) estimate_bps: Option<f64>,
    /// Milliseconds since the picture on screen was drawn, if its clock can be read.
    pub(super) age_ms: Option<f64>,
    /// Where it is, what it has, and the last errors of hls.js: for a report of what went wrong.
    pub(super) state: Value,
}

impl Player {
    /// Starts a browser in front of the server at `address`, signed in.
    pub(super) fn start(address: &str) -> anyhow::Result<Self> {
        let (base, login) = (format!("http://{address}"), format!("{USERNAME}:{PASSWORD}"));
        Ok(Self(Browser::start("live.js", &["--base", &base, "--login", &login])?))
    }

    /// Joins as a new viewer, who stays on the publisher's own picture if `source`; seconds until the first
    /// picture.
    pub(super) fn join(&mut self, event: &str, source: bool) -> anyhow::Result<f64> {
        let level = source.then_some("source");
        let limit = Duration::from_secs(60);
        let joined = self.0.ask(&json!({ "join": event, "level": level }), "joined", limit)?;
        Ok(joined["ms"].as_f64().context("joining takes time")? / 1000.0)
    }

    /// Seconds since each picture of the next `seconds` was drawn by its encoder.
    pub(super) fn ages(&mut self, seconds: u32) -> anyhow::Result<Vec<f64>> {
        let limit = Duration::from_secs(u64::from(seconds) + 30);
        let told = self.0.ask(&json!({ "ages": seconds }), "ages", limit)?;
        let ages = told["ages"].as_array().context("ages are a list")?;
        let ages: Vec<f64> = ages.iter().filter_map(Value::as_f64).map(|ms| ms / 1000.0).collect();
        let without = told["without"].as_u64().unwrap_or_default() as usize;
        ensure!(without * 10 < ages.len(), "{without} pictures without a clock beside {}", ages.len());
        Ok(ages)
    }

    /// How it is.
    pub(super) fn look(&mut self) -> anyhow::Result<Look> {
        let seen = self.0.ask(&json!({ "look": true }), "look", Duration::from_secs(30))?;
        let fatal = seen["fatal"].as_array().into_iter().flatten().map(Value::to_string).collect();
        Ok(Look {
            fatal,
            errors: seen["errors"].as_u64().unwrap_or_default(),
            engines: seen["engines"].as_u64().unwrap_or_default(),
            stalls: seen["stalls"].as_u64().unwrap_or_default(),
            stalled_ms: seen["stalledMs"].as_f64().unwrap_or_default(),
            height: seen["height"].as_u64().unwrap_or_default(),
            failure: seen["failure"].as_str().map(str::to_owned),
            estimate_bps: seen["estimate"].as_f64(),
            age_ms: seen["age"].as_f64(),
            state: json!({ "time": seen["time"], "buffered": seen["buffered"], "last": seen["last"] }),
        })
    }

    /// Waits until what is on screen was drawn after `since`; how it is then, `None` if it is not in time.
    pub(super) fn until_newer(&mut self, since: Instant, limit: Duration) -> anyhow::Result<Option<Look>> {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            let look = self.look()?;
            let is_newer = |ms: f64| ms < since.elapsed().as_secs_f64() * 1000.0;
            if look.age_ms.is_some_and(is_newer) {
                return Ok(Some(look));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(None)
    }
}
