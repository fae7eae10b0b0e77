//! `cocuyo`: configuration, roles, command line and lifecycle of everything but the transcoder.
//! It wires parts and decides nothing; the parts never name each other.

mod account;
mod activation;
mod admin;
mod challenge_door;
mod config;
mod database_copy;
mod edges;
mod enrolled;
mod https;
mod lifecycle;
mod live;
mod order;
mod origin;
mod own_edge;
mod parts;
mod publishers;
mod reencode;
mod reload;
mod samples;
mod serve;
mod uploaders;
mod webhooks;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::config::{Config, Overrides, Role};
use crate::https::Https;

/// Packets, segments and requests are made on one thread and forgotten on another, thousands of times in a
/// second. What it is worth: docs/benchmarks.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A self-hosted platform to stream and download video.
#[derive(Debug, Parser)]
#[command(name = "cocuyo", version, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    overrides: Overrides,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until asked to stop.
    Serve {
        /// Address of the public port; over the file's `http.listen`.
        #[arg(long, value_name = "ADDR")]
        listen: Option<SocketAddr>,
        /// Address of the port for live streams by RTMP; over the file's `ingest.rtmp`.
        #[arg(long, value_name = "ADDR")]
        rtmp: Option<SocketAddr>,
        /// What this process does; over the file's `roles`.
        #[arg(long, value_delimiter = ',', value_name = "LIST")]
        roles: Option<Vec<Role>>,
        /// Folder of sample clips to add; the files are taken over and the folder is removed.
        #[arg(long, value_name = "DIR", hide = true)]
        samples: Option<PathBuf>,
    },
    /// Print the configuration that would be used, secrets masked.
    CheckConfig,
    /// Accounts.
    #[command(subcommand)]
    Account(account::Command),
    /// Edges of their own.
    #[command(subcommand)]
    Edge(edges::Command),
    /// The three generated clips of a new installation.
    #[command(subcommand)]
    Samples(samples::Command),
    /// Remove objects that nothing names and that are older than a day, and replaced versions
    /// that nobody can be watching any more.
    Sweep(order::Sweep),
    /// Encode some renditions of a video anew with a slower preset, behind all other work; it
    /// plays on meanwhile.
    Reencode(reencode::Reencode),
    /// List where rows, indexes and objects disagree; exit code 1 if they do.
    Doctor,
    /// The database.
    #[command(subcommand)]
    Db(database_copy::Command),
}

/// The exit code for a configuration that cannot be used (`EX_USAGE` of sysexits.h).
const BAD_CONFIGURATION: u8 = 64;

fn main() -> ExitCode {
    #[cfg(feature = "faults")]
    packager::faults::from_environment();
    let arguments = Arguments::parse();
    let mut config = match Config::load(&arguments.overrides) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("cocuyo: {error:#}");
            return ExitCode::from(BAD_CONFIGURATION);
        }
    };
    if let Command::Serve { listen, rtmp, roles, .. } = &arguments.command {
        config.http.listen = listen.unwrap_or(config.http.listen);
        config.ingest.rtmp = rtmp.or(config.ingest.rtmp);
        if let Some(roles) = roles {
            config.roles.clone_from(roles);
        }
        if let Err(error) = config.own_edge() {
            eprintln!("cocuyo: {error:#}");
            return ExitCode::from(BAD_CONFIGURATION);
        }
    }
    // Other commands may be given by people who cannot read the key.
    let https = match arguments.command {
        Command::Serve { .. } | Command::CheckConfig => Https::of(&config),
        _ => Ok(None),
    };
    let https = match https {
        Ok(https) => https,
        Err(error) => {
            eprintln!("cocuyo: {error:#}");
            return ExitCode::from(BAD_CONFIGURATION);
        }
    };
    log_to_stderr();
    // Passwords, SQL and files; media bytes have the accepting threads of `listener`.
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&anyhow::Error::from(error).context("start the runtime")),
    };
    let done = runtime.block_on(run(arguments.command, config, arguments.overrides, https));
    // A blocking task (a copy between disks, a name that does not resolve) must not hold the exit;
    // nothing acknowledged depends on it.
    runtime.shutdown_timeout(Duration::from_secs(5));
    done.unwrap_or_else(|error| fail(&error))
}

async fn run(
    command: Command,
    config: Config,
    overrides: Overrides,
    https: Option<Https>,
) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve { samples, .. } => serve::serve(config, overrides, https, samples).await,
        Command::CheckConfig => {
            say(&toml::to_string(&config).context("print the configuration")?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Account(command) => account::run(command, &config).await,
        Command::Edge(command) => edges::run(command, &config).await,
        Command::Samples(command) => samples::run(command, &config).await,
        Command::Sweep(sweep) => order::sweep(&sweep, &config).await,
        Command::Reencode(order) => reencode::run(&order, &config).await,
        Command::Doctor => order::doctor(&config).await,
        Command::Db(command) => database_copy::run(command).await,
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("cocuyo: {error:#}");
    ExitCode::FAILURE
}

fn log_to_stderr() {
    let filter = EnvFilter::try_from_env("COCUYO_LOG")
        .unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn,sea_orm_migration=warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
}

/// What a command answers, on standard output; logs go to standard error.
#[expect(clippy::print_stdout, reason = "the one place where the program speaks to its operator")]
fn say(text: &str) {
    println!("{text}");
}
