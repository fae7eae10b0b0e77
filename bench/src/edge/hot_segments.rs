//! Segments of 2 to 6 MiB out of memory, beside an nginx that checks nothing.

use crate::report::Line;

use super::Bench;
use super::contest::{By, beside_nginx};
use super::series::{Series, Via};

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let (stage, options) = bench.stage()?;
    stage.restart("")?;
    let series = Series::segments("hot_segments", Via::Plain, stage, options);
    beside_nginx(&series, stage.nginx(false), options.pairs(), &[By::Cpu, By::Gbps])
}
