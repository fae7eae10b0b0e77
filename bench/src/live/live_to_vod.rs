//! From the end of an event to its film on the shelf, and whether the film is what was sent.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tempfile::TempDir;

use super::Bench;
use super::encoder::{Encoder, film};
use super::event::Event;
use crate::installation::{Engines, Installation, Setup};
use crate::report::{Line, quantile, say};

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let home = TempDir::with_prefix("cocuyo-bench-").context("make a folder")?;
    let source = home.path().join("film.mp4");
    film(&source, bench.size(None, 120, 20), "640x360", 1500)?;
    let (mut took, mut again, mut missing, mut frames) = (Vec::new(), 0, 0, 0);
    for engines in Engines::ALL {
        let installation = Installation::start(Setup::on(engines))?;
        let event = Event::announce(&installation)?;
        Encoder::file(&event.url(&installation), &source)?.finish()?;
        // What was sent last is on its way through the packager still.
        std::thread::sleep(Duration::from_secs(1));
        let begin = Instant::now();
        event.end(&installation)?;
        let folder = until_shelved(&installation, &event)?;
        took.push(begin.elapsed().as_secs_f64());
        say(format!("{}: {:.2} s, {folder}", engines.as_str(), begin.elapsed().as_secs_f64()));
        let film = home.path().join("shelved.mp4");
        std::fs::write(&film, installation.door().rendition(&event.id, "360p")?).context("keep the film")?;
        let (sent, kept) = (frames_of(&source)?, frames_of(&film)?);
        again += surplus(&kept, &sent);
        missing += surplus(&sent, &kept);
        frames += sent.values().sum::<usize>();
    }
    Ok(vec![
        Line::new("live_to_vod_s", format!("{:.2}", quantile(&took, 1.0))),
        Line::new("live_to_vod_frames", frames),
        Line::new("live_to_vod_frames_encoded_again", again),
        Line::new("live_to_vod_frames_missing", missing),
    ])
}

/// Waits until the film plays from the shelf: its playlist, and the first bytes of it.
fn until_shelved(installation: &Installation, event: &Event) -> anyhow::Result<String> {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let folder = installation.door().folder(&event.id)?.filter(|folder| folder.starts_with("/v/"));
        if let Some(folder) = folder {
            let fetch = |name: &str| installation.door().fetch(&format!("{folder}360p/{name}"), None);
            let playlist = fetch("playlist.m3u8")?;
            let playlist = String::from_utf8_lossy(&playlist).into_owned();
            ensure!(playlist.contains("#EXT-X-ENDLIST"), "a film without end: {playlist}");
            let first = playlist.lines().find(|line| line.ends_with(".m4s")).context("it has segments")?;
            fetch(first)?;
            return Ok(folder);
        }
        ensure!(Instant::now() < deadline, "not on the shelf: {}", installation.door().video(&event.id)?);
        installation.door().pause();
    }
}

/// Coded pictures by what is in them, and how often each is there.
fn frames_of(film: &Path) -> anyhow::Result<HashMap<String, usize>> {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-hide_banner", "-loglevel", "error", "-i"]).arg(film);
    // Without parameter sets, delimiters and notes beside the pictures, which each container has its own way with.
    ffmpeg.args(["-map", "0:v", "-c", "copy", "-bsf:v", "filter_units=pass_types=1-5"]);
    let output = ffmpeg.args(["-f", "framemd5", "-"]).output().context("run ffmpeg")?;
    ensure!(output.status.success(), "read {}: {}", film.display(), String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut frames = HashMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let hash = line.rsplit(',').next().context("a line has a hash")?.trim().to_owned();
        *frames.entry(hash).or_default() += 1;
    }
    Ok(frames)
}

/// How many of `these` are not among `those`.
fn surplus(these: &HashMap<String, usize>, those: &HashMap<String, usize>) -> usize {
    let other = |hash: &String| those.get(hash).copied().unwrap_or_default();
    these.iter().map(|(hash, count)| count.saturating_sub(other(hash))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_once_too_often_is_surplus() {
        let of = |list: &[&str]| {
            let mut map = HashMap::new();
            list.iter().for_each(|word| *map.entry((*word).to_owned()).or_default() += 1);
            map
        };
        let (sent, kept) = (of(&["a", "b", "b", "c"]), of(&["a", "b", "d", "d"]));
        assert_eq!((surplus(&sent, &kept), surplus(&kept, &sent)), (2, 2));
    }
}
