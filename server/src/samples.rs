//! The clips that fill an empty installation: one for everybody, one for tier 1, one for tier 2.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use catalog::{NewUpload, UploadLimits, VideoEdit};
use model::{AccountId, ObjectKey, Tier, UploadId, VideoId, Visibility};
use rand::rngs::StdRng;

use crate::account::FIRST_ADMINISTRATOR;
use crate::config::Config;
use crate::parts::Parts;

/// What to do with the sample clips.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Remove the sample clips that the first start added.
    Remove,
}

struct Sample {
    file: &'static str,
    title: &'static str,
    description: &'static str,
    min_tier: u8,
}

/// Drawn by `scripts/samples`.
const SAMPLES: [Sample; 3] = [
    Sample {
        file: "luciernagas.mp4",
        title: "Luciérnagas",
        description: "Clip de muestra para todos: células que nacen y mueren, con un acorde.",
        min_tier: 0,
    },
    Sample {
        file: "costa.mp4",
        title: "Una costa sin fin",
        description: "Clip de muestra para el Plan 1: un acercamiento a un fractal.",
        min_tier: 1,
    },
    Sample {
        file: "amanecer.mp4",
        title: "Amanecer",
        description: "Clip de muestra para el Plan 2: colores que cambian despacio.",
        min_tier: 2,
    },
];

/// Adds the clips in `folder` as public videos of the first administrator.
///
/// The files are taken over one by one and the folder goes at the end, so that a start that was
/// interrupted is finished by the next one.
pub(crate) async fn add(
    parts: &Parts,
    config: &Config,
    folder: &Path,
    rng: &mut StdRng,
) -> anyhow::Result<()> {
    let owner = parts.subscriptions.account_named(FIRST_ADMINISTRATOR).await?;
    let owner = owner.context("the first administrator is gone, who would own the samples")?.id;
    let mut added = listed(config)?;
    for sample in SAMPLES.iter().filter(|sample| folder.join(sample.file).exists()) {
        let file = folder.join(sample.file);
        let video = add_one(parts, sample, &file, owner, rng)
            .await
            .with_context(|| format!("add the sample `{}`", file.display()))?;
        added.push(video);
        let list = serde_json::to_vec(&added).context("write the list of samples")?;
        std::fs::write(list_file(config), list).context("write the list of samples")?;
    }
    std::fs::remove_dir_all(folder).with_context(|| format!("remove `{}`", folder.display()))
}

/// The samples that were added and not removed.
fn listed(config: &Config) -> anyhow::Result<Vec<VideoId>> {
    let list = list_file(config);
    match std::fs::read(&list) {
        Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| format!("read `{}`", list.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("read `{}`", list.display())),
    }
}

async fn add_one(
    parts: &Parts,
    sample: &Sample,
    file: &Path,
    owner: AccountId,
    rng: &mut StdRng,
) -> anyhow::Result<VideoId> {
    let now = parts.clock.now();
    let size_bytes = std::fs::metadata(file).context("look at the file")?.len();
    let upload = NewUpload {
        id: UploadId::generate(rng),
        video: VideoId::generate(rng),
        owner,
        title: sample.title.to_owned(),
        filename: sample.file.to_owned(),
        size_bytes,
        expires_at: now + Duration::from_secs(3600),
    };
    let (id, video) = (upload.id, upload.video);
    // The operator's own clips, not somebody's upload.
    let limits =
        UploadLimits { max_size_bytes: size_bytes, max_open: u32::MAX, max_total_bytes: i64::MAX as u64 };
    parts.catalog.create_upload(upload, &limits, now).await?;
    parts.store.put_file(&ObjectKey::Original { video }, file).await?;
    parts.catalog.advance_upload(id, 0, size_bytes, now + Duration::from_secs(3600)).await?;
    parts.catalog.complete_upload(id, now).await?;
    let edit = VideoEdit {
        description: Some(sample.description.to_owned()),
        visibility: Some(Visibility::Public),
        min_tier: Some(Tier::try_from(sample.min_tier)?),
        ..VideoEdit::default()
    };
    parts.catalog.edit_video(video, edit, now).await?;
    Ok(video)
}

pub(crate) async fn run(command: Command, config: &Config) -> anyhow::Result<ExitCode> {
    let Command::Remove = command;
    let samples = listed(config)?;
    let parts = Parts::open(config).await?;
    let mut removed = 0;
    for video in samples {
        // Its owner may have deleted it already.
        if parts.catalog.video(video).await?.is_some() {
            web::erase(&parts.catalog, &*parts.store, video, parts.clock.now()).await?;
            removed += 1;
        }
    }
    let list = list_file(config);
    if list.exists() {
        std::fs::remove_file(&list).with_context(|| format!("remove `{}`", list.display()))?;
    }
    crate::say(&format!("removed {removed} sample clips"));
    Ok(ExitCode::SUCCESS)
}

fn list_file(config: &Config) -> PathBuf {
    config.data.join("samples.json")
}
