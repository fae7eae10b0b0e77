//! Cocuyo side by side with its peers, in one run and on one machine.
//!
//! `bench packager` sets the shipped packager against one `ffmpeg` command that makes the same
//! ladder; `bench edge` sets the shipped edge, which verifies a grant on every request, against
//! nginx, which verifies none. Both sides work in turn, pair by pair, so that whatever the machine
//! does meanwhile hits both; what is printed last are medians of the pairs' ratios, one
//! `name value` a line.

mod edge;
mod installation;
mod ladder;
mod load;
mod nginx;
mod packager;
mod probe;
mod processes;
mod report;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Side by side with peers.
#[derive(Debug, Parser)]
#[command(disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The whole ladder of one film, against one ffmpeg command from the same plan.
    Packager {
        /// The film; a real trailer in 1080p if absent.
        #[arg(long, value_name = "FILE")]
        source: Option<PathBuf>,
        /// How many pairs of runs.
        #[arg(long, default_value_t = 3)]
        pairs: u32,
    },
    /// Segments of 2 MB and parts of 20 KB, against nginx without any check.
    Edge {
        /// How many pairs of runs.
        #[arg(long, default_value_t = 5)]
        pairs: u32,
        /// Bytes of segments that each run sends.
        #[arg(long, default_value_t = 16_000_000_000)]
        segment_bytes: u64,
        /// Parts that each run sends.
        #[arg(long, default_value_t = 300_000)]
        parts: u64,
    },
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Packager { source, pairs } => packager::run(source, pairs),
        Command::Edge { pairs, segment_bytes, parts } => edge::run(pairs, segment_bytes, parts),
    }
}
