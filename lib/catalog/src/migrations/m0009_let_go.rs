use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

/// Why the last publisher of an event was let go.
pub(crate) struct LetGo;

impl MigrationName for LetGo {
    fn name(&self) -> &str {
        "m0009_let_go"
    }
}

const CHANGES: &[&str] = &["ALTER TABLE events ADD COLUMN let_go TEXT"];

#[async_trait::async_trait]
impl MigrationTrait for LetGo {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::run(manager, CHANGES).await
    }
}
