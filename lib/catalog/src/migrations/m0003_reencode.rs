use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

/// Versions that take the place of others.
pub(crate) struct Reencode;

impl MigrationName for Reencode {
    fn name(&self) -> &str {
        "m0003_reencode"
    }
}

const CHANGES: &[&str] = &[
    // Of a version that was published before, nobody knows it.
    "ALTER TABLE versions ADD COLUMN plan TEXT",
    "ALTER TABLE versions ADD COLUMN played_until BIGINT",
    "CREATE INDEX versions_replaced ON versions (played_until) WHERE played_until IS NOT NULL",
    "ALTER TABLE growing ADD COLUMN from_version TEXT",
    "ALTER TABLE growing ADD COLUMN anew TEXT",
];

#[async_trait::async_trait]
impl MigrationTrait for Reencode {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::run(manager, CHANGES).await
    }
}
