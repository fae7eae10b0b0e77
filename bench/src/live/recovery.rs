//! How soon an event goes on after something of the server was killed, and started again at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use tests::Tape;

use super::Bench;
use super::capture::capture;
use super::event::{Event, renditions};
use super::listing::{Listing, Place};
use super::poller::Poller;
use super::publisher::{Publisher, Publishing};
use crate::installation::{Engines, Installation, Ports, Server, Setup};
use crate::processes;
use crate::report::{Line, quantile, say};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two tries of an encoder to come back.
const AGAIN: Duration = Duration::from_millis(500);
/// Between two kills.
const REST: Duration = Duration::from_secs(8);
/// The rung that is always made.
const LOWEST: &str = "144p";
const TRANSCODER: &str = "cocuyo-transcod";

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let kills = bench.size(None, 5, 1);
    let capture = capture("640x360", 600)?;
    let mut lines = whole(bench, &capture, kills)?;
    lines.extend(apart(bench, &capture, kills)?);
    Ok(lines)
}

/// The cell, and the process that does everything.
fn whole(bench: &Bench, capture: &Tape, kills: u32) -> anyhow::Result<Vec<Line>> {
    let mut installation = Installation::start(Setup::on(Engines::Folder))?;
    let event = Event::announce(&installation)?;
    let encoder = Loyal::start(bench, installation.rtmp(), &event, capture);
    let source = event.source(&installation)?;
    let folder = event.folder(&installation)?;
    until_offered(&installation, &folder, LOWEST)?;
    let mut cell = Vec::new();
    for _ in 0..kills {
        let mut poller = Poller::start(bench, installation.door().address(), &folder, LOWEST);
        let before = last(bench, &mut poller)?;
        let old = cell_of(installation.pid()).context("a cell works")?;
        let begin = Instant::now();
        kill(old)?;
        let new = until_cell(installation.pid(), old)?;
        let at = next_part(bench, &mut poller, before, || Some(new))?;
        cell.push(at.duration_since(begin).as_secs_f64());
        std::thread::sleep(REST);
    }
    say(format!("cell: {cell:.2?}"));
    let mut process = Vec::new();
    for _ in 0..kills {
        let mut poller = Poller::start(bench, installation.door().address(), &folder, &source);
        let before = last(bench, &mut poller)?;
        let begin = Instant::now();
        installation.restart()?;
        process.push(encoder.seen_again(bench, &mut poller, before, begin)?);
        std::thread::sleep(REST);
    }
    say(format!("process: {process:.2?}"));
    Ok(vec![figure("cell", &cell), figure("process", &process)])
}

/// Ingest, packager and edge, each a process of its own.
fn apart(bench: &Bench, capture: &Tape, kills: u32) -> anyhow::Result<Vec<Line>> {
    let installation = Installation::start(Setup { roles: Some("web"), ..Setup::on(Engines::Folder) })?;
    let home = installation.data().display().to_string();
    let credential = installation.data().join("credential");
    std::fs::write(&credential, installation.command(&["edge", "enrol", "bench"])?)
        .context("keep a credential")?;
    let any = "admin_listen = \"127.0.0.1:0\"\n";
    let storage = format!("[storage]\nfolder = \"{home}/objects\"\n");
    let common = format!(
        "{any}database = \"sqlite://{home}/cocuyo.db\"\nlive_socket = \"{home}/live.sock\"\n{storage}"
    );
    let begin =
        |name: &str, ports: &Ports, settings: &str| installation.beside(name, name, None, ports, settings);
    let (packager, packager_ports) = begin("packager", &Ports::any(), &common)?;
    let (ingest, ingest_ports) = begin("ingest", &Ports::any(), &common)?;
    let (address, credential) = (&packager_ports.http, credential.display());
    let origin = format!("[origin]\naddress = \"http://{address}\"\ncredential_file = \"{credential}\"\n");
    let edge_settings = format!("{any}{storage}{origin}");
    let (edge, edge_ports) = begin("edge", &Ports::any(), &edge_settings)?;

    let event = Event::announce(&installation)?;
    let encoder = Loyal::start(bench, &ingest_ports.rtmp, &event, capture);
    let folder = event.folder(&installation)?;
    let source = "360p";
    let parts: [(&str, Server, &Ports, &str); 3] = [
        ("ingest", ingest, &ingest_ports, &common),
        ("packager", packager, &packager_ports, &common),
        ("edge", edge, &edge_ports, &edge_settings),
    ];
    let mut lines = Vec::new();
    let mut running = Vec::new();
    for (name, mut server, ports, settings) in parts {
        let mut took = Vec::new();
        for _ in 0..kills {
            let mut poller = Poller::start(bench, &edge_ports.http, &folder, source);
            let before = last(bench, &mut poller)?;
            let at = Instant::now();
            drop(server);
            server = begin(name, ports, settings)?.0;
            took.push(encoder.seen_again(bench, &mut poller, before, at)?);
            std::thread::sleep(REST);
        }
        running.push(server);
        say(format!("{name}: {took:.2?}"));
        lines.push(figure(name, &took));
    }
    Ok(lines)
}

fn figure(name: &str, took: &[f64]) -> Line {
    Line::new(format!("recovery_s_{name}"), format!("{:.2}", quantile(took, 1.0)))
}

/// The last part that is listed now.
fn last(bench: &Bench, poller: &mut Poller) -> anyhow::Result<Place> {
    let deadline = Instant::now() + PATIENCE;
    while let Some(seen) = poller.next(bench, deadline.saturating_duration_since(Instant::now())) {
        if let Some(last) = Listing::read(&seen.text).last() {
            return Ok(last);
        }
    }
    anyhow::bail!("no part was listed")
}

/// When a part was listed that is behind `before` and behind all that were listed before `since`: what a
/// connection that was cut had brought is listed, too.
fn next_part(
    bench: &Bench,
    poller: &mut Poller,
    before: Place,
    since: impl Fn() -> Option<Instant>,
) -> anyhow::Result<Instant> {
    let deadline = Instant::now() + PATIENCE;
    let mut known = Some(before);
    while let Some(seen) = poller.next(bench, deadline.saturating_duration_since(Instant::now())) {
        let last = Listing::read(&seen.text).last();
        if since().is_none_or(|since| seen.at < since) {
            known = known.max(last);
        } else if last > known {
            return Ok(seen.at);
        }
    }
    anyhow::bail!("nothing new was listed behind {known:?}")
}

fn until_offered(installation: &Installation, folder: &str, name: &str) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !renditions(installation, folder)?.iter().any(|offered| offered == name) {
        ensure!(Instant::now() < deadline, "no {name}");
        installation.door().pause();
    }
    Ok(())
}

fn cell_of(server: u32) -> Option<u32> {
    let is_cell = |pid: &u32| {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == TRANSCODER)
    };
    processes::family(server).into_iter().find(is_cell)
}

fn until_cell(server: u32, old: u32) -> anyhow::Result<Instant> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if cell_of(server).is_some_and(|pid| pid != old) {
            return Ok(Instant::now());
        }
        ensure!(Instant::now() < deadline, "no cell came back");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn kill(pid: u32) -> anyhow::Result<()> {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).context("a pid")?;
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).context("kill a cell")
}

/// An encoder that comes back whenever it was let go, as OBS does.
struct Loyal {
    task: JoinHandle<()>,
    /// When it was let in last.
    accepted: watch::Receiver<Option<Instant>>,
    is_gone: Arc<AtomicBool>,
}

impl Loyal {
    fn start(bench: &Bench, address: &str, event: &Event, capture: &Tape) -> Self {
        let (address, key, capture) = (address.to_owned(), event.key.clone(), capture.clone());
        let (told, accepted) = watch::channel(None);
        let is_gone = Arc::new(AtomicBool::new(true));
        let gone = Arc::clone(&is_gone);
        let task = bench.runtime.spawn(async move {
            let mut publishing: Option<Publishing> = None;
            loop {
                if publishing.as_ref().is_none_or(Publishing::has_ended) {
                    gone.store(true, Ordering::Release);
                    if let Ok(publisher) = Publisher::connect(&address, &key).await {
                        publishing = Some(publisher.send(&capture, Duration::from_millis(30)));
                        told.send_replace(Some(Instant::now()));
                        gone.store(false, Ordering::Release);
                    } else {
                        tokio::time::sleep(AGAIN).await;
                    }
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        Self { task, accepted, is_gone }
    }

    /// Seconds from `begin` until a part behind `before` is listed that was sent by who was let in last.
    fn seen_again(
        &self,
        bench: &Bench,
        poller: &mut Poller,
        before: Place,
        begin: Instant,
    ) -> anyhow::Result<f64> {
        let since = || self.accepted.borrow().filter(|_| !self.is_gone.load(Ordering::Acquire));
        Ok(next_part(bench, poller, before, since)?.duration_since(begin).as_secs_f64())
    }
}

impl Drop for Loyal {
    fn drop(&mut self) {
        self.task.abort();
    }
}
