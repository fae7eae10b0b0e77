use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

/// Videos that were taken out of an event.
pub(crate) struct Clips;

impl MigrationName for Clips {
    fn name(&self) -> &str {
        "m0008_clips"
    }
}

const CHANGES: &[&str] = &[
    // The event that a clip is of; it may be gone.
    "ALTER TABLE videos ADD COLUMN clip_of TEXT",
];

#[async_trait::async_trait]
impl MigrationTrait for Clips {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::run(manager, CHANGES).await
    }
}
