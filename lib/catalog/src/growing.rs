//! Versions in the making: started by a plan, grown by what workers commit, gone when published.
//!
//! Whoever changes what there is of a version, or several of its jobs, locks its row of `growing`
//! first: so of two jobs that are the last at once one sees the other, and no chunk is cut up while
//! all are ended.

pub(crate) mod chunks;
pub(crate) mod inits;

use std::collections::HashMap;

use cmaf::{Announced, ChunkRef, GrowingIndex, RenditionKind};
use model::cell::EncodePlan;
use model::{FailureReason, JobId, Lane, RenditionName, Timestamp, VersionId, VideoState};
use sea_orm::ActiveValue::Set;
use sea_orm::QuerySelect;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Expr, ExprTrait};

use crate::convert::{Row, moment, number};
use crate::error::Result;
use crate::jobs::{self, Kind};
use crate::{Catalog, Reencode, RenditionSummary, progress, videos};

#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "growing")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub version: String,
    pub video: String,
    /// The [`EncodePlan`] as JSON.
    pub plan: String,
    pub revision: i64,
    /// How much of lane A had to be filled, since the source had nothing there.
    pub missing_ms: i64,
    pub started_at: i64,
    /// Of a re-encode: the version that plays meanwhile,
    pub from_version: Option<String>,
    /// and the names of the pictures that are encoded anew, as JSON.
    pub anew: Option<String>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    fn row(&self) -> Row<'_> {
        Row { table: "growing", id: &self.version }
    }

    pub(crate) fn plan(&self) -> Result<EncodePlan> {
        serde_json::from_str(&self.plan).map_err(|_| self.row().unreadable("plan"))
    }

    pub(crate) fn started(&self) -> Timestamp {
        moment(self.started_at)
    }

    /// What it is made from, if another version of the video plays meanwhile.
    pub(crate) fn reencode(&self) -> Result<Option<Reencode>> {
        let row = self.row();
        let from = row.optional_word("from_version", self.from_version.as_deref())?;
        let Some(from) = from else { return Ok(None) };
        let anew = row.required("anew", self.anew.as_deref())?;
        let renditions = serde_json::from_str(anew).map_err(|_| row.unreadable("anew"))?;
        Ok(Some(Reencode { from, renditions }))
    }

    fn index(
        &self,
        announced: Vec<Announced>,
        chunks: Vec<(RenditionName, ChunkRef)>,
    ) -> Result<GrowingIndex> {
        let row = self.row();
        let (revision, video) = (row.number("revision", self.revision)?, row.word("video", &self.video)?);
        let version = row.word("version", &self.version)?;
        Ok(GrowingIndex::new(revision, video, version, self.plan()?, announced, chunks))
    }
}

impl Catalog {
    /// Starts a version as planned, and queues all work on it; the plan job goes on. That of a film
    /// which was an event grows beside the one that plays. What an
    /// earlier attempt has started is ended. Asked again for the same version, it changes nothing.
    ///
    /// # Errors
    ///
    /// `Conflict` when the attempt has lost its lease.
    pub async fn start_version(
        &self,
        job: JobId,
        attempt: i32,
        version: VersionId,
        plan: &EncodePlan,
        now: Timestamp,
    ) -> Result<()> {
        let transaction = self.begin().await?;
        let row = jobs::hold_with_others(&transaction, job, attempt).await?;
        let is_beside = row.kind()? == Kind::Ladder;
        if !is_beside && row.kind()? != Kind::Plan {
            return Err(jobs::moved_on(job));
        }
        if row.version.as_deref() == Some(version.to_string().as_str()) {
            return Ok(());
        }
        jobs::end_others(&transaction, &row, now).await?;
        abandon(&transaction, &row.video, now).await?;
        let video = videos::find(&transaction, &row.video).await?;
        let from = match video.state()? {
            VideoState::Ready { version, .. } if is_beside => Some(version),
            _ if is_beside => return Err(jobs::moved_on(job)),
            _ => None,
        };
        let renditions = plan.video.iter().flat_map(|video| video.renditions()).collect();
        let beside = from.map(|from| Reencode { from, renditions });
        insert(&transaction, version, &row.video, plan, beside.as_ref(), now).await?;
        jobs::begin(&transaction, &row, version, plan, now).await?;
        if video.version.is_some() && !is_beside {
            let restarted = video.state()?.restarted()?;
            videos::change_state(&transaction, &video, restarted, now).await?;
        }
        transaction.commit().await?;
        self.announce_job();
        self.announce_change();
        Ok(())
    }

    /// Says what the initialisation segments are, all of which are stored.
    ///
    /// # Errors
    ///
    /// `Conflict` when the attempt has lost its lease, [`CatalogError::OtherInit`] when another
    /// one was announced for a rendition before: viewers may have it already.
    pub async fn announce(
        &self,
        job: JobId,
        attempt: i32,
        version: VersionId,
        inits: &[Announced],
        now: Timestamp,
    ) -> Result<()> {
        let transaction = self.begin().await?;
        let growing = grow(&transaction, job, version).await?;
        let row = jobs::hold(&transaction, job, attempt).await?;
        is_part(&row, &growing)?;
        inits::add(&transaction, version, inits).await?;
        play(&transaction, &growing, now).await?;
        transaction.commit().await?;
        self.announce_change();
        Ok(())
    }

    /// Says which chunks there are, all of which are stored. `missing_ms` of their length had to
    /// be filled, since the source had nothing there. `done` ends the job; the last job of all
    /// queues the [`Work::Finish`](crate::Work), or the failure of a film of which more than a
    /// tenth is missing.
    ///
    /// What was committed first for a place stays: sound that is made again may differ. Asked
    /// again by the same attempt after it is done, it changes nothing.
    ///
    /// # Errors
    ///
    /// `Conflict` when the attempt has lost its lease, or was done with other chunks: nothing of
    /// it may be seen.
    #[expect(clippy::too_many_arguments, reason = "a commit is all of this or nothing")]
    pub async fn commit_chunks(
        &self,
        job: JobId,
        attempt: i32,
        version: VersionId,
        chunks: &[(RenditionName, ChunkRef)],
        missing_ms: u64,
        done: bool,
        now: Timestamp,
    ) -> Result<()> {
        let transaction = self.begin().await?;
        let mut growing = grow(&transaction, job, version).await?;
        let row = match jobs::hold(&transaction, job, attempt).await {
            Ok(row) => row,
            Err(lost) => {
                let was_done = jobs::done_by(&transaction, job, attempt).await?;
                let is_its = |row: &jobs::Model| done && row.version == Some(version.to_string());
                let is_said = match was_done.filter(is_its) {
                    // Of sound made again, what was first stayed.
                    Some(row) if row.kind()? == Kind::Sound => true,
                    Some(_) => chunks::are_there(&transaction, version, chunks).await?,
                    None => false,
                };
                return if is_said { Ok(()) } else { Err(lost) };
            }
        };
        is_part(&row, &growing)?;
        chunks::add(&transaction, version, chunks).await?;
        if counts_missing(&row, &growing.plan()?)? {
            growing.missing_ms += number(missing_ms);
            let change = ActiveModel { missing_ms: Set(growing.missing_ms), ..Default::default() };
            let update = Entity::update_many().set(change).filter(Column::Version.eq(&growing.version));
            update.exec(&transaction).await?;
        }
        play(&transaction, &growing, now).await?;
        if done {
            jobs::done(&transaction, &row, now).await?;
            end(&transaction, &row, &growing, version, now).await?;
        }
        progress::record(&transaction, &row, now).await?;
        transaction.commit().await?;
        if done {
            self.announce_job();
        }
        self.announce_change();
        Ok(())
    }

    /// Ends a job whose effect needs no commit of its own: the plan, once its version is started
    /// and announced, and the stills. Asked again by the same attempt, it changes nothing.
    ///
    /// # Errors
    ///
    /// `Conflict` when the attempt has lost its lease.
    pub async fn finish_job(&self, job: JobId, attempt: i32, now: Timestamp) -> Result<()> {
        let transaction = self.begin().await?;
        let row = match jobs::hold_with_others(&transaction, job, attempt).await {
            Ok(row) => row,
            Err(lost) => {
                let was_done = jobs::done_by(&transaction, job, attempt).await?;
                return was_done.map(drop).ok_or(lost);
            }
        };
        // Of a plan that has started nothing, and of work whose effect is a commit, this is no end.
        if !matches!(row.kind()?, Kind::Plan | Kind::Ladder | Kind::Stills) || row.version.is_none() {
            return Err(jobs::moved_on(job));
        }
        let named = Row { table: "jobs", id: &row.id };
        let version: VersionId = named.word("version", named.required("version", row.version.as_deref())?)?;
        let growing = find_locked(&transaction, job, version).await?;
        jobs::done(&transaction, &row, now).await?;
        end(&transaction, &row, &growing, version, now).await?;
        progress::record(&transaction, &row, now).await?;
        transaction.commit().await?;
        self.announce_job();
        Ok(())
    }

    /// What there is of a version in the making; absent when there is no such version, any more
    /// or yet.
    pub async fn growing(&self, version: VersionId) -> Result<Option<GrowingIndex>> {
        let snapshot = self.snapshot().await?;
        let Some(row) = Entity::find_by_id(version.to_string()).one(&snapshot).await? else {
            return Ok(None);
        };
        let inits = inits::of(&snapshot, &row.version).await?;
        let chunks = chunks::of(&snapshot, &row.version).await?;
        row.index(inits, chunks).map(Some)
    }

    /// A number that grows each time something is announced or committed; absent when there is no
    /// such version in the making.
    pub async fn growing_revision(&self, version: VersionId) -> Result<Option<u64>> {
        let query = Entity::find_by_id(version.to_string()).select_only().column(Column::Revision);
        let revision: Option<i64> = query.into_tuple().one(self.read()).await?;
        let version = version.to_string();
        revision.map(|n| Row { table: "growing", id: &version }.number("revision", n)).transpose()
    }
}

/// Begins a version of which nothing is there yet.
pub(crate) async fn insert(
    connection: &impl ConnectionTrait,
    version: VersionId,
    video: &str,
    plan: &EncodePlan,
    reencode: Option<&Reencode>,
    now: Timestamp,
) -> Result<()> {
    let anew = reencode.map(|reencode| serde_json::to_string(&reencode.renditions));
    let growing = ActiveModel {
        version: Set(version.to_string()),
        video: Set(video.to_owned()),
        plan: Set(serde_json::to_string(plan).expect("every field of a plan has a JSON form")),
        revision: Set(1),
        missing_ms: Set(0),
        started_at: Set(now.as_millis()),
        from_version: Set(reencode.map(|reencode| reencode.from.to_string())),
        anew: Set(anew.transpose().expect("names have a JSON form")),
    };
    Entity::insert(growing).exec_without_returning(connection).await?;
    Ok(())
}

/// The plan of a version in the making, whose row is locked.
pub(crate) async fn lock_plan_of(
    connection: &impl ConnectionTrait,
    version: VersionId,
) -> Result<Option<EncodePlan>> {
    let row = Entity::find_by_id(version.to_string()).lock_exclusive().one(connection).await?;
    row.map(|row| row.plan()).transpose()
}

/// What lists say of versions in the making.
#[derive(Debug, Clone)]
pub(crate) struct Outline {
    pub(crate) duration_ms: u64,
    pub(crate) renditions: Vec<RenditionSummary>,
    /// Which of them are not whole.
    pub(crate) unfinished: Vec<RenditionName>,
}

/// Outlines of those of `versions` that are in the making.
pub(crate) async fn outlines(
    connection: &impl ConnectionTrait,
    versions: &[String],
) -> Result<HashMap<String, Outline>> {
    if versions.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = Entity::find().filter(Column::Version.is_in(versions)).all(connection).await?;
    let mut outlines = HashMap::new();
    for row in rows {
        let made = chunks::made(connection, &row.version).await?;
        let index = row.index(Vec::new(), Vec::new())?;
        let mut outline = Outline {
            duration_ms: progress::length_ms(&index.plan),
            renditions: Vec::new(),
            unfinished: Vec::new(),
        };
        for name in index.renditions() {
            let (segments, size_bytes) = made.get(&name).copied().unwrap_or_default();
            if segments < index.segment_count(name) {
                outline.unfinished.push(name);
            }
            let (width, height) = match index.kind(name) {
                Some(RenditionKind::Video { width, height, .. }) => (Some(width.into()), Some(height.into())),
                Some(RenditionKind::Audio { .. }) | None => (None, None),
            };
            let rates = index.bandwidth(name);
            outline.renditions.push(RenditionSummary {
                name,
                width,
                height,
                bandwidth_bps: rates.peak_bps,
                average_bandwidth_bps: rates.average_bps,
                size_bytes,
                formats: 1,
            });
        }
        outlines.insert(row.version, outline);
    }
    Ok(outlines)
}

/// A video's versions in the making.
pub(crate) async fn of_video(connection: &impl ConnectionTrait, video: &str) -> Result<Vec<Model>> {
    Ok(Entity::find().filter(Column::Video.eq(video)).all(connection).await?)
}

/// Gives up a video's versions in the making. Grants for them are void: of the last one the index
/// may be stored already, and an edge that found it would go on serving what no longer plays.
pub(crate) async fn abandon(connection: &impl ConnectionTrait, video: &str, now: Timestamp) -> Result<()> {
    let versions = of_video(connection, video).await?.into_iter().map(|row| row.version);
    crate::revocations::revoke(connection, versions, now).await?;
    delete_of_video(connection, video).await
}

/// Gives up this version, if it is in the making.
pub(crate) async fn abandon_version(
    connection: &impl ConnectionTrait,
    version: &str,
    now: Timestamp,
) -> Result<()> {
    if Entity::find_by_id(version.to_owned()).one(connection).await?.is_none() {
        return Ok(());
    }
    crate::revocations::revoke(connection, [version.to_owned()], now).await?;
    delete(connection, version).await
}

/// Forgets what there is of a video's versions in the making.
pub(crate) async fn delete_of_video(connection: &impl ConnectionTrait, video: &str) -> Result<()> {
    for row in of_video(connection, video).await? {
        delete(connection, &row.version).await?;
    }
    Ok(())
}

/// Forgets what there is of a version in the making.
pub(crate) async fn delete(connection: &impl ConnectionTrait, version: &str) -> Result<()> {
    inits::delete(connection, version).await?;
    chunks::delete(connection, version).await?;
    Entity::delete_by_id(version.to_owned()).exec(connection).await?;
    Ok(())
}

/// Locks the version that is in the making of a video, if one is: whoever changes several of its
/// jobs does so first.
pub(crate) async fn lock_of_video(connection: &impl ConnectionTrait, video: &str) -> Result<()> {
    Entity::find().filter(Column::Video.eq(video)).lock_exclusive().all(connection).await?;
    Ok(())
}

/// The row of a version, locked; without it the job of who asks has moved on.
async fn find_locked(connection: &impl ConnectionTrait, job: JobId, version: VersionId) -> Result<Model> {
    let growing = Entity::find_by_id(version.to_string()).lock_exclusive().one(connection).await?;
    growing.ok_or_else(|| jobs::moved_on(job))
}

/// The same, as its next revision.
async fn grow(connection: &impl ConnectionTrait, job: JobId, version: VersionId) -> Result<Model> {
    let growing = find_locked(connection, job, version).await?;
    let next = Entity::update_many()
        .col_expr(Column::Revision, Expr::col(Column::Revision).add(1))
        .filter(Column::Version.eq(&growing.version));
    next.exec(connection).await?;
    Ok(growing)
}

/// Whether a job is a part of a version.
fn is_part(row: &jobs::Model, growing: &Model) -> Result<()> {
    let is_part = row.version.as_ref() == Some(&growing.version);
    if is_part { Ok(()) } else { Err(jobs::moved_on(row.id()?)) }
}

/// Lets the video play from the moment when its beginning is there.
async fn play(connection: &impl ConnectionTrait, growing: &Model, now: Timestamp) -> Result<()> {
    let video = videos::find(connection, &growing.video).await?;
    if video.version.is_some() {
        return Ok(());
    }
    let inits = inits::of(connection, &growing.version).await?;
    let first = chunks::first(connection, &growing.version).await?;
    let index = growing.index(inits, first)?;
    if index.is_playable() {
        let playable = video.state()?.playable(index.version)?;
        videos::change_state(connection, &video, playable, now).await?;
    }
    Ok(())
}

/// Queues the finish of a version behind its last job, or fails its video.
async fn end(
    connection: &impl ConnectionTrait,
    last: &jobs::Model,
    growing: &Model,
    version: VersionId,
    now: Timestamp,
) -> Result<()> {
    if !jobs::is_complete(connection, &growing.version).await? {
        return Ok(());
    }
    let length_ms = progress::length_ms(&growing.plan()?);
    let missing_ms = u64::try_from(growing.missing_ms).unwrap_or(0);
    // A film that was good enough once is so again.
    if growing.from_version.is_none() && missing_ms.saturating_mul(10) > length_ms {
        let video = videos::find(connection, &growing.video).await?;
        let failed = video.state()?.failed(now, FailureReason::Truncated)?;
        videos::change_state(connection, &video, failed, now).await?;
        return abandon(connection, &growing.video, now).await;
    }
    jobs::enqueue_finish(connection, last, version, now).await
}

/// Lane A goes through all of the picture; a film without one is all sound.
fn counts_missing(row: &jobs::Model, plan: &EncodePlan) -> Result<bool> {
    Ok(match row.kind()? {
        Kind::Pictures => row.lane()? == Lane::A,
        Kind::Sound => plan.video.is_none(),
        Kind::Plan | Kind::Ladder | Kind::Stills | Kind::Carry | Kind::Trim | Kind::Finish => false,
    })
}
