//! Whether the time left that the API tells is the time that it takes.

use std::time::{Duration, Instant};

use anyhow::ensure;

use super::Bench;
use super::sources::Kind;
use crate::installation::{Engines, Installation, Setup};
use crate::report::{Line, say};

/// Longest that one film may take.
const LIMIT: Duration = Duration::from_secs(3600);
/// Until here the promise is a part of the time left, behind it a number of seconds.
const LAST_S: f64 = 10.0;

pub(super) fn run(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    let installation = Installation::start(Setup::on(Engines::Folder))?;
    let films = [("half_minute", Kind::OpenGroups, 30), ("two_minutes", Kind::Camera, bench.size(120, 30))];
    let mut lines = Vec::new();
    for (name, kind, seconds) in films {
        let film = bench.sources.film(kind, seconds)?;
        let video = installation.door().upload(&film)?;
        let begin = Instant::now();
        let mut told: Vec<(f64, f64)> = Vec::new();
        loop {
            ensure!(begin.elapsed() < LIMIT, "`{name}` is not made after an hour");
            let seen = installation.door().video(&video)?;
            ensure!(seen["state"] != "failed", "`{name}` failed: {seen}");
            if seen["state"] == "ready" {
                break;
            }
            if let Some(eta) = seen["eta_s"].as_f64() {
                told.push((begin.elapsed().as_secs_f64(), eta));
            }
            installation.door().pause();
        }
        let whole = begin.elapsed().as_secs_f64();
        installation.door().delete(&video)?;
        for (then, eta) in told.iter().step_by(20) {
            say(format!("{name}: {then:.1} s: told {eta}, true {:.1}", whole - then));
        }
        let behind = told.into_iter().filter(|(then, _)| *then >= whole / 5.0);
        let (mut percents, mut last_s) = (Vec::new(), 0.0_f64);
        for (then, eta) in behind {
            let left = whole - then;
            if left >= LAST_S {
                percents.push((eta - left).abs() / left * 100.0);
            } else {
                last_s = last_s.max((eta - left).abs());
            }
        }
        ensure!(!percents.is_empty(), "`{name}` was done before it told anything");
        let good = percents.iter().filter(|percent| **percent <= 25.0).count();
        say(format!("{name}: {whole:.1} s, {} looks behind the first fifth", percents.len()));
        let worst = percents.iter().copied().fold(0.0, f64::max);
        let within = good as f64 / percents.len() as f64 * 100.0;
        lines
            .push(Line::new(format!("eta_within_a_quarter_percent_of_looks_{name}"), format!("{within:.0}")));
        lines.push(Line::median(format!("eta_error_percent_{name}"), &percents));
        lines.push(Line::new(format!("eta_error_percent_worst_{name}"), format!("{worst:.0}")));
        lines.push(Line::new(format!("eta_error_s_worst_of_the_last_ten_{name}"), format!("{last_s:.1}")));
    }
    Ok(lines)
}
