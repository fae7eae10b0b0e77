//! Films that lose their beginning or their end: a version that is a stretch of the one which plays
//! takes its place. That one is kept for those who watch it, and until then all can be undone.

use std::collections::HashMap;
use std::ops::Range;

use model::{Timestamp, VersionId, VideoId, VideoState};
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;

use crate::convert::{Row, number};
use crate::error::Result;
use crate::{Catalog, growing, jobs, versions, videos};

/// A stretch of a version, to be made a version of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trim {
    /// Of this version,
    pub from: VersionId,
    /// what is in this stretch, in milliseconds.
    pub ms: Range<u64>,
}

/// How a video was trimmed last, or is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trimmed {
    /// What is left of the version before, in milliseconds of that.
    pub ms: Range<u64>,
    /// Whether it is still to be made, and all of the version before plays.
    pub is_under_way: bool,
    /// Until when it can be undone.
    pub undo_until: Option<Timestamp>,
}

/// Why a video is not trimmed, or that not undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TrimRefusal {
    /// All of it must be there first, and be the version that was looked at.
    #[error("the video is not ready")]
    NotReady,
    /// Another version of it is being made.
    #[error("another version of the video is being made")]
    UnderWay,
    /// It was not trimmed, or so long ago that the version before is not kept any more.
    #[error("there is nothing to undo")]
    NothingToUndo,
}

#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "trims")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub version: String,
    pub video: String,
    pub from_version: String,
    pub from_ms: i64,
    pub to_ms: i64,
    /// The chapters that the video had before, as JSON.
    pub chapters: Option<String>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    fn row(&self) -> Row<'_> {
        Row { table: "trims", id: &self.version }
    }

    pub(crate) fn from(&self) -> Result<VersionId> {
        self.row().word("from_version", &self.from_version)
    }

    pub(crate) fn ms(&self) -> Result<Range<u64>> {
        let row = self.row();
        Ok(row.number("from_ms", self.from_ms)?..row.number("to_ms", self.to_ms)?)
    }
}

impl Catalog {
    /// Starts to make `version`, the stretch `ms` of the version `from` that plays. The video stays as
    /// it is until it is published.
    ///
    /// # Errors
    ///
    /// `NotFound` for an absent video, else the [`TrimRefusal`].
    pub async fn start_trim(
        &self,
        id: VideoId,
        version: VersionId,
        trim: &Trim,
        now: Timestamp,
    ) -> Result<()> {
        let transaction = self.begin().await?;
        // The ladder waits for what somebody asks for, and is made of what is left of the film.
        jobs::put_ladder_off(&transaction, &id.to_string(), now).await?;
        // Its lock: of two that start at once the second sees the first.
        let video = videos::find(&transaction, &id.to_string()).await?;
        if !matches!(video.state()?, VideoState::Ready { version, .. } if version == trim.from) {
            return Err(TrimRefusal::NotReady.into());
        }
        refuse_another(&transaction, &video.id).await?;
        abandon(&transaction, &video.id).await?;
        let row = ActiveModel {
            version: Set(version.to_string()),
            video: Set(video.id.clone()),
            from_version: Set(trim.from.to_string()),
            from_ms: Set(number(trim.ms.start)),
            to_ms: Set(number(trim.ms.end)),
            chapters: Set(None),
        };
        Entity::insert(row).exec_without_returning(&transaction).await?;
        jobs::enqueue_trim(&transaction, version, &video, now).await?;
        transaction.commit().await?;
        self.announce_job();
        Ok(())
    }

    /// What a version is to be a stretch of; `None` for one that is none.
    pub async fn trim(&self, version: VersionId) -> Result<Option<Trim>> {
        let row = Entity::find_by_id(version.to_string()).one(self.read()).await?;
        row.map(|row| Ok(Trim { from: row.from()?, ms: row.ms()? })).transpose()
    }

    /// Lets the version play again that the last trim has taken something of, with the chapters that
    /// it had. Who watches the trimmed one goes on with that. The ladder that was made behind the trim
    /// goes with it, and is queued again.
    ///
    /// # Errors
    ///
    /// `NotFound` for an absent video, else the [`TrimRefusal`].
    pub async fn undo_trim(&self, id: VideoId, now: Timestamp) -> Result<()> {
        let transaction = self.begin().await?;
        jobs::queue_ladder_again(&transaction, &id.to_string(), now).await?;
        let video = videos::find(&transaction, &id.to_string()).await?;
        let state = video.state()?;
        let VideoState::Ready { version, .. } = state else { return Err(TrimRefusal::NotReady.into()) };
        refuse_another(&transaction, &video.id).await?;
        let trim = Entity::find_by_id(version.to_string()).one(&transaction).await?;
        let trim = trim.ok_or(TrimRefusal::NothingToUndo)?;
        let earlier = trim.from()?;
        if !versions::restore(&transaction, earlier, now).await? {
            return Err(TrimRefusal::NothingToUndo.into());
        }
        versions::replace(&transaction, version, now).await?;
        videos::change_state(&transaction, &video, state.replaced(now, earlier)?, now).await?;
        videos::restore_chapters(&transaction, &video.id, trim.chapters).await?;
        transaction.commit().await?;
        self.announce_job();
        self.announce_change();
        Ok(())
    }
}

/// Of a video one version more is made at a time.
async fn refuse_another(connection: &impl ConnectionTrait, video: &str) -> Result<()> {
    let is_growing = !growing::of_video(connection, video).await?.is_empty();
    if is_growing || jobs::is_trimmed(connection, video).await? {
        return Err(TrimRefusal::UnderWay.into());
    }
    Ok(())
}

/// What the version that is published is a stretch of, if it is; remembers the chapters before.
pub(crate) async fn published(
    connection: &impl ConnectionTrait,
    version: &str,
    video: &videos::Model,
) -> Result<Option<VersionId>> {
    let Some(row) = Entity::find_by_id(version.to_owned()).one(connection).await? else { return Ok(None) };
    let change = ActiveModel { chapters: Set(video.chapters.clone()), ..Default::default() };
    Entity::update_many().set(change).filter(Column::Version.eq(version)).exec(connection).await?;
    row.from().map(Some)
}

/// Another version takes the place of a trimmed one; what was trimmed before it can still be undone.
pub(crate) async fn goes_on_in(
    connection: &impl ConnectionTrait,
    from: VersionId,
    version: &str,
) -> Result<()> {
    let change = ActiveModel { version: Set(version.to_owned()), ..Default::default() };
    let its = Column::Version.eq(from.to_string());
    Entity::update_many().set(change).filter(its).exec(connection).await?;
    Ok(())
}

/// Forgets the trims of a video that did not become a version.
pub(crate) async fn abandon(connection: &impl ConnectionTrait, video: &str) -> Result<()> {
    let made: Vec<String> =
        versions::of_video(connection, video).await?.into_iter().map(|version| version.id).collect();
    let rows = Entity::delete_many().filter(Column::Video.eq(video));
    rows.filter(Column::Version.is_not_in(made)).exec(connection).await?;
    Ok(())
}

/// How these videos were trimmed into the version that plays, or are to be.
pub(crate) async fn of_videos(
    connection: &impl ConnectionTrait,
    playing: &HashMap<String, String>,
) -> Result<HashMap<String, Trimmed>> {
    if playing.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<&str> = playing.keys().map(String::as_str).collect();
    let under_way = jobs::trimmed_into(connection, &ids).await?;
    let mut rows = Entity::find().filter(Column::Video.is_in(ids)).all(connection).await?;
    let plays = |row: &Model| playing.get(&row.video) == Some(&row.version);
    rows.retain(|row| plays(row) || under_way.contains(&row.version));
    let earlier: Vec<&str> = rows.iter().map(|row| row.from_version.as_str()).collect();
    let played_until = versions::played_until(connection, &earlier).await?;
    let mut all = HashMap::new();
    for row in rows {
        let (plays, ms) = (plays(&row), row.ms()?);
        let undo_until = played_until.get(&row.from_version).copied().filter(|_| plays);
        let is_under_way = !plays;
        let trimmed = Trimmed { ms, is_under_way, undo_until };
        // What goes on is told rather than what was.
        if is_under_way || !all.contains_key(&row.video) {
            all.insert(row.video, trimmed);
        }
    }
    Ok(all)
}

/// The versions that trims of these videos make or have made.
pub(crate) async fn versions_of(
    connection: &impl ConnectionTrait,
    videos: &[&str],
) -> Result<HashMap<String, Vec<VersionId>>> {
    let rows = Entity::find().filter(Column::Video.is_in(videos.iter().copied())).all(connection).await?;
    let mut all = HashMap::<String, Vec<VersionId>>::new();
    for row in rows {
        let version = row.row().word("version", &row.version)?;
        all.entry(row.video).or_default().push(version);
    }
    Ok(all)
}

pub(crate) async fn forget(connection: &impl ConnectionTrait, version: &str) -> Result<()> {
    Entity::delete_by_id(version.to_owned()).exec(connection).await?;
    Ok(())
}

pub(crate) async fn delete_of_video(connection: &impl ConnectionTrait, video: &str) -> Result<()> {
    Entity::delete_many().filter(Column::Video.eq(video)).exec(connection).await?;
    Ok(())
}
