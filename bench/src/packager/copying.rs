//! Copy-only packaging beside Shaka Packager: the coded pictures of one file into segments of fMP4.
//!
//! Ours is the shipped transcoder asked as the packager asks it, and what the packager does with its
//! answer: each segment is read and checked, chunks are hashed and indexed. Only claiming jobs and
//! writing rows is left out. Both sides end when all that they have written is on the disk.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, ensure};

use super::sources::{Kind, run as run_command};
use super::{Bench, in_turn, tool};
use crate::cell;
use crate::processes::cpu_seconds;
use crate::report::{Line, say, version_of};

#[derive(Debug, Clone, Copy)]
struct Took {
    wall_s: f64,
    cpu_s: f64,
}

pub(super) fn run(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    let shaka = tool("shaka-packager")?;
    let seconds = bench.size(600, 20);
    let film = bench.sources.film(Kind::Camera, seconds)?;
    let plan = cell::plan(&film)?;
    ensure!(plan.video.as_ref().is_some_and(|video| video.copied.is_some()), "the film is not copied");
    let (mut walls, mut cpus, mut ours_s, mut theirs_s) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    // The first pair only reads the film into the system's cache.
    for pair in 0..=bench.options.pairs {
        let (ours, theirs) = in_turn(
            pair,
            || timed(|folder| cell::copy(&film, &plan, folder)),
            || timed(|folder| run_command(&mut package(&shaka, &film, folder))),
        )?;
        say(format!(
            "pair {pair}: cocuyo {:.2} s, {:.2} CPU s; shaka {:.2} s, {:.2} CPU s",
            ours.wall_s, ours.cpu_s, theirs.wall_s, theirs.cpu_s
        ));
        if pair > 0 {
            walls.push(theirs.wall_s / ours.wall_s);
            cpus.push(theirs.cpu_s / ours.cpu_s.max(0.01));
            ours_s.push(ours.wall_s);
            theirs_s.push(theirs.wall_s);
        }
    }
    Ok(vec![
        Line::new("shaka_packager_version", version_of(&shaka.to_string_lossy(), &["--version"])),
        Line::new("copy_packaging_media_s", seconds),
        Line::median("copy_packaging_s_cocuyo", &ours_s),
        Line::median("copy_packaging_s_shaka", &theirs_s),
        Line::median("copy_packaging_cpu_ratio_shaka", &cpus),
        Line::median("copy_packaging_ratio_shaka", &walls),
    ])
}

fn package(shaka: &Path, film: &Path, folder: &Path) -> Command {
    let folder = folder.display();
    let stream = format!(
        "in={},stream=video,init_segment={folder}/init.mp4,segment_template={folder}/$Number$.m4s",
        film.display()
    );
    let mut command = Command::new(shaka);
    command.args([&stream, "--segment_duration", "4", "--quiet"]);
    command.args(["--hls_master_playlist_output", &format!("{folder}/multivariant.m3u8")]);
    command
}

/// Has a new folder filled, until its files are on the disk.
fn timed(fill: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<Took> {
    let folder = tempfile::tempdir().context("make a folder")?;
    let before = cpu_seconds(std::process::id())?;
    let begin = Instant::now();
    fill(folder.path())?;
    for entry in folder.path().read_dir().context("look into the folder")? {
        File::open(entry?.path()).and_then(|file| file.sync_data()).context("wait for the disk")?;
    }
    let wall_s = begin.elapsed().as_secs_f64();
    Ok(Took { wall_s, cpu_s: cpu_seconds(std::process::id())? - before })
}
