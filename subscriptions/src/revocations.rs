use std::time::Duration;

use model::{AccountId, Revocation, Revoked, SessionId, Timestamp};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::entity::prelude::*;
use sea_orm::{ExprTrait, QueryOrder};

use crate::error::During;
use crate::rows::RowName;
use crate::{Result, Subscriptions, SubscriptionsError};

/// How long a revocation is told to edges: longer than any grant lives, which is seven days.
pub(crate) const KEPT: Duration = Duration::from_secs(8 * 24 * 60 * 60);

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "account_revocations")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub(crate) number: i64,
    pub(crate) kind: String,
    pub(crate) subject: String,
    pub(crate) at: i64,
}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for Revocation {
    type Error = SubscriptionsError;

    fn try_from(row: Model) -> Result<Self> {
        let id = row.number.to_string();
        let name = RowName { table: "account_revocations", id: &id };
        let revoked = match row.kind.as_str() {
            "account" => Revoked::Account(name.word("subject", &row.subject)?),
            "session" => Revoked::Session(name.word("subject", &row.subject)?),
            _ => return Err(SubscriptionsError::Row { table: name.table, column: "kind", id }),
        };
        Ok(Self { number: row.number, revoked, at: Timestamp::from_millis(row.at) })
    }
}

impl Subscriptions {
    /// Accounts and sessions whose grants are void, oldest first; as far back as a grant can live.
    pub async fn revocations(&self, now: Timestamp) -> Result<Vec<Revocation>> {
        let rows = Entity::find()
            .filter(Column::At.gt((now - KEPT).as_millis()))
            .order_by_asc(Column::Number)
            .all(self.database.read())
            .await
            .during("read revocations")?;
        rows.into_iter().map(Revocation::try_from).collect()
    }
}

pub(crate) async fn add_account(db: &impl ConnectionTrait, account: AccountId, at: Timestamp) -> Result<()> {
    add(db, "account", account.to_string(), at).await
}

pub(crate) async fn add_session(db: &impl ConnectionTrait, session: SessionId, at: Timestamp) -> Result<()> {
    add(db, "session", session.to_string(), at).await
}

async fn add(db: &impl ConnectionTrait, kind: &str, subject: String, at: Timestamp) -> Result<()> {
    let forgotten = (at - KEPT).as_millis();
    // What is revoked again is void up to the later moment: one row for each thing is enough.
    let earlier = Column::Kind.eq(kind).and(Column::Subject.eq(&subject));
    Entity::delete_many()
        .filter(Column::At.lte(forgotten).or(earlier))
        .exec(db)
        .await
        .during("forget old revocations")?;
    let row = ActiveModel {
        number: NotSet,
        kind: Set(kind.to_owned()),
        subject: Set(subject),
        at: Set(at.as_millis()),
    };
    Entity::insert(row).exec(db).await.during("add revocation")?;
    Ok(())
}
