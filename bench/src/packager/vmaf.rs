//! VMAF, by the libvmaf in the static `ffmpeg` of PyPI's imageio-ffmpeg.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use model::RenditionName;
use model::cell::{Ratio, VideoPlan};

use super::sources::{quiet, run};

/// The `ffmpeg` that has libvmaf.
pub(super) const FFMPEG: &str = "ffmpeg-vmaf";

/// VMAF of each frame of a rendition of `film`, against the film at the rendition's size and rate.
pub(super) fn of_rendition(
    video: &VideoPlan,
    name: RenditionName,
    picture: &Path,
    film: &Path,
) -> anyhow::Result<Vec<f64>> {
    let rung = video.rung(name).with_context(|| format!("the plan has no {name}"))?;
    let rate = video.frame_rate;
    let reference = format!(
        "fps={}/{},select='not(mod(n\\,{}))',scale={}:{}:flags=bicubic,setsar=1,format=yuv420p",
        rate.num, rate.den, rung.frame_divisor, rung.width, rung.height
    );
    frames(picture, film, &reference, Ratio::new(rate.num, rate.den * rung.frame_divisor))
}

/// VMAF of each frame of `picture` against the same frame of `reference`, which `filter` brings to
/// the size and rate of the picture.
fn frames(picture: &Path, reference: &Path, filter: &str, rate: Ratio) -> anyhow::Result<Vec<f64>> {
    let folder = tempfile::tempdir().context("make a folder")?;
    let log = folder.path().join("vmaf.json");
    // Frames are matched by number, whatever their files say of time.
    let even = format!("settb=AVTB,setpts=N*{}/({}*TB)", rate.den, rate.num);
    let graph = format!(
        "[0:v]{even}[picture];[1:v]{filter},{even}[reference];\
         [picture][reference]libvmaf=log_fmt=json:n_threads=2:log_path={}",
        log.display()
    );
    let mut meter = quiet(Command::new(super::tool(FFMPEG)?));
    meter.arg("-i").arg(picture).arg("-i").arg(reference);
    run(meter.args(["-lavfi", &graph, "-f", "null", "-"]))?;
    let said = std::fs::read(&log).context("read what libvmaf wrote")?;
    let said: serde_json::Value = serde_json::from_slice(&said).context("libvmaf writes JSON")?;
    let frames = said["frames"].as_array().context("a list of frames")?;
    let values: Vec<f64> = frames.iter().filter_map(|frame| frame["metrics"]["vmaf"].as_f64()).collect();
    ensure!(!values.is_empty(), "no frame was compared");
    Ok(values)
}

/// The mean.
pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
