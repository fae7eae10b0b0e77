use sea_orm::sea_query::{
    ColumnDef, Expr, ForeignKey, ForeignKeyAction, Index, IntoIden, Query, Table, TableCreateStatement,
};
use sea_orm::{DbErr, DeriveIden};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait};

/// Accounts, their sessions, what tiers may do, keys and revocations.
pub(crate) struct People;

impl MigrationName for People {
    fn name(&self) -> &str {
        "0001_people"
    }
}

#[derive(DeriveIden)]
enum Accounts {
    Table,
    Id,
    Username,
    PasswordHash,
    Role,
    Tier,
    EntitledUntil,
    DisabledAt,
    RevokedAt,
    CreatedAt,
}

#[derive(DeriveIden)]
enum Sessions {
    Table,
    Id,
    AccountId,
    TokenHash,
    CreatedAt,
    LastSeenAt,
    ExpiresAt,
}

#[derive(DeriveIden)]
enum SignInFailures {
    Table,
    Username,
    Count,
    LastAt,
}

#[derive(DeriveIden)]
enum TierRights {
    Table,
    Tier,
    GreatestHeight,
    Downloads,
    Ads,
    ConcurrentStreams,
    RewindS,
}

#[derive(DeriveIden)]
enum SigningKeys {
    Table,
    Id,
    PublicKey,
    PrivateKey,
    State,
    Since,
}

#[derive(DeriveIden)]
enum AccountRevocations {
    Table,
    Number,
    Kind,
    Subject,
    At,
}

#[async_trait::async_trait]
impl MigrationTrait for People {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [accounts(), sessions(), failures(), rights(), keys(), revocations()] {
            manager.create_table(table).await?;
        }
        for (name, table, column) in [
            ("sessions_account_id", Sessions::Table.into_iden(), Sessions::AccountId.into_iden()),
            ("sessions_expires_at", Sessions::Table.into_iden(), Sessions::ExpiresAt.into_iden()),
            (
                "account_revocations_at",
                AccountRevocations::Table.into_iden(),
                AccountRevocations::At.into_iden(),
            ),
        ] {
            manager.create_index(Index::create().name(name).table(table).col(column).to_owned()).await?;
        }
        let mut insert = Query::insert();
        insert.into_table(TierRights::Table).columns([
            TierRights::Tier,
            TierRights::GreatestHeight,
            TierRights::Downloads,
            TierRights::Ads,
            TierRights::ConcurrentStreams,
            TierRights::RewindS,
        ]);
        for rights in model::TierRights::DEFAULTS {
            insert.values_panic([
                Expr::val(i32::from(rights.tier.number())),
                Expr::val(i32::from(rights.greatest_height)),
                Expr::val(rights.downloads),
                Expr::val(rights.ads),
                Expr::val(i32::from(rights.concurrent_streams)),
                Expr::val(i64::from(rights.rewind_s)),
            ]);
        }
        manager.execute(insert).await
    }
}

fn accounts() -> TableCreateStatement {
    Table::create()
        .table(Accounts::Table)
        .col(ColumnDef::new(Accounts::Id).text().not_null().primary_key())
        .col(ColumnDef::new(Accounts::Username).text().not_null().unique_key())
        .col(ColumnDef::new(Accounts::PasswordHash).text().not_null())
        .col(ColumnDef::new(Accounts::Role).text().not_null())
        .col(ColumnDef::new(Accounts::Tier).integer().not_null())
        .col(ColumnDef::new(Accounts::EntitledUntil).big_integer())
        .col(ColumnDef::new(Accounts::DisabledAt).big_integer())
        .col(ColumnDef::new(Accounts::RevokedAt).big_integer())
        .col(ColumnDef::new(Accounts::CreatedAt).big_integer().not_null())
        .to_owned()
}

fn sessions() -> TableCreateStatement {
    Table::create()
        .table(Sessions::Table)
        .col(ColumnDef::new(Sessions::Id).text().not_null().primary_key())
        .col(ColumnDef::new(Sessions::AccountId).text().not_null())
        .col(ColumnDef::new(Sessions::TokenHash).text().not_null().unique_key())
        .col(ColumnDef::new(Sessions::CreatedAt).big_integer().not_null())
        .col(ColumnDef::new(Sessions::LastSeenAt).big_integer().not_null())
        .col(ColumnDef::new(Sessions::ExpiresAt).big_integer().not_null())
        .foreign_key(
            ForeignKey::create()
                .from(Sessions::Table, Sessions::AccountId)
                .to(Accounts::Table, Accounts::Id)
                .on_delete(ForeignKeyAction::Cascade),
        )
        .to_owned()
}

/// By name and not by account: a name that nobody has is slowed down like any other.
fn failures() -> TableCreateStatement {
    Table::create()
        .table(SignInFailures::Table)
        .col(ColumnDef::new(SignInFailures::Username).text().not_null().primary_key())
        .col(ColumnDef::new(SignInFailures::Count).integer().not_null())
        .col(ColumnDef::new(SignInFailures::LastAt).big_integer().not_null())
        .to_owned()
}

fn rights() -> TableCreateStatement {
    Table::create()
        .table(TierRights::Table)
        .col(ColumnDef::new(TierRights::Tier).integer().not_null().primary_key())
        .col(ColumnDef::new(TierRights::GreatestHeight).integer().not_null())
        .col(ColumnDef::new(TierRights::Downloads).boolean().not_null())
        .col(ColumnDef::new(TierRights::Ads).boolean().not_null())
        .col(ColumnDef::new(TierRights::ConcurrentStreams).integer().not_null())
        .col(ColumnDef::new(TierRights::RewindS).big_integer().not_null())
        .to_owned()
}

fn keys() -> TableCreateStatement {
    Table::create()
        .table(SigningKeys::Table)
        .col(ColumnDef::new(SigningKeys::Id).text().not_null().primary_key())
        .col(ColumnDef::new(SigningKeys::PublicKey).text().not_null())
        .col(ColumnDef::new(SigningKeys::PrivateKey).text())
        .col(ColumnDef::new(SigningKeys::State).text().not_null())
        .col(ColumnDef::new(SigningKeys::Since).big_integer().not_null())
        .to_owned()
}

fn revocations() -> TableCreateStatement {
    Table::create()
        .table(AccountRevocations::Table)
        .col(
            ColumnDef::new(AccountRevocations::Number)
                .big_integer()
                .not_null()
                .auto_increment()
                .primary_key(),
        )
        .col(ColumnDef::new(AccountRevocations::Kind).text().not_null())
        .col(ColumnDef::new(AccountRevocations::Subject).text().not_null())
        .col(ColumnDef::new(AccountRevocations::At).big_integer().not_null())
        .to_owned()
}
