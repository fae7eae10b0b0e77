//! The job that gives a film which was an event the renditions that others have: it plans them from
//! the film itself, as a version beside the one that plays, behind all other work.

use model::{JobId, JobState, Timestamp};
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::{Condition, QuerySelect};

use super::parts::id_of;
use super::{
    ActiveModel, Column, Entity, Kind, Model, Rank, blank, done, hold, moved_on, open, update_unchanged,
};
use crate::error::Result;
use crate::{Catalog, growing, videos};

impl Catalog {
    /// Ends the job of a film that lacks nothing, or is not to get it.
    ///
    /// # Errors
    ///
    /// `Conflict` when the attempt has lost its lease.
    pub async fn drop_ladder(&self, job: JobId, attempt: i32, now: Timestamp) -> Result<()> {
        let transaction = self.begin().await?;
        let row = hold(&transaction, job, attempt).await?;
        if row.kind()? != Kind::Ladder || row.version.is_some() {
            return Err(moved_on(job));
        }
        done(&transaction, &row, now).await?;
        Ok(transaction.commit().await?)
    }
}

/// Queues it for an event that is on the shelf.
pub(crate) async fn enqueue_ladder(
    connection: &impl ConnectionTrait,
    video: &videos::Model,
    now: Timestamp,
) -> Result<()> {
    let id = id_of(&video.id, Kind::Ladder, "");
    let job = ActiveModel {
        rank: Set(Rank::Again as i64),
        ..blank(id, &video.id, Kind::Ladder, video.priority, now)
    };
    Entity::insert(job).exec_without_returning(connection).await?;
    Ok(())
}

/// Lets it begin anew behind another version of its film: what there is of it is given up, and who
/// plans it loses its lease. One that was made, or failed, stays so.
pub(crate) async fn put_ladder_off(
    connection: &impl ConnectionTrait,
    video: &str,
    now: Timestamp,
) -> Result<()> {
    let Some(row) = lock_ladder(connection, video).await? else { return Ok(()) };
    let growing = growing::of_video(connection, video).await?;
    let is_open = [JobState::Queued, JobState::Running].contains(&row.state()?);
    let is_its = |growing: &growing::Model| row.version.as_ref() == Some(&growing.version);
    if is_open || growing.iter().any(is_its) { queue_anew(connection, &row, now).await } else { Ok(()) }
}

/// Queues it once more for a film that is what it was before, however it ended then.
pub(crate) async fn queue_ladder_again(
    connection: &impl ConnectionTrait,
    video: &str,
    now: Timestamp,
) -> Result<()> {
    match lock_ladder(connection, video).await? {
        Some(row) => queue_anew(connection, &row, now).await,
        None => Ok(()),
    }
}

/// Whether another version of the film is being made: that comes first, whichever was asked for first.
pub(super) async fn waits(connection: &impl ConnectionTrait, row: &Model) -> Result<bool> {
    let mut others = Entity::find().filter(open()).filter(Column::Video.eq(&row.video));
    others = others.filter(Column::Id.ne(&row.id));
    if let Some(own) = &row.version {
        others = others.filter(Column::Version.ne(own));
    }
    Ok(others.count(connection).await? > 0)
}

/// A film's ladder, locked: who is about to claim it, or to start its version, waits or is too late.
async fn lock_ladder(connection: &impl ConnectionTrait, video: &str) -> Result<Option<Model>> {
    growing::lock_of_video(connection, video).await?;
    let its = Entity::find().filter(Column::Video.eq(video)).filter(Column::Kind.eq(Kind::Ladder.as_str()));
    Ok(its.lock_exclusive().one(connection).await?)
}

/// The same row, so that the numbers of attempts go on and old ones stay old.
async fn queue_anew(connection: &impl ConnectionTrait, row: &Model, now: Timestamp) -> Result<()> {
    if let Some(version) = &row.version {
        end_of_version(connection, version, now).await?;
        growing::abandon_version(connection, version, now).await?;
    }
    let change = ActiveModel {
        version: Set(None),
        state: Set(JobState::Queued.as_str().to_owned()),
        crashes: Set(0),
        worker: Set(None),
        turn_at: Set(now.as_millis()),
        due_at: Set(now.as_millis()),
        position_ms: Set(0),
        updated_at: Set(now.as_millis()),
        ..Default::default()
    };
    update_unchanged(connection, row, change).await?;
    super::forget_ended(connection, &row.video, now).await
}

/// Ends the parts of a version in the making.
async fn end_of_version(connection: &impl ConnectionTrait, version: &str, now: Timestamp) -> Result<()> {
    let parts = Condition::all().add(Column::Version.eq(version)).add(Column::Kind.ne(Kind::Ladder.as_str()));
    super::end(connection, parts, now).await
}
