//! The end of a version: everything is there, so its index is stored and it is published.

use catalog::{NewVersion, RenditionSummary};
use cmaf::{GrowingIndex, RenditionIndex, RenditionKind, VersionIndex};
use model::{ChunkHash, ErrorKind, ObjectKey, VersionId};

use crate::attempt::Attempt;
use crate::halt::Halt;
use crate::{PackagerError, backoff, faults};

pub(super) async fn carry_out(attempt: Attempt<'_>, version: VersionId) -> Result<(), Halt> {
    let growing = attempt.growing(version).await?;
    check_inits(attempt, &growing).await?;
    let index = growing.finish().map_err(PackagerError::Unfinished)?;
    faults::at(faults::BEFORE_INDEX);
    // Behind everything that it names.
    let key = ObjectKey::Index { video: attempt.job.video, version };
    attempt.put(key, index.to_json()).await?;
    faults::at(faults::INDEXED);
    let new = NewVersion {
        version,
        duration_ms: index.duration_ms,
        renditions: summaries(&index),
        stretches: None,
    };
    let job = attempt.job;
    attempt.tell(|now| attempt.catalog.publish(job.id, job.attempt, &new, now)).await?;
    faults::at(faults::PUBLISHED);
    Ok(())
}

/// Looks whether the inits are those that were announced. Their keys hold no hash, so that of two
/// workers with unlike transcoders the one that lost may have had the last word.
async fn check_inits(attempt: Attempt<'_>, growing: &GrowingIndex) -> Result<(), Halt> {
    let (video, version) = (growing.video, growing.version);
    for rendition in growing.renditions() {
        let key = ObjectKey::Init { video, version, rendition, number: 0 };
        let stored = backoff::insist(backoff::READ, || attempt.store.get(&key)).await;
        let stored = match stored {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(PackagerError::Missing(key).into());
            }
            stored => stored?,
        };
        let announced = growing.announced(rendition).map(|announced| announced.init_hash);
        if announced != Some(ChunkHash::of(&stored)) {
            return Err(Halt::Crashed { how: format!("`{key}` is another than was announced") });
        }
    }
    Ok(())
}

/// What lists say of a version's renditions.
pub(crate) fn summaries(index: &VersionIndex) -> Vec<RenditionSummary> {
    let formats = |rendition: &RenditionIndex| rendition.changes.len() + 1;
    let summary = |rendition: &RenditionIndex| {
        let sound =
            Some(rendition.name).filter(|name| name.is_video()).and_then(|name| index.audio_for(name));
        let formats = sound.map_or(0, formats).max(formats(rendition));
        summary(rendition, u32::try_from(formats).unwrap_or(u32::MAX))
    };
    index.renditions.iter().map(summary).collect()
}

fn summary(rendition: &RenditionIndex, formats: u32) -> RenditionSummary {
    let (width, height) = match rendition.greatest() {
        RenditionKind::Video { width, height, .. } => (Some(width.into()), Some(height.into())),
        RenditionKind::Audio { .. } => (None, None),
    };
    RenditionSummary {
        name: rendition.name,
        width,
        height,
        bandwidth_bps: rendition.bandwidth.peak_bps,
        average_bandwidth_bps: rendition.bandwidth.average_bps,
        size_bytes: rendition.size_bytes(),
        formats,
    }
}
