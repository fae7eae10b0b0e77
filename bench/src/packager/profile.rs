//! Where the first seconds go: what can be seen from outside, in the order in which it happened.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;

use super::Bench;
use super::first_frame::{Wait, forget, wait};
use super::screen::Screen;
use super::sources::Kind;
use crate::cells;
use crate::installation::{Engines, Installation, Setup};
use crate::report::{Line, say};

/// Seconds in a day: log lines are read without their dates.
const DAY_S: f64 = 86_400.0;

/// Something that happened, in seconds since the last byte.
#[derive(Debug, Clone, PartialEq)]
struct Step {
    at_s: f64,
    what: String,
}

pub(super) fn run(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    let folder = one(bench, Engines::Folder, bench.size(600, 30))?;
    let servers = one(bench, Engines::Servers, bench.size(3600, 30))?;
    Ok(vec![
        Line::new("profile_first_frame_s", format!("{folder:.2}")),
        Line::new("profile_first_frame_s_seaweedfs_hour", format!("{servers:.2}")),
    ])
}

/// Tells the steps of one run with a film of so many seconds, and how long all of it took.
fn one(bench: &Bench, engines: Engines, film_s: u32) -> anyhow::Result<f64> {
    let log = Some("info,packager::cell::stderr=off,sqlx=warn,sea_orm_migration=warn");
    let installation = Installation::start(Setup { log, ..Setup::on(engines) })?;
    let mut screen = Screen::start(installation.door())?;
    // The first page and the first cell pay for what is cold.
    let warm = bench.sources.film(Kind::Small, 10)?;
    let first = wait(&installation, &mut screen, &warm)?;
    forget(&installation, &mut screen, &first)?;
    let film = bench.sources.film(Kind::Camera, film_s)?;

    let watch = cells::watch(installation.pid());
    let wait = wait(&installation, &mut screen, &film)?;
    let cells = watch.stop();
    let last_byte = moment(wait.sent.last_byte)?;
    let mut steps = seen(&wait);
    for (number, cell) in cells.iter().enumerate() {
        let since = |at: Instant| at.duration_since(wait.sent.last_byte).as_secs_f64();
        steps.push(Step { at_s: since(cell.first), what: format!("cell {} runs", number + 1) });
        let peak = cell.peak_kib / 1024;
        steps.push(Step {
            at_s: since(cell.last),
            what: format!("cell {} was last seen, {peak} MiB", number + 1),
        });
    }
    if engines == Engines::Folder {
        steps.extend(stored(&installation.data().join("objects"), &wait.video, last_byte)?);
    }
    steps.extend(logged(&installation.log(), &wait.video, last_byte.as_secs_f64() % DAY_S));
    steps.retain(|step| (-0.05..=wait.seconds + 0.05).contains(&step.at_s));
    steps.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    for Step { at_s, what } in &steps {
        say(format!("| {at_s:.2} | {what} |"));
    }
    forget(&installation, &mut screen, &wait)?;
    Ok(wait.seconds)
}

/// What client and browser saw.
fn seen(wait: &Wait) -> Vec<Step> {
    let since = |at: Instant| at.duration_since(wait.sent.last_byte).as_secs_f64();
    let mut steps = vec![
        Step { at_s: 0.0, what: "last byte sent".to_owned() },
        Step { at_s: since(wait.sent.answered), what: "upload answered".to_owned() },
    ];
    for event in wait.events.iter().filter(|event| event.at >= wait.sent.last_byte) {
        let path = event.what["path"].as_str().unwrap_or_default();
        // The ids say nothing here.
        let short = path.splitn(5, '/').last().unwrap_or_default();
        let what = format!("browser: {} {short}", event.name());
        steps.push(Step { at_s: since(event.at), what: what.trim_end().to_owned() });
    }
    steps
}

/// When each object of the video was written.
fn stored(objects: &Path, video: &str, last_byte: Duration) -> anyhow::Result<Vec<Step>> {
    let (root, mut steps) = (objects.join("videos").join(video), Vec::new());
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| format!("list `{}`", folder.display()))? {
            let (entry, path) = entry.map(|entry| (entry.metadata(), entry.path()))?;
            let data = entry.context("look at an object")?;
            if data.is_dir() {
                folders.push(path);
                continue;
            }
            let written = data.modified()?.duration_since(SystemTime::UNIX_EPOCH)?;
            let at_s = written.as_secs_f64() - last_byte.as_secs_f64();
            let name = path.strip_prefix(&root).unwrap_or(&path).to_string_lossy().into_owned();
            // Version and hash say nothing here.
            let name = name.split_once('/').map_or(name.as_str(), |(_, rest)| rest).to_owned();
            let name = name.split_once('-').map_or(name.as_str(), |(number, _)| number).to_owned();
            steps.push(Step { at_s, what: format!("stored {name}") });
        }
    }
    Ok(steps)
}

/// What the server logged about the video; `last_byte_s` is in seconds since midnight, UTC.
fn logged(log: &str, video: &str, last_byte_s: f64) -> Vec<Step> {
    let step = |line: &str| {
        let (stamp, said) = line.split_once(' ')?;
        let at_s = time_of_day(stamp)? - last_byte_s;
        // Midnight may lie between the two.
        let at_s = if at_s < -DAY_S / 2.0 { at_s + DAY_S } else { at_s };
        // The span's ids say nothing here.
        let said = said.trim().replace(&format!("video.id={video}"), "").replace(video, "…");
        Some(Step { at_s, what: format!("log: {said}") })
    };
    log.lines().filter(|line| line.contains(video)).filter_map(step).collect()
}

/// Seconds since midnight of `2026-11-21T23:11:40.123456Z`.
fn time_of_day(stamp: &str) -> Option<f64> {
    let (_, time) = stamp.trim_end_matches('Z').split_once('T')?;
    let mut parts = time.split(':').map(|part| part.parse::<f64>().ok());
    Some(parts.next()?? * 3600.0 + parts.next()?? * 60.0 + parts.next()??)
}

/// Wall time since 1970 at an instant, for comparison with file times and log lines.
#[expect(clippy::disallowed_methods, reason = "file times and log lines are the machine's clock too")]
fn moment(at: Instant) -> anyhow::Result<Duration> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(now - at.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_lines_are_placed_behind_the_last_byte() {
        let log = "2026-11-21T23:59:59.500000Z  INFO packager: claimed `vd_1`\n\
                   2026-11-22T00:00:01.250000Z  INFO packager: published `vd_1`\n\
                   2026-11-22T00:00:01.250000Z  INFO packager: published `vd_2`\n\
                   not a line of `vd_1`\n";
        let steps = logged(log, "vd_1", 86_399.0);
        let seen: Vec<_> = steps.iter().map(|step| (step.at_s, step.what.as_str())).collect();
        assert_eq!(
            seen,
            [(0.5, "log: INFO packager: claimed `…`"), (2.25, "log: INFO packager: published `…`")]
        );
    }
}
