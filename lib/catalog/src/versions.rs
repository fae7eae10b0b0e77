use std::collections::HashMap;

use model::{Timestamp, VersionId, VideoId};
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;

use crate::convert::{Row, number};
use crate::error::Result;
use crate::{RenditionSummary, renditions};

/// A packaging whose objects are all in storage, its index last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVersion {
    /// Its id, part of all its objects' keys.
    pub version: VersionId,
    /// Length of the film in milliseconds.
    pub duration_ms: u64,
    /// Its renditions, in the order in which lists shall show them.
    pub renditions: Vec<RenditionSummary>,
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
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

pub(crate) async fn insert(
    connection: &impl ConnectionTrait,
    video: VideoId,
    attempt: i32,
    new: &NewVersion,
    now: Timestamp,
) -> Result<()> {
    let row = ActiveModel {
        id: Set(new.version.to_string()),
        video: Set(video.to_string()),
        attempt: Set(number(attempt)),
        duration_ms: Set(number(new.duration_ms)),
        published_at: Set(now.as_millis()),
    };
    Entity::insert(row).exec_without_returning(connection).await?;
    renditions::insert(connection, new.version, &new.renditions).await
}

pub(crate) async fn of_video(connection: &impl ConnectionTrait, video: &str) -> Result<Vec<Model>> {
    Ok(Entity::find().filter(Column::Video.eq(video)).all(connection).await?)
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

pub(crate) async fn delete_of_video(connection: &impl ConnectionTrait, video: &str) -> Result<()> {
    for version in of_video(connection, video).await? {
        let of_version = renditions::Column::Version.eq(version.id);
        renditions::Entity::delete_many().filter(of_version).exec(connection).await?;
    }
    Entity::delete_many().filter(Column::Video.eq(video)).exec(connection).await?;
    Ok(())
}
