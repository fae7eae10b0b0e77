//! From the last byte of an upload to the first picture in a browser that waits on the watch page.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::Bench;
use super::screen::{Event, Screen};
use super::sources::Kind;
use crate::cells;
use crate::door::Sent;
use crate::installation::{Engines, Installation, Setup};
use crate::report::{Line, quantile, say};

/// Longest wait for a first picture.
pub(super) const LIMIT: Duration = Duration::from_secs(900);

/// Bytes of a large film.
const LARGE: u64 = 1 << 30;

/// One viewer's wait.
pub(super) struct Wait {
    /// The video.
    pub(super) video: String,
    /// When the upload ended.
    pub(super) sent: Sent,
    /// What the browser told, up to the first picture.
    pub(super) events: Vec<Event>,
    /// From the last byte to the first picture, in seconds.
    pub(super) seconds: f64,
}

/// Several films on both engines.
pub(super) fn waiting(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    let long = bench.size(3600, 120);
    let films = [
        ("10s", Kind::Camera, 10, bench.size(5, 2)),
        ("10min", Kind::Camera, bench.size(600, 30), bench.size(5, 2)),
        ("60min", Kind::Camera, long, bench.size(3, 1)),
        ("open_gop", Kind::OpenGroups, bench.size(600, 30), bench.size(5, 2)),
    ];
    let (mut lines, mut worst) = (Vec::new(), 0.0_f64);
    for engines in Engines::ALL {
        let mut medians = Vec::new();
        for (name, kind, seconds, runs) in films {
            let took = waits(bench, engines, &bench.sources.film(kind, seconds)?, runs)?;
            say(format!("{} {name}: {took:.2?}", engines.as_str()));
            let name = format!("first_frame_s_{}_{name}", engines.as_str());
            medians.push(quantile(&took, 0.5));
            worst = worst.max(quantile(&took, 0.95));
            lines.push(Line::new(format!("{name}_p50"), format!("{:.2}", quantile(&took, 0.5))));
            lines.push(Line::new(format!("{name}_p95"), format!("{:.2}", quantile(&took, 0.95))));
        }
        let spread = quantile(&medians, 1.0) - quantile(&medians, 0.0);
        let name = format!("first_frame_s_{}_spread_of_medians", engines.as_str());
        lines.push(Line::new(name, format!("{spread:.2}")));
    }
    lines.push(Line::new("first_frame_s_p95", format!("{worst:.2}")));
    Ok(lines)
}

/// Seconds until the first picture of `film`, `runs` times.
fn waits(bench: &Bench, engines: Engines, film: &Path, runs: u32) -> anyhow::Result<Vec<f64>> {
    // SeaweedFS gives the room of what was deleted back much later: large films get a new one each.
    let is_large = film.metadata().context("look at the film")?.len() > LARGE;
    let runs_of_one = if is_large { 1 } else { runs };
    let warm = bench.sources.film(Kind::Small, 10)?;
    let mut took = Vec::new();
    while took.len() < runs as usize {
        let installation = Installation::start(Setup::on(engines))?;
        let mut screen = Screen::start(installation.door())?;
        // The first page of a browser and of a server costs more than any later one.
        let first = wait(&installation, &mut screen, &warm)?;
        forget(&installation, &mut screen, &first)?;
        for _ in 0..runs_of_one {
            let wait = wait(&installation, &mut screen, film)?;
            say(format!("{:.2} s", wait.seconds));
            took.push(wait.seconds);
            forget(&installation, &mut screen, &wait)?;
        }
    }
    Ok(took)
}

/// A short film while a long one is encoded.
pub(super) fn busy(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    let installation = Installation::start(Setup::on(Engines::Folder))?;
    let mut screen = Screen::start(installation.door())?;
    let short = bench.sources.film(Kind::Camera, 10)?;
    let other = installation.door().upload(&bench.sources.film(Kind::Camera, 600)?)?;
    // Behind its own first chunk, which is always in a hurry, it is encoded like any long film.
    installation.door().wait(&other, LIMIT, |seen| seen["plays"] == true)?;
    let mut took = Vec::new();
    for _ in 0..bench.size(5, 2) {
        ensure!(!cells::living(installation.pid()).is_empty(), "the long film is done: the run is too slow");
        let wait = wait(&installation, &mut screen, &short)?;
        say(format!("{:.2} s", wait.seconds));
        took.push(wait.seconds);
        screen.close()?;
        installation.door().delete(&wait.video)?;
    }
    let still = installation.door().video(&other)?;
    ensure!(still["state"] == "packaging", "the long film was not encoded all the time: {still}");
    Ok(vec![
        Line::new("first_frame_busy_s_p50", format!("{:.2}", quantile(&took, 0.5))),
        Line::new("first_frame_busy_s_p95", format!("{:.2}", quantile(&took, 0.95))),
    ])
}

/// Uploads `film` while somebody waits for it.
pub(super) fn wait(installation: &Installation, screen: &mut Screen, film: &Path) -> anyhow::Result<Wait> {
    let upload = installation.door().begin(film)?;
    let video = upload.video.clone();
    screen.watch(&video)?;
    let sent = upload.finish()?;
    let events = screen.until("frame", LIMIT).with_context(|| said(installation, &video))?;
    let frame = events.last().map_or_else(Instant::now, |event| event.at);
    let seconds = frame.duration_since(sent.last_byte).as_secs_f64();
    Ok(Wait { video, sent, events, seconds })
}

fn said(installation: &Installation, video: &str) -> String {
    installation.door().video(video).map_or_else(|error| error.to_string(), |seen| seen.to_string())
}

/// Deletes what was watched, and waits until nothing works on it any more.
pub(super) fn forget(installation: &Installation, screen: &mut Screen, wait: &Wait) -> anyhow::Result<()> {
    screen.close()?;
    installation.door().delete(&wait.video)?;
    let deadline = Instant::now() + Duration::from_secs(120);
    while !cells::living(installation.pid()).is_empty() {
        ensure!(Instant::now() < deadline, "cells go on working for a deleted video");
        installation.door().pause();
    }
    Ok(())
}
