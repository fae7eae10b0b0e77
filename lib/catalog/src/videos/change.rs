use std::collections::BTreeSet;
use std::ops::Range;

use model::{AccountId, Chapter, Tier, Timestamp, VideoId, VideoState, Visibility};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::entity::prelude::*;
use sea_orm::{QueryOrder, QuerySelect};

use super::{ActiveModel, Column, Entity, Model, Video, find, of_state};
use crate::convert::number;
use crate::error::{Result, one_row};
use crate::{Catalog, CatalogError, Progress, events, growing, jobs, revocations, trims, uploads, versions};

/// What an owner changes; `None` leaves it as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VideoEdit {
    /// New title.
    pub title: Option<String>,
    /// New description.
    pub description: Option<String>,
    /// Who may find it from now on.
    pub visibility: Option<Visibility>,
    /// The lowest tier that may watch it from now on.
    pub min_tier: Option<Tier>,
    /// Its chapters from now on, in order.
    pub chapters: Option<Vec<Chapter>>,
}

impl Catalog {
    /// Changes what the owner says about a video, and returns it as it is then.
    ///
    /// Hiding it from everybody else, or asking for a higher tier, makes void all grants for its
    /// versions in the same transaction.
    ///
    /// # Errors
    ///
    /// `NotFound` when it is absent or deleted.
    pub async fn edit_video(&self, id: VideoId, edit: VideoEdit, now: Timestamp) -> Result<Video> {
        let (transaction, id) = (self.begin().await?, id.to_string());
        self::edit(&transaction, &id, edit, now).await?;
        let video = super::shown(&transaction, &id).await?;
        transaction.commit().await?;
        Ok(video)
    }

    /// Deletes a video for everybody: ends its uploads, jobs and event, makes void all grants for all
    /// of its versions. Its objects are then to be deleted, and [`Catalog::forget_video`] called.
    ///
    /// # Errors
    ///
    /// `NotFound` when it is absent or deleted already.
    pub async fn delete_video(&self, id: VideoId, now: Timestamp) -> Result<()> {
        let transaction = self.begin().await?;
        let row = id.to_string();
        uploads::delete_of_video(&transaction, &row).await?;
        jobs::end_of_video(&transaction, &row, now).await?;
        events::end_of_video(&transaction, &row, now).await?;
        let change = ActiveModel {
            deleted_at: Set(Some(now.as_millis())),
            updated_at: Set(now.as_millis()),
            ..Default::default()
        };
        let update = Entity::update_many().set(change).filter(Column::Id.eq(&row));
        let deleted = update.filter(Column::DeletedAt.is_null()).exec(&transaction).await?.rows_affected;
        if deleted == 0 {
            return Err(CatalogError::Absent { what: "video", id: row });
        }
        revoke_all(&transaction, &row, now).await?;
        transaction.commit().await?;
        // Whoever publishes to it, or packages that, is not to go on.
        self.announce_change();
        Ok(())
    }

    /// Videos whose deletion is to be finished, the longest deleted first, at most 100.
    pub async fn deleted_videos(&self) -> Result<Vec<VideoId>> {
        let deleted = Entity::find().filter(Column::DeletedAt.is_not_null());
        let rows = deleted.order_by_asc(Column::DeletedAt).limit(100).all(self.read()).await?;
        rows.iter().map(Model::id).collect()
    }

    /// Forgets a deleted video whose objects are gone; one that is forgotten already is fine.
    ///
    /// `false` means not yet: when it was deleted a worker held its lease, may not have noticed
    /// and still be writing. Delete its objects again and ask again, after a lease's length.
    ///
    /// # Errors
    ///
    /// `Conflict` when it is not deleted.
    pub async fn forget_video(&self, id: VideoId, now: Timestamp) -> Result<bool> {
        let transaction = self.begin().await?;
        let Some(row) = Entity::find_by_id(id.to_string()).one(&transaction).await? else {
            return Ok(true);
        };
        let Some(deleted_at) = row.deleted_at else {
            return Err(CatalogError::MovedOn { what: "video", id: row.id });
        };
        if jobs::may_be_running(&transaction, &row.id, now).await?
            || events::may_be_written(&transaction, &row.id, deleted_at, now).await?
        {
            return Ok(false);
        }
        delete_row(&transaction, &row.id).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

/// Changes what the owner says about a video; see [`Catalog::edit_video`].
pub(crate) async fn edit(
    connection: &impl ConnectionTrait,
    id: &str,
    edit: VideoEdit,
    now: Timestamp,
) -> Result<()> {
    let row = find(connection, id).await?;
    let (was_shared, old_tier) = (row.visibility()?.is_shared(), row.min_tier()?);
    let visibility = edit.visibility.map_or_else(|| row.visibility(), Ok)?;
    let min_tier = edit.min_tier.unwrap_or(old_tier);
    if (was_shared && !visibility.is_shared()) || min_tier > old_tier {
        revoke_all(connection, &row.id, now).await?;
    }
    let listed = visibility == Visibility::Public && row.state()?.plays().is_some();
    let change = ActiveModel {
        title: edit.title.map_or(NotSet, Set),
        description: edit.description.map_or(NotSet, Set),
        visibility: Set(visibility.as_str().to_owned()),
        min_tier: Set(number(min_tier.number())),
        updated_at: Set(now.as_millis()),
        published_at: first_listing(&row, listed, now),
        chapters: edit.chapters.map_or(NotSet, |chapters| Set(chapters_text(&chapters))),
        ..Default::default()
    };
    let update = Entity::update_many().set(change).filter(Column::Id.eq(&row.id));
    one_row(update.exec(connection).await?.rows_affected, "video", &row.id)
}

/// A video to begin.
#[derive(Debug)]
pub(crate) struct NewVideo<'a> {
    pub(crate) id: VideoId,
    pub(crate) owner: AccountId,
    pub(crate) title: &'a str,
    pub(crate) description: &'a str,
    pub(crate) filename: &'a str,
    pub(crate) size_bytes: u64,
    pub(crate) visibility: Visibility,
    pub(crate) min_tier: Tier,
    /// In which nothing plays.
    pub(crate) state: VideoState,
}

pub(crate) async fn insert(
    connection: &impl ConnectionTrait,
    new: &NewVideo<'_>,
    now: Timestamp,
) -> Result<()> {
    let row = ActiveModel {
        id: Set(new.id.to_string()),
        owner: Set(new.owner.to_string()),
        title: Set(new.title.to_owned()),
        description: Set(new.description.to_owned()),
        filename: Set(new.filename.to_owned()),
        size_bytes: Set(number(new.size_bytes)),
        visibility: Set(new.visibility.as_str().to_owned()),
        min_tier: Set(number(new.min_tier.number())),
        state: Set(new.state.as_str().to_owned()),
        state_at: Set(now.as_millis()),
        priority: Set(0),
        progress_percent: Set(0),
        created_at: Set(now.as_millis()),
        updated_at: Set(now.as_millis()),
        ..Default::default()
    };
    Entity::insert(row).exec_without_returning(connection).await?;
    Ok(())
}

/// Brings a video from the state in which `row` was read into `next`, or fails with `Conflict`.
pub(crate) async fn change_state(
    connection: &impl ConnectionTrait,
    row: &Model,
    next: VideoState,
    now: Timestamp,
) -> Result<()> {
    let mut change = ActiveModel {
        state: Set(next.as_str().to_owned()),
        updated_at: Set(now.as_millis()),
        eta_s: Set(None),
        speed_ms_per_s: Set(None),
        ..Default::default()
    };
    match next {
        VideoState::Uploading => {}
        VideoState::Queued { since } => {
            change.state_at = Set(since.as_millis());
            change.failure = Set(None);
            change.progress_at = Set(None);
        }
        VideoState::Packaging { since, plays } => {
            change.state_at = Set(since.as_millis());
            change.version = Set(plays.map(|version| version.to_string()));
            if plays.is_some() {
                change.published_at = first_listing(row, row.visibility()? == Visibility::Public, now);
            }
            // What was told of the work stays true.
            (change.eta_s, change.speed_ms_per_s) = (NotSet, NotSet);
        }
        VideoState::Ready { version, at } => {
            change.state_at = Set(at.as_millis());
            change.version = Set(Some(version.to_string()));
            change.progress_percent = Set(100);
            change.published_at = first_listing(row, row.visibility()? == Visibility::Public, at);
        }
        VideoState::Event { since, plays } => {
            change.state_at = Set(since.as_millis());
            change.version = Set(plays.map(|version| version.to_string()));
            if plays.is_some() {
                change.published_at = first_listing(row, row.visibility()? == Visibility::Public, now);
            }
        }
        VideoState::Ended { at } => {
            change.state_at = Set(at.as_millis());
            change.version = Set(None);
        }
        VideoState::Failed { reason, at } => {
            change.state_at = Set(at.as_millis());
            change.failure = Set(Some(reason.as_str().to_owned()));
            change.version = Set(None);
            // Another try begins from the beginning; a crash or a pause does not go back.
            change.progress_percent = Set(0);
        }
    }
    let update = Entity::update_many().set(change).filter(of_state(&row.id, &row.state));
    one_row(update.exec(connection).await?.rows_affected, "video", &row.id)
}

/// Keeps those chapters of a video that are in these stretches of it, each where it is then.
pub(crate) async fn cut_chapters(
    connection: &impl ConnectionTrait,
    row: &Model,
    stretches: &[Range<u64>],
) -> Result<()> {
    if row.chapters.is_none() {
        return Ok(());
    }
    let left = Chapter::within(row.chapters()?, stretches);
    let change = ActiveModel { chapters: Set(chapters_text(&left)), ..Default::default() };
    Entity::update_many().set(change).filter(Column::Id.eq(&row.id)).exec(connection).await?;
    Ok(())
}

/// Gives a video the chapters back that it had.
pub(crate) async fn restore_chapters(
    connection: &impl ConnectionTrait,
    id: &str,
    chapters: Option<String>,
) -> Result<()> {
    let change = ActiveModel { chapters: Set(chapters), ..Default::default() };
    Entity::update_many().set(change).filter(Column::Id.eq(id)).exec(connection).await?;
    Ok(())
}

fn chapters_text(chapters: &[Chapter]) -> Option<String> {
    (!chapters.is_empty()).then(|| serde_json::to_string(chapters).expect("a chapter has a JSON form"))
}

/// Records how far a video's packaging is; a lower percentage than the one shown is not shown.
pub(crate) async fn record_progress(
    connection: &impl ConnectionTrait,
    id: &str,
    progress: Progress,
    now: Timestamp,
) -> Result<()> {
    let percent = number(progress.percent.min(100));
    let speed = progress.speed.map(|speed| number((speed * 1000.0).round() as u32));
    let change = ActiveModel {
        eta_s: Set(progress.eta_s.map(number)),
        speed_ms_per_s: Set(speed),
        progress_at: Set(Some(now.as_millis())),
        ..Default::default()
    };
    let packaging = of_state(id, "packaging");
    Entity::update_many().set(change).filter(packaging.clone()).exec(connection).await?;
    let further = ActiveModel { progress_percent: Set(percent), ..Default::default() };
    let update = Entity::update_many().set(further).filter(packaging);
    update.filter(Column::ProgressPercent.lt(percent)).exec(connection).await?;
    Ok(())
}

pub(crate) async fn set_priority(
    connection: &impl ConnectionTrait,
    id: &str,
    priority: i64,
    now: Timestamp,
) -> Result<()> {
    let change =
        ActiveModel { priority: Set(priority), updated_at: Set(now.as_millis()), ..Default::default() };
    let update = Entity::update_many().set(change).filter(Column::Id.eq(id));
    let changed = update.filter(Column::DeletedAt.is_null()).exec(connection).await?.rows_affected;
    if changed == 0 {
        return Err(CatalogError::Absent { what: "video", id: id.to_owned() });
    }
    Ok(())
}

/// Removes the row and everything that refers to it; revocations stay.
pub(crate) async fn delete_row(connection: &impl ConnectionTrait, id: &str) -> Result<()> {
    uploads::delete_of_video(connection, id).await?;
    jobs::delete_of_video(connection, id).await?;
    growing::delete_of_video(connection, id).await?;
    events::delete_of_video(connection, id).await?;
    trims::delete_of_video(connection, id).await?;
    versions::delete_of_video(connection, id).await?;
    Entity::delete_by_id(id.to_owned()).exec(connection).await?;
    Ok(())
}

/// Makes void all grants for any version of a video.
async fn revoke_all(connection: &impl ConnectionTrait, video: &str, now: Timestamp) -> Result<()> {
    let published = versions::of_video(connection, video).await?.into_iter().map(|version| version.id);
    let growing = growing::of_video(connection, video).await?.into_iter().map(|growing| growing.version);
    // The live version is the one that is published later.
    let live = events::versions(connection, &[video]).await?.into_values().map(|version| version.to_string());
    let versions: BTreeSet<String> = published.chain(growing).chain(live).collect();
    revocations::revoke(connection, versions, now).await
}

fn first_listing(row: &Model, listed: bool, now: Timestamp) -> sea_orm::ActiveValue<Option<i64>> {
    if listed && row.published_at.is_none() { Set(Some(now.as_millis())) } else { NotSet }
}
