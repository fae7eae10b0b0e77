use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

/// Broadcasts, each of which is a video.
pub(crate) struct Events;

impl MigrationName for Events {
    fn name(&self) -> &str {
        "m0004_events"
    }
}

const CHANGES: &[&str] = &[
    "CREATE TABLE events (
        video TEXT NOT NULL PRIMARY KEY REFERENCES videos (id),
        owner TEXT NOT NULL,
        version TEXT NOT NULL UNIQUE,
        key_hash TEXT NOT NULL UNIQUE,
        state TEXT NOT NULL,
        starts_at BIGINT,
        began_at BIGINT,
        ended_at BIGINT,
        air TEXT,
        air_at BIGINT,
        dvr_s BIGINT NOT NULL,
        record BIGINT NOT NULL,
        generation BIGINT NOT NULL,
        heard_at BIGINT,
        takeovers TEXT NOT NULL,
        created_at BIGINT NOT NULL
    )",
    "CREATE INDEX events_of_owner ON events (owner)",
    "CREATE INDEX events_open ON events (state) WHERE state = 'scheduled' OR state = 'live'",
];

#[async_trait::async_trait]
impl MigrationTrait for Events {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::run(manager, CHANGES).await
    }
}
