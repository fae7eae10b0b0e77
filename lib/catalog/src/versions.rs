use std::collections::HashMap;
use std::ops::Range;

use model::cell::EncodePlan;
use model::{Grant, Timestamp, VersionId, VideoId};
use sea_orm::ActiveValue::Set;
use sea_orm::QueryOrder;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::ExprTrait;

use crate::convert::{Row, moment, number};
use crate::error::{Result, one_row};
use crate::{CatalogError, RenditionSummary, renditions};

/// A packaging whose objects are all in storage, its index last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVersion {
    /// Its id, part of all its objects' keys.
    pub version: VersionId,
    /// Length of the film in milliseconds.
    pub duration_ms: u64,
    /// Its renditions, in the order in which lists shall show them.
    pub renditions: Vec<RenditionSummary>,
    /// Where it is not all of the broadcast: the stretches of it that it is made of, in order, in
    /// milliseconds. Chapters go with what they name; those that lie behind its end are gone anyway.
    pub stretches: Option<Vec<Range<u64>>>,
}

#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "versions")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub video: String,
    pub attempt: i64,
    pub duration_ms: i64,
    pub published_at: i64,
    /// The [`EncodePlan`] as JSON; absent where an earlier release published it.
    pub plan: Option<String>,
    /// When the last grant for it ends; absent while it is the current one.
    pub played_until: Option<i64>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

pub(crate) async fn insert(
    connection: &impl ConnectionTrait,
    video: VideoId,
    attempt: i32,
    new: &NewVersion,
    plan: Option<String>,
    now: Timestamp,
) -> Result<()> {
    let row = ActiveModel {
        id: Set(new.version.to_string()),
        video: Set(video.to_string()),
        attempt: Set(number(attempt)),
        duration_ms: Set(number(new.duration_ms)),
        published_at: Set(now.as_millis()),
        plan: Set(plan),
        played_until: Set(None),
    };
    Entity::insert(row).exec_without_returning(connection).await?;
    renditions::insert(connection, new.version, &new.renditions).await
}

pub(crate) async fn of_video(connection: &impl ConnectionTrait, video: &str) -> Result<Vec<Model>> {
    Ok(Entity::find().filter(Column::Video.eq(video)).all(connection).await?)
}

/// How a version was planned, where that is known and this release can read it.
pub(crate) async fn plan_of(
    connection: &impl ConnectionTrait,
    version: VersionId,
) -> Result<Option<EncodePlan>> {
    let row = Entity::find_by_id(version.to_string()).one(connection).await?;
    Ok(row.and_then(|row| serde_json::from_str(&row.plan?).ok()))
}

/// Another version takes the place of this one, which is kept while a grant for it may live.
pub(crate) async fn replace(
    connection: &impl ConnectionTrait,
    version: VersionId,
    now: Timestamp,
) -> Result<()> {
    let id = version.to_string();
    let row = Entity::find_by_id(id.clone()).one(connection).await?;
    let row = row.ok_or_else(|| CatalogError::Absent { what: "version", id: id.clone() })?;
    let duration_ms = Row { table: "versions", id: &id }.number("duration_ms", row.duration_ms)?;
    let until = now + Grant::longest_life(duration_ms);
    let change = ActiveModel { played_until: Set(Some(until.as_millis())), ..Default::default() };
    let current = Column::Id.eq(&id).and(Column::PlayedUntil.is_null());
    let replaced = Entity::update_many().set(change).filter(current).exec(connection).await?;
    one_row(replaced.rows_affected, "version", &id)
}

/// Lets an earlier version be the current one again, if it is kept; whether it is.
pub(crate) async fn restore(
    connection: &impl ConnectionTrait,
    version: VersionId,
    now: Timestamp,
) -> Result<bool> {
    let change = ActiveModel { played_until: Set(None), ..Default::default() };
    let kept = Column::Id.eq(version.to_string()).and(Column::PlayedUntil.gt(now.as_millis()));
    let restored = Entity::update_many().set(change).filter(kept).exec(connection).await?;
    Ok(restored.rows_affected == 1)
}

/// Earlier versions that nobody could have a grant for at `then`.
pub(crate) async fn outlived(connection: &impl ConnectionTrait, then: Timestamp) -> Result<Vec<Model>> {
    let outlived = Entity::find().filter(Column::PlayedUntil.lte(then.as_millis()));
    Ok(outlived.order_by_asc(Column::PlayedUntil).all(connection).await?)
}

/// Forgets an earlier version that nobody could have a grant for at `then`; whether it did.
pub(crate) async fn forget(
    connection: &impl ConnectionTrait,
    version: &str,
    then: Timestamp,
) -> Result<bool> {
    let outlived = Entity::find_by_id(version.to_owned()).filter(Column::PlayedUntil.lte(then.as_millis()));
    if outlived.one(connection).await?.is_none() {
        return Ok(false);
    }
    let of_version = renditions::Column::Version.eq(version);
    renditions::Entity::delete_many().filter(of_version).exec(connection).await?;
    Entity::delete_by_id(version.to_owned()).exec(connection).await?;
    Ok(true)
}

/// Lengths in milliseconds of these versions.
pub(crate) async fn durations(
    connection: &impl ConnectionTrait,
    ids: &[String],
) -> Result<HashMap<String, u64>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = Entity::find().filter(Column::Id.is_in(ids)).all(connection).await?;
    let duration = |row: Model| {
        let ms = Row { table: "versions", id: &row.id }.number("duration_ms", row.duration_ms)?;
        Ok((row.id, ms))
    };
    rows.into_iter().map(duration).collect()
}

/// Until when these versions can be watched, of those that are kept behind the one that plays.
pub(crate) async fn played_until(
    connection: &impl ConnectionTrait,
    ids: &[&str],
) -> Result<HashMap<String, Timestamp>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = Entity::find().filter(Column::Id.is_in(ids.iter().copied())).all(connection).await?;
    let until = |row: Model| Some((row.id, moment(row.played_until?)));
    Ok(rows.into_iter().filter_map(until).collect())
}

pub(crate) async fn delete_of_video(connection: &impl ConnectionTrait, video: &str) -> Result<()> {
    for version in of_video(connection, video).await? {
        let of_version = renditions::Column::Version.eq(version.id);
        renditions::Entity::delete_many().filter(of_version).exec(connection).await?;
    }
    Entity::delete_many().filter(Column::Video.eq(video)).exec(connection).await?;
    Ok(())
}
