//! A worker takes a job, and keeps it.

use std::time::Duration;

use model::{FailureReason, JobId, JobState, Timestamp, WorkerId};
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Expr, ExprTrait, LockBehavior, LockType, SimpleExpr};
use sea_orm::{QueryOrder, QuerySelect, Select};

use super::end::{give_up, put_off, set_aside};
use super::ladder::waits;
use super::retry::{Next, after_crash};
use super::wanted::forget_wants;
use super::{ActiveModel, Column, Entity, Job, Kind, Model, Rank, held, open, update_unchanged};
use crate::convert::{moment, number};
use crate::error::Result;
use crate::{Catalog, CatalogError, progress, videos};

/// How soon it is looked again whether the ladder still waits for another version.
const WAITING: Duration = Duration::from_secs(10);

/// Which jobs a worker takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// Whatever comes first.
    Any,
    /// Only what somebody waits for: plans, beginnings, finishes and wanted chunks.
    Express,
    /// The same but for sound, which takes minutes of a long film: whoever waits for less is not
    /// behind it.
    Brief,
}

impl Catalog {
    /// Leases the job whose turn it is to `worker`, until `now + lease`.
    ///
    /// Plans come first, then what a film needs to begin and to be finished, then chunks that a
    /// viewer waits for, then the rest of lane A, then lane B, then re-encodes; among equals the video
    /// of greater priority, then who has waited longest, then the earlier place in the film. From lane
    /// B on it is the longer chunk: those pictures are offered when all of them are there, and no
    /// worker is to begin with a long one when the others have none left.
    ///
    /// A job whose lease ran out counts a crash and is claimed again, after a pause that grows;
    /// at the third its video fails with [`FailureReason::Crashed`].
    pub async fn claim_next_job(
        &self,
        worker: &WorkerId,
        claim: Claim,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Option<Job>> {
        // An idle worker's question must not wait for SQLite's one writer.
        while due(claim, now).one(self.read()).await?.is_some() {
            let transaction = self.begin().await?;
            // Skipping what others hold is for throughput on PostgreSQL; the conditional update
            // is what makes it right.
            let free = due(claim, now).lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
            let Some(row) = free.one(&transaction).await? else { return Ok(None) };
            if row.state == JobState::Running.as_str() {
                transaction.rollback().await?;
                self.count_crash(&row, now).await?;
                continue;
            }
            let claimed = match take(&transaction, &row, worker, now, lease).await {
                Err(error) if is_defect(&error) => {
                    // It would be the next one for ever, and nothing behind it would be claimed.
                    tracing::error!(
                        job.id = row.id,
                        video.id = row.video,
                        "set job `{}` aside: {error}",
                        row.id
                    );
                    set_aside(&transaction, &row, now).await?;
                    None
                }
                claimed => claimed?,
            };
            transaction.commit().await?;
            if claimed.is_some() {
                return Ok(claimed);
            }
        }
        Ok(None)
    }

    /// Queues a job again whose lease ran out, or gives it up with its video.
    async fn count_crash(&self, seen: &Model, now: Timestamp) -> Result<()> {
        let transaction = self.begin().await?;
        // Its worker may come back at this moment: what was seen must still be so.
        let row = super::hold_with_others(&transaction, seen.id()?, seen.attempt()?).await;
        let row = match row {
            Ok(row) if row.due_at == seen.due_at => row,
            Ok(_) | Err(CatalogError::MovedOn { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        let counted = match after_crash(row.crashes, moment(row.due_at)) {
            Next::GiveUp => give_up(&transaction, &row, FailureReason::Crashed, now).await,
            Next::Again { crashes, at } => put_off(&transaction, &row, crashes, at, now).await,
        };
        match counted {
            Err(error) if is_defect(&error) => {
                tracing::error!(job.id = row.id, video.id = row.video, "set job `{}` aside: {error}", row.id);
                set_aside(&transaction, &row, now).await?;
            }
            counted => counted?,
        }
        transaction.commit().await?;
        self.announce_change();
        Ok(())
    }

    /// Keeps the lease until `now + lease` and says how much of the job's own stretch is done, in
    /// media milliseconds from its beginning; `false` when it is lost, and the work with it.
    pub async fn extend_lease(
        &self,
        job: JobId,
        attempt: i32,
        position_ms: u64,
        now: Timestamp,
        lease: Duration,
    ) -> Result<bool> {
        let transaction = self.begin().await?;
        let change = ActiveModel {
            due_at: Set((now + lease).as_millis()),
            position_ms: Set(number(position_ms)),
            updated_at: Set(now.as_millis()),
            ..Default::default()
        };
        let update = Entity::update_many().set(change).filter(held(job, attempt));
        if update.exec(&transaction).await?.rows_affected == 0 {
            return Ok(false);
        }
        let row = super::hold(&transaction, job, attempt).await?;
        progress::record(&transaction, &row, now).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

fn due(claim: Claim, now: Timestamp) -> Select<Entity> {
    let mut query = Entity::find().filter(open()).filter(Column::DueAt.lte(now.as_millis()));
    if claim != Claim::Any {
        query = query.filter(Column::Rank.lte(Rank::Wanted as i64));
    }
    if claim == Claim::Brief {
        query = query.filter(Column::Kind.ne(Kind::Sound.as_str()));
    }
    query
        .order_by_asc(Column::Rank)
        .order_by_desc(Column::Priority)
        .order_by_asc(Column::TurnAt)
        .order_by_asc(shortness())
        .order_by_asc(Column::FirstSegment)
        .order_by_asc(Column::Id)
        .limit(1)
}

/// Minus the length, where the longest comes first.
fn shortness() -> SimpleExpr {
    let behind_lane_a = Column::Rank.gte(Rank::Better as i64);
    let shortness = Expr::col(Column::FirstSegment).sub(Expr::col(Column::EndSegment));
    Expr::case(behind_lane_a, shortness).finally(0).into()
}

async fn take(
    connection: &impl ConnectionTrait,
    row: &Model,
    worker: &WorkerId,
    now: Timestamp,
    lease: Duration,
) -> Result<Option<Job>> {
    if row.wanted_until.is_some_and(|until| moment(until) <= now) {
        forget_wants(connection, row, now).await?;
        return Ok(None);
    }
    if row.kind == Kind::Ladder.as_str() && waits(connection, row).await? {
        let change = ActiveModel { due_at: Set((now + WAITING).as_millis()), ..Default::default() };
        update_unchanged(connection, row, change).await?;
        return Ok(None);
    }
    let (attempt, lease_until) = (row.attempt()? + 1, now + lease);
    let change = ActiveModel {
        state: Set(JobState::Running.as_str().to_owned()),
        attempt: Set(number(attempt)),
        worker: Set(Some(worker.as_str().to_owned())),
        due_at: Set(lease_until.as_millis()),
        position_ms: Set(0),
        started_at: Set(now.as_millis()),
        updated_at: Set(now.as_millis()),
        ..Default::default()
    };
    let named = row.row();
    let job = Job {
        id: row.id()?,
        video: named.word("video", &row.video)?,
        work: row.work()?,
        started: named.optional_word("version", row.version.as_deref().filter(|_| begins(row)))?,
        is_urgent: row.rank <= Rank::Wanted as i64,
        hurry: row.is_hurried(),
        attempt,
        crashes: named.number("crashes", row.crashes)?,
        lease_until,
    };
    update_unchanged(connection, row, change).await?;
    if is_plan(row) {
        // A video has other jobs only while it is packaging, or is ready and stays so.
        let video = videos::find(connection, &row.video).await?;
        let packaging = video.state()?.packaging(now)?;
        videos::change_state(connection, &video, packaging, now).await?;
    }
    Ok(Some(job))
}

/// Whether an error says that a job's rows do not fit each other, which no other try mends.
fn is_defect(error: &CatalogError) -> bool {
    matches!(error, CatalogError::Absent { .. } | CatalogError::State(_) | CatalogError::Row { .. })
}

/// Whether it starts a version.
fn begins(row: &Model) -> bool {
    Kind::BEGINNING.contains(&&*row.kind)
}

fn is_plan(row: &Model) -> bool {
    row.kind == Kind::Plan.as_str()
}
