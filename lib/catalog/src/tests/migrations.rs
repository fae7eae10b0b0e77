use database::{Database, on_both_engines};
use model::VideoState;
use sea_orm::sea_query::{Alias, IntoIden};
use sea_orm::{ConnectionTrait, DynIden};
use sea_orm_migration::{MigrationTrait, MigratorTrait};

use super::*;
use crate::Work;

/// The schema as the first release had it.
struct First;

impl MigratorTrait for First {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        crate::migrations::Migrations::migrations().into_iter().take(1).collect()
    }

    fn migration_table_name() -> DynIden {
        Alias::new("catalog_migrations").into_iden()
    }
}

/// A row of a video as the first release wrote it.
fn video(n: u128, state: &str, version: &str) -> String {
    format!(
        "INSERT INTO videos (id, owner, title, description, filename, size_bytes, visibility, min_tier, state,
         state_at, attempt, version, progress_percent, created_at, updated_at, published_at)
         VALUES ('{}', '{OWNER}', 't', '', 'f', 5, 'public', 0, '{state}', 7, 1, {version}, 50, 7, 7, 7)",
        video_id(n)
    )
}

fn job(n: u128, state: &str, worker: &str) -> String {
    format!(
        "INSERT INTO jobs (id, video, kind, state, attempt, crashes, worker, due_at, created_at, updated_at)
         VALUES ('{}', '{}', 'package', '{state}', 1, 1, {worker}, 8, 7, 7)",
        upload_id(n),
        video_id(n)
    )
}

async fn first_release(database: &Database) {
    database::migrate::<First>(database).await.unwrap();
    let rows = database.begin_write().await.unwrap();
    let version = super::version(1).version;
    for statement in [
        video(1, "ready", &format!("'{version}'")),
        format!("INSERT INTO versions VALUES ('{version}', '{}', 1, 61234, 7)", video_id(1)),
        format!("INSERT INTO renditions VALUES ('{version}', '144p', 0, 256, 144, 90000, 70000, 5)"),
        job(1, "done", "NULL"),
        video(2, "queued", "NULL"),
        job(2, "queued", "NULL"),
        video(3, "packaging", "NULL"),
        job(3, "running", "'somebody'"),
    ] {
        rows.execute_unprepared(&statement).await.unwrap();
    }
    rows.commit().await.unwrap();
}

on_both_engines! {
    async fn what_the_first_release_left_plays_and_is_packaged(test: &TestDatabase) {
        first_release(&test.open().await).await;
        let catalog = open(test).await;
        let ready = catalog.video(video_id(1)).await.unwrap().unwrap();
        assert_eq!(ready.state, VideoState::Ready { version: version(1).version, at: Timestamp::from_millis(7) });
        assert_eq!((ready.duration_ms, ready.renditions.len()), (Some(61_234), 1));
        assert_eq!(catalog.public_videos(&crate::Page::default()).await.unwrap().items, [ready]);
        let queued = claim(&catalog, NOW).await.unwrap();
        assert_eq!((queued.video, queued.work.clone(), queued.attempt), (video_id(2), Work::Plan, 2));
        let interrupted = claim(&catalog, NOW).await.unwrap();
        assert_eq!((interrupted.video, interrupted.crashes, interrupted.started), (video_id(3), 2, None));
        assert_eq!(claim(&catalog, NOW).await, None);
        for (n, job) in [(2, queued), (3, interrupted)] {
            catalog.start_version(job.id, job.attempt, film::id(n), &film::plan(8), NOW).await.unwrap();
            catalog.announce(job.id, job.attempt, film::id(n), &film::inits(), NOW).await.unwrap();
            catalog.finish_job(job.id, job.attempt, NOW).await.unwrap();
        }
        for _ in 0..2 * (4 + 1) {
            film::carry_out(&catalog, &claim(&catalog, NOW).await.unwrap(), NOW).await;
        }
        for n in [2, 3] {
            assert_eq!(catalog.video(video_id(n)).await.unwrap().unwrap().version(), Some(film::id(n)));
        }
    }
}
