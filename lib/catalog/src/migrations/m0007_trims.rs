use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

/// Versions that are a stretch of another one.
pub(crate) struct Trims;

impl MigrationName for Trims {
    fn name(&self) -> &str {
        "m0007_trims"
    }
}

const CHANGES: &[&str] = &[
    "CREATE TABLE trims (
        version TEXT NOT NULL PRIMARY KEY,
        video TEXT NOT NULL REFERENCES videos (id),
        from_version TEXT NOT NULL,
        from_ms BIGINT NOT NULL,
        to_ms BIGINT NOT NULL,
        chapters TEXT
    )",
    "CREATE INDEX trims_of_video ON trims (video)",
];

#[async_trait::async_trait]
impl MigrationTrait for Trims {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::run(manager, CHANGES).await
    }
}
