//! The schema, one file per change, numbered, forward-only.
//!
//! Statements are written once for both engines: ids and words are TEXT, every number and
//! moment is BIGINT (PostgreSQL refuses an `i64` for an INT4), no defaults, no NOW().

mod m0001_media;
mod m0002_growing;
mod m0003_reencode;
mod m0004_events;
mod m0005_webhooks;
mod m0006_chapters;
mod m0007_trims;
mod m0008_clips;
mod m0009_let_go;
mod m0010_formats;

use sea_orm::sea_query::{Alias, IntoIden};
use sea_orm::{ConnectionTrait, DbErr, DynIden};
use sea_orm_migration::{MigrationTrait, MigratorTrait, SchemaManager};

pub(crate) struct Migrations;

impl MigratorTrait for Migrations {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_media::Media),
            Box::new(m0002_growing::Growing),
            Box::new(m0003_reencode::Reencode),
            Box::new(m0004_events::Events),
            Box::new(m0005_webhooks::Webhooks),
            Box::new(m0006_chapters::Chapters),
            Box::new(m0007_trims::Trims),
            Box::new(m0008_clips::Clips),
            Box::new(m0009_let_go::LetGo),
            Box::new(m0010_formats::Formats),
        ]
    }

    fn migration_table_name() -> DynIden {
        Alias::new("catalog_migrations").into_iden()
    }
}

async fn run(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    for statement in statements {
        manager.get_connection().execute_unprepared(statement).await?;
    }
    Ok(())
}
