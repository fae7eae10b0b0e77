//! The shipped edge, a verified EdDSA grant on every request, against nginx without any check: hot
//! segments of 2 MB and hot parts of 20 KB, one core for the server, another for the client.

mod fixture;

use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::installation::{Engines, Installation, Setup};
use crate::load::{Done, Load, Target};
use crate::nginx::{NGINX, Nginx};
use crate::processes::{busy_seconds, cpu_seconds};
use crate::report;
use fixture::Fixture;

/// The server's core.
const SERVER_CORE: usize = 0;
/// The client's core.
const CLIENT_CORE: usize = 1;
/// Viewers: logins with a grant each; twice as many are fewer than an account may begin in a while.
const VIEWERS: usize = 12;

/// One server under one load.
#[derive(Debug, Clone, Copy)]
struct Run {
    cpu_s: f64,
    /// What the server's core did in all, softirqs included.
    core_s: f64,
    requests: u64,
    done: Done,
}

impl Run {
    fn cpu_s_per_gb(&self) -> f64 {
        self.cpu_s * 1e9 / self.done.bytes as f64
    }

    fn cpu_us_per_request(&self) -> f64 {
        self.cpu_s * 1e6 / self.requests as f64
    }

    fn gbps(&self) -> f64 {
        self.done.bytes as f64 * 8.0 / 1e9 / self.done.wall.as_secs_f64()
    }
}

/// A server to be measured.
struct Server {
    name: &'static str,
    address: SocketAddr,
    pid: u32,
    grants: Vec<String>,
}

/// Things of one size, fetched in one way.
struct Series<'a> {
    name: &'static str,
    targets: &'a [Target],
    connections: usize,
    requests: u64,
}

pub(crate) fn run(pairs: u32, segment_bytes: u64, parts: u64) -> anyhow::Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    ensure!(cores >= 2, "server and client need a core each");
    report::warn_when_busy();
    let mut installation =
        Installation::start(Setup { core: Some(SERVER_CORE), ..Setup::on(Engines::Folder) })?;
    let fixture = Fixture::make(&mut installation)?;
    let nginx = Nginx::start(SERVER_CORE, fixture.files())?;

    // Threads inherit this; the servers have been given their own.
    let pid = std::process::id().to_string();
    let pinned =
        Command::new("taskset").args(["--cpu-list", "--pid", &CLIENT_CORE.to_string(), &pid]).output();
    ensure!(pinned.context("run taskset")?.status.success(), "the client could not be given its core");

    let segment_len = fixture.segments().first().map_or(1, |target| target.len);
    let series = [
        Series {
            name: "hot_segments",
            targets: fixture.segments(),
            connections: 16,
            requests: segment_bytes / segment_len,
        },
        Series { name: "parts", targets: fixture.parts(), connections: 64, requests: parts },
    ];
    let mut lines = Vec::new();
    for series in &series {
        lines.push((series.name, measure(series, pairs, &installation, &nginx, &fixture)?));
    }
    report::surroundings(NGINX, &["-v"]);
    for (name, runs) in lines {
        let ratios =
            |ratio: fn(&Run, &Run) -> f64| runs.iter().map(|(ours, theirs)| ratio(ours, theirs)).collect();
        for (side, pick) in
            [("cocuyo", (|pair| &pair.0) as fn(&(Run, Run)) -> &Run), ("nginx", |pair| &pair.1)]
        {
            let values = |value: fn(&Run) -> f64| runs.iter().map(|pair| value(pick(pair))).collect();
            report::medians(&format!("{name}_cpu_s_per_gb_{side}"), values(Run::cpu_s_per_gb));
            report::medians(&format!("{name}_cpu_us_per_request_{side}"), values(Run::cpu_us_per_request));
        }
        report::ratios(&format!("{name}_core_ratio_nginx"), ratios(|a, b| a.core_s / b.core_s));
        report::ratios(&format!("{name}_gbps_ratio_nginx"), ratios(|a, b| a.gbps() / b.gbps()));
        report::ratios(&format!("{name}_cpu_ratio_nginx"), ratios(|a, b| a.cpu_s / b.cpu_s));
    }
    Ok(())
}

/// Pairs of runs, ours and theirs, each pair the other way round than the one before.
fn measure(
    series: &Series<'_>,
    pairs: u32,
    installation: &Installation,
    nginx: &Nginx,
    fixture: &Fixture,
) -> anyhow::Result<Vec<(Run, Run)>> {
    // Grants live ten minutes; each series begins with new ones.
    let ours = Server {
        name: "cocuyo",
        address: installation.door().address().parse().context("the server's address")?,
        pid: installation.pid(),
        grants: fixture.grants(installation, VIEWERS)?,
    };
    let theirs = Server { name: "nginx", address: nginx.address(), pid: nginx.pid(), grants: Vec::new() };
    for server in [&ours, &theirs] {
        load(series, server).verify().with_context(|| format!("compare what {} sends", server.name))?;
    }
    refuses_without_grant(series, &ours)?;
    let mut runs = Vec::new();
    for pair in 0..pairs {
        let run = if pair % 2 == 0 {
            let first = one(series, &ours)?;
            (first, one(series, &theirs)?)
        } else {
            let first = one(series, &theirs)?;
            (one(series, &ours)?, first)
        };
        runs.push(run);
    }
    Ok(runs)
}

/// A comparison with a server that has forgotten to ask would be worth nothing.
fn refuses_without_grant(series: &Series<'_>, ours: &Server) -> anyhow::Result<()> {
    let open = Load { grants: &[], ..load(series, ours) };
    let refusal = open.verify().err().context("a gated item is served without a grant")?;
    ensure!(refusal.to_string().contains(" 401"), "without a grant: {refusal}");
    Ok(())
}

fn load<'a>(series: &Series<'a>, server: &'a Server) -> Load<'a> {
    Load {
        address: server.address,
        targets: series.targets,
        grants: &server.grants,
        connections: series.connections,
        requests: series.requests,
    }
}

fn one(series: &Series<'_>, server: &Server) -> anyhow::Result<Run> {
    let (cpu, core) = (cpu_seconds(server.pid)?, busy_seconds(SERVER_CORE)?);
    let done = load(series, server).run().with_context(|| format!("load {}", server.name))?;
    let run = Run {
        cpu_s: cpu_seconds(server.pid)? - cpu,
        core_s: busy_seconds(SERVER_CORE)? - core,
        requests: series.requests,
        done,
    };
    report::say(format!(
        "{} {}: {:.2} Gbit/s, {:.3} CPU s/GB, {:.1} CPU µs/request, p50 {:?}, p99 {:?}",
        series.name,
        server.name,
        run.gbps(),
        run.cpu_s_per_gb(),
        run.cpu_us_per_request(),
        done.p50,
        done.p99,
    ));
    Ok(run)
}
