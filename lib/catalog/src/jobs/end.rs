//! How work ends without its effect, and how it is begun once more.

use model::{FailureReason, JobId, JobState, Timestamp, VideoId, VideoState};
use sea_orm::ActiveValue::Set;
use sea_orm::Condition;
use sea_orm::entity::prelude::*;

use super::retry::{Next, after_crash};
use super::{
    ActiveModel, Column, Entity, JobFailure, Kind, Model, hold, hold_with_others, open, update_unchanged,
};
use crate::error::{Result, one_row};
use crate::{Catalog, growing, trims, videos};

impl Catalog {
    /// Ends an attempt that had no effect.
    ///
    /// # Errors
    ///
    /// `Conflict` when the attempt has lost its lease already.
    pub async fn fail_job(
        &self,
        job: JobId,
        attempt: i32,
        failure: JobFailure,
        now: Timestamp,
    ) -> Result<()> {
        let transaction = self.begin().await?;
        // Locked, so that the crashes counted here are all there are.
        let row = match failure {
            JobFailure::Retry { .. } => hold(&transaction, job, attempt).await?,
            JobFailure::Final(_) | JobFailure::Crashed => {
                hold_with_others(&transaction, job, attempt).await?
            }
        };
        match failure {
            JobFailure::Final(reason) => give_up(&transaction, &row, reason, now).await?,
            JobFailure::Retry { at } => put_off(&transaction, &row, row.crashes, at, now).await?,
            JobFailure::Crashed => match after_crash(row.crashes, now) {
                Next::GiveUp => give_up(&transaction, &row, FailureReason::Crashed, now).await?,
                Next::Again { crashes, at } => put_off(&transaction, &row, crashes, at, now).await?,
            },
        }
        transaction.commit().await?;
        self.announce_change();
        Ok(())
    }

    /// Gives the lease back, for a worker that stops; not counted as a crash.
    ///
    /// # Errors
    ///
    /// `Conflict` when the lease is lost already.
    pub async fn release_job(&self, job: JobId, attempt: i32, now: Timestamp) -> Result<()> {
        self.fail_job(job, attempt, JobFailure::Retry { at: now }, now).await?;
        self.announce_job();
        Ok(())
    }

    /// Queues a failed video once more, as its owner asks, with no crash counted; from the
    /// beginning, since what there was of the last version is gone.
    ///
    /// # Errors
    ///
    /// `NotFound` for an absent video, `Conflict` for one that has not failed.
    pub async fn retry_video(&self, id: VideoId, now: Timestamp) -> Result<()> {
        let transaction = self.begin().await?;
        let id = id.to_string();
        let of_video = || Condition::all().add(Column::Video.eq(&id));
        // The same row, so that the numbers of attempts go on and old ones stay old.
        let change = ActiveModel {
            version: Set(None),
            state: Set(JobState::Queued.as_str().to_owned()),
            crashes: Set(0),
            turn_at: Set(now.as_millis()),
            worker: Set(None),
            due_at: Set(now.as_millis()),
            position_ms: Set(0),
            updated_at: Set(now.as_millis()),
            ..Default::default()
        };
        let plan = of_video().add(Column::Kind.eq(Kind::Plan.as_str()));
        let ended = plan.add(open().not());
        let rows = Entity::update_many().set(change).filter(ended).exec(&transaction).await?.rows_affected;
        let video = videos::find(&transaction, &id).await?;
        let queued = video.state()?.retried(now)?;
        one_row(rows, "video", &id)?;
        // What a worker may still be writing for is remembered, see `may_be_running`.
        let unheld = Condition::any().add(Column::Worker.is_null()).add(Column::DueAt.lte(now.as_millis()));
        let parts = of_video().add(Column::Kind.ne(Kind::Plan.as_str())).add(unheld);
        Entity::delete_many().filter(parts).exec(&transaction).await?;
        videos::change_state(&transaction, &video, queued, now).await?;
        transaction.commit().await?;
        self.announce_job();
        Ok(())
    }

    /// Stops the work on a video, as its owner asks: it fails with [`FailureReason::Cancelled`],
    /// and what there was of it no longer plays. One that is being re-encoded, trimmed, or given its
    /// ladder plays on as it was; a ladder that only waits for the others is made then.
    ///
    /// # Errors
    ///
    /// `NotFound` for an absent video, `Conflict` for one on which no work is under way.
    pub async fn cancel_video(&self, id: VideoId, now: Timestamp) -> Result<()> {
        let transaction = self.begin().await?;
        let id = id.to_string();
        let is_trimmed = super::is_trimmed(&transaction, &id).await?;
        growing::lock_of_video(&transaction, &id).await?;
        let under_way = Condition::all().add(Column::Video.eq(&id)).add(waiting_ladder().not());
        super::end(&transaction, under_way, now).await?;
        let video = videos::find(&transaction, &id).await?;
        let is_reencoded = !growing::of_video(&transaction, &id).await?.is_empty();
        match video.state()? {
            VideoState::Ready { .. } if is_reencoded || is_trimmed => {}
            // Only what is queued or packaging, both of which `packaging` takes.
            state => {
                let failed = state.packaging(now)?.failed(now, FailureReason::Cancelled)?;
                videos::change_state(&transaction, &video, failed, now).await?;
            }
        }
        trims::abandon(&transaction, &id).await?;
        growing::abandon(&transaction, &id, now).await?;
        transaction.commit().await?;
        self.announce_change();
        Ok(())
    }

    /// Lets all work on a video come before that on videos of lower priority, where both are
    /// equally urgent; 0 is what every video has at first.
    ///
    /// # Errors
    ///
    /// `NotFound` for an absent video.
    pub async fn set_priority(&self, id: VideoId, priority: i32, now: Timestamp) -> Result<()> {
        let transaction = self.begin().await?;
        let id = id.to_string();
        super::set_priority(&transaction, &id, priority.into()).await?;
        videos::set_priority(&transaction, &id, priority.into(), now).await?;
        Ok(transaction.commit().await?)
    }
}

/// Fails the job, its video and all other work on that; a video that plays in a version which is
/// whole goes on so.
pub(super) async fn give_up(
    connection: &impl ConnectionTrait,
    row: &Model,
    reason: FailureReason,
    now: Timestamp,
) -> Result<()> {
    end_others(connection, row, now).await?;
    let video = videos::find(connection, &row.video).await?;
    let state = video.state()?;
    if !matches!(state, VideoState::Ready { .. }) {
        videos::change_state(connection, &video, state.failed(now, reason)?, now).await?;
    }
    set_aside(connection, row, now).await?;
    trims::abandon(connection, &row.video).await?;
    growing::abandon(connection, &row.video, now).await
}

/// Ends all jobs of the same video but this one, and the ladder that waits for their end.
pub(crate) async fn end_others(connection: &impl ConnectionTrait, row: &Model, now: Timestamp) -> Result<()> {
    let others = Condition::all().add(Column::Video.eq(&row.video)).add(Column::Id.ne(&row.id));
    super::end(connection, others.add(waiting_ladder().not()), now).await
}

/// A ladder of which nothing is begun: it is no part of what is under way.
fn waiting_ladder() -> Condition {
    Condition::all().add(Column::Kind.eq(Kind::Ladder.as_str())).add(Column::Version.is_null())
}

/// Fails the job alone.
pub(super) async fn set_aside(connection: &impl ConnectionTrait, row: &Model, now: Timestamp) -> Result<()> {
    let change = ActiveModel {
        state: Set(JobState::Failed.as_str().to_owned()),
        worker: Set(None),
        updated_at: Set(now.as_millis()),
        ..Default::default()
    };
    update_unchanged(connection, row, change).await
}

/// Queues the job again; a video of which nothing is made yet with it.
pub(super) async fn put_off(
    connection: &impl ConnectionTrait,
    row: &Model,
    crashes: i64,
    at: Timestamp,
    now: Timestamp,
) -> Result<()> {
    let change = ActiveModel {
        state: Set(JobState::Queued.as_str().to_owned()),
        crashes: Set(crashes),
        worker: Set(None),
        due_at: Set(at.as_millis()),
        position_ms: Set(0),
        updated_at: Set(now.as_millis()),
        ..Default::default()
    };
    update_unchanged(connection, row, change).await?;
    if row.kind()? == Kind::Plan && row.version.is_none() {
        let video = videos::find(connection, &row.video).await?;
        let queued = video.state()?.given_back(now)?;
        videos::change_state(connection, &video, queued, now).await?;
    }
    Ok(())
}
