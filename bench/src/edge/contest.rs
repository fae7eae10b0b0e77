//! Ours beside a peer: the peer's configurations are tried, and the best one is taken for the pairs.

use crate::nginx::{self, Configuration, Nginx, Service};
use crate::pairs::in_turn;
use crate::report::{Line, quantile};

use super::SERVER_CORE;
use super::series::{Run, Series, Server, Via};

/// What the best configuration is the best in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// Processor time; less is better.
    Cpu,
    /// Bytes a second; more is better.
    Gbps,
}

impl By {
    fn word(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Gbps => "gbps",
        }
    }

    /// A run's figure, such that less is better.
    fn cost(self, run: &Run) -> f64 {
        match self {
            Self::Cpu => run.cpu_s,
            Self::Gbps => -run.gbps(),
        }
    }
}

/// nginx, with everybody let in or with a check of its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer<'a> {
    /// The word for it in names of figures.
    pub(super) name: &'static str,
    pub(super) service: Service<'a>,
    pub(super) grants: &'a [String],
}

impl<'a> Peer<'a> {
    /// What of it is measured.
    fn server(&self, nginx: &Nginx, configuration: Configuration) -> Server<'a> {
        let name = format!("{}_{}", self.name, configuration.name);
        Server { name, address: nginx.address(), pid: nginx.pid(), grants: self.grants }
    }

    fn start(&self, configuration: Configuration) -> anyhow::Result<Nginx> {
        Nginx::start(SERVER_CORE, configuration, self.service)
    }
}

/// Tries all configurations of nginx; in each of `wished` the best one is then measured in pairs.
pub(super) fn beside_nginx(
    series: &Series<'_>,
    peer: Peer<'_>,
    pairs: u32,
    wished: &[By],
) -> anyhow::Result<Vec<Line>> {
    let configurations: &[Configuration] = match series.via {
        Via::Plain => &nginx::PLAIN,
        Via::Tls => &nginx::TLS,
        Via::Http2 => &nginx::HTTP2,
    };
    let ours = series.cocuyo()?;
    let (mut lines, mut tried) = (Vec::new(), Vec::new());
    for &configuration in configurations {
        let nginx = peer.start(configuration)?;
        let theirs = peer.server(&nginx, configuration);
        series.verify(&theirs)?;
        if peer.service.secret.is_some() {
            series.refuses_without_grant(&theirs)?;
        }
        let run = series.try_out(&theirs)?;
        let name = |unit| format!("{}_tried_{unit}_{}", series.name, theirs.name);
        lines.push(Line::new(name("cpu_us_per_request"), format!("{:.3}", run.cpu_us_per_request())));
        lines.push(Line::new(name("gbps"), format!("{:.3}", run.gbps())));
        tried.push((configuration, run));
    }
    let best = |by: By| {
        let least = tried.iter().min_by(|(_, a), (_, b)| by.cost(a).total_cmp(&by.cost(b)));
        least.map_or(nginx::SENDFILE, |(configuration, _)| *configuration)
    };
    let mut measured: Vec<(Configuration, Vec<(Run, Run)>)> = Vec::new();
    for &by in wished {
        let configuration = best(by);
        let name = format!("{}_best_{}_{}", series.name, by.word(), peer.name);
        lines.push(Line::new(name, configuration.name));
        if !measured.iter().any(|(known, _)| *known == configuration) {
            let nginx = peer.start(configuration)?;
            let theirs = peer.server(&nginx, configuration);
            series.verify(&theirs)?;
            measured.push((configuration, in_pairs(series, &ours, &theirs, pairs)?));
        }
        let runs = measured.iter().find(|(known, _)| *known == configuration);
        lines.extend(runs.into_iter().flat_map(|(_, runs)| figures(series.name, peer.name, by, runs)));
    }
    Ok(lines)
}

/// Pairs of runs, ours and theirs.
pub(super) fn in_pairs(
    series: &Series<'_>,
    ours: &Server<'_>,
    theirs: &Server<'_>,
    pairs: u32,
) -> anyhow::Result<Vec<(Run, Run)>> {
    (0..pairs).map(|pair| in_turn(pair, || series.run(ours), || series.run(theirs))).collect()
}

/// What the pairs say about one thing.
pub(super) fn figures(series: &str, peer: &str, by: By, runs: &[(Run, Run)]) -> Vec<Line> {
    let ratios =
        |value: fn(&Run) -> f64| -> Vec<f64> { runs.iter().map(|(a, b)| value(a) / value(b)).collect() };
    let ratio = |word: &str| format!("{series}_{word}_ratio_{peer}");
    match by {
        By::Gbps => {
            let gbps = ratios(Run::gbps);
            vec![
                Line::median(ratio("gbps"), &gbps),
                won(series, by, peer, gbps.iter().map(|ratio| 1.0 / ratio)),
            ]
        }
        By::Cpu => {
            let own = |side: &str, pick: fn(&(Run, Run)) -> &Run| {
                let values = |value: fn(&Run) -> f64| -> Vec<f64> {
                    runs.iter().map(|pair| value(pick(pair))).collect()
                };
                let line = |unit: &str, values: Vec<f64>| {
                    let name = format!("{series}_{unit}_{side}");
                    Line::new(name, format!("{:.3}", quantile(&values, 0.5)))
                };
                [
                    line("cpu_s_per_gb", values(Run::cpu_s_per_gb)),
                    line("cpu_us_per_request", values(Run::cpu_us_per_request)),
                ]
            };
            let cpu = ratios(|run| run.cpu_s);
            let us = if peer == "nginx" { "cocuyo".to_owned() } else { format!("cocuyo_beside_{peer}") };
            let mut lines = Vec::from(own(&us, |pair| &pair.0));
            lines.extend(own(peer, |pair| &pair.1));
            lines.push(Line::median(ratio("core"), &ratios(|run| run.core_s)));
            lines.push(Line::median(ratio("cpu"), &cpu));
            lines.push(won(series, by, peer, cpu.into_iter()));
            lines
        }
    }
}

/// How many of the pairs we have won; it counts as a win only if that is all of them.
fn won(series: &str, by: By, peer: &str, ratios: impl ExactSizeIterator<Item = f64>) -> Line {
    let pairs = ratios.len();
    let won = ratios.filter(|ratio| *ratio < 1.0).count();
    Line::new(format!("{series}_{}_pairs_won_{peer}", by.word()), format!("{won}_of_{pairs}"))
}
