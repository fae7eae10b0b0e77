use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

/// Renditions of several formats.
pub(crate) struct Formats;

impl MigrationName for Formats {
    fn name(&self) -> &str {
        "m0010_formats"
    }
}

const CHANGES: &[&str] = &[
    // What was published before has one.
    "ALTER TABLE renditions ADD COLUMN formats BIGINT NOT NULL DEFAULT 1",
];

#[async_trait::async_trait]
impl MigrationTrait for Formats {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::run(manager, CHANGES).await
    }
}
