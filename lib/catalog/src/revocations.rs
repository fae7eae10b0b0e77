use std::time::Duration;

use model::{Revocation, Revoked, Timestamp};
use sea_orm::entity::prelude::*;
use sea_orm::{ActiveValue::NotSet, ActiveValue::Set, QueryOrder};

use crate::Catalog;
use crate::convert::{Row, moment};
use crate::error::Result;

/// Longer than any viewer's grant lives (a download's: 7 days), leeway and slow clocks included.
const KEPT: Duration = Duration::from_secs(8 * 24 * 3600);

#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "revocations")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub number: i64,
    pub version: String,
    pub at: i64,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Catalog {
    /// The withdrawn versions of which grants may still be alive, oldest first.
    pub async fn revocations(&self, now: Timestamp) -> Result<Vec<Revocation>> {
        let alive = Column::At.gt((now - KEPT).as_millis());
        let rows = Entity::find().filter(alive).order_by_asc(Column::Number).all(self.read()).await?;
        rows.iter()
            .map(|model| {
                let number = model.number.to_string();
                let row = Row { table: "revocations", id: &number };
                let revoked = Revoked::Version(row.word("version", &model.version)?);
                Ok(Revocation { number: model.number, revoked, at: moment(model.at) })
            })
            .collect()
    }
}

/// Makes void all grants for `versions` issued up to `now`, and forgets what is too old to matter.
pub(crate) async fn revoke(
    connection: &impl ConnectionTrait,
    versions: impl IntoIterator<Item = String>,
    now: Timestamp,
) -> Result<()> {
    Entity::delete_many().filter(Column::At.lte((now - KEPT).as_millis())).exec(connection).await?;
    let mut rows = versions
        .into_iter()
        .map(|version| ActiveModel { number: NotSet, version: Set(version), at: Set(now.as_millis()) })
        .peekable();
    if rows.peek().is_some() {
        Entity::insert_many(rows).exec_without_returning(connection).await?;
    }
    Ok(())
}
