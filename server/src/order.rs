//! Keeping order in the bucket: `cocuyo sweep`, `cocuyo doctor`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use crate::config::Config;
use crate::parts::Parts;

/// How to sweep.
#[derive(Debug, clap::Args)]
pub(crate) struct Sweep {
    /// Sweep as it would be done this much later, for example `25h`: also takes what is younger
    /// than a day, and replaced versions that somebody may still be watching. Only when nothing is
    /// being uploaded or packaged.
    #[arg(long = "in", value_name = "TIME", value_parser = parse_hours)]
    later: Option<Duration>,
}

/// `25h`.
fn parse_hours(text: &str) -> Result<Duration, String> {
    let hours: u64 =
        text.strip_suffix('h').and_then(|hours| hours.parse().ok()).ok_or("expected hours, like `25h`")?;
    Ok(Duration::from_secs(hours.saturating_mul(3600)))
}

pub(crate) async fn sweep(sweep: &Sweep, config: &Config) -> anyhow::Result<ExitCode> {
    let parts = Parts::open(config).await?;
    web::finish_erasures(&parts.catalog, &*parts.store, parts.clock.now())
        .await
        .context("finish deletions")?;
    let now = parts.clock.now() + sweep.later.unwrap_or_default();
    let swept =
        packager::sweep::sweep(&parts.catalog, &*parts.store, now).await.context("sweep the bucket")?;
    crate::say(&format!("swept {} objects, {} bytes", swept.objects, swept.bytes));
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn doctor(config: &Config) -> anyhow::Result<ExitCode> {
    let parts = Parts::open(config).await?;
    let findings =
        packager::doctor::examine(&parts.catalog, &*parts.store).await.context("examine the installation")?;
    for finding in &findings {
        crate::say(&finding.to_string());
    }
    if findings.is_empty() {
        crate::say("everything is in order");
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}
