//! Who loads a playlist again as soon as there is something new in it, and keeps everything it saw.

use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode};
use tokio::task::JoinHandle;

use super::Bench;
use super::listing::{Listing, Place, query};

/// A playlist as it was seen.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// Of this rendition,
    pub(super) rendition: String,
    /// asked for then,
    pub(super) sent: Instant,
    /// there then;
    pub(super) at: Instant,
    /// the request waited for this, if for anything.
    pub(super) until: Option<Place>,
    /// The playlist.
    pub(super) text: String,
}

/// Loads the playlist of one rendition until it is let go.
#[derive(Debug)]
pub(super) struct Poller {
    task: JoinHandle<()>,
    seen: tokio::sync::mpsc::UnboundedReceiver<Seen>,
}

/// Between two loads when there is nothing to wait for.
const PAUSE: Duration = Duration::from_millis(300);

impl Poller {
    /// Loads `{folder}{rendition}/playlist.m3u8` at the server at `address`.
    pub(super) fn start(bench: &Bench, address: &str, folder: &str, rendition: &str) -> Self {
        let url = format!("http://{address}{folder}{rendition}/playlist.m3u8");
        let rendition = rendition.to_owned();
        let (sender, seen) = tokio::sync::mpsc::unbounded_channel();
        let task = bench.runtime.spawn(async move {
            let client = Client::new();
            let (mut until, mut loads) = (None, 0_u32);
            loop {
                let sent = Instant::now();
                // Every other one is a delta, as players have it; the others are whole.
                let skip = loads % 2 == 1;
                let asked = until.map_or_else(|| url.clone(), |place| url.clone() + &query(place, skip));
                match load(&client, &asked).await {
                    Some(text) => {
                        loads += 1;
                        let listing = Listing::read(&text);
                        let is_over = listing.ended;
                        let rendition = rendition.clone();
                        if sender.send(Seen { rendition, sent, at: Instant::now(), until, text }).is_err()
                            || is_over
                        {
                            return;
                        }
                        until = listing.hint;
                    }
                    None => until = None,
                }
                if until.is_none() {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        });
        Self { task, seen }
    }

    /// The next playlist, if one comes within `limit`.
    pub(super) fn next(&mut self, bench: &Bench, limit: Duration) -> Option<Seen> {
        bench.runtime.block_on(async { tokio::time::timeout(limit, self.seen.recv()).await.ok().flatten() })
    }

    /// Everything that was seen and not yet taken; nothing more comes.
    pub(super) fn finish(mut self) -> Vec<Seen> {
        self.task.abort();
        let mut all = Vec::new();
        while let Ok(seen) = self.seen.try_recv() {
            all.push(seen);
        }
        all
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What is at `url`; nothing if the server is away, or has held the request for as long as it may.
async fn load(client: &Client, url: &str) -> Option<String> {
    let answer = client.get(url).timeout(Duration::from_secs(15)).send().await.ok()?;
    if answer.status() != StatusCode::OK {
        return None;
    }
    answer.text().await.ok()
}
