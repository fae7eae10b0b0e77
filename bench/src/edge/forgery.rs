//! What viewers notice of somebody at another address who sends tokens of which every one has
//! another bad signature.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::load::{p99, request};
use crate::pairs::in_turn;
use crate::report::{Line, quantile, say};

use super::Bench;
use super::pace::Paced;
use super::stage::Stage;

/// Requests of viewers in a second.
const GOOD: u64 = 2000;
/// Those of the forger.
const FORGED: u64 = 5000;
/// Connections of each.
const CONNECTIONS: u64 = 40;
/// Where the forger is.
const FORGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let (stage, options) = bench.stage()?;
    stage.restart("")?;
    let traffic = Traffic { stage, seconds: options.size(20, 3) };
    stage.introduce_viewers(stage.fixture.parts().first().context("there is something to fetch")?)?;
    // Everything is in memory then.
    traffic.good()?;
    let (mut ratios, mut alone, mut beside, mut rates) = (vec![], vec![], vec![], vec![]);
    for pair in 0..options.pairs() {
        let ((forged, rate), quiet) = in_turn(pair, || traffic.beside_forger(), || traffic.good())?;
        let enough = options.quick || rate > 0.9 * FORGED as f64;
        ensure!(enough, "only {rate:.0} forged tokens a second: the machine has other work");
        say(format!("p99 {quiet:?} alone, {forged:?} beside {rate:.0} forged tokens a second"));
        ratios.push(forged.as_secs_f64() / quiet.as_secs_f64());
        alone.push(quiet.as_secs_f64() * 1e6);
        beside.push(forged.as_secs_f64() * 1e6);
        rates.push(rate);
    }
    let line = |name, values: &[f64]| Line::new(name, format!("{:.0}", quantile(values, 0.5)));
    Ok(vec![
        line("good_p99_us_alone", &alone),
        line("good_p99_us_under_forgery", &beside),
        line("forged_tokens_per_s", &rates),
        Line::median("good_p99_ratio_under_forgery", &ratios),
    ])
}

struct Traffic<'a> {
    stage: &'a Stage,
    seconds: u64,
}

impl Traffic<'_> {
    /// Viewers' p99 while the forger is at work, and how many tokens were refused in a second.
    fn beside_forger(&self) -> anyhow::Result<(Duration, f64)> {
        let begin = Instant::now();
        std::thread::scope(|scope| {
            let forger =
                scope.spawn(|| self.forge().map(|refused| refused as f64 / begin.elapsed().as_secs_f64()));
            let good = self.good();
            let rate = forger.join().map_err(|_| anyhow::anyhow!("the forger's thread panicked"))??;
            Ok((good?, rate))
        })
    }

    /// Viewers' p99: parts and playlists, with grants that the server knows.
    fn good(&self) -> anyhow::Result<Duration> {
        let (address, grants, parts) = (self.stage.http()?, &self.stage.grants, self.stage.fixture.parts());
        let good = Paced {
            address,
            from: Ipv4Addr::LOCALHOST,
            per_s: GOOD,
            connections: CONNECTIONS,
            requests: GOOD * self.seconds,
            request: |n: usize| {
                request(
                    address,
                    &parts[n % parts.len()].path,
                    grants.get(n % grants.len()).map(String::as_str),
                )
            },
            expected: &[200],
        };
        Ok(p99(good.run().context("send what is good")?))
    }

    /// Sends forged tokens as long as viewers send good ones: known claims, another signature each.
    fn forge(&self) -> anyhow::Result<usize> {
        let (address, part) = (self.stage.http()?, &self.stage.fixture.parts()[0]);
        let (claims, _) = self.stage.grants[0].rsplit_once('.').context("a grant has three parts")?;
        let forged = |n: usize| {
            let mut signature = [0; 64];
            blake3::Hasher::new().update(&n.to_le_bytes()).finalize_xof().fill(&mut signature);
            let token = format!("{claims}.{}", URL_SAFE_NO_PAD.encode(signature));
            request(address, &part.path, Some(&token))
        };
        let forger = Paced {
            address,
            from: FORGER,
            per_s: FORGED,
            connections: CONNECTIONS,
            requests: FORGED * self.seconds,
            request: forged,
            expected: &[401, 429],
        };
        Ok(forger.run().context("send what is forged")?.len())
    }
}
