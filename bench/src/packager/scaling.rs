//! Two packagers with a core each against one, on PostgreSQL and SeaweedFS.
//!
//! A third process takes the upload and serves the API; it packages nothing.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::sources::Kind;
use super::{Bench, in_turn};
use crate::installation::{Engines, Installation, Setup};
use crate::report::{self, Line, say};

/// Longest that one run may take.
const LIMIT: Duration = Duration::from_secs(7200);

pub(super) fn run(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    ensure!(report::cores() >= 2, "two workers need a core each");
    let seconds = bench.options.scaling_s.unwrap_or_else(|| bench.size(240, 60));
    // Chunks are a minute of film: of a 1080p film each takes so long that only an hour would
    // divide evenly.
    let film = bench.sources.film(Kind::Small, seconds)?;
    let setup = Setup { roles: Some("ingest,edge,web"), ..Setup::on(Engines::Servers) };
    let installation = Installation::start(setup)?;
    let pairs = bench.options.pairs.min(bench.size(1, 1));
    let mut gains = Vec::new();
    for pair in 0..pairs {
        let (two, one) =
            in_turn(pair, || package(&installation, &film, &[0, 1]), || package(&installation, &film, &[0]))?;
        say(format!("one worker {one:.1} s, two workers {two:.1} s"));
        gains.push(one / two);
    }
    Ok(vec![Line::new("worker_scaling_media_s", seconds), Line::median("worker_scaling", &gains)])
}

/// Seconds from the upload's end until all of `film` is there, with a worker on each of `cores`.
fn package(installation: &Installation, film: &Path, cores: &[usize]) -> anyhow::Result<f64> {
    let workers: anyhow::Result<Vec<_>> = cores.iter().map(|core| installation.worker(*core)).collect();
    let workers = workers?;
    let video = installation.door().upload(film)?;
    let begin = Instant::now();
    installation.door().wait_ready(&video, LIMIT)?;
    let took = begin.elapsed().as_secs_f64();
    drop(workers);
    installation.door().delete(&video)?;
    Ok(took)
}
