//! How soon an encoder that comes back is let in, whatever became of its connection before; and whether
//! any is ever locked out.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures::future::join_all;
use reqwest::Client;

use tests::Tape;

use super::Bench;
use super::capture::capture;
use super::event::Event;
use super::listing::{Listing, Place};
use super::publisher::{Publisher, Publishing, STUCK};
use crate::installation::{Engines, Installation, Setup};
use crate::report::{Line, quantile, say};

/// What became of the connection before.
#[derive(Debug, Clone, Copy)]
enum Before {
    /// It goes on: somebody else publishes with the same key.
    Goes,
    /// The encoder was killed.
    Killed,
    /// Its network is gone: nothing comes, and nothing says so.
    HalfOpen,
    /// It was killed a second ago.
    Gone,
}

const ROUNDS: [Before; 4] = [Before::Goes, Before::Killed, Before::HalfOpen, Before::Gone];
/// A round takes this long, so that no key has more than four takeovers a minute.
const ROUND: Duration = Duration::from_secs(16);

/// How one came back.
struct Back {
    /// Seconds until it was let in, and until a part of what it sent was listed; nothing if it never was.
    let_in: Option<f64>,
    listed: Option<f64>,
    publishing: Option<Publishing>,
}

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let keys = bench.size(bench.options.keys, 250, 12) as usize;
    let capture = capture("320x180", 250)?;
    let mut installation = Installation::start(Setup::on(Engines::Folder))?;
    installation.configure(
        "[http]\nmax_connections = 20000\n[packager]\nlive_cores = 0\n\
         [webhooks]\nallowed_networks = [\"127.0.0.0/8\"]\n",
    )?;
    let events = Event::announce_many(&installation, keys)?;
    // Who is to be told of them all takes connections and answers nothing.
    let deaf = TcpListener::bind("127.0.0.1:0")?;
    Event::call_back(&events, &installation, &format!("http://{}/", deaf.local_addr()?))?;
    let rtmp: Arc<str> = installation.rtmp().into();
    let first = bench.runtime.block_on(join_all(events.iter().enumerate().map(async |(n, event)| {
        tokio::time::sleep(Duration::from_millis(n as u64 * 20)).await;
        anyhow::Ok(Publisher::connect(&rtmp, &event.key).await?.send(&capture, TICK))
    })));
    let mut publishing: Vec<Option<Publishing>> = Vec::new();
    for one in first {
        publishing.push(Some(one.context("publish for the first time")?));
    }
    let folders: anyhow::Result<Vec<String>> =
        events.iter().map(|event| event.folder(&installation)).collect();
    let urls: Vec<String> = folders?
        .iter()
        .map(|folder| format!("http://{}{folder}180p/playlist.m3u8", installation.door().address()))
        .collect();
    let client = Client::new();
    let (mut let_in, mut listed, mut stuck) = (Vec::new(), Vec::new(), 0);
    for (round, _) in ROUNDS.iter().enumerate() {
        let from = Instant::now();
        let backs =
            bench.runtime.block_on(join_all(publishing.into_iter().enumerate().map(async |(n, old)| {
                tokio::time::sleep(ROUND * n as u32 / (keys as u32 * 2)).await;
                let before = ROUNDS[(round + n) % ROUNDS.len()];
                come_back(&rtmp, &events[n].key, &client, &urls[n], before, old, &capture).await
            })));
        publishing = Vec::new();
        for (n, back) in backs.into_iter().enumerate() {
            if back.let_in.is_none() || back.listed.is_none() {
                stuck += 1;
                say(format!(
                    "key {n} is stuck in round {round}: let in {:?}, listed {:?}",
                    back.let_in, back.listed
                ));
            }
            let_in.extend(back.let_in);
            listed.extend(back.listed);
            publishing.push(back.publishing);
        }
        std::thread::sleep(ROUND.saturating_sub(from.elapsed()));
    }
    ensure!(!let_in.is_empty(), "nobody was let in");
    Ok(vec![
        Line::new("republish_p50_s", format!("{:.3}", quantile(&let_in, 0.5))),
        Line::new("republish_p99_s", format!("{:.3}", quantile(&let_in, 0.99))),
        Line::new("republish_to_listed_p99_s", format!("{:.2}", quantile(&listed, 0.99))),
        Line::new(format!("stuck_of_{}", keys * ROUNDS.len()), stuck),
    ])
}

/// What is due is sent so often.
const TICK: Duration = Duration::from_millis(33);

async fn come_back(
    address: &str,
    key: &str,
    client: &Client,
    url: &str,
    before: Before,
    old: Option<Publishing>,
    capture: &Tape,
) -> Back {
    let kept = match (before, old) {
        (Before::Goes, old) => old,
        (Before::HalfOpen, old) => {
            if let Some(old) = &old {
                old.freeze();
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
            old
        }
        (Before::Killed, _) => None,
        (Before::Gone, old) => {
            drop(old);
            tokio::time::sleep(Duration::from_secs(1)).await;
            None
        }
    };
    let last = last_of(client, url).await;
    let begin = Instant::now();
    let Ok(publisher) = Publisher::connect(address, key).await else {
        return Back { let_in: None, listed: None, publishing: kept };
    };
    let let_in = Some(begin.elapsed().as_secs_f64());
    let publishing = publisher.send(capture, TICK);
    // Two segments further: what was on its way from before is less.
    let goal = last.map(|(msn, _)| (msn + 2, 0));
    let mut listed = None;
    while listed.is_none() && begin.elapsed() < STUCK {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let now = last_of(client, url).await;
        if now.is_some() && now >= goal {
            listed = Some(begin.elapsed().as_secs_f64());
        }
    }
    drop(kept);
    Back { let_in, listed, publishing: Some(publishing) }
}

/// The last part that is listed.
async fn last_of(client: &Client, url: &str) -> Option<Place> {
    let answer = client.get(url).timeout(Duration::from_secs(5)).send().await.ok()?;
    Listing::read(&answer.text().await.ok()?).last()
}
