//! Live events, from the encoder to the viewer's screen and to the shelf.
//!
//! Everything of ours goes through the public doors: RTMP in, HTTP out, the API, a browser with the
//! site's own player. Where a thousand encoders or viewers are wanted, they are connections of this
//! program that replay what a real one sent, or ask what a real one asks.
#![expect(
    clippy::disallowed_methods,
    reason = "a broadcast goes by the clock of the machine, and so does who measures it"
)]

mod blocking_release;
mod capture;
mod checker;
mod encoder;
mod event;
mod events_packaged;
mod glass_to_glass;
mod ingest;
mod join;
mod listing;
mod live_to_vod;
mod ll_viewers;
mod player;
mod poller;
mod publisher;
mod reconnect;
mod recovery;
mod republish;
mod sessions;
mod sink;
mod skew;
mod viewer;

use anyhow::Context;
use tokio::runtime::Runtime;

use crate::nginx::NGINX;
use crate::report::{self, Line};

/// What a run is to measure, and how thoroughly.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only these, by name; all of them if absent.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Few and short runs: to see that everything works, not for the record.
    #[arg(long)]
    quick: bool,
    /// How many pairs of runs the comparison with nginx-rtmp has.
    #[arg(long)]
    pairs: Option<u32>,
    /// Seconds for which the checker watches.
    #[arg(long, value_name = "SECONDS")]
    checker_s: Option<u32>,
    /// Pulls of the plug that a player has to outlive,
    #[arg(long, value_name = "NUMBER")]
    pulls: Option<u32>,
    /// and how long each lasts.
    #[arg(long, value_name = "SECONDS")]
    pull_s: Option<u32>,
    /// Events whose publishers take over from each other.
    #[arg(long, value_name = "NUMBER")]
    keys: Option<u32>,
    /// Publish and play sessions over which memory must not grow.
    #[arg(long, value_name = "NUMBER")]
    sessions: Option<u32>,
    /// Seconds of silence before sound is set against picture.
    #[arg(long, value_name = "SECONDS")]
    silence_s: Option<u32>,
}

/// What all measurements share.
#[derive(Debug)]
struct Bench {
    options: Options,
    /// Where encoders and viewers that are connections of this program live.
    runtime: Runtime,
}

impl Bench {
    /// What was asked for, or the usual number, or the one for a quick run.
    fn size(&self, asked: Option<u32>, usual: u32, quick: u32) -> u32 {
        asked.unwrap_or(if self.options.quick { quick } else { usual })
    }
}

/// A measurement and the name to ask for it by.
type Measurement = (&'static str, fn(&mut Bench) -> anyhow::Result<Vec<Line>>);

const ALL: [Measurement; 13] = [
    ("glass_to_glass", glass_to_glass::run),
    ("join", join::run),
    ("live_to_vod", live_to_vod::run),
    ("checker", checker::run),
    ("blocking_release", blocking_release::run),
    ("reconnect", reconnect::run),
    ("recovery", recovery::run),
    ("ll_viewers", ll_viewers::run),
    ("events_packaged", events_packaged::run),
    ("republish", republish::run),
    ("ingest", ingest::run),
    ("rss", sessions::run),
    ("av_skew", skew::run),
];

pub(crate) fn run(options: Options) -> anyhow::Result<()> {
    let wished = report::wished(&ALL, &options.only)?;
    // Each waiter of a playlist is a connection here.
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    rustix::process::setrlimit(
        rustix::process::Resource::Nofile,
        rustix::process::Rlimit { current: limit.maximum, ..limit },
    )
    .context("open many files")?;
    let runtime = Runtime::new().context("start the runtime")?;
    report::measure_all(&mut Bench { options, runtime }, &wished, surroundings())
}

fn surroundings() -> Vec<Line> {
    vec![
        Line::new("cocuyo_version", env!("CARGO_PKG_VERSION")),
        Line::new("build", if cfg!(debug_assertions) { "debug" } else { "release" }),
        Line::new("ffmpeg_version", report::version_of("ffmpeg", &["-version"])),
        Line::new("chromium_version", report::version_of("chromium", &["--version"])),
        Line::new("nginx_version", report::version_of(NGINX, &["-v"])),
        Line::new("kernel_version", report::kernel()),
        Line::new("cores", report::cores()),
    ]
}
