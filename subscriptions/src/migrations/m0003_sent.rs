use sea_orm::sea_query::{ColumnDef, Index, Table};
use sea_orm::{DbErr, DeriveIden};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait};

/// Bytes sent, and which reports of them were counted.
pub(crate) struct BytesSent;

impl MigrationName for BytesSent {
    fn name(&self) -> &str {
        "0003_sent"
    }
}

#[derive(DeriveIden)]
enum Sent {
    Table,
    Kind,
    Subject,
    Day,
    Bytes,
}

#[derive(DeriveIden)]
enum SentReports {
    Table,
    Sender,
    Number,
    At,
}

#[async_trait::async_trait]
impl MigrationTrait for BytesSent {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let sent = Table::create()
            .table(Sent::Table)
            .col(ColumnDef::new(Sent::Kind).text().not_null())
            .col(ColumnDef::new(Sent::Subject).text().not_null())
            .col(ColumnDef::new(Sent::Day).big_integer().not_null())
            .col(ColumnDef::new(Sent::Bytes).big_integer().not_null())
            .primary_key(Index::create().col(Sent::Kind).col(Sent::Subject).col(Sent::Day))
            .to_owned();
        manager.create_table(sent).await?;
        let by_day = Index::create().name("sent_day").table(Sent::Table).col(Sent::Day).to_owned();
        manager.create_index(by_day).await?;
        let reports = Table::create()
            .table(SentReports::Table)
            .col(ColumnDef::new(SentReports::Sender).text().not_null().primary_key())
            .col(ColumnDef::new(SentReports::Number).big_integer().not_null())
            .col(ColumnDef::new(SentReports::At).big_integer().not_null())
            .to_owned();
        manager.create_table(reports).await
    }
}
