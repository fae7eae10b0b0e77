use sea_orm::sea_query::{ColumnDef, Table};
use sea_orm::{DbErr, DeriveIden};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait};

/// Edges of their own, with the hash of what they show at the origin's door.
pub(crate) struct EnrolledEdges;

impl MigrationName for EnrolledEdges {
    fn name(&self) -> &str {
        "0002_edges"
    }
}

#[derive(DeriveIden)]
enum Edges {
    Table,
    Name,
    CredentialHash,
    EnrolledAt,
    ExpiresAt,
    RevokedAt,
}

#[async_trait::async_trait]
impl MigrationTrait for EnrolledEdges {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let edges = Table::create()
            .table(Edges::Table)
            .col(ColumnDef::new(Edges::Name).text().not_null().primary_key())
            .col(ColumnDef::new(Edges::CredentialHash).text().not_null().unique_key())
            .col(ColumnDef::new(Edges::EnrolledAt).big_integer().not_null())
            .col(ColumnDef::new(Edges::ExpiresAt).big_integer().not_null())
            .col(ColumnDef::new(Edges::RevokedAt).big_integer())
            .to_owned();
        manager.create_table(edges).await
    }
}
