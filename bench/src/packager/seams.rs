//! What cutting into chunks costs: the product's renditions beside the same encode in one piece.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use model::cell::{EncodePlan, VideoPlan};
use model::{Lane, RenditionName};

use super::sources::Kind;
use super::{Bench, vmaf};
use crate::cell;
use crate::installation::{Engines, Installation, Setup};
use crate::report::{Line, say};

/// Longest that the film may take.
const LIMIT: Duration = Duration::from_secs(3600);
/// Seconds before and behind a seam that are compared.
const AROUND_S: f64 = 0.5;

pub(super) fn run(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    let work = tempfile::tempdir().context("make a folder")?;
    let film = bench.sources.film(Kind::Small, bench.size(124, 30))?;
    let plan = cell::plan(&film)?;
    let video = plan.video.as_ref().context("the film has a picture")?;
    let installation = Installation::start(Setup::on(Engines::Folder))?;
    let id = installation.door().upload(&film)?;
    installation.door().wait_ready(&id, LIMIT)?;

    let (mut lines, mut worst, mut totals) = (Vec::new(), f64::NEG_INFINITY, (0.0, 0.0));
    for lane in Lane::ENCODED {
        let of_lane = video.rungs.iter().map(|rung| rung.rendition).filter(|name| Lane::of(*name) == lane);
        let all = 0..plan.grid.count(video.frames);
        let whole = cell::pictures(&film, &plan, of_lane.collect(), all, work.path())?;
        for (name, whole) in whole {
            let chunked = work.path().join(format!("{name}-chunked.mp4"));
            std::fs::write(&chunked, installation.door().rendition(&id, &name.to_string())?)
                .context("keep a rendition")?;
            let size = |file: &Path| file.metadata().map(|data| data.len() as f64).context("look at it");
            let (ours, one_piece) = (size(&chunked)?, size(&whole)?);
            lines.push(Line::new(format!("chunking_bytes_ratio_{name}"), format!("{:.4}", ours / one_piece)));
            totals = (totals.0 + ours, totals.1 + one_piece);
            let chunked = vmaf::of_rendition(video, name, &chunked, &film)?;
            let whole = vmaf::of_rendition(video, name, &whole, &film)?;
            ensure!(chunked.len() == whole.len(), "{name}: chunks lose or double frames");
            let lost = lost_at_seams(&plan, video, name, &chunked, &whole);
            lines.push(Line::new(format!("worst_seam_dvmaf_{name}"), format!("{lost:.2}")));
            worst = worst.max(lost);
            if lane == Lane::A {
                let first = 0..of_first_chunk(&plan, video, name).min(whole.len());
                let lost = vmaf::mean(&whole[first.clone()]) - vmaf::mean(&chunked[first]);
                lines.push(Line::new(format!("hurried_chunk_dvmaf_{name}"), format!("{lost:.2}")));
            }
        }
    }
    lines.push(Line::new("chunking_bytes_ratio", format!("{:.4}", totals.0 / totals.1)));
    lines.push(Line::new("worst_seam_dvmaf", format!("{worst:.2}")));
    Ok(lines)
}

/// Frames of a rendition in the first chunk, which lane A makes in a hurry.
fn of_first_chunk(plan: &EncodePlan, video: &VideoPlan, name: RenditionName) -> usize {
    let divisor = video.rung(name).map_or(1, |rung| rung.frame_divisor);
    let chunks = plan.grid.chunks(0..plan.grid.count(video.frames));
    let end = chunks.first().map_or(0, |chunk| chunk.end);
    usize::try_from(plan.grid.start(end) / u64::from(divisor)).unwrap_or(usize::MAX)
}

/// The most VMAF that the chunks lose around any border, as a mean over a second.
fn lost_at_seams(
    plan: &EncodePlan,
    video: &VideoPlan,
    name: RenditionName,
    chunked: &[f64],
    whole: &[f64],
) -> f64 {
    let divisor = video.rung(name).map_or(1, |rung| rung.frame_divisor);
    let around = (AROUND_S * video.frame_rate.as_f64() / f64::from(divisor)).round() as usize;
    let chunks = plan.grid.chunks(0..plan.grid.count(video.frames));
    let is_hurried = |border: usize| border == 1 && Lane::of(name) == Lane::A;
    let lost = chunks.iter().enumerate().skip(1).map(|(border, chunk)| {
        let seam = usize::try_from(plan.grid.start(chunk.start) / u64::from(divisor)).unwrap_or(0);
        // Before the first border stands the hurried chunk, which is another encode.
        let from = if is_hurried(border) { seam } else { seam.saturating_sub(around) };
        let window = from..(seam + around).min(chunked.len());
        let lost = vmaf::mean(&whole[window.clone()]) - vmaf::mean(&chunked[window]);
        say(format!("{name}: {lost:+.2} around segment {}", chunk.start));
        lost
    });
    lost.fold(f64::NEG_INFINITY, f64::max)
}
