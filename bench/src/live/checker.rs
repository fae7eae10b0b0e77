//! Whether playlists are what the specification asks for, all the time and in all renditions, while
//! the publisher comes and goes; and how late parts are.

use std::time::{Duration, Instant};

use tests::checker::{Checker, Look};

use super::Bench;
use super::encoder::Encoder;
use super::event::{Event, renditions};
use super::listing::Listing;
use super::poller::{Poller, Seen};
use crate::installation::{Engines, Installation, Setup};
use crate::report::{Line, say};

/// How often the publisher is cut off, and for how long.
const RECONNECTS: u32 = 5;
const AWAY: Duration = Duration::from_secs(5);

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let seconds = bench.size(bench.options.checker_s, 300, 60);
    let reconnects = if bench.options.quick { 2 } else { RECONNECTS };
    let installation = Installation::start(Setup::on(Engines::Folder))?;
    let event = Event::announce(&installation)?;
    let url = event.url(&installation);
    let mut encoder = Encoder::clock(&url, 640, 360)?;
    let folder = event.folder(&installation)?;
    // The lower ones are there when their cell has begun.
    let names = offered(&installation, &folder)?;
    say(format!("renditions: {}", names.join(", ")));
    let address = installation.door().address();
    let begin = Instant::now();
    let pollers: Vec<Poller> =
        names.iter().map(|name| Poller::start(bench, address, &folder, name)).collect();
    let stretch = Duration::from_secs(seconds.into()) / (reconnects + 1);
    for _ in 0..reconnects {
        std::thread::sleep(stretch.saturating_sub(AWAY));
        encoder.kill()?;
        std::thread::sleep(AWAY);
        encoder = Encoder::clock(&url, 640, 360)?;
    }
    std::thread::sleep(stretch);
    event.end(&installation)?;
    std::thread::sleep(Duration::from_secs(3));
    let mut seen: Vec<Seen> = pollers.into_iter().flat_map(Poller::finish).collect();
    seen.sort_by_key(|seen| seen.at);
    let ended = seen.iter().filter(|seen| Listing::read(&seen.text).ended).count();

    let mut checker = Checker::new();
    for seen in &seen {
        checker.saw(Look {
            rendition: &seen.rendition,
            sent: seen.sent - begin,
            at: seen.at - begin,
            until: seen.until.map(|(msn, part)| (msn, Some(part))),
            text: &seen.text,
        });
    }
    for violation in checker.violations().iter().take(20) {
        say(violation);
    }
    let figures = checker.figures();
    let (median, p999, worst) = figures.part_lateness;
    Ok(vec![
        Line::new("checker_violations", checker.violations().len()),
        Line::new("checker_renditions", names.len()),
        Line::new("checker_renditions_seen_to_end", ended),
        Line::new("checker_playlists", figures.looks),
        Line::new("checker_parts", figures.parts),
        Line::new("part_lateness_p50_s", format!("{:.3}", median.as_secs_f64())),
        Line::new("part_lateness_p999_s", format!("{:.3}", p999.as_secs_f64())),
        Line::new("part_lateness_worst_s", format!("{:.3}", worst.as_secs_f64())),
    ])
}

/// All renditions, when there are no new ones any more.
fn offered(installation: &Installation, folder: &str) -> anyhow::Result<Vec<String>> {
    let (mut names, mut since) = (renditions(installation, folder)?, Instant::now());
    while since.elapsed() < Duration::from_secs(5) {
        installation.door().pause();
        let now = renditions(installation, folder)?;
        if now != names {
            (names, since) = (now, Instant::now());
        }
    }
    Ok(names)
}
