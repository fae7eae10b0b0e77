//! Whether the server's memory grows with those who have published and watched.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use futures::StreamExt;
use reqwest::Client;
use serde_json::{Value, json};

use tests::Tape;

use super::Bench;
use super::capture::capture;
use super::listing::Listing;
use super::publisher::Publisher;
use crate::installation::{Engines, Installation, Setup};
use crate::processes;
use crate::report::{Line, say};

/// Sessions at once.
const AT_ONCE: usize = 8;
/// How long each publishes.
const LASTS: Duration = Duration::from_secs(3);
/// An edge forgets what has ended five minutes after somebody asked for it last, and looks once a minute; then
/// nothing of an event is left.
const LINGER: Duration = Duration::from_secs(390);

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let sessions = bench.size(bench.options.sessions, 2000, 40);
    let warm = bench.size(None, 200, 20);
    let capture = capture("320x180", 250)?;
    let mut installation = Installation::start(Setup::on(Engines::Folder))?;
    installation.configure("[packager]\nlive_cores = 0\n")?;
    let work = Arc::new(Work {
        base: format!("http://{}", installation.door().address()),
        session: installation.door().session().to_owned(),
        rtmp: installation.rtmp().to_owned(),
        client: Client::new(),
        capture,
    });
    hold(bench, &work, warm)?;
    std::thread::sleep(LINGER);
    let before = processes::rss_mib(installation.pid())?;
    say(format!("{before:.1} MiB behind {warm} sessions"));
    hold(bench, &work, sessions)?;
    let during = processes::rss_mib(installation.pid())?;
    std::thread::sleep(LINGER);
    let after = processes::rss_mib(installation.pid())?;
    say(format!("{during:.1} MiB, then {after:.1} MiB behind {sessions} more"));
    Ok(vec![
        Line::new("rss_growth_percent", format!("{:.1}", (after / before - 1.0) * 100.0)),
        Line::new("rss_mib_before", format!("{before:.1}")),
        Line::new("rss_mib_after", format!("{after:.1}")),
        Line::new("rss_sessions", sessions),
    ])
}

/// What each session needs.
struct Work {
    base: String,
    session: String,
    rtmp: String,
    client: Client,
    capture: Tape,
}

fn hold(bench: &Bench, work: &Arc<Work>, sessions: u32) -> anyhow::Result<()> {
    bench.runtime.block_on(async {
        let held = futures::stream::iter(0..sessions).map(|_| {
            let work = Arc::clone(work);
            tokio::spawn(async move { work.session().await })
        });
        let mut held = held.buffer_unordered(AT_ONCE);
        while let Some(one) = held.next().await {
            one.context("a session's task")??;
        }
        Ok(())
    })
}

impl Work {
    /// An event is announced, published, watched, and ended.
    async fn session(&self) -> anyhow::Result<()> {
        let order = json!({ "title": "bench", "visibility": "public", "record": false, "dvr_s": 60 });
        let created = self.post("/api/v1/events").json(&order).send().await?.error_for_status()?;
        let created: Value = created.json().await?;
        let id = created["id"].as_str().context("an event has an id")?;
        let key = created["publish"]["key"].as_str().context("an event has a key")?;
        let begin = Instant::now();
        let publishing =
            Publisher::connect(&self.rtmp, key).await?.send(&self.capture, Duration::from_millis(100));
        let folder = self.folder(id).await?;
        self.get(&format!("{folder}multivariant.m3u8")).await?;
        while begin.elapsed() < LASTS {
            let text = self.get(&format!("{folder}180p/playlist.m3u8")).await?;
            if let Some((msn, part)) = Listing::read(&String::from_utf8_lossy(&text)).last() {
                self.get(&format!("{folder}180p/{msn}.{part}.m4s")).await?;
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        drop(publishing);
        self.post(&format!("/api/v1/events/{id}/end")).send().await?.error_for_status()?;
        Ok(())
    }

    async fn folder(&self, id: &str) -> anyhow::Result<String> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let answer = self.post(&format!("/api/v1/videos/{id}/playback")).send().await?;
            if answer.status().is_success() {
                let playback: Value = answer.json().await?;
                let url = playback["url"].as_str().context("playback has a url")?;
                return Ok(url.trim_end_matches("multivariant.m3u8").to_owned());
            }
            anyhow::ensure!(Instant::now() < deadline, "nothing plays: {}", answer.status());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn post(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.post(format!("{}{path}", self.base)).bearer_auth(&self.session)
    }

    async fn get(&self, path: &str) -> anyhow::Result<bytes::Bytes> {
        let answer = self.client.get(format!("{}{path}", self.base)).send().await?;
        Ok(answer.error_for_status()?.bytes().await?)
    }
}
