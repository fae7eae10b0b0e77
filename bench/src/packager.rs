//! The shipped packager against one `ffmpeg` command from the same plan.
//!
//! Ours is timed from the outside: from the answer to the last byte of the upload until the API
//! says `ready`, which includes claiming the job, probing, checking, hashing and storing. The peer
//! only encodes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use model::cell::EncodePlan;

use crate::installation::Installation;
use crate::processes::{cpu_seconds, reaped_seconds};
use crate::{ladder, probe, report};

/// Longest that one film may take.
const LIMIT: Duration = Duration::from_secs(3600);

/// What one side's run took.
#[derive(Debug, Clone, Copy)]
struct Took {
    wall_s: f64,
    cpu_s: f64,
}

pub(crate) fn run(source: Option<PathBuf>, pairs: u32) -> anyhow::Result<()> {
    report::warn_when_busy();
    let work = tempfile::tempdir().context("make a folder")?;
    let film = match source {
        Some(film) => film,
        None => PathBuf::from(".tools/trailer_bbb.mp4"),
    };
    ensure!(film.exists(), "`{}` is missing: `make tools-test` fetches it", film.display());
    let plan = probe::plan(&film)?;
    let rungs = plan.video.as_ref().map_or(0, |video| video.rungs.len());
    report::say(format!("{rungs} pictures of {:.1} s", plan.expected_ms as f64 / 1000.0));

    let installation = Installation::start(None)?;
    let (mut wall, mut cpu) = (Vec::new(), Vec::new());
    for pair in 0..pairs {
        let ours = || package(&installation, &film);
        let theirs = || encode(&plan, &film, work.path());
        let (ours, theirs) = if pair % 2 == 0 {
            let first = ours()?;
            (first, theirs()?)
        } else {
            let first = theirs()?;
            (ours()?, first)
        };
        report::say(format!(
            "pair {pair}: cocuyo {:.2} s, {:.2} CPU s; ffmpeg {:.2} s, {:.2} CPU s",
            ours.wall_s, ours.cpu_s, theirs.wall_s, theirs.cpu_s
        ));
        wall.push(ours.wall_s / theirs.wall_s);
        cpu.push(ours.cpu_s / theirs.cpu_s);
    }
    report::surroundings("ffmpeg", &["-version"]);
    report::result("ladder_pictures", rungs);
    report::result("ladder_media_s", format!("{:.1}", plan.expected_ms as f64 / 1000.0));
    report::ratios("ladder_cpu_ratio_ffmpeg", cpu);
    report::ratios("ladder_wall_ratio_ffmpeg", wall);
    Ok(())
}

fn package(installation: &Installation, film: &Path) -> anyhow::Result<Took> {
    let before = cpu_seconds(installation.pid())?;
    let video = installation.upload(film)?;
    let begin = Instant::now();
    installation.wait_ready(&video, LIMIT)?;
    let wall_s = begin.elapsed().as_secs_f64();
    // The server's own work is in it: taking the upload, checking, hashing, storing.
    let cpu_s = cpu_seconds(installation.pid())? - before;
    installation.delete(&video)?;
    Ok(Took { wall_s, cpu_s })
}

fn encode(plan: &EncodePlan, film: &Path, folder: &Path) -> anyhow::Result<Took> {
    let before = reaped_seconds()?;
    let begin = Instant::now();
    let status = Command::new("ffmpeg").args(ladder::arguments(plan, film, folder)).status();
    let wall_s = begin.elapsed().as_secs_f64();
    ensure!(status.context("run ffmpeg")?.success(), "ffmpeg failed");
    Ok(Took { wall_s, cpu_s: reaped_seconds()? - before })
}
