//! How many viewers an edge has room for: those that are connections of this program, beside one real player.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::Bench;
use super::encoder::{Encoder, film};
use super::event::{Event, renditions};
use super::player::Player;
use super::viewer::{Tally, follow};
use crate::installation::{Engines, Installation, Setup};
use crate::processes;
use crate::report::{Line, say};
use tempfile::TempDir;

/// Numbers of viewers that are tried, until one is too many.
const STEPS: [usize; 5] = [500, 1000, 1500, 2000, 2500];
/// Between two that join.
const RAMP: Duration = Duration::from_millis(5);
/// Of a thousand viewers so many may stall: a client that shares its processor is late by itself.
const STALLED_PER_MILLE: u64 = 10;

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let steps: &[usize] = if bench.options.quick { &[50] } else { &STEPS };
    let hold = Duration::from_secs(bench.size(None, 30, 10).into());
    let home = TempDir::with_prefix("cocuyo-bench-")?;
    let source = home.path().join("film.mp4");
    let length = steps.len() as u32 * (hold.as_secs() as u32 + 30) + 30;
    film(&source, length, "640x360", 600)?;
    let mut installation = Installation::start(Setup::on(Engines::Folder))?;
    installation.configure("[http]\nmax_connections = 20000\n[packager]\nlive_cores = 0\n")?;
    let event = Event::announce(&installation)?;
    let _encoder = Encoder::file(&event.url(&installation), &source)?;
    let picture = event.source(&installation)?;
    let folder = event.folder(&installation)?;
    let names = renditions(&installation, &folder)?;
    let sound = names.iter().find(|name| name.starts_with('a')).cloned();
    let mut player = Player::start(installation.door().address())?;
    player.join(&event.id, true)?;
    let tally = Arc::new(Tally::default());
    let (mut viewers, mut best, mut lines) = (JoinSet::new(), 0, Vec::new());
    for &step in steps {
        let lanes: Vec<String> = [Some(&picture), sound.as_ref()]
            .into_iter()
            .flatten()
            .map(|name| format!("{folder}{name}/"))
            .collect();
        bench.runtime.block_on(async {
            while viewers.len() < step * lanes.len() {
                for lane in &lanes {
                    let address = installation.door().address().to_owned();
                    viewers.spawn(follow(address, lane.clone(), Arc::clone(&tally)));
                }
                tokio::time::sleep(RAMP).await;
            }
            // Those that came last are at rest, too.
            tokio::time::sleep(Duration::from_secs(5)).await;
        });
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let before = [&tally.stalls, &tally.answers, &tally.bytes].map(count);
        let (shown, cpu, begin) =
            (player.look()?, processes::cpu_seconds(installation.pid())?, Instant::now());
        std::thread::sleep(hold);
        let seconds = begin.elapsed().as_secs_f64();
        let cpu = (processes::cpu_seconds(installation.pid())? - cpu) / seconds;
        let after = [&tally.stalls, &tally.answers, &tally.bytes].map(count);
        let look = player.look()?;
        let [stalls, answers, bytes] = [0, 1, 2].map(|n| after[n] - before[n]);
        let failures = count(&tally.failures);
        let kbps = bytes as f64 * 8.0 / 1000.0 / seconds / step as f64;
        let real = look.stalls - shown.stalls;
        say(format!(
            "{step} viewers: hls.js stalled {real} times, they {stalls} times, {failures} failed; {:.0} requests/s, \
             {kbps:.0} kbit/s each, server {cpu:.2} cores",
            answers as f64 / seconds
        ));
        if real > 0
            || failures > 0
            || stalls * 1000 > step as u64 * STALLED_PER_MILLE
            || !look.fatal.is_empty()
        {
            break;
        }
        best = step;
        lines = vec![
            Line::new("ll_viewers_kbps_each", format!("{kbps:.0}")),
            Line::new("ll_viewers_requests_per_s", format!("{:.0}", answers as f64 / seconds)),
            Line::new("ll_viewers_server_cores", format!("{cpu:.2}")),
            Line::new("ll_viewers_stalls", stalls),
        ];
    }
    lines.insert(0, Line::new("ll_viewers", best));
    Ok(lines)
}
