//! Segments, beside a Varnish that has them all in its memory and checks nothing.

use crate::nginx::{Nginx, SENDFILE};
use crate::report::{self, Line};
use crate::varnish::{VARNISHD, Varnish};

use super::contest::{By, figures, in_pairs};
use super::series::{Series, Server, Via};
use super::{Bench, CLIENT_CORE, SERVER_CORE};

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let (stage, options) = bench.stage()?;
    stage.restart("")?;
    let series = Series::segments("cached", Via::Plain, stage, options);
    let ours = series.cocuyo()?;
    let nginx = Nginx::start(CLIENT_CORE, SENDFILE, stage.nginx(false).service)?;
    let varnish = Varnish::start(SERVER_CORE, nginx.address())?;
    let theirs =
        Server { name: "varnish".to_owned(), address: varnish.address(), pid: varnish.pid(), grants: &[] };
    series.verify(&theirs)?;
    // Whatever it had to fetch from now on would be an error, which ends the run.
    drop(nginx);
    series.verify(&theirs)?;
    let runs = in_pairs(&series, &ours, &theirs, options.pairs())?;
    let mut lines = vec![Line::new("varnish_version", report::version_of(VARNISHD, &["-V"]))];
    lines.extend(figures("cached", "varnish", By::Cpu, &runs));
    let ratios: Vec<f64> = runs.iter().map(|(ours, theirs)| ours.cpu_s / theirs.cpu_s).collect();
    lines.push(Line::median("varnish_cpu_ratio", &ratios));
    Ok(lines)
}
