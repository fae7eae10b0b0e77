//! A film watched from its first second while it is encoded, then a seek to where nothing is yet.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::Bench;
use super::first_frame::{LIMIT, wait};
use super::screen::Screen;
use super::sources::Kind;
use crate::installation::{Engines, Installation, Setup};
use crate::report::{Line, say};

/// Where the viewer jumps to.
const JUMP: f64 = 0.8;

pub(super) fn run(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    let installation = Installation::start(Setup::on(Engines::Folder))?;
    let mut screen = Screen::start(installation.door())?;
    let film = bench.sources.film(Kind::Camera, 600)?;
    let wait = wait(&installation, &mut screen, &film)?;
    play(&mut screen, &installation, bench.size(120, 30))?;
    let before = screen.tally()?;
    say(format!("before the seek: {before}"));
    let seen = installation.door().video(&wait.video)?;
    ensure!(seen["state"] == "packaging", "all of it is there already: {seen}");
    let seek_ms = screen.seek(JUMP)?;
    say(format!("the seek took {seek_ms:.0} ms"));
    play(&mut screen, &installation, bench.size(60, 15))?;
    let after = screen.tally()?;
    say(format!("at the end: {after}"));
    ensure!(after["failure"].is_null(), "the player gave up: {}", after["failure"]);
    let played = after["time"].as_f64().context("a position")?;
    ensure!(played > 600.0 * JUMP, "the film stands at {played} s");
    let number = |key: &str| after[key].as_f64().unwrap_or(f64::NAN);
    Ok(vec![
        Line::new("stalls_while_encoding", number("stalls")),
        Line::new("stalled_ms_while_encoding", format!("{:.0}", number("stalled_ms"))),
        Line::new("seek_while_encoding_s", format!("{:.2}", seek_ms / 1000.0)),
        Line::new("fetched_twice_while_encoding", number("fetched_twice")),
        Line::new("height_at_the_end_of_stalls", number("height")),
    ])
}

/// Lets the film run for `seconds` of it.
fn play(screen: &mut Screen, installation: &Installation, seconds: u32) -> anyhow::Result<()> {
    let time = |screen: &mut Screen| -> anyhow::Result<f64> {
        screen.tally()?["time"].as_f64().context("a position")
    };
    let target = time(screen)? + f64::from(seconds);
    let deadline = Instant::now() + Duration::from_secs(2 * u64::from(seconds)).max(LIMIT / 5);
    while time(screen)? < target {
        ensure!(Instant::now() < deadline, "{seconds} s of film did not play: {}", screen.tally()?);
        for _ in 0..10 {
            installation.door().pause();
        }
    }
    Ok(())
}
