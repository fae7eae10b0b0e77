//! The job of a trim.

use std::collections::HashSet;

use model::{Timestamp, VersionId};
use sea_orm::ActiveValue::Set;
use sea_orm::QuerySelect;
use sea_orm::entity::prelude::*;

use super::parts::id_of;
use super::{ActiveModel, Column, Entity, Kind, Rank, blank, open};
use crate::error::Result;
use crate::videos;

/// Queues the making of a version that is a stretch of another.
pub(crate) async fn enqueue_trim(
    connection: &impl ConnectionTrait,
    version: VersionId,
    video: &videos::Model,
    now: Timestamp,
) -> Result<()> {
    let job = blank(id_of(version, Kind::Trim, ""), &video.id, Kind::Trim, video.priority, now);
    let job = ActiveModel { version: Set(Some(version.to_string())), rank: Set(Rank::Rest as i64), ..job };
    Entity::insert(job).exec_without_returning(connection).await?;
    Ok(())
}

/// Whether a video is being trimmed.
pub(crate) async fn is_trimmed(connection: &impl ConnectionTrait, video: &str) -> Result<bool> {
    Ok(trims().filter(Column::Video.eq(video)).count(connection).await? > 0)
}

/// The versions that are still to be made so of these videos.
pub(crate) async fn trimmed_into(
    connection: &impl ConnectionTrait,
    videos: &[&str],
) -> Result<HashSet<String>> {
    let versions = trims().filter(Column::Video.is_in(videos.iter().copied()));
    let versions: Vec<Option<String>> =
        versions.select_only().column(Column::Version).into_tuple().all(connection).await?;
    Ok(versions.into_iter().flatten().collect())
}

fn trims() -> Select<Entity> {
    Entity::find().filter(open()).filter(Column::Kind.eq(Kind::Trim.as_str()))
}
