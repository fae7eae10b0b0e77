//! The initialisation segments that were announced.

use cmaf::Announced;
use model::VersionId;
use sea_orm::ActiveValue::Set;
use sea_orm::QueryOrder;
use sea_orm::entity::prelude::*;

use crate::CatalogError;
use crate::convert::{Row, number};
use crate::error::Result;

#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "growing_inits")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub version: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub rendition: String,
    pub codecs: String,
    pub timescale: i64,
    pub size_bytes: i64,
    pub hash: String,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<&Model> for Announced {
    type Error = CatalogError;

    fn try_from(model: &Model) -> Result<Self> {
        let row = Row { table: "growing_inits", id: &model.version };
        Ok(Self {
            rendition: row.word("rendition", &model.rendition)?,
            codecs: model.codecs.clone(),
            timescale: row.number("timescale", model.timescale)?,
            init_size: row.number("size_bytes", model.size_bytes)?,
            init_hash: row.word("hash", &model.hash)?,
        })
    }
}

pub(super) async fn of(connection: &impl ConnectionTrait, version: &str) -> Result<Vec<Announced>> {
    let rows = Entity::find().filter(Column::Version.eq(version)).order_by_asc(Column::Rendition);
    rows.all(connection).await?.iter().map(Announced::try_from).collect()
}

/// Adds those that are new; what was announced before must be the same.
pub(super) async fn add(
    connection: &impl ConnectionTrait,
    version: VersionId,
    inits: &[Announced],
) -> Result<()> {
    let version = version.to_string();
    let before = of(connection, &version).await?;
    let mut new = Vec::new();
    for init in inits {
        match before.iter().find(|before| before.rendition == init.rendition) {
            Some(before) if before == init => {}
            Some(_) => {
                return Err(CatalogError::OtherInit { version, rendition: init.rendition });
            }
            None => new.push(ActiveModel {
                version: Set(version.clone()),
                rendition: Set(init.rendition.to_string()),
                codecs: Set(init.codecs.clone()),
                timescale: Set(number(init.timescale)),
                size_bytes: Set(number(init.init_size)),
                hash: Set(init.init_hash.to_string()),
            }),
        }
    }
    if !new.is_empty() {
        Entity::insert_many(new).exec_without_returning(connection).await?;
    }
    Ok(())
}

pub(super) async fn delete(connection: &impl ConnectionTrait, version: &str) -> Result<()> {
    Entity::delete_many().filter(Column::Version.eq(version)).exec(connection).await?;
    Ok(())
}
