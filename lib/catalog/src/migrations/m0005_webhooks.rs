use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

/// Where owners want to be told of their events, and what they are still to be told.
pub(crate) struct Webhooks;

impl MigrationName for Webhooks {
    fn name(&self) -> &str {
        "m0005_webhooks"
    }
}

const CHANGES: &[&str] = &[
    "CREATE TABLE webhooks (
        owner TEXT NOT NULL PRIMARY KEY,
        url TEXT NOT NULL,
        secret TEXT NOT NULL,
        updated_at BIGINT NOT NULL
    )",
    "CREATE TABLE announcements (
        video TEXT NOT NULL,
        word TEXT NOT NULL,
        owner TEXT NOT NULL,
        title TEXT NOT NULL,
        happened_at BIGINT NOT NULL,
        tries BIGINT NOT NULL,
        due_at BIGINT NOT NULL,
        PRIMARY KEY (video, word)
    )",
    "CREATE INDEX announcements_due ON announcements (due_at)",
];

#[async_trait::async_trait]
impl MigrationTrait for Webhooks {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::run(manager, CHANGES).await
    }
}
