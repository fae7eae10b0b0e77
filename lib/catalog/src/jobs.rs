//! The table of jobs: the parts of the work on a video, each leased to one worker at a time.
//!
//! `due_at` says when a job may be claimed: of a queued one the moment before which it waits, of
//! a running one the end of its lease. So one condition finds both. What is claimed first is
//! decided by `rank`, then `priority`, then `turn_at`, then the place in the film.

mod again;
mod claim;
mod end;
mod ladder;
mod parts;
mod queue;
mod retry;
mod trims;
mod wanted;

use std::ops::Range;

use model::{FailureReason, JobId, JobState, Lane, Timestamp, UploadId, VersionId, VideoId};
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::{Condition, QuerySelect};

use crate::convert::{Row, number};
use crate::error::{Result, one_row};
use crate::{CatalogError, growing};

pub(crate) use again::{begin_again, delete_of_version, forget_ended};
pub use claim::Claim;
pub(crate) use end::end_others;
pub(crate) use ladder::{enqueue_ladder, put_ladder_off, queue_ladder_again};
pub(crate) use parts::{begin, enqueue_finish, is_complete};
pub(crate) use queue::places;
pub(crate) use trims::{enqueue_trim, is_trimmed, trimmed_into};

/// Work that was claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// The video that it is a part of.
    pub video: VideoId,
    /// What to do.
    pub work: Work,
    /// Of a [`Work::Plan`] or a [`Work::Ladder`]: the version that an earlier attempt has started. It goes on with
    /// that, or starts another one in its place.
    pub started: Option<VersionId>,
    /// Whether somebody waits for it, or a film begins with it: its process comes before others.
    pub is_urgent: bool,
    /// Whether somebody waits for its pictures: the quick presets.
    pub hurry: bool,
    /// The number of this attempt, from 1: what it commits and reports must name it.
    pub attempt: i32,
    /// How many attempts crashed so far.
    pub crashes: u8,
    /// When the lease ends unless it is extended.
    pub lease_until: Timestamp,
}

/// One part of the work on a video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Look into the file, decide what to make of it, start and announce a version.
    Plan,
    /// The same for a film that was an event, from the version that plays: another beside it.
    Ladder,
    /// The whole sound.
    Sound {
        /// Of this version.
        version: VersionId,
    },
    /// Chunks of one lane's pictures, all its renditions: one chunk where they are encoded.
    Pictures {
        /// Of this version,
        version: VersionId,
        /// this lane,
        lane: Lane,
        /// and these segments of the plan's grid.
        segments: Range<u32>,
    },
    /// The poster and the thumbnail.
    Stills {
        /// Of this version.
        version: VersionId,
    },
    /// What a re-encode has from the version that plays, inits, chunks and stills, after the inits
    /// of what it encodes anew.
    Carry {
        /// Of this version.
        version: VersionId,
    },
    /// A stretch of the version that plays, as one of its own, and its publication.
    Trim {
        /// Of this version.
        version: VersionId,
    },
    /// The index of everything, and its publication.
    Finish {
        /// Of this version.
        version: VersionId,
    },
}

impl Work {
    /// The version that it is a part of; a plan has yet to start one.
    pub const fn version(&self) -> Option<VersionId> {
        match *self {
            Self::Plan | Self::Ladder => None,
            Self::Sound { version }
            | Self::Pictures { version, .. }
            | Self::Stills { version }
            | Self::Carry { version }
            | Self::Trim { version }
            | Self::Finish { version } => Some(version),
        }
    }
}

/// How an attempt ended without its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobFailure {
    /// Trying again would not help; the video fails, and its owner reads the reason.
    Final(FailureReason),
    /// The transcoder died of it. Tried again a little later; the third crash of the same job,
    /// those of whole workers included, is the last.
    Crashed,
    /// Something around it failed (storage, disk): it waits until `at`, as often as it takes.
    Retry {
        /// When to try again.
        at: Timestamp,
    },
}

/// What the `kind` of a row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Plan,
    Ladder,
    Sound,
    Pictures,
    Stills,
    Carry,
    Trim,
    Finish,
}

impl Kind {
    /// Those that begin versions are the video's, and may be queued again; all others are a version's.
    const BEGINNING: [&str; 2] = [Self::Plan.as_str(), Self::Ladder.as_str()];

    const ALL: [Self; 8] = [
        Self::Plan,
        Self::Ladder,
        Self::Sound,
        Self::Pictures,
        Self::Stills,
        Self::Carry,
        Self::Trim,
        Self::Finish,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Ladder => "ladder",
            Self::Sound => "sound",
            Self::Pictures => "pictures",
            Self::Stills => "stills",
            Self::Carry => "carry",
            Self::Trim => "trim",
            Self::Finish => "finish",
        }
    }
}

/// Which jobs come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// Whether it can be played at all is what an owner asks first.
    Plan = 0,
    /// What a film needs to begin, or to be finished.
    Beginning = 1,
    /// Somebody waits for it.
    Wanted = 2,
    /// The rest of lane A and of what is copied, the poster, and trims.
    Rest = 3,
    /// Lane B.
    Better = 4,
    /// What a re-encode carries over, and its inits: its pictures wait for these.
    Carried = 5,
    /// The pictures of a re-encode, and all of the ladder of a film that was an event.
    Again = 6,
}

#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "jobs")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub video: String,
    /// Absent of a plan that has started none yet.
    pub version: Option<String>,
    pub kind: String,
    pub lane: Option<String>,
    pub first_segment: i64,
    pub end_segment: i64,
    pub state: String,
    pub attempt: i64,
    pub crashes: i64,
    pub rank: i64,
    /// The video's, the greatest first.
    pub priority: i64,
    /// Since when it is its turn: when it was created, or wanted.
    pub turn_at: i64,
    /// How many wait for it.
    pub wants: i64,
    /// When it is forgotten that they do.
    pub wanted_until: Option<i64>,
    pub worker: Option<String>,
    pub due_at: i64,
    /// How much of its own stretch is done.
    pub position_ms: i64,
    /// When the last attempt began.
    pub started_at: i64,
    pub created_at: i64,
    /// When something was last said about it; while it runs, when it was where it is.
    pub updated_at: i64,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    fn row(&self) -> Row<'_> {
        Row { table: "jobs", id: &self.id }
    }

    pub(crate) fn id(&self) -> Result<JobId> {
        self.row().word("id", &self.id)
    }

    pub(crate) fn kind(&self) -> Result<Kind> {
        let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == self.kind);
        kind.ok_or_else(|| self.row().unreadable("kind"))
    }

    /// The process that has it, or had it last: its slots share a machine.
    pub(crate) fn machine(&self) -> &str {
        let worker = self.worker.as_deref().unwrap_or_default();
        worker.rsplit_once('/').map_or(worker, |(machine, _slot)| machine)
    }

    pub(crate) fn state(&self) -> Result<JobState> {
        self.row().word("state", &self.state)
    }

    pub(crate) fn lane(&self) -> Result<Lane> {
        let row = self.row();
        row.word("lane", row.required("lane", self.lane.as_deref())?)
    }

    pub(crate) fn segments(&self) -> Result<Range<u32>> {
        let row = self.row();
        let start = row.number("first_segment", self.first_segment)?;
        Ok(start..row.number("end_segment", self.end_segment)?)
    }

    fn attempt(&self) -> Result<i32> {
        self.row().number("attempt", self.attempt)
    }

    fn work(&self) -> Result<Work> {
        let version = || {
            let row = self.row();
            row.word("version", row.required("version", self.version.as_deref())?)
        };
        Ok(match self.kind()? {
            Kind::Plan => Work::Plan,
            Kind::Ladder => Work::Ladder,
            Kind::Sound => Work::Sound { version: version()? },
            Kind::Pictures => {
                Work::Pictures { version: version()?, lane: self.lane()?, segments: self.segments()? }
            }
            Kind::Stills => Work::Stills { version: version()? },
            Kind::Carry => Work::Carry { version: version()? },
            Kind::Trim => Work::Trim { version: version()? },
            Kind::Finish => Work::Finish { version: version()? },
        })
    }

    /// Whether it is made with the quick presets.
    pub(crate) fn is_hurried(&self) -> bool {
        self.kind == Kind::Pictures.as_str() && self.rank <= Rank::Wanted as i64
    }

    /// Its rank while nobody waits for it.
    fn rank(&self) -> Result<Rank> {
        Ok(match self.kind()? {
            Kind::Plan => Rank::Plan,
            Kind::Ladder => Rank::Again,
            Kind::Sound | Kind::Finish => Rank::Beginning,
            Kind::Pictures => match self.lane()? {
                Lane::A | Lane::Copied if self.first_segment == 0 => Rank::Beginning,
                Lane::A | Lane::Copied => Rank::Rest,
                Lane::B => Rank::Better,
            },
            Kind::Stills | Kind::Trim => Rank::Rest,
            Kind::Carry => Rank::Carried,
        })
    }
}

/// Queues the planning of an upload's video, once: the job has the upload's id.
pub(crate) async fn enqueue(
    connection: &impl ConnectionTrait,
    upload: UploadId,
    video: &str,
    priority: i64,
    now: Timestamp,
) -> Result<()> {
    let plan = blank(upload.to_string(), video, Kind::Plan, priority, now);
    Entity::insert(plan).exec_without_returning(connection).await?;
    Ok(())
}

/// A queued job, without what only some kinds have.
fn blank(id: String, video: &str, kind: Kind, priority: i64, now: Timestamp) -> ActiveModel {
    let rank = if kind == Kind::Plan { Rank::Plan } else { Rank::Beginning };
    ActiveModel {
        id: Set(id),
        video: Set(video.to_owned()),
        version: Set(None),
        kind: Set(kind.as_str().to_owned()),
        lane: Set(None),
        first_segment: Set(0),
        end_segment: Set(0),
        state: Set(JobState::Queued.as_str().to_owned()),
        attempt: Set(0),
        crashes: Set(0),
        rank: Set(rank as i64),
        priority: Set(priority),
        turn_at: Set(now.as_millis()),
        wants: Set(0),
        wanted_until: Set(None),
        worker: Set(None),
        due_at: Set(now.as_millis()),
        position_ms: Set(0),
        started_at: Set(now.as_millis()),
        created_at: Set(now.as_millis()),
        updated_at: Set(now.as_millis()),
    }
}

/// All jobs of a version, its plan included.
pub(crate) async fn of_version(connection: &impl ConnectionTrait, version: &str) -> Result<Vec<Model>> {
    Ok(Entity::find().filter(Column::Version.eq(version)).all(connection).await?)
}

/// Ends the jobs of a video.
pub(crate) async fn end_of_video(
    connection: &impl ConnectionTrait,
    video: &str,
    now: Timestamp,
) -> Result<()> {
    growing::lock_of_video(connection, video).await?;
    end(connection, Condition::all().add(Column::Video.eq(video)), now).await
}

/// Ends some jobs. A running one keeps its worker and the end of its lease, see [`may_be_running`].
async fn end(connection: &impl ConnectionTrait, which: Condition, now: Timestamp) -> Result<()> {
    let change = ActiveModel {
        state: Set(JobState::Failed.as_str().to_owned()),
        updated_at: Set(now.as_millis()),
        ..Default::default()
    };
    Entity::update_many().set(change).filter(which.add(open())).exec(connection).await?;
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

/// Deletes what a published version no longer needs: all its jobs but what began it, and the one that
/// published it.
pub(crate) async fn delete_parts(connection: &impl ConnectionTrait, version: &str) -> Result<()> {
    let parts = Condition::all()
        .add(Column::Version.eq(version))
        .add(Column::Kind.is_not_in(Kind::BEGINNING))
        .add(Column::Kind.is_not_in([Kind::Trim.as_str(), Kind::Finish.as_str()]));
    Entity::delete_many().filter(parts).exec(connection).await?;
    Ok(())
}

/// Sets how much a video's jobs come before those of others.
pub(crate) async fn set_priority(
    connection: &impl ConnectionTrait,
    video: &str,
    priority: i64,
) -> Result<()> {
    growing::lock_of_video(connection, video).await?;
    let change = ActiveModel { priority: Set(priority), ..Default::default() };
    let of_video = Condition::all().add(Column::Video.eq(video)).add(open());
    Entity::update_many().set(change).filter(of_video).exec(connection).await?;
    Ok(())
}

/// The row of a job that this attempt holds, locked.
pub(crate) async fn hold(connection: &impl ConnectionTrait, job: JobId, attempt: i32) -> Result<Model> {
    let row = Entity::find().filter(held(job, attempt)).lock_exclusive().one(connection).await?;
    row.ok_or_else(|| moved_on(job))
}

/// The same for who may have to end all other jobs of the video: nobody else does, or cuts up any
/// of them, at the same time.
pub(crate) async fn hold_with_others(
    connection: &impl ConnectionTrait,
    job: JobId,
    attempt: i32,
) -> Result<Model> {
    let row = Entity::find().filter(held(job, attempt)).one(connection).await?;
    growing::lock_of_video(connection, &row.ok_or_else(|| moved_on(job))?.video).await?;
    hold(connection, job, attempt).await
}

/// Marks a job that is held as done. Who did it stays there, for the progress of the others.
pub(crate) async fn done(connection: &impl ConnectionTrait, row: &Model, now: Timestamp) -> Result<()> {
    let change = ActiveModel {
        state: Set(JobState::Done.as_str().to_owned()),
        due_at: Set(now.as_millis()),
        updated_at: Set(now.as_millis()),
        ..Default::default()
    };
    update_unchanged(connection, row, change).await
}

/// The job, if this attempt has done it: whose answer was lost may ask again.
pub(crate) async fn done_by(
    connection: &impl ConnectionTrait,
    job: JobId,
    attempt: i32,
) -> Result<Option<Model>> {
    let done = Entity::find_by_id(job.to_string()).filter(in_state(JobState::Done));
    Ok(done.filter(Column::Attempt.eq(number(attempt))).one(connection).await?)
}

/// Changes a row, if it is still the one that was read.
async fn update_unchanged(connection: &impl ConnectionTrait, row: &Model, change: ActiveModel) -> Result<()> {
    let update = Entity::update_many()
        .set(change)
        .filter(Column::Id.eq(&row.id))
        .filter(Column::State.eq(&row.state))
        .filter(Column::Attempt.eq(row.attempt))
        .filter(Column::DueAt.eq(row.due_at));
    one_row(update.exec(connection).await?.rows_affected, "job", &row.id)
}

/// Written as the partial index has it, so that both planners use it.
fn open() -> Condition {
    Condition::any().add(in_state(JobState::Queued)).add(in_state(JobState::Running))
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

pub(crate) fn moved_on(job: JobId) -> CatalogError {
    CatalogError::MovedOn { what: "job", id: job.to_string() }
}
