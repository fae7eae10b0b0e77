use model::TierRights as Rights;
use sea_orm::sea_query::{ColumnDef, Expr, ExprTrait, Query, Table};
use sea_orm::{DbErr, DeriveIden};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait};

/// What a creator of each tier may broadcast.
pub(crate) struct PublishRights;

impl MigrationName for PublishRights {
    fn name(&self) -> &str {
        "0004_publish"
    }
}

#[derive(DeriveIden)]
enum TierRights {
    Table,
    Tier,
    PublishKbps,
    PublishShortSide,
    PublishS,
}

#[async_trait::async_trait]
impl MigrationTrait for PublishRights {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // One at a time: SQLite adds no more.
        for column in [
            ColumnDef::new(TierRights::PublishKbps).big_integer().not_null().default(0).to_owned(),
            ColumnDef::new(TierRights::PublishShortSide).integer().not_null().default(0).to_owned(),
            ColumnDef::new(TierRights::PublishS).big_integer().not_null().default(0).to_owned(),
        ] {
            let mut table = Table::alter();
            manager.alter_table(table.table(TierRights::Table).add_column(column).to_owned()).await?;
        }
        for rights in Rights::DEFAULTS {
            let update = Query::update()
                .table(TierRights::Table)
                .value(TierRights::PublishKbps, i64::from(rights.publish.bitrate_kbps))
                .value(TierRights::PublishShortSide, i32::from(rights.publish.short_side))
                .value(TierRights::PublishS, i64::from(rights.publish.duration_s))
                .and_where(Expr::col(TierRights::Tier).eq(i32::from(rights.tier.number())))
                .to_owned();
            manager.execute(update).await?;
        }
        Ok(())
    }
}
