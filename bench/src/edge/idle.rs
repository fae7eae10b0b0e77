//! What ten thousand connections cost that nobody uses.

use std::net::Ipv4Addr;

use anyhow::{Context, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::load::{Connection, request};
use crate::processes::rss_mib;
use crate::report::{Line, say};

use super::Bench;

/// How many.
const CONNECTIONS: usize = 10_000;
/// Shipped are fewer at once; some more than are held here.
const SETTINGS: &str = "[http]\nmax_connections = 10200\n";
/// Files that this process and the server each need.
const FILES: u64 = 12_000;

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    raise_limit()?;
    let (stage, options) = bench.stage()?;
    let mut grown = Vec::new();
    for _ in 0..options.size(3, 1) {
        stage.restart(SETTINGS)?;
        let (address, pid) = (stage.http()?, stage.pid());
        let target = stage.fixture.parts().first().context("there is something to fetch")?;
        stage.introduce_viewers(target)?;
        let before = rss_mib(pid)?;
        let mut held = Vec::with_capacity(CONNECTIONS);
        for grant in stage.grants.iter().cycle().take(CONNECTIONS) {
            let mut connection = Connection::open(address, Ipv4Addr::LOCALHOST, None)?;
            let mut head = connection.ask(&request(address, &target.path, Some(grant)))?;
            head.succeeded()?;
            connection.read_body(&mut head)?;
            held.push(connection);
        }
        let after = rss_mib(pid)?;
        let open = held.iter().filter(|connection| connection.is_open()).count();
        ensure!(open == CONNECTIONS, "only {open} connections are still open");
        for connection in held {
            connection.reset()?;
        }
        say(format!("{CONNECTIONS} connections: from {before:.1} to {after:.1} MiB"));
        grown.push(after - before);
    }
    Ok(vec![Line::median("idle_connections_10k_rss_mib", &grown)])
}

/// Servers that are started from now on inherit it.
fn raise_limit() -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    ensure!(
        limit.maximum.is_none_or(|most| most >= FILES),
        "at most {:?} open files are allowed",
        limit.maximum
    );
    if limit.current.is_some_and(|now| now < FILES) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(FILES), maximum: limit.maximum })?;
    }
    Ok(())
}
