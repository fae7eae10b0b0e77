//! An hour of film: whether sound and picture are together at its end, and how many objects it is.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};

use super::Bench;
use super::sources::{Kind, MARK_EVERY_S};
use crate::installation::{Engines, Installation, Setup};
use crate::report::{Line, say};

/// Longest that the film may take.
const LIMIT: Duration = Duration::from_secs(7200);
/// The renditions that the budget of objects is for: seven pictures, two sounds.
const RENDITIONS: f64 = 9.0;
/// What the first three chunks of a rendition last.
const GROWING_S: f64 = 8.0 + 16.0 + 32.0;

pub(super) fn run(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    let seconds = bench.options.hour_s.unwrap_or_else(|| bench.size(3600, 296));
    let film = bench.sources.film(Kind::Marks, seconds)?;
    let installation = Installation::start(Setup::on(Engines::Folder))?;
    let video = installation.door().upload(&film)?;
    let seen = installation.door().wait_ready(&video, LIMIT)?;
    let work = tempfile::tempdir().context("make a folder")?;
    let get = |name: &str| -> anyhow::Result<std::path::PathBuf> {
        let path = work.path().join(format!("{name}.mp4"));
        std::fs::write(&path, installation.door().rendition(&video, name)?).context("keep it")?;
        Ok(path)
    };
    let (mut flashes, mut tones) = (flashes(&get("240p")?)?, tones(&get("a64")?)?);
    // The end of the film ends what is dark or silent too.
    for onsets in [&mut flashes, &mut tones] {
        onsets.retain(|at| *at < f64::from(seconds) - 1.0);
    }
    let marks = (seconds.saturating_sub(1) / MARK_EVERY_S) as usize;
    ensure!(flashes.len() == marks, "{} flashes instead of {marks}", flashes.len());
    ensure!(tones.len() == marks, "{} tones instead of {marks}", tones.len());
    let offsets: Vec<f64> = tones.iter().zip(&flashes).map(|(tone, flash)| (tone - flash) * 1000.0).collect();
    let worst = offsets.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs()));
    let first = offsets.first().context("a film has marks")?;
    let last = offsets.last().context("a film has marks")?;
    let mut lines = vec![
        Line::new("av_offset_media_s", seconds),
        Line::new("av_offset_ms_start", format!("{first:.1}")),
        Line::new("av_offset_ms_end", format!("{last:.1}")),
        Line::new("av_offset_ms_worst", format!("{:.1}", worst.unwrap_or(f64::NAN))),
    ];
    lines.extend(objects(&installation, &video, seen["version"].as_str(), seconds)?);
    Ok(lines)
}

/// Objects of the version in the store, for an hour with the budget's renditions.
fn objects(
    installation: &Installation,
    video: &str,
    version: Option<&str>,
    seconds: u32,
) -> anyhow::Result<Vec<Line>> {
    let version = version.context("a video that plays has a version")?;
    let prefix = format!("videos/{video}/{version}/");
    let objects = installation.objects()?;
    let own: Vec<&str> = objects.iter().filter_map(|(name, _)| name.strip_prefix(&prefix)).collect();
    let chunks = own.iter().filter(|name| name.ends_with(".cmaf")).count() as f64;
    let inits = own.iter().filter(|name| name.ends_with("/init.mp4")).count() as f64;
    ensure!(inits > 0.0, "the store has no init of {prefix}");
    let others = own.len() as f64 - chunks - inits;
    let of_each = chunks / inits;
    say(format!("{} objects in {seconds} s: {inits} renditions with {of_each} chunks each", own.len()));
    // Behind the first three, all chunks are equally long.
    let steady = (of_each - 3.0) / (f64::from(seconds) - GROWING_S);
    let in_an_hour = 3.0 + steady * (3600.0 - GROWING_S);
    let all = (RENDITIONS * (in_an_hour.ceil() + 1.0) + others).ceil();
    Ok(vec![Line::new("objects_of_the_film", own.len()), Line::new("objects_per_hour", all)])
}

/// When white pictures begin, in seconds of the film's own time.
fn flashes(file: &Path) -> anyhow::Result<Vec<f64>> {
    let filter = "blackdetect=d=0.5:pix_th=0.5:pic_th=0.5";
    let late = reordering(file)?;
    Ok(onsets(file, &["-vf", filter, "-an"], "black_end:")?.into_iter().map(|at| at - late).collect())
}

/// By how much ffmpeg shows pictures too late: where composition offsets are negative (`trun` of
/// version 1), so that the first picture is shown when it is decoded, it moves all of them until
/// none is.
fn reordering(file: &Path) -> anyhow::Result<f64> {
    let mut first = Command::new("ffprobe");
    first.args(["-v", "error", "-select_streams", "v", "-read_intervals", "%+#1", "-of", "csv=p=0"]);
    let output = first.args(["-show_entries", "packet=pts_time,dts_time"]).arg(file).output();
    let said = String::from_utf8(output.context("run ffprobe")?.stdout)?;
    let (shown, decoded) = said.trim().split_once(',').context("ffprobe tells two times")?;
    Ok(shown.parse::<f64>()? - decoded.trim_end_matches(',').parse::<f64>()?)
}

/// When tones begin.
fn tones(file: &Path) -> anyhow::Result<Vec<f64>> {
    onsets(file, &["-af", "silencedetect=noise=-26dB:d=0.5", "-vn"], "silence_end:")
}

/// What a filter of ffmpeg says behind `word`, once for each dark or silent time that ends.
fn onsets(file: &Path, filter: &[&str], word: &str) -> anyhow::Result<Vec<f64>> {
    let mut detect = Command::new("ffmpeg");
    detect.args(["-nostdin", "-hide_banner", "-nostats", "-copyts", "-i"]).arg(file);
    let output = detect.args(filter).args(["-f", "null", "-"]).output().context("run ffmpeg")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ffmpeg failed: {said}");
    let times = said.split(word).skip(1).filter_map(|rest| {
        let number = rest.trim_start().split(|c: char| c != '.' && !c.is_ascii_digit()).next()?;
        number.parse::<f64>().ok()
    });
    let mut times: Vec<f64> = times.collect();
    times.dedup_by(|b, a| (*b - *a).abs() < 1.0);
    Ok(times)
}
