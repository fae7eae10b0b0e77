//! How soon somebody who joins sees something, and how soon something is there to be seen.

use std::time::{Duration, Instant};

use anyhow::ensure;

use super::Bench;
use super::encoder::Encoder;
use super::event::{Event, renditions};
use super::listing::Listing;
use super::player::Player;
use crate::installation::{Engines, Installation, Setup};
use crate::report::{Line, quantile, say};

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let installation = Installation::start(Setup::on(Engines::Folder))?;
    let mut playable = Vec::new();
    for _ in 0..bench.size(None, 5, 2) {
        let event = Event::announce(&installation)?;
        let begin = Instant::now();
        let _encoder = Encoder::clock(&event.url(&installation), 640, 360)?;
        until_playable(&installation, &event)?;
        playable.push(begin.elapsed().as_secs_f64());
        event.end(&installation)?;
    }
    say(format!("publish to playable: {playable:.2?}"));

    let event = Event::announce(&installation)?;
    let _encoder = Encoder::clock(&event.url(&installation), 640, 360)?;
    until_playable(&installation, &event)?;
    let mut player = Player::start(installation.door().address())?;
    // The first page of a browser costs more than any later one.
    player.join(&event.id, false)?;
    let mut joins = Vec::new();
    for n in 0..bench.size(None, 20, 4) {
        // Not all at the same moment of a group of pictures.
        std::thread::sleep(Duration::from_millis(u64::from(n * 337 % 2000)));
        joins.push(player.join(&event.id, false)?);
    }
    say(format!("joins: {joins:.2?}"));
    Ok(vec![
        Line::new("join_to_first_frame_p50_s", format!("{:.2}", quantile(&joins, 0.5))),
        Line::new("join_to_first_frame_p95_s", format!("{:.2}", quantile(&joins, 0.95))),
        Line::new("publish_to_playable_s", format!("{:.2}", quantile(&playable, 0.5))),
        Line::new("publish_to_playable_worst_s", format!("{:.2}", quantile(&playable, 1.0))),
    ])
}

/// Waits until the publisher's picture can be played as far behind as players stay.
fn until_playable(installation: &Installation, event: &Event) -> anyhow::Result<()> {
    let folder = event.folder(installation)?;
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if renditions(installation, &folder)?.iter().any(|name| name == "360p") {
            let text = installation.door().fetch(&format!("{folder}360p/playlist.m3u8"), None)?;
            let listing = Listing::read(&String::from_utf8_lossy(&text));
            if listing.hold_back_s > 0.0 && listing.seconds() >= listing.hold_back_s {
                return Ok(());
            }
        }
        ensure!(Instant::now() < deadline, "nothing plays of an event: {}", installation.log());
        installation.door().pause();
    }
}
