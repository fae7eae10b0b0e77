//! The tables, one file per change, forward only.

mod m0001_people;
mod m0002_edges;
mod m0003_sent;
mod m0004_publish;

use sea_orm::DynIden;
use sea_orm::sea_query::{Alias, IntoIden};
use sea_orm_migration::{MigrationTrait, MigratorTrait, async_trait};

/// All changes, oldest first.
pub(crate) struct Migrations;

#[async_trait::async_trait]
impl MigratorTrait for Migrations {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_people::People),
            Box::new(m0002_edges::EnrolledEdges),
            Box::new(m0003_sent::BytesSent),
            Box::new(m0004_publish::PublishRights),
        ]
    }

    fn migration_table_name() -> DynIden {
        Alias::new("subscriptions_migrations").into_iden()
    }
}
