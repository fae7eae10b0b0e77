use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

/// Versions in the making, and the parts of the work on them.
pub(crate) struct Growing;

impl MigrationName for Growing {
    fn name(&self) -> &str {
        "m0002_growing"
    }
}

const CHANGES: &[&str] = &[
    // Made anew, since most of its columns have no value that an old row could have by itself.
    "CREATE TABLE jobs_anew (
        id TEXT NOT NULL PRIMARY KEY,
        video TEXT NOT NULL REFERENCES videos (id),
        version TEXT,
        kind TEXT NOT NULL,
        lane TEXT,
        first_segment BIGINT NOT NULL,
        end_segment BIGINT NOT NULL,
        state TEXT NOT NULL,
        attempt BIGINT NOT NULL,
        crashes BIGINT NOT NULL,
        rank BIGINT NOT NULL,
        priority BIGINT NOT NULL,
        turn_at BIGINT NOT NULL,
        wants BIGINT NOT NULL,
        wanted_until BIGINT,
        worker TEXT,
        due_at BIGINT NOT NULL,
        position_ms BIGINT NOT NULL,
        started_at BIGINT NOT NULL,
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL
    )",
    "INSERT INTO jobs_anew (id, video, version, kind, lane, first_segment, end_segment, state, attempt, crashes,
        rank, priority, turn_at, wants, wanted_until, worker, due_at, position_ms, started_at, created_at, updated_at)
        SELECT id, video, NULL, 'plan', NULL, 0, 0, state, attempt, crashes,
        0, 0, created_at, 0, NULL, worker, due_at, 0, updated_at, created_at, updated_at FROM jobs",
    "DROP TABLE jobs",
    "ALTER TABLE jobs_anew RENAME TO jobs",
    "CREATE INDEX jobs_of_video ON jobs (video)",
    "CREATE INDEX jobs_of_version ON jobs (version) WHERE version IS NOT NULL",
    "CREATE INDEX jobs_next ON jobs (rank, priority DESC, turn_at, first_segment, id) \
        WHERE state = 'queued' OR state = 'running'",
    "CREATE TABLE growing (
        version TEXT NOT NULL PRIMARY KEY,
        video TEXT NOT NULL REFERENCES videos (id),
        plan TEXT NOT NULL,
        revision BIGINT NOT NULL,
        missing_ms BIGINT NOT NULL,
        started_at BIGINT NOT NULL
    )",
    "CREATE INDEX growing_of_video ON growing (video)",
    "CREATE TABLE growing_inits (
        version TEXT NOT NULL REFERENCES growing (version),
        rendition TEXT NOT NULL,
        codecs TEXT NOT NULL,
        timescale BIGINT NOT NULL,
        size_bytes BIGINT NOT NULL,
        hash TEXT NOT NULL,
        PRIMARY KEY (version, rendition)
    )",
    "CREATE TABLE growing_chunks (
        version TEXT NOT NULL REFERENCES growing (version),
        rendition TEXT NOT NULL,
        first_segment BIGINT NOT NULL,
        end_segment BIGINT NOT NULL,
        size_bytes BIGINT NOT NULL,
        hash TEXT NOT NULL,
        chunk TEXT NOT NULL,
        PRIMARY KEY (version, rendition, first_segment)
    )",
    // Whether an attempt is the right one is its job's affair now.
    "ALTER TABLE videos DROP COLUMN attempt",
    "ALTER TABLE videos ADD COLUMN priority BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE videos ADD COLUMN speed_ms_per_s BIGINT",
    "ALTER TABLE videos ADD COLUMN progress_at BIGINT",
    // From now on a video has a version when one plays, be it whole or growing.
    "DROP INDEX videos_public",
    "CREATE INDEX videos_public ON videos (published_at, id) \
        WHERE visibility = 'public' AND version IS NOT NULL AND deleted_at IS NULL",
];

#[async_trait::async_trait]
impl MigrationTrait for Growing {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::run(manager, CHANGES).await
    }
}
