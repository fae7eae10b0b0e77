//! The shipped edge, with a verified EdDSA grant, its scope and its height looked at on every
//! request, beside nginx and Varnish; and what its gate costs by itself. The server has one core,
//! the client another.

mod cached;
mod contest;
mod fixture;
mod forgery;
mod gate_check;
mod h2_tls;
mod hot_segments;
mod idle;
mod noise;
mod pace;
mod parts;
mod parts_jwt;
mod series;
mod stage;
mod tls;

use std::process::Command;

use anyhow::{Context, ensure};

use crate::nginx::NGINX;
use crate::report::{self, Line};
use fixture::Scale;
use stage::Stage;

/// The server's core.
const SERVER_CORE: usize = 0;
/// The client's core.
const CLIENT_CORE: usize = 1;

/// What a run is to measure, and how thoroughly.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only these, by name; all of them if absent.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// How many pairs of runs each comparison has.
    #[arg(long, default_value_t = 5)]
    pairs: u32,
    /// Few things and short runs: to see that everything works, not for the record.
    #[arg(long)]
    quick: bool,
    /// Bytes of segments that each run sends.
    #[arg(long, value_name = "BYTES", default_value_t = 20_000_000_000)]
    segment_bytes: u64,
    /// Parts and playlists that each run sends.
    #[arg(long, value_name = "NUMBER", default_value_t = 400_000)]
    parts: u64,
}

impl Options {
    /// The usual number, or the one for a quick run.
    fn size(&self, usual: u64, quick: u64) -> u64 {
        if self.quick { quick } else { usual }
    }

    /// How many pairs.
    fn pairs(&self) -> u32 {
        if self.quick { 1 } else { self.pairs }
    }
}

/// What all measurements share.
#[derive(Debug)]
struct Bench {
    options: Options,
    stage: Option<Stage>,
}

impl Bench {
    /// The stage, which is set when the first measurement wants one.
    fn stage(&mut self) -> anyhow::Result<(&mut Stage, &Options)> {
        let stage = match self.stage.take() {
            Some(stage) => stage,
            None if self.options.quick => Stage::set(Scale { segments: 7, parts: 80, playlists: 5 }, 100)?,
            None => Stage::set(Scale { segments: 49, parts: 2000, playlists: 50 }, 1000)?,
        };
        Ok((self.stage.insert(stage), &self.options))
    }
}

/// A measurement and the name to ask for it by.
type Measurement = (&'static str, fn(&mut Bench) -> anyhow::Result<Vec<Line>>);

const ALL: [Measurement; 9] = [
    ("gate_check", gate_check::run),
    ("hot_segments", hot_segments::run),
    ("parts", parts::run),
    ("parts_jwt", parts_jwt::run),
    ("tls", tls::run),
    ("h2_tls", h2_tls::run),
    ("varnish", cached::run),
    ("idle_connections", idle::run),
    ("forgery", forgery::run),
];

pub(crate) fn run(options: Options) -> anyhow::Result<()> {
    let wished = report::wished(&ALL, &options.only)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    ensure!(cores >= 2, "server and client need a core each");
    let surroundings = surroundings();
    take_core()?;
    report::measure_all(&mut Bench { options, stage: None }, &wished, surroundings)
}

/// Puts this process on the client's core. Threads and children inherit it; servers are given their
/// own.
fn take_core() -> anyhow::Result<()> {
    let pid = std::process::id().to_string();
    let pinned =
        Command::new("taskset").args(["--cpu-list", "--pid", &CLIENT_CORE.to_string(), &pid]).output();
    ensure!(pinned.context("run taskset")?.status.success(), "the client could not be given its core");
    Ok(())
}

fn surroundings() -> Vec<Line> {
    vec![
        Line::new("cocuyo_version", env!("CARGO_PKG_VERSION")),
        Line::new("build", if cfg!(debug_assertions) { "debug" } else { "release" }),
        Line::new("nginx_version", report::version_of(NGINX, &["-v"])),
        Line::new("openssl_of_nginx", openssl_of_nginx()),
        Line::new("kernel_version", report::kernel()),
        Line::new("cores", report::cores()),
    ]
}

/// The OpenSSL that nginx says it runs with.
fn openssl_of_nginx() -> String {
    let output = Command::new(NGINX).arg("-V").output();
    let said = output.map(|output| output.stderr).unwrap_or_default();
    let said = String::from_utf8_lossy(&said).into_owned();
    let rest =
        said.split("running with OpenSSL ").nth(1).or_else(|| said.split("built with OpenSSL ").nth(1));
    rest.and_then(|rest| rest.split(' ').next()).unwrap_or("unknown").to_owned()
}
