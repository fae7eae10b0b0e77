//! The end of the work: a version is whole, and everybody may have it.

use model::{JobId, Timestamp, VideoState};
use sea_orm::entity::prelude::*;

use crate::error::Result;
use crate::jobs::{self, Kind};
use crate::{Catalog, NewVersion, growing, trims, versions, videos};

impl Catalog {
    /// Publishes a version whose objects are all stored: it becomes the one that plays, or goes on
    /// playing, and the job is done. A re-encode or a trim takes the place of the version that it was made
    /// from, which is kept for those who have a grant for it. Asked again by the same attempt for
    /// the same version, it changes nothing.
    ///
    /// # Errors
    ///
    /// `Conflict` when the attempt has lost its lease or the video was deleted: nothing of it may
    /// be seen, its objects are rubbish.
    pub async fn publish(&self, job: JobId, attempt: i32, new: &NewVersion, now: Timestamp) -> Result<()> {
        let transaction = self.begin().await?;
        let row = match jobs::hold_with_others(&transaction, job, attempt).await {
            Ok(row) => row,
            Err(lost) => {
                let Some(row) = jobs::done_by(&transaction, job, attempt).await? else { return Err(lost) };
                let versions = versions::of_video(&transaction, &row.video).await?;
                let is_published = versions.iter().any(|version| version.id == new.version.to_string());
                return if is_published { Ok(()) } else { Err(lost) };
            }
        };
        let version = new.version.to_string();
        let is_its = match row.kind()? {
            Kind::Finish | Kind::Trim => row.version.as_ref() == Some(&version),
            // That may be all the work there is.
            Kind::Plan => row.version.is_none(),
            Kind::Ladder | Kind::Sound | Kind::Pictures | Kind::Stills | Kind::Carry => false,
        };
        if !is_its {
            return Err(jobs::moved_on(job));
        }
        jobs::done(&transaction, &row, now).await?;
        let video = videos::find(&transaction, &row.video).await?;
        let growing = growing::Entity::find_by_id(version.clone()).one(&transaction).await?;
        let reencode = growing.as_ref().map(growing::Model::reencode).transpose()?.flatten();
        let trimmed = trims::published(&transaction, &version, &video).await?;
        let improved = reencode.map(|reencode| reencode.from);
        if let Some(from) = improved {
            // What a trim made plays on in better; a trim itself is one of its own.
            trims::goes_on_in(&transaction, from, &version).await?;
        }
        let ready = match improved.or(trimmed) {
            Some(from) => {
                versions::replace(&transaction, from, now).await?;
                video.state()?.replaced(now, new.version)?
            }
            None => video.state()?.ready(now, new.version)?,
        };
        let plan = growing.map(|growing| growing.plan);
        put_on_shelf(&transaction, &video, ready, attempt, new, plan, now).await?;
        growing::delete_of_video(&transaction, &video.id).await?;
        jobs::delete_parts(&transaction, &version).await?;
        transaction.commit().await?;
        self.announce_change();
        Ok(())
    }
}

/// Makes a version the one that plays, in the `ready` state of its video.
pub(crate) async fn put_on_shelf(
    connection: &impl ConnectionTrait,
    video: &videos::Model,
    ready: VideoState,
    attempt: i32,
    new: &NewVersion,
    plan: Option<String>,
    now: Timestamp,
) -> Result<()> {
    versions::insert(connection, video.id()?, attempt, new, plan, now).await?;
    // While it was on air, or not probed yet, nobody could say where it ends.
    let whole = 0..new.duration_ms;
    let stretches = new.stretches.as_deref().unwrap_or(std::slice::from_ref(&whole));
    videos::cut_chapters(connection, video, stretches).await?;
    videos::change_state(connection, video, ready, now).await
}
