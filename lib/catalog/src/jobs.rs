//! The table of jobs: durable work, leased to one worker at a time.
//!
//! `due_at` says when a job may be claimed: of a queued one the moment before which it waits, of
//! a running one the end of its lease. So one condition finds both.

mod retry;

use std::time::Duration;

use model::{FailureReason, JobId, JobState, Timestamp, UploadId, VideoId, WorkerId};
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{LockBehavior, LockType};
use sea_orm::{Condition, QueryOrder, QuerySelect};

use crate::convert::{Row, moment, number};
use crate::error::{Result, one_row};
use crate::{Catalog, CatalogError, NewVersion, Progress, versions, videos};
use retry::{Next, after_crash};

/// The one kind of job so far.
const PACKAGE: &str = "package";

/// Work that was claimed; everything else about it is loaded by its ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// The video to package.
    pub video: VideoId,
    /// The number of this attempt, from 1: what publishes and reports must name it.
    pub attempt: i32,
    /// How many attempts crashed so far.
    pub crashes: u8,
    /// When the lease ends unless it is extended.
    pub lease_until: Timestamp,
}

/// How an attempt ended without a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobFailure {
    /// Trying again would not help; the owner reads the reason.
    Final(FailureReason),
    /// The transcoder died of it. Tried again a little later; the third crash, those of whole
    /// workers included, is the last.
    Crashed,
    /// Something around it failed (storage, disk): it waits until `at`, as often as it takes.
    Retry {
        /// When to try again.
        at: Timestamp,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "jobs")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub video: String,
    pub kind: String,
    pub state: String,
    pub attempt: i64,
    pub crashes: i64,
    pub worker: Option<String>,
    pub due_at: i64,
    pub created_at: i64,
    pub updated_at: i64,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    fn row(&self) -> Row<'_> {
        Row { table: "jobs", id: &self.id }
    }

    fn attempt(&self) -> Result<i32> {
        self.row().number("attempt", self.attempt)
    }
}

impl Catalog {
    /// Leases the job that has been due longest to `worker`, until `now + lease`.
    ///
    /// A job whose lease ran out counts a crash and is claimed again, after a pause that grows;
    /// at the third its video fails with [`FailureReason::Crashed`].
    pub async fn claim_next_job(
        &self,
        worker: &WorkerId,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Option<Job>> {
        // An idle worker's question must not wait for SQLite's one writer.
        while due(now).one(self.read()).await?.is_some() {
            let transaction = self.begin().await?;
            // Skipping what others hold is for throughput on PostgreSQL; the conditional update
            // is what makes it right.
            let free = due(now).lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
            let Some(row) = free.one(&transaction).await? else { return Ok(None) };
            let claimed = match claim(&transaction, &row, worker, now, lease).await {
                Err(error @ (CatalogError::Absent { .. } | CatalogError::State(_))) => {
                    // It would be the next one for ever, and nothing behind it would be claimed.
                    tracing::error!(
                        job.id = row.id,
                        video.id = row.video,
                        "set job `{}` aside: {error}",
                        row.id
                    );
                    end(&transaction, &row, now).await?;
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

    /// Keeps the lease until `now + lease` and shows the progress; `false` when it is lost, and
    /// the work with it.
    pub async fn extend_lease(
        &self,
        job: JobId,
        attempt: i32,
        progress: Progress,
        now: Timestamp,
        lease: Duration,
    ) -> Result<bool> {
        let transaction = self.begin().await?;
        let change = ActiveModel {
            due_at: Set((now + lease).as_millis()),
            updated_at: Set(now.as_millis()),
            ..Default::default()
        };
        let update = Entity::update_many().set(change).filter(held(job, attempt));
        if update.exec(&transaction).await?.rows_affected == 0 {
            return Ok(false);
        }
        let row = find(&transaction, job).await?;
        videos::record_progress(&transaction, &row.video, attempt, progress).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Publishes a version whose objects are all stored: it becomes the one that plays, and the
    /// job is done. Asked again by the same attempt for the same version, it changes nothing.
    ///
    /// # Errors
    ///
    /// `Conflict` when the attempt has lost its lease or the video was deleted: nothing of it may
    /// be seen, its objects are rubbish.
    pub async fn publish(&self, job: JobId, attempt: i32, new: &NewVersion, now: Timestamp) -> Result<()> {
        let transaction = self.begin().await?;
        let change = ActiveModel {
            state: Set(JobState::Done.as_str().to_owned()),
            worker: Set(None),
            updated_at: Set(now.as_millis()),
            ..Default::default()
        };
        let update = Entity::update_many().set(change).filter(held(job, attempt));
        if update.exec(&transaction).await?.rows_affected == 0 {
            return self.published_already(job, attempt, new).await;
        }
        let job = find(&transaction, job).await?;
        let video = videos::find(&transaction, &job.video).await?;
        let ready = video.state()?.ready(now, attempt, new.version)?;
        versions::insert(&transaction, video.id()?, attempt, new, now).await?;
        videos::change_state(&transaction, &video, ready, now).await?;
        Ok(transaction.commit().await?)
    }

    /// Ends an attempt that made no version.
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
        let row = Entity::find().filter(held(job, attempt)).lock_exclusive().one(&transaction).await?;
        let row = row.ok_or_else(|| moved_on(job))?;
        match failure {
            JobFailure::Final(reason) => give_up(&transaction, &row, reason, now).await?,
            JobFailure::Retry { at } => put_off(&transaction, &row, row.crashes, at, now).await?,
            JobFailure::Crashed => match after_crash(row.crashes, now) {
                Next::GiveUp => give_up(&transaction, &row, FailureReason::Crashed, now).await?,
                Next::Again { crashes, at } => put_off(&transaction, &row, crashes, at, now).await?,
            },
        }
        Ok(transaction.commit().await?)
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

    /// Queues a failed video once more, as its owner asks, with no crash counted.
    ///
    /// # Errors
    ///
    /// `NotFound` for an absent video, `Conflict` for one that has not failed.
    pub async fn retry_video(&self, id: VideoId, now: Timestamp) -> Result<()> {
        let transaction = self.begin().await?;
        let id = id.to_string();
        let change = ActiveModel {
            state: Set(JobState::Queued.as_str().to_owned()),
            crashes: Set(0),
            worker: Set(None),
            due_at: Set(now.as_millis()),
            updated_at: Set(now.as_millis()),
            ..Default::default()
        };
        // The same row, so that the numbers of attempts go on and old ones stay old.
        let failed = Condition::all().add(Column::Video.eq(&id)).add(in_state(JobState::Failed));
        let rows = Entity::update_many().set(change).filter(failed).exec(&transaction).await?.rows_affected;
        let video = videos::find(&transaction, &id).await?;
        let queued = video.state()?.retried(now)?;
        one_row(rows, "video", &id)?;
        videos::change_state(&transaction, &video, queued, now).await?;
        transaction.commit().await?;
        self.announce_job();
        Ok(())
    }

    async fn published_already(&self, job: JobId, attempt: i32, new: &NewVersion) -> Result<()> {
        let done = Entity::find_by_id(job.to_string()).filter(in_state(JobState::Done));
        let done = done.filter(Column::Attempt.eq(number(attempt))).one(self.read()).await?;
        let video = done.map(|job| job.video).ok_or_else(|| moved_on(job))?;
        let versions = versions::of_video(self.read(), &video).await?;
        let published = versions.iter().any(|version| version.id == new.version.to_string());
        if published { Ok(()) } else { Err(moved_on(job)) }
    }
}

/// Queues the packaging of an upload's video, once: the job has the upload's id.
pub(crate) async fn enqueue(
    connection: &impl ConnectionTrait,
    upload: UploadId,
    video: &str,
    now: Timestamp,
) -> Result<()> {
    let row = ActiveModel {
        id: Set(upload.to_string()),
        video: Set(video.to_owned()),
        kind: Set(PACKAGE.to_owned()),
        state: Set(JobState::Queued.as_str().to_owned()),
        attempt: Set(0),
        crashes: Set(0),
        worker: Set(None),
        due_at: Set(now.as_millis()),
        created_at: Set(now.as_millis()),
        updated_at: Set(now.as_millis()),
    };
    Entity::insert(row).exec_without_returning(connection).await?;
    Ok(())
}

/// Ends the jobs of a video that is being deleted. A running one keeps its worker and the end
/// of its lease, see [`may_be_running`].
pub(crate) async fn end_of_video(
    connection: &impl ConnectionTrait,
    video: &str,
    now: Timestamp,
) -> Result<()> {
    let open = Condition::any().add(in_state(JobState::Queued)).add(in_state(JobState::Running));
    let change = ActiveModel {
        state: Set(JobState::Failed.as_str().to_owned()),
        updated_at: Set(now.as_millis()),
        ..Default::default()
    };
    let of_video = Condition::all().add(Column::Video.eq(video)).add(open);
    Entity::update_many().set(change).filter(of_video).exec(connection).await?;
    Ok(())
}

/// Whether a worker whose job was ended from outside may not have noticed yet.
pub(crate) async fn may_be_running(
    connection: &impl ConnectionTrait,
    video: &str,
    now: Timestamp,
) -> Result<bool> {
    let leased = Condition::all()
        .add(Column::Video.eq(video))
        .add(in_state(JobState::Failed))
        .add(Column::Worker.is_not_null())
        .add(Column::DueAt.gt(now.as_millis()));
    Ok(Entity::find().filter(leased).count(connection).await? > 0)
}

pub(crate) async fn delete_of_video(connection: &impl ConnectionTrait, video: &str) -> Result<()> {
    Entity::delete_many().filter(Column::Video.eq(video)).exec(connection).await?;
    Ok(())
}

async fn claim(
    connection: &impl ConnectionTrait,
    row: &Model,
    worker: &WorkerId,
    now: Timestamp,
    lease: Duration,
) -> Result<Option<Job>> {
    let mut crashes = row.crashes;
    if row.state == JobState::Running.as_str() {
        match after_crash(row.crashes, moment(row.due_at)) {
            Next::GiveUp => {
                give_up(connection, row, FailureReason::Crashed, now).await?;
                return Ok(None);
            }
            Next::Again { crashes, at } if at > now => {
                put_off(connection, row, crashes, at, now).await?;
                return Ok(None);
            }
            Next::Again { crashes: counted, .. } => crashes = counted,
        }
    }
    let attempt = row.attempt()? + 1;
    let lease_until = now + lease;
    let change = ActiveModel {
        state: Set(JobState::Running.as_str().to_owned()),
        attempt: Set(number(attempt)),
        crashes: Set(crashes),
        worker: Set(Some(worker.as_str().to_owned())),
        due_at: Set(lease_until.as_millis()),
        updated_at: Set(now.as_millis()),
        ..Default::default()
    };
    let video = videos::find(connection, &row.video).await?;
    let packaging = video.state()?.packaging(now, attempt)?;
    update_unchanged(connection, row, change).await?;
    videos::change_state(connection, &video, packaging, now).await?;
    let crashes = row.row().number("crashes", crashes)?;
    let id = row.row().word("id", &row.id)?;
    Ok(Some(Job { id, video: video.id()?, attempt, crashes, lease_until }))
}

/// Fails the job and its video.
async fn give_up(
    connection: &impl ConnectionTrait,
    row: &Model,
    reason: FailureReason,
    now: Timestamp,
) -> Result<()> {
    let video = videos::find(connection, &row.video).await?;
    let failed = video.state()?.failed(now, reason)?;
    end(connection, row, now).await?;
    videos::change_state(connection, &video, failed, now).await
}

async fn end(connection: &impl ConnectionTrait, row: &Model, now: Timestamp) -> Result<()> {
    let change = ActiveModel {
        state: Set(JobState::Failed.as_str().to_owned()),
        worker: Set(None),
        updated_at: Set(now.as_millis()),
        ..Default::default()
    };
    update_unchanged(connection, row, change).await
}

/// Queues the job and its video once more, not before `at`.
async fn put_off(
    connection: &impl ConnectionTrait,
    row: &Model,
    crashes: i64,
    at: Timestamp,
    now: Timestamp,
) -> Result<()> {
    let video = videos::find(connection, &row.video).await?;
    let queued = video.state()?.given_back(now, row.attempt()?)?;
    let change = ActiveModel {
        state: Set(JobState::Queued.as_str().to_owned()),
        crashes: Set(crashes),
        worker: Set(None),
        due_at: Set(at.as_millis()),
        updated_at: Set(now.as_millis()),
        ..Default::default()
    };
    update_unchanged(connection, row, change).await?;
    videos::change_state(connection, &video, queued, now).await
}

/// Changes a job if it is still as it was read.
async fn update_unchanged(connection: &impl ConnectionTrait, row: &Model, change: ActiveModel) -> Result<()> {
    let update = Entity::update_many()
        .set(change)
        .filter(Column::Id.eq(&row.id))
        .filter(Column::State.eq(&row.state))
        .filter(Column::Attempt.eq(row.attempt))
        .filter(Column::DueAt.eq(row.due_at));
    one_row(update.exec(connection).await?.rows_affected, "job", &row.id)
}

async fn find(connection: &impl ConnectionTrait, job: JobId) -> Result<Model> {
    let row = Entity::find_by_id(job.to_string()).one(connection).await?;
    row.ok_or_else(|| CatalogError::Absent { what: "job", id: job.to_string() })
}

fn due(now: Timestamp) -> sea_orm::Select<Entity> {
    // Written as the partial index has it, so that both planners use it.
    let open = Condition::any().add(in_state(JobState::Queued)).add(in_state(JobState::Running));
    Entity::find()
        .filter(open)
        .filter(Column::DueAt.lte(now.as_millis()))
        .order_by_asc(Column::DueAt)
        .order_by_asc(Column::Id)
        .limit(1)
}

/// The fence: this attempt is the one that runs.
fn held(job: JobId, attempt: i32) -> Condition {
    Condition::all()
        .add(Column::Id.eq(job.to_string()))
        .add(Column::Attempt.eq(number(attempt)))
        .add(in_state(JobState::Running))
}

fn in_state(state: JobState) -> sea_orm::sea_query::SimpleExpr {
    Column::State.eq(state.as_str())
}

fn moved_on(job: JobId) -> CatalogError {
    CatalogError::MovedOn { what: "job", id: job.to_string() }
}
