//! A second version beside the one that plays: some of its pictures are encoded anew, everything
//! else is carried over as it is. Its publication puts it in the place of the first, which is kept
//! for as long as a grant for it may live.

use std::collections::HashMap;
use std::time::Duration;

use model::cell::EncodePlan;
use model::{RenditionName, SlowPreset, Timestamp, VersionId, VideoId, VideoState};
use sea_orm::entity::prelude::*;

use crate::convert::{Row, moment};
use crate::error::Result;
use crate::{Catalog, growing, jobs, progress, trims, versions, videos};

/// Time for bodies that are under way when the last grant for an earlier version ends.
const FAREWELL: Duration = Duration::from_secs(60 * 60);

/// What a version in the making is made from, where another one of the video plays meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reencode {
    /// The version that plays: all that is not encoded anew is carried over from it.
    pub from: VersionId,
    /// The pictures that are encoded anew.
    pub renditions: Vec<RenditionName>,
}

/// How far a re-encode is, as the video's row tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reencoding {
    /// The pictures that are encoded anew,
    pub renditions: Vec<RenditionName>,
    /// with this preset.
    pub preset: String,
    /// 0 to 99.
    pub percent: u8,
}

/// Why a video is not encoded anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReencodeRefusal {
    /// All of it must be there first.
    #[error("the video is not ready")]
    NotReady,
    /// One at a time.
    #[error("the video is being re-encoded already")]
    UnderWay,
    /// No rendition was named.
    #[error("name at least one picture")]
    Nothing,
    /// Sound, copied pictures, or a rendition that the version which plays does not have.
    #[error("the video has no encoded picture `{0}`")]
    NoSuchPicture(RenditionName),
    /// It was encoded as slowly before: no byte would be saved.
    #[error("`{0}` was encoded with that preset, or a slower one, already")]
    NotSlower(RenditionName),
    /// The version that plays was published by a release that kept no plans.
    #[error("the video was published by an earlier release, which kept no plan of it")]
    NoPlan,
}

impl Catalog {
    /// Starts to make `version` beside the one that plays, with `renditions` encoded anew with
    /// `preset`, behind all other work. The video stays as it is until it is published.
    ///
    /// # Errors
    ///
    /// `NotFound` for an absent video, else the [`ReencodeRefusal`].
    pub async fn start_reencode(
        &self,
        id: VideoId,
        version: VersionId,
        renditions: &[RenditionName],
        preset: SlowPreset,
        now: Timestamp,
    ) -> Result<()> {
        let transaction = self.begin().await?;
        // The ladder waits for what somebody asks for.
        jobs::put_ladder_off(&transaction, &id.to_string(), now).await?;
        // Its lock: of two that start at once the second sees the first.
        let video = videos::find(&transaction, &id.to_string()).await?;
        let VideoState::Ready { version: from, .. } = video.state()? else {
            return Err(ReencodeRefusal::NotReady.into());
        };
        let is_growing = !growing::of_video(&transaction, &video.id).await?.is_empty();
        if is_growing || jobs::is_trimmed(&transaction, &video.id).await? {
            return Err(ReencodeRefusal::UnderWay.into());
        }
        let plan = versions::plan_of(&transaction, from).await?.ok_or(ReencodeRefusal::NoPlan)?;
        let plan = with_preset(plan, renditions, preset)?;
        let reencode = Reencode { from, renditions: renditions.to_vec() };
        growing::insert(&transaction, version, &video.id, &plan, Some(&reencode), now).await?;
        jobs::forget_ended(&transaction, &video.id, now).await?;
        jobs::begin_again(&transaction, &video, version, &plan, renditions, now).await?;
        transaction.commit().await?;
        self.announce_job();
        self.announce_change();
        Ok(())
    }

    /// What a version in the making is made from; `None` for a video's first one, and for one
    /// that is not in the making.
    pub async fn reencode(&self, version: VersionId) -> Result<Option<Reencode>> {
        let row = growing::Entity::find_by_id(version.to_string()).one(self.read()).await?;
        Ok(row.map(|row| row.reencode()).transpose()?.flatten())
    }

    /// Until when grants may be given for an earlier version of a video; `None` for the current
    /// one, and for one that is not kept.
    pub async fn played_until(&self, video: VideoId, version: VersionId) -> Result<Option<Timestamp>> {
        let row = versions::Entity::find_by_id(version.to_string());
        let row = row.filter(versions::Column::Video.eq(video.to_string())).one(self.read()).await?;
        Ok(row.and_then(|row| row.played_until).map(moment))
    }

    /// The earlier versions that nobody can have a grant for any more. Their objects are to
    /// be deleted, and [`Catalog::forget_version`] called.
    pub async fn outlived_versions(&self, now: Timestamp) -> Result<Vec<(VideoId, VersionId)>> {
        let rows = versions::outlived(self.read(), now - FAREWELL).await?;
        let ids = |row: versions::Model| {
            let named = Row { table: "versions", id: &row.id };
            Ok((named.word("video", &row.video)?, named.word("id", &row.id)?))
        };
        rows.into_iter().map(ids).collect()
    }

    /// Forgets an earlier version whose objects are gone; one that is forgotten already, or that
    /// somebody may still watch, is left as it is.
    pub async fn forget_version(&self, version: VersionId, now: Timestamp) -> Result<()> {
        let transaction = self.begin().await?;
        let version = version.to_string();
        if versions::forget(&transaction, &version, now - FAREWELL).await? {
            jobs::delete_of_version(&transaction, &version).await?;
            trims::forget(&transaction, &version).await?;
        }
        Ok(transaction.commit().await?)
    }
}

/// The plan of a version, with some of its pictures by another preset.
fn with_preset(
    mut plan: EncodePlan,
    names: &[RenditionName],
    preset: SlowPreset,
) -> Result<EncodePlan, ReencodeRefusal> {
    if names.is_empty() {
        return Err(ReencodeRefusal::Nothing);
    }
    for name in names {
        let rungs = plan.video.iter_mut().flat_map(|video| &mut video.rungs);
        let rung = rungs.into_iter().find(|rung| rung.rendition == *name);
        let rung = rung.ok_or(ReencodeRefusal::NoSuchPicture(*name))?;
        if rung.preset.parse::<SlowPreset>().is_ok_and(|before| before >= preset) {
            return Err(ReencodeRefusal::NotSlower(*name));
        }
        rung.crf += leeway(preset.as_str()) - leeway(&rung.preset);
        rung.preset = preset.to_string();
        // Nobody waits for any of it.
        (rung.hurried_preset, rung.hurried_crf) = (rung.preset.clone(), rung.crf);
    }
    Ok(plan)
}

/// By how much the target of an x264 preset may be worse than that of `veryfast` for the same look:
/// at the same target the slow ones make it better, and of more bytes.
fn leeway(preset: &str) -> f32 {
    match preset {
        "faster" => 2.0,
        "fast" => 2.25,
        "medium" => 2.5,
        "slow" => 3.0,
        "slower" | "veryslow" => 3.25,
        _ => 0.0,
    }
}

/// How far the re-encodes of these videos are.
pub(crate) async fn under_way(
    connection: &impl ConnectionTrait,
    videos: &[String],
) -> Result<HashMap<String, Reencoding>> {
    if videos.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = growing::Entity::find().filter(growing::Column::Video.is_in(videos)).all(connection).await?;
    let mut all = HashMap::new();
    for row in rows {
        let Some(Reencode { renditions, .. }) = row.reencode()? else { continue };
        let plan = row.plan()?;
        let rung = renditions.first().and_then(|name| plan.video.as_ref()?.rung(*name));
        let preset = rung.map(|rung| rung.preset.clone()).unwrap_or_default();
        let percent = progress::percent(connection, &row).await?;
        all.insert(row.video, Reencoding { renditions, preset, percent });
    }
    Ok(all)
}
