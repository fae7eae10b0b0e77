//! Encoding some renditions of a video anew: a version beside the one that plays.

use catalog::Catalog;
use model::{ErrorKind, ObjectKey, RenditionName, SlowPreset, Timestamp, VersionId, VideoId};
use rand::rngs::StdRng;
use storage::ObjectStore;

use crate::{WebError, problems};

/// Starts to encode `renditions` of a video anew with `preset`; workers do it behind everything
/// else, and the video plays on as it is until the new version takes its place.
///
/// # Errors
///
/// `NotFound` for an absent video; `Conflict` when it is not ready, is being re-encoded already,
/// or what is needed of it is not there; `Invalid` for renditions that it has not.
pub async fn reencode(
    catalog: &Catalog,
    store: &dyn ObjectStore,
    video: VideoId,
    renditions: &[RenditionName],
    preset: SlowPreset,
    now: Timestamp,
) -> Result<(), WebError> {
    catalog.video(video).await?.ok_or(ErrorKind::NotFound)?;
    // Ours never go before their video does; an operator may have taken it away.
    let original = store.size(&ObjectKey::Original { video }).await?;
    original.ok_or_else(problems::original_missing)?;
    let version = VersionId::generate(&mut rand::make_rng::<StdRng>());
    catalog.start_reencode(video, version, renditions, preset, now).await?;
    tracing::info!(video.id = %video, version.id = %version, %preset, "video `{video}` is to be encoded anew");
    Ok(())
}
