//! How many events at once are packaged on time when nothing is encoded.

use std::time::{Duration, Instant};

use futures::future::join_all;
use tests::checker::{Checker, Look};

use super::Bench;
use super::capture::capture;
use super::event::Event;
use super::listing::Listing;
use super::poller::Poller;
use super::publisher::{Publisher, Publishing};
use crate::installation::{Engines, Installation, Setup};
use crate::processes;
use crate::report::{Line, say};

/// Numbers of events that are tried, until one is too many.
const STEPS: [usize; 6] = [25, 50, 75, 100, 125, 150];
/// Events whose parts are watched as they come.
const WATCHED: usize = 5;
/// A part target: what is later than that was not on time.
const LATE: Duration = Duration::from_millis(333);

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let steps: &[usize] = if bench.options.quick { &[4] } else { &STEPS };
    let hold = Duration::from_secs(bench.size(None, 20, 8).into());
    let capture = capture("854x480", 3000)?;
    let mut installation = Installation::start(Setup::on(Engines::Folder))?;
    installation.configure("[http]\nmax_connections = 20000\n[packager]\nlive_cores = 0\n")?;
    let events = Event::announce_many(&installation, steps.last().copied().unwrap_or_default())?;
    let mut publishing: Vec<Publishing> = Vec::new();
    let (mut best, mut lines) = (0, Vec::new());
    for &step in steps {
        let new = &events[publishing.len()..step];
        let begun = bench.runtime.block_on(join_all(new.iter().enumerate().map(async |(n, event)| {
            // Groups of pictures of different encoders do not end together.
            tokio::time::sleep(Duration::from_millis(n as u64 * 2000 / new.len() as u64)).await;
            let publisher = Publisher::connect(installation.rtmp(), &event.key).await?;
            anyhow::Ok(publisher.send(&capture, Duration::from_millis(33)))
        })));
        for one in begun {
            publishing.push(one?);
        }
        let folders: anyhow::Result<Vec<String>> =
            new.iter().map(|event| event.folder(&installation)).collect();
        let folders = folders?;
        std::thread::sleep(Duration::from_secs(5));
        let address = installation.door().address();
        let pollers: Vec<Poller> = folders
            .iter()
            .take(WATCHED)
            .map(|folder| Poller::start(bench, address, folder, "480p"))
            .collect();
        let (cpu, from) = (processes::cpu_seconds(installation.pid())?, Instant::now());
        std::thread::sleep(hold);
        let cores = (processes::cpu_seconds(installation.pid())? - cpu) / from.elapsed().as_secs_f64();
        let late = lateness(pollers, from);
        let lost = publishing.iter().filter(|publishing| publishing.has_ended()).count();
        let behind = behind(&installation, &events[..step])?;
        say(format!(
            "{step} events: {cores:.2} cores, parts late {:.3} s (one of a thousand), {behind:.2} s behind at most, {lost} lost",
            late.as_secs_f64()
        ));
        if late > LATE || lost > 0 || behind > 1.5 {
            break;
        }
        best = step;
        lines = vec![
            Line::new("events_packaged_cores", format!("{cores:.2}")),
            Line::new("events_packaged_part_lateness_p999_s", format!("{:.3}", late.as_secs_f64())),
            Line::new("events_packaged_behind_s", format!("{behind:.2}")),
        ];
    }
    lines.insert(0, Line::new("events_packaged", best));
    Ok(lines)
}

/// How late one of a thousand parts is, of the events that are watched.
fn lateness(pollers: Vec<Poller>, from: Instant) -> Duration {
    let mut late = Vec::new();
    for poller in pollers {
        let mut checker = Checker::new();
        for seen in poller.finish() {
            checker.saw(Look {
                rendition: &seen.rendition,
                sent: seen.sent - from,
                at: seen.at - from,
                until: seen.until.map(|(msn, part)| (msn, Some(part))),
                text: &seen.text,
            });
        }
        late.push(checker.figures().part_lateness.1);
    }
    late.into_iter().max().unwrap_or(Duration::MAX)
}

/// By how many seconds the slowest of these events advances less than time does, over two seconds or so.
fn behind(installation: &Installation, events: &[Event]) -> anyhow::Result<f64> {
    let mut first = Vec::new();
    for event in events {
        first.push(end(installation, event)?);
    }
    std::thread::sleep(Duration::from_secs(5));
    let mut worst = 0.0_f64;
    for (event, (at, end_then)) in events.iter().zip(first) {
        let (now, end) = end(installation, event)?;
        worst = worst.max((now - at).as_secs_f64() - (end - end_then));
    }
    Ok(worst)
}

/// When an event was looked at, and seconds of it by then.
fn end(installation: &Installation, event: &Event) -> anyhow::Result<(Instant, f64)> {
    let folder = event.folder(installation)?;
    let text = installation.door().fetch(&format!("{folder}480p/playlist.m3u8"), None)?;
    let listing = Listing::read(&String::from_utf8_lossy(&text));
    let open = listing.parts.iter().filter(|((msn, _), _)| *msn >= listing.next_msn);
    // Segments are the encoder's groups of two seconds.
    Ok((Instant::now(), listing.next_msn as f64 * 2.0 + open.map(|(_, seconds)| seconds).sum::<f64>()))
}
