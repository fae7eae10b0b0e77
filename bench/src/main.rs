//! Cocuyo side by side with its peers, in one run and on one machine.
//!
//! `bench packager` measures how soon a film plays and sets the shipped packager against one
//! `ffmpeg` command that makes the same ladder, and against PeerTube's way of making one;
//! `bench edge` sets the shipped edge, which verifies a grant on every request, against nginx and
//! Varnish, which verify none, and measures what its gate costs by itself; `bench live` follows
//! broadcasts from the encoder to the viewer's screen, and sets its door beside nginx-rtmp. Both sides work in turn, pair by pair, so that whatever the machine does
//! meanwhile hits both; what is printed last are medians, one `name value` a line.

mod bodies;
mod browser;
mod cell;
mod cells;
mod certificate;
mod door;
mod edge;
mod h2load;
mod installation;
mod live;
mod load;
mod nginx;
mod packager;
mod pairs;
mod processes;
mod report;
mod varnish;

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
    /// Segments and parts beside nginx and Varnish, and the gate by itself.
    Edge(edge::Options),
    /// Live events, from the encoder to the screen and to the shelf.
    Live(live::Options),
    /// Bytes in memory on their way to a socket: copied, or as pages.
    Bodies {
        /// How often each way is measured.
        #[arg(long, default_value_t = 5)]
        rounds: u32,
        /// Bytes that are sent each time.
        #[arg(long, default_value_t = 3_000_000_000)]
        bytes: u64,
    },
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Packager(options) => packager::run(options),
        Command::Edge(options) => edge::run(options),
        Command::Live(options) => live::run(options),
        Command::Bodies { rounds, bytes } => bodies::run(rounds, bytes),
    }
}
