//! From the encoder's picture to the viewer's screen.

use anyhow::ensure;

use super::Bench;
use super::encoder::Encoder;
use super::event::Event;
use super::player::Player;
use crate::installation::{Engines, Installation, Setup};
use crate::report::{Line, quantile, say};

/// Seconds that a player has to come to rest.
const SETTLE_S: u32 = 10;

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let seconds = bench.size(None, 60, 15);
    let mut lines = Vec::new();
    for (name, width, height) in [("", 640, 360), ("_720p", 1280, 720)] {
        let installation = Installation::start(Setup::on(Engines::Folder))?;
        let event = Event::announce(&installation)?;
        let _encoder = Encoder::clock(&event.url(&installation), width, height)?;
        event.folder(&installation)?;
        let mut player = Player::start(installation.door().address())?;
        player.join(&event.id, true)?;
        player.ages(SETTLE_S)?;
        let before = player.look()?;
        let ages = player.ages(seconds)?;
        let after = player.look()?;
        say(format!(
            "{} pictures, {:.2} to {:.2} s, {:?}",
            ages.len(),
            quantile(&ages, 0.0),
            quantile(&ages, 1.0),
            after
        ));
        ensure!(after.height == height as u64, "{} lines were watched", after.height);
        let stalls = after.stalls - before.stalls;
        for (quantile_name, part) in [("p50", 0.5), ("p95", 0.95)] {
            let value = format!("{:.2}", quantile(&ages, part));
            lines.push(Line::new(format!("glass_to_glass{name}_{quantile_name}_s"), value));
        }
        lines.push(Line::new(format!("glass_to_glass{name}_stalls"), stalls));
        let stalled = after.stalled_ms - before.stalled_ms;
        lines.push(Line::new(format!("glass_to_glass{name}_stalled_ms"), format!("{stalled:.0}")));
    }
    Ok(lines)
}
