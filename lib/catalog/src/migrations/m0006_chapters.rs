use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

/// What the places in a film are called.
pub(crate) struct Chapters;

impl MigrationName for Chapters {
    fn name(&self) -> &str {
        "m0006_chapters"
    }
}

const CHANGES: &[&str] = &[
    // Most videos have none.
    "ALTER TABLE videos ADD COLUMN chapters TEXT",
];

#[async_trait::async_trait]
impl MigrationTrait for Chapters {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::run(manager, CHANGES).await
    }
}
