//! Parts and playlists by TLS 1.3 and HTTP/2, beside an nginx that checks nothing.

use crate::report::Line;

use super::Bench;
use super::contest::{By, beside_nginx};
use super::series::{Series, Via};

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let (stage, options) = bench.stage()?;
    stage.restart("")?;
    let series = Series::parts("h2_tls", Via::Http2, stage, options);
    beside_nginx(&series, stage.nginx(true), options.pairs(), &[By::Cpu])
}
