//! The job that gives a film which was an event the renditions that others have: it plans them from
//! the film itself, as a version beside the one that plays, behind all other work.

use model::{JobId, JobState, Timestamp};
use sea_orm::ActiveValue::Set;
use sea_orm::Condition;
use sea_orm::entity::prelude::*;

use super::parts::id_of;
use super::{ActiveModel, Column, Entity, Kind, Rank, blank, done, hold, moved_on};
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

/// Lets it begin anew, when another version of the film is made first; what there was of it is given
/// up. Whether it was what was being made.
pub(crate) async fn put_ladder_off(
    connection: &impl ConnectionTrait,
    video: &str,
    now: Timestamp,
) -> Result<bool> {
    let Some(growing) = growing::of_video(connection, video).await?.into_iter().next() else {
        return Ok(false);
    };
    let its = Condition::all()
        .add(Column::Video.eq(video))
        .add(Column::Kind.eq(Kind::Ladder.as_str()))
        .add(Column::Version.eq(&growing.version));
    if Entity::find().filter(its.clone()).count(connection).await? == 0 {
        return Ok(false);
    }
    super::end_of_video(connection, video, now).await?;
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
    Entity::update_many().set(change).filter(its).exec(connection).await?;
    super::forget_ended(connection, video, now).await?;
    growing::abandon(connection, video, now).await?;
    Ok(true)
}
