//! `cocuyo reencode`: some renditions of a video anew, with a slower preset.

use std::process::ExitCode;

use anyhow::{Context, anyhow};
use listener::Language;
use model::{RenditionName, SlowPreset, VideoId};
use web::WebError;

use crate::config::Config;
use crate::parts::Parts;

/// What to encode anew.
#[derive(Debug, clap::Args)]
pub(crate) struct Reencode {
    /// The video's id, as it stands in its address.
    #[arg(value_name = "VIDEO")]
    video: VideoId,
    /// Pictures, for example `240p,360p`.
    #[arg(long, value_delimiter = ',', value_name = "LIST", required = true)]
    renditions: Vec<RenditionName>,
    /// medium, slow, slower or veryslow.
    #[arg(long, value_name = "PRESET")]
    preset: SlowPreset,
}

pub(crate) async fn run(order: &Reencode, config: &Config) -> anyhow::Result<ExitCode> {
    let parts = Parts::open(config).await?;
    let Reencode { video, renditions, preset } = order;
    let now = parts.clock.now();
    web::reencode(&parts.catalog, &*parts.store, *video, renditions, *preset, now)
        .await
        .map_err(told)
        .with_context(|| format!("re-encode video `{video}`"))?;
    crate::say("queued; it plays as it is until the new version is whole");
    Ok(ExitCode::SUCCESS)
}

/// A refusal in the words that the API has for it.
fn told(error: WebError) -> anyhow::Error {
    match error {
        WebError::Refused(problem) => anyhow!("{}", problem.title.in_language(Language::En)),
        other => other.into(),
    }
}
