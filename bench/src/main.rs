//! Cocuyo side by side with its peers, in one run and on one machine.
//!
//! `bench packager` measures how soon a film plays and sets the shipped packager against one
//! `ffmpeg` command that makes the same ladder, and against PeerTube's way of making one;
//! `bench edge` sets the shipped edge, which verifies a grant on every request, against nginx,
//! which verifies none. Both sides work in turn, pair by pair, so that whatever the machine does
//! meanwhile hits both; what is printed last are medians, one `name value` a line.

mod cell;
mod cells;
mod door;
mod edge;
mod installation;
mod load;
mod nginx;
mod packager;
mod processes;
mod report;

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
    /// How soon films play, and the ladder beside its peers.
    Packager(packager::Options),
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
        Command::Packager(options) => packager::run(options),
        Command::Edge { pairs, segment_bytes, parts } => edge::run(pairs, segment_bytes, parts),
    }
}
