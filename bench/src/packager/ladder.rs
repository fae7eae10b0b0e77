//! The whole ladder of one film: ours through the public door, one `ffmpeg` command from the same
//! plan, and PeerTube's way, in turn.
//!
//! Ours is timed from the outside: from the answer to the last byte of the upload until the API
//! says `ready`, which includes claiming jobs, probing, checking, hashing and storing. The peers
//! only encode.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::sources::{Kind, ffmpeg, run as run_command};
use super::{Bench, one_command, peertube};
use crate::cell;
use crate::cells;
use crate::installation::{Engines, Installation, Setup};
use crate::processes::{cpu_seconds, reaped_seconds};
use crate::report::{Line, say};

/// Longest that one film may take.
const LIMIT: Duration = Duration::from_secs(3600);

/// What one side's run took.
#[derive(Debug, Clone, Copy)]
struct Took {
    wall_s: f64,
    cpu_s: f64,
}

/// Ours beside both, each round in another order.
pub(super) fn run(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    let work = tempfile::tempdir().context("make a folder")?;
    let film = bench.sources.film(Kind::OpenGroups, bench.size(180, 12))?;
    let plan = cell::plan(&film)?;
    let theirs = peertube::look(&film)?;
    let installation = Installation::start(Setup::on(Engines::Folder))?;
    let sides: [(&str, &dyn Fn() -> anyhow::Result<Took>); 3] = [
        ("cocuyo", &|| package(&installation, &film)),
        ("ffmpeg", &|| {
            encode(|| run_command(ffmpeg().args(one_command::arguments(&plan, &film, work.path()))))
        }),
        ("peertube", &|| encode(|| peertube::ladder(&theirs, &film, work.path()))),
    ];
    let mut took: [Vec<Took>; 3] = Default::default();
    for round in 0..bench.options.pairs as usize {
        for turn in 0..sides.len() {
            // Forwards and backwards: nobody is always behind the same neighbour.
            let side = (if round.is_multiple_of(2) { turn } else { sides.len() - 1 - turn } + round / 2) % 3;
            let (name, run) = &sides[side];
            let one = run().with_context(|| format!("run {name}"))?;
            say(format!("round {round}: {name} {:.2} s, {:.2} CPU s", one.wall_s, one.cpu_s));
            took[side].push(one);
        }
    }
    let [ours, ffmpeg, peertube] = took;
    let ratios = |peer: &[Took], of: fn(&Took) -> f64| -> Vec<f64> {
        ours.iter().zip(peer).map(|(ours, peer)| of(ours) / of(peer)).collect()
    };
    let own = |runs: &[Took], of: fn(&Took) -> f64| -> Vec<f64> { runs.iter().map(of).collect() };
    let rungs = plan.video.as_ref().map_or(0, |video| video.rungs.len());
    Ok(vec![
        Line::new("ladder_pictures", rungs),
        Line::new("ladder_media_s", format!("{:.1}", plan.expected_ms as f64 / 1000.0)),
        Line::median("ladder_wall_s_cocuyo", &own(&ours, |took| took.wall_s)),
        Line::median("ladder_wall_s_ffmpeg", &own(&ffmpeg, |took| took.wall_s)),
        Line::median("ladder_wall_s_peertube", &own(&peertube, |took| took.wall_s)),
        Line::median("ladder_cpu_ratio_ffmpeg", &ratios(&ffmpeg, |took| took.cpu_s)),
        Line::median("ladder_wall_ratio_ffmpeg", &ratios(&ffmpeg, |took| took.wall_s)),
        Line::median("ladder_cpu_ratio_peertube", &ratios(&peertube, |took| took.cpu_s)),
        Line::median("ladder_wall_ratio_peertube", &ratios(&peertube, |took| took.wall_s)),
    ])
}

/// The largest memory of any transcoder over a 1080p film.
pub(super) fn memory(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    let installation = Installation::start(Setup::on(Engines::Folder))?;
    let watch = cells::watch(installation.pid());
    package(&installation, &bench.sources.film(Kind::OpenGroups, bench.size(64, 12))?)?;
    let cells = watch.stop();
    let peak = cells.iter().map(|cell| cell.peak_kib).max().unwrap_or(0);
    Ok(vec![
        Line::new("transcoder_cells", cells.len()),
        Line::new("transcoder_rss_mib", format!("{:.0}", peak as f64 / 1024.0)),
    ])
}

fn package(installation: &Installation, film: &Path) -> anyhow::Result<Took> {
    let before = cpu_seconds(installation.pid())?;
    let video = installation.door().upload(film)?;
    let begin = Instant::now();
    installation.door().wait_ready(&video, LIMIT)?;
    let wall_s = begin.elapsed().as_secs_f64();
    // The server's own work is in it: taking the upload, checking, hashing, storing.
    let cpu_s = cpu_seconds(installation.pid())? - before;
    installation.door().delete(&video)?;
    Ok(Took { wall_s, cpu_s })
}

fn encode(work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Took> {
    let before = reaped_seconds()?;
    let begin = Instant::now();
    work()?;
    let wall_s = begin.elapsed().as_secs_f64();
    Ok(Took { wall_s, cpu_s: reaped_seconds()? - before })
}
