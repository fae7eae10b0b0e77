//! Whether a player outlives its publisher's losses of the network.

use std::time::{Duration, Instant};

use super::Bench;
use super::encoder::Encoder;
use super::event::Event;
use super::player::Player;
use crate::installation::{Engines, Installation, Setup};
use crate::report::{Line, quantile, say};

/// Longest wait for the new publisher's pictures on screen.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two pulls: the player is at rest again.
const REST: Duration = Duration::from_secs(6);

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let pulls = bench.size(bench.options.pulls, 50, 3);
    let away = Duration::from_secs(bench.size(bench.options.pull_s, 5, 5).into());
    let installation = Installation::start(Setup::on(Engines::Folder))?;
    let event = Event::announce(&installation)?;
    let url = event.url(&installation);
    let mut encoder = Encoder::clock(&url, 640, 360)?;
    event.folder(&installation)?;
    let mut player = Player::start(installation.door().address())?;
    player.join(&event.id, false)?;
    let (mut ok, mut back, mut before) = (0, Vec::new(), player.look()?);
    for pull in 1..=pulls {
        std::thread::sleep(REST);
        let rested = player.look()?;
        encoder.kill()?;
        std::thread::sleep(away);
        let since = Instant::now();
        encoder = Encoder::clock(&url, 640, 360)?;
        let seen = player.until_newer(since, PATIENCE)?;
        let took = since.elapsed().as_secs_f64();
        let after = player.look()?;
        let is_fine = seen.is_some()
            && after.fatal.len() == before.fatal.len()
            && after.engines == before.engines
            && after.failure.is_none();
        if is_fine {
            ok += 1;
            back.push(took);
        }
        let how = if is_fine { "ok" } else { "NOT ok" };
        let mbps = rested.estimate_bps.unwrap_or_default() / 1e6;
        say(format!(
            "pull {pull}: {how}, {took:.1} s; {} lines at {mbps:.2} Mbit/s before it",
            rested.height
        ));
        if !is_fine {
            say(format!("{after:#?}\n{:#}", after.state));
        }
        before = after;
        if seen.is_none() {
            player.join(&event.id, false)?;
            before = player.look()?;
        }
    }
    Ok(vec![
        Line::new("reconnect_ok", ok),
        Line::new("reconnect_pulls", pulls),
        Line::new("reconnect_picture_p50_s", format!("{:.2}", quantile(&back, 0.5))),
        Line::new("reconnect_picture_p95_s", format!("{:.2}", quantile(&back, 0.95))),
        Line::new("reconnect_errors_not_fatal", before.errors),
    ])
}
