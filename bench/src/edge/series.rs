//! Things of one kind, fetched in one way; and one server under that load.

use std::net::SocketAddr;

use anyhow::{Context, ensure};

use crate::h2load::Http2;
use crate::load::{Done, Load, Target};
use crate::processes::{busy_seconds, cpu_seconds};
use crate::report;

use super::noise::Noise;
use super::stage::Stage;
use super::{Options, SERVER_CORE};

/// Requests before the order begins anew.
const ORDER: usize = 1 << 14;
/// A try of a configuration is this part of a run.
const TRY: u64 = 5;

/// How things are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Via {
    /// HTTP/1.1.
    Plain,
    /// HTTP/1.1 over TLS 1.3.
    Tls,
    /// HTTP/2 over TLS 1.3.
    Http2,
}

/// What is fetched, and how.
#[derive(Debug)]
pub(super) struct Series<'a> {
    /// The start of its figures' names.
    pub(super) name: &'static str,
    pub(super) via: Via,
    stage: &'a Stage,
    targets: &'a [Target],
    order: Vec<usize>,
    connections: usize,
    /// Requests of one run.
    pub(super) requests: u64,
}

/// A server to be measured.
#[derive(Debug)]
pub(super) struct Server<'a> {
    pub(super) name: String,
    pub(super) address: SocketAddr,
    pub(super) pid: u32,
    /// What it is shown; nothing, if it asks for nothing.
    pub(super) grants: &'a [String],
}

/// One server under one load.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) cpu_s: f64,
    /// What the server's core did in all, softirqs included.
    pub(super) core_s: f64,
    requests: u64,
    done: Done,
}

impl Run {
    pub(super) fn cpu_s_per_gb(&self) -> f64 {
        self.cpu_s * 1e9 / self.done.bytes as f64
    }

    pub(super) fn cpu_us_per_request(&self) -> f64 {
        self.cpu_s * 1e6 / self.requests as f64
    }

    pub(super) fn gbps(&self) -> f64 {
        self.done.bytes as f64 * 8.0 / 1e9 / self.done.wall.as_secs_f64()
    }
}

impl<'a> Series<'a> {
    /// The large ones.
    pub(super) fn segments(name: &'static str, via: Via, stage: &'a Stage, options: &Options) -> Self {
        let targets = stage.fixture.segments();
        let order = Noise::new().zipf(targets.len(), ORDER);
        let mean = order.iter().map(|&at| targets[at].len).sum::<u64>() / order.len() as u64;
        let requests = options.size(options.segment_bytes, 1_500_000_000) / mean;
        Self { name, via, stage, targets, order, connections: 16, requests }
    }

    /// The small ones.
    pub(super) fn parts(name: &'static str, via: Via, stage: &'a Stage, options: &Options) -> Self {
        let targets = stage.fixture.parts();
        let order = Noise::new().zipf(targets.len(), ORDER);
        Self {
            name,
            via,
            stage,
            targets,
            order,
            connections: 64,
            requests: options.size(options.parts, 20_000),
        }
    }

    /// Ours, every viewer known to it.
    pub(super) fn cocuyo(&self) -> anyhow::Result<Server<'a>> {
        let stage = self.stage;
        let first = self.targets.first().context("there is something to fetch")?;
        stage.introduce_viewers(first)?;
        let address = if self.via == Via::Plain { stage.http()? } else { stage.https()? };
        let ours = Server { name: "cocuyo".to_owned(), address, pid: stage.pid(), grants: &stage.grants };
        self.verify(&ours)?;
        self.refuses_without_grant(&ours)?;
        Ok(ours)
    }

    /// Compares every byte of everything; what was cold is warm then.
    pub(super) fn verify(&self, server: &Server<'_>) -> anyhow::Result<()> {
        let same = match self.via {
            Via::Plain | Via::Tls => self.load(server, 0).verify(),
            Via::Http2 => self.http2(server, 0).verify(self.stage.folder()),
        };
        same.with_context(|| format!("compare what {} sends", server.name))
    }

    /// A comparison with a server that has forgotten to ask would be worth nothing.
    pub(super) fn refuses_without_grant(&self, server: &Server<'_>) -> anyhow::Result<()> {
        let open = Load { grants: &[], ..self.load(server, 0) };
        let refusal = open.verify().err().context("a gated item is served without a grant")?;
        ensure!(refusal.to_string().contains(" 401"), "without a grant: {refusal}");
        Ok(())
    }

    /// A whole run.
    pub(super) fn run(&self, server: &Server<'_>) -> anyhow::Result<Run> {
        self.one(server, self.requests)
    }

    /// A short one.
    pub(super) fn try_out(&self, server: &Server<'_>) -> anyhow::Result<Run> {
        self.one(server, self.requests.div_ceil(TRY))
    }

    fn one(&self, server: &Server<'_>, requests: u64) -> anyhow::Result<Run> {
        let (cpu, core) = (cpu_seconds(server.pid)?, busy_seconds(SERVER_CORE)?);
        let (done, requests) = match self.via {
            Via::Plain | Via::Tls => (self.load(server, requests).run(), requests),
            Via::Http2 => {
                let load = self.http2(server, requests);
                (load.run(self.stage.folder()), load.requests())
            }
        };
        let done = done.with_context(|| format!("load {}", server.name))?;
        let run = Run {
            cpu_s: cpu_seconds(server.pid)? - cpu,
            core_s: busy_seconds(SERVER_CORE)? - core,
            requests,
            done,
        };
        report::say(format!(
            "{} {}: {:.2} Gbit/s, {:.3} CPU s/GB, {:.1} CPU µs/request, {:.1} CPU s in {:.1} s, p99 {}",
            self.name,
            server.name,
            run.gbps(),
            run.cpu_s_per_gb(),
            run.cpu_us_per_request(),
            run.cpu_s,
            done.wall.as_secs_f64(),
            done.p99.map_or("not seen".to_owned(), |p99| format!("{p99:?}")),
        ));
        Ok(run)
    }

    fn load<'b>(&'b self, server: &'b Server<'_>, requests: u64) -> Load<'b> {
        Load {
            address: server.address,
            tls: (self.via != Via::Plain).then(|| self.stage.certificate.client()),
            targets: self.targets,
            order: &self.order,
            grants: server.grants,
            connections: self.connections,
            requests,
        }
    }

    fn http2<'b>(&'b self, server: &'b Server<'_>, requests: u64) -> Http2<'b> {
        Http2 {
            address: server.address,
            certificate: &self.stage.certificate,
            targets: self.targets,
            order: &self.order,
            grants: server.grants,
            requests,
        }
    }
}
