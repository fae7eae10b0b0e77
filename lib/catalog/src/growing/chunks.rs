//! The chunks that were committed.

use std::collections::HashMap;

use cmaf::ChunkRef;
use model::{RenditionName, VersionId};
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::{QueryOrder, QuerySelect};

use crate::convert::{Row, number};
use crate::error::Result;

#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "growing_chunks")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub version: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub rendition: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub first_segment: i64,
    pub end_segment: i64,
    pub size_bytes: i64,
    pub hash: String,
    /// The [`ChunkRef`] as JSON.
    pub chunk: String,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    pub(crate) fn row(&self) -> Row<'_> {
        Row { table: "growing_chunks", id: &self.version }
    }

    fn read(&self) -> Result<(RenditionName, ChunkRef)> {
        let row = self.row();
        let chunk = serde_json::from_str(&self.chunk).map_err(|_| row.unreadable("chunk"))?;
        Ok((row.word("rendition", &self.rendition)?, chunk))
    }
}

/// All chunks of a version.
pub(super) async fn of(
    connection: &impl ConnectionTrait,
    version: &str,
) -> Result<Vec<(RenditionName, ChunkRef)>> {
    let rows = Entity::find().filter(Column::Version.eq(version));
    let rows = rows.order_by_asc(Column::Rendition).order_by_asc(Column::FirstSegment);
    rows.all(connection).await?.iter().map(Model::read).collect()
}

/// The chunks with which its renditions begin.
pub(super) async fn first(
    connection: &impl ConnectionTrait,
    version: &str,
) -> Result<Vec<(RenditionName, ChunkRef)>> {
    let rows = Entity::find().filter(Column::Version.eq(version)).filter(Column::FirstSegment.eq(0));
    rows.all(connection).await?.iter().map(Model::read).collect()
}

/// How many segments of each rendition there are, and their bytes.
pub(super) async fn made(
    connection: &impl ConnectionTrait,
    version: &str,
) -> Result<HashMap<RenditionName, (u32, u64)>> {
    let query = Entity::find().select_only().filter(Column::Version.eq(version));
    let query = query
        .column(Column::Rendition)
        .column(Column::FirstSegment)
        .column(Column::EndSegment)
        .column(Column::SizeBytes);
    let rows: Vec<(String, i64, i64, i64)> = query.into_tuple().all(connection).await?;
    let row = Row { table: "growing_chunks", id: version };
    let mut made = HashMap::<RenditionName, (u32, u64)>::new();
    for (rendition, first, end, size_bytes) in rows {
        let (segments, bytes) = made.entry(row.word("rendition", &rendition)?).or_default();
        *segments += row.number::<u32>("end_segment", end - first)?;
        *bytes += row.number::<u64>("size_bytes", size_bytes)?;
    }
    Ok(made)
}

/// Adds those whose place is free; what was there first stays.
pub(super) async fn add(
    connection: &impl ConnectionTrait,
    version: VersionId,
    chunks: &[(RenditionName, ChunkRef)],
) -> Result<()> {
    for (rendition, chunk) in chunks {
        let key = (version.to_string(), rendition.to_string(), i64::from(chunk.number));
        if Entity::find_by_id(key).one(connection).await?.is_some() {
            continue;
        }
        let row = ActiveModel {
            version: Set(version.to_string()),
            rendition: Set(rendition.to_string()),
            first_segment: Set(chunk.number.into()),
            end_segment: Set(i64::from(chunk.number) + number(chunk.segments.len())),
            size_bytes: Set(number(chunk.size_bytes)),
            hash: Set(chunk.hash.to_string()),
            chunk: Set(serde_json::to_string(chunk).expect("every field of a chunk has a JSON form")),
        };
        Entity::insert(row).exec_without_returning(connection).await?;
    }
    Ok(())
}

/// Whether exactly these chunks are there.
pub(super) async fn are_there(
    connection: &impl ConnectionTrait,
    version: VersionId,
    chunks: &[(RenditionName, ChunkRef)],
) -> Result<bool> {
    for (rendition, chunk) in chunks {
        let key = (version.to_string(), rendition.to_string(), i64::from(chunk.number));
        let row = Entity::find_by_id(key).one(connection).await?;
        let is_there = row.is_some_and(|row| row.hash == chunk.hash.to_string());
        if !is_there {
            return Ok(false);
        }
    }
    Ok(true)
}

pub(super) async fn delete(connection: &impl ConnectionTrait, version: &str) -> Result<()> {
    Entity::delete_many().filter(Column::Version.eq(version)).exec(connection).await?;
    Ok(())
}
