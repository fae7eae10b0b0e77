//! The shipped packager: how soon a film plays, and what its ladder costs beside its peers.
//!
//! Everything of ours goes through the public door: uploads by tus, the API, a browser. Peers are
//! programs that run on the same machine in turn with it, pair by pair.

mod copying;
mod eta;
mod first_frame;
mod hour;
mod ladder;
mod one_command;
mod peertube;
mod profile;
mod quality;
mod rate_distortion;
mod scaling;
mod screen;
mod seams;
mod sources;
mod stalls;
mod vmaf;

use std::path::{Path, PathBuf};

use anyhow::ensure;

use crate::pairs::in_turn;
use crate::report::{self, Line};
use sources::Sources;

/// What a run is to measure, and how thoroughly.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only these, by name; all of them if absent.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// How many pairs of runs each comparison has.
    #[arg(long, default_value_t = 3)]
    pairs: u32,
    /// Short films and few runs: to see that everything works, not for the record.
    #[arg(long)]
    quick: bool,
    /// Seconds of the film that workers share, of which no chunk may be a large part.
    #[arg(long, value_name = "SECONDS")]
    scaling_s: Option<u32>,
    /// Seconds of the film whose objects are counted and whose sound is set against its picture.
    #[arg(long, value_name = "SECONDS")]
    hour_s: Option<u32>,
}

/// What all measurements share.
#[derive(Debug)]
struct Bench {
    options: Options,
    sources: Sources,
}

impl Bench {
    /// The usual number, or the one for a quick run.
    fn size(&self, usual: u32, quick: u32) -> u32 {
        if self.options.quick { quick } else { usual }
    }
}

/// A measurement and the name to ask for it by.
type Measurement = (&'static str, fn(&Bench) -> anyhow::Result<Vec<Line>>);

const ALL: [Measurement; 12] = [
    ("first_frame", first_frame::waiting),
    ("first_frame_busy", first_frame::busy),
    ("profile", profile::run),
    ("eta", eta::run),
    ("stalls", stalls::run),
    ("ladder", ladder::run),
    ("memory", ladder::memory),
    ("copying", copying::run),
    ("worker_scaling", scaling::run),
    ("low_rungs", quality::run),
    ("chunking", seams::run),
    ("hour", hour::run),
];

pub(crate) fn run(options: Options) -> anyhow::Result<()> {
    let wished = report::wished(&ALL, &options.only)?;
    let mut bench = Bench { options, sources: Sources::open()? };
    let wished: Vec<_> =
        wished.into_iter().map(|(name, measure)| (name, move |bench: &mut Bench| measure(bench))).collect();
    report::measure_all(&mut bench, &wished, surroundings())
}

fn surroundings() -> Vec<Line> {
    let mut lines = vec![
        Line::new("cocuyo_version", env!("CARGO_PKG_VERSION")),
        Line::new("build", if cfg!(debug_assertions) { "debug" } else { "release" }),
        Line::new("ffmpeg_version", report::version_of("ffmpeg", &["-version"])),
        Line::new("chromium_version", report::version_of("chromium", &["--version"])),
        Line::new("kernel_version", report::kernel()),
        Line::new("cores", report::cores()),
    ];
    lines.extend(peertube::x264_version().map(|version| Line::new("libx264_version", version)));
    lines
}

/// A file in `.tools`, where `make tools-bench` puts what it fetches.
fn tool(name: &str) -> anyhow::Result<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools").join(name);
    ensure!(path.exists(), "`.tools/{name}` is missing: `make tools-bench` fetches it");
    Ok(path)
}
