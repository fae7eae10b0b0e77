use model::{RenditionName, VersionId};
use sea_orm::entity::prelude::*;
use sea_orm::{ActiveValue::Set, QueryOrder};

use crate::convert::{Row, number};
use crate::error::Result;

/// What a list or a page says of one rendition; the version's index in storage says the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenditionSummary {
    /// Its name, which tells video from audio.
    pub name: RenditionName,
    /// Encoded width in pixels; `None` for sound.
    pub width: Option<u32>,
    /// Encoded height in pixels; `None` for sound.
    pub height: Option<u32>,
    /// Rate of its fastest segment in bit/s, without the sound that goes with it.
    pub bandwidth_bps: u64,
    /// Rate over its whole length in bit/s, without the sound that goes with it.
    pub average_bandwidth_bps: u64,
    /// Bytes of its chunks.
    pub size_bytes: u64,
    /// How many formats it has one behind the other, or of a picture the sound that goes with it, if that has
    /// more.
    pub formats: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "renditions")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub version: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    pub place: i64,
    pub width: Option<i64>,
    pub height: Option<i64>,
    pub bandwidth_bps: i64,
    pub average_bandwidth_bps: i64,
    pub size_bytes: i64,
    pub formats: i64,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<&Model> for RenditionSummary {
    type Error = crate::CatalogError;

    fn try_from(model: &Model) -> Result<Self> {
        let row = Row { table: "renditions", id: &model.version };
        Ok(Self {
            name: row.word("name", &model.name)?,
            width: row.optional_number("width", model.width)?,
            height: row.optional_number("height", model.height)?,
            bandwidth_bps: row.number("bandwidth_bps", model.bandwidth_bps)?,
            average_bandwidth_bps: row.number("average_bandwidth_bps", model.average_bandwidth_bps)?,
            size_bytes: row.number("size_bytes", model.size_bytes)?,
            formats: row.number("formats", model.formats)?,
        })
    }
}

pub(crate) async fn insert(
    connection: &impl ConnectionTrait,
    version: VersionId,
    renditions: &[RenditionSummary],
) -> Result<()> {
    if renditions.is_empty() {
        return Ok(());
    }
    let rows = renditions.iter().enumerate().map(|(place, rendition)| ActiveModel {
        version: Set(version.to_string()),
        name: Set(rendition.name.to_string()),
        place: Set(number(place)),
        width: Set(rendition.width.map(number)),
        height: Set(rendition.height.map(number)),
        bandwidth_bps: Set(number(rendition.bandwidth_bps)),
        average_bandwidth_bps: Set(number(rendition.average_bandwidth_bps)),
        size_bytes: Set(number(rendition.size_bytes)),
        formats: Set(number(rendition.formats)),
    });
    Entity::insert_many(rows).exec_without_returning(connection).await?;
    Ok(())
}

/// The renditions of these versions, each version's in the order in which they were given.
pub(crate) async fn of(connection: &impl ConnectionTrait, versions: &[String]) -> Result<Vec<Model>> {
    if versions.is_empty() {
        return Ok(Vec::new());
    }
    let rows = Entity::find().filter(Column::Version.is_in(versions)).order_by_asc(Column::Place);
    Ok(rows.all(connection).await?)
}
