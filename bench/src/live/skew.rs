//! Whether sound is still with its picture in the film of an event that was cut off ten times, and that was
//! silent for long.
//!
//! Each second begins with a tenth of white picture and a tone; in the film the beginnings are looked for in
//! both, and set against each other.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};

use super::Bench;
use super::encoder::Encoder;
use super::event::Event;
use crate::installation::{Engines, Installation, Setup};
use crate::report::{Line, quantile, say};

/// How long each feed lasts, and how long nobody publishes then.
const FEED: Duration = Duration::from_secs(8);
const AWAY: Duration = Duration::from_secs(3);
/// Beginnings that are further apart do not belong together.
const APART: f64 = 0.45;

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let reconnects = bench.size(None, 10, 2);
    let silence = bench.size(bench.options.silence_s, 600, 10);
    let installation = Installation::start(Setup::on(Engines::Folder))?;
    let event = Event::announce(&installation)?;
    let url = event.url(&installation);
    for _ in 0..reconnects {
        let encoder = Encoder::beats(&url, 0..0)?;
        std::thread::sleep(FEED);
        encoder.kill()?;
        std::thread::sleep(AWAY);
    }
    let last = FEED.as_secs() as u32;
    let encoder = Encoder::beats(&url, last..last + silence)?;
    std::thread::sleep(FEED * 2 + Duration::from_secs(silence.into()));
    encoder.kill()?;
    event.end(&installation)?;
    let door = installation.door();
    let video = door.wait_ready(&event.id, Duration::from_secs(120))?;
    let folder = door.folder(&event.id)?.context("a film plays")?;
    let names = super::event::renditions(&installation, &folder)?;
    say(format!(
        "{} s on the shelf as {}",
        video["duration_ms"].as_f64().unwrap_or_default() / 1000.0,
        names.join(", ")
    ));
    // The publisher's own sound, not what was made of it.
    let sound = names.iter().filter_map(|name| Some((name.strip_prefix('a')?.parse::<u16>().ok()?, name)));
    let sound = sound.max().context("it has sound")?.1;
    let home = installation.data();
    let keep = |name: &str| -> anyhow::Result<std::path::PathBuf> {
        let path = home.join(format!("shelved-{name}.mp4"));
        std::fs::write(&path, door.rendition(&event.id, name)?).context("keep a rendition")?;
        Ok(path)
    };
    let flashes =
        beginnings(&looked_at(&keep("360p")?, "movie", "signalstats", "lavfi.signalstats.YAVG")?, 100.0);
    // 5 ms of sound at a time.
    let filter = "asetnsamples=240,astats=metadata=1:reset=1";
    let beeps =
        beginnings(&looked_at(&keep(sound)?, "amovie", filter, "lavfi.astats.Overall.RMS_level")?, -30.0);
    let skews = skews(&flashes, &beeps);
    let parts = reconnects as usize + 1;
    say(format!("{} flashes, {} beeps, {} pairs: {skews:.3?}", flashes.len(), beeps.len(), skews.len()));
    ensure!(skews.len() >= parts * 4, "too few beginnings of seconds were found");
    let ms: Vec<f64> = skews.iter().map(|(_, skew)| skew * 1000.0).collect();
    let end: Vec<f64> = ms[ms.len() - 4..].to_vec();
    let worst = ms.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap_or(f64::NAN);
    Ok(vec![
        Line::new("av_skew_ms", format!("{:.0}", worst.abs())),
        Line::new("av_skew_median_ms", format!("{:.0}", quantile(&ms, 0.5))),
        Line::new("av_skew_behind_silence_ms", format!("{:.0}", quantile(&end, 0.5))),
        Line::new("av_skew_pairs", ms.len()),
    ])
}

/// Times and what a filter says of what is there then.
fn looked_at(film: &Path, source: &str, filter: &str, tag: &str) -> anyhow::Result<Vec<(f64, f64)>> {
    let graph = format!("{source}={},{filter}", film.display());
    let mut ffprobe = Command::new("ffprobe");
    ffprobe.args(["-hide_banner", "-loglevel", "error", "-f", "lavfi", "-i", &graph]);
    ffprobe.args(["-show_entries", &format!("frame=pts_time:frame_tags={tag}"), "-of", "csv=p=0"]);
    let output = ffprobe.output().context("run ffprobe")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let pair = |line: &str| -> Option<(f64, f64)> {
        let (time, value) = line.trim().split_once(',')?;
        // No sound at all is minus infinity, which is a number here.
        Some((time.parse().ok()?, value.trim_end_matches(',').parse().ok()?))
    };
    Ok(text.lines().filter_map(pair).collect())
}

/// Where what was below `threshold` comes above it.
fn beginnings(values: &[(f64, f64)], threshold: f64) -> Vec<f64> {
    let rises = values.windows(2).filter(|pair| pair[0].1 < threshold && pair[1].1 >= threshold);
    rises.map(|pair| pair[1].0).collect()
}

/// Each flash that has a beep beside it, and how much later that is, in seconds.
fn skews(flashes: &[f64], beeps: &[f64]) -> Vec<(f64, f64)> {
    let skew = |flash: &f64| {
        let nearest = beeps.iter().map(|beep| beep - flash).min_by(|a, b| a.abs().total_cmp(&b.abs()))?;
        (nearest.abs() < APART).then_some((*flash, nearest))
    };
    flashes.iter().filter_map(skew).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_belong_together() {
        let values = [(0.0, 5.0), (0.1, 200.0), (0.2, 200.0), (0.3, 5.0), (1.1, 150.0)];
        assert_eq!(beginnings(&values, 100.0), [0.1, 1.1]);
        let found = skews(&[0.1, 1.1, 5.0], &[0.12, 1.05]);
        assert_eq!(found.iter().map(|(_, skew)| (skew * 1000.0).round()).collect::<Vec<_>>(), [20.0, -50.0]);
    }
}
