//! Failed sign-ins, counted in rows so that neither a restart nor another process forgets them.

use model::Timestamp;
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{ExprTrait, OnConflict};

use crate::error::During;
use crate::throttle::{Failures, WINDOW};
use crate::{Result, Subscriptions, SubscriptionsError, Username};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "sign_in_failures")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) username: String,
    pub(crate) count: i32,
    pub(crate) last_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}

impl From<Model> for Failures {
    fn from(row: Model) -> Self {
        Self { count: row.count.unsigned_abs(), last: Timestamp::from_millis(row.last_at) }
    }
}

impl Subscriptions {
    /// Refuses a try that comes too soon after too many failures.
    pub(crate) async fn check_attempts(&self, username: &Username, now: Timestamp) -> Result<()> {
        let failures = failures(self.database.read(), username).await?;
        failures.wait(now).map_or(Ok(()), |wait| Err(SubscriptionsError::TooManyAttempts { wait }))
    }

    /// Counts a failure.
    pub(crate) async fn count_failure(&self, username: &Username, now: Timestamp) -> Result<()> {
        const COUNT: &str = "count failed sign-in";
        let transaction = self.database.begin_write().await.during(COUNT)?;
        let forgotten = (now - WINDOW).as_millis();
        Entity::delete_many().filter(Column::LastAt.lte(forgotten)).exec(&transaction).await.during(COUNT)?;
        let row = ActiveModel {
            username: Set(username.as_str().to_owned()),
            count: Set(1),
            last_at: Set(now.as_millis()),
        };
        // Added in the database: on PostgreSQL two that read first would both write the same sum.
        let one_more = Expr::col((Entity, Column::Count)).add(1);
        let replace = OnConflict::column(Column::Username)
            .value(Column::Count, one_more)
            .update_column(Column::LastAt)
            .to_owned();
        Entity::insert(row).on_conflict(replace).exec_without_returning(&transaction).await.during(COUNT)?;
        transaction.commit().await.during(COUNT)
    }
}

/// Forgets the failures of a name whose owner is here.
pub(crate) async fn forget(db: &impl ConnectionTrait, username: &str) -> Result<()> {
    Entity::delete_by_id(username.to_owned()).exec(db).await.during("forget failed sign-ins")?;
    Ok(())
}

async fn failures(db: &impl ConnectionTrait, username: &Username) -> Result<Failures> {
    let row =
        Entity::find_by_id(username.as_str().to_owned()).one(db).await.during("read failed sign-ins")?;
    Ok(row.map(Failures::from).unwrap_or_default())
}
