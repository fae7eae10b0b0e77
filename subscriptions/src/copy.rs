use sea_orm::entity::prelude::*;
use sea_orm::{
    DatabaseTransaction, FromQueryResult, IntoActiveModel, IsolationLevel, Iterable, PaginatorTrait,
    PrimaryKeyToColumn, QueryOrder, Statement, TransactionOptions, TransactionTrait,
};

use database::Engine;

use crate::error::During;
use crate::{
    Result, Subscriptions, SubscriptionsError, accounts, attempts, edges, keys, revocations, sent, sessions,
    tiers,
};

/// Rows in one insertion; nine columns each stay far below both engines' limits on values.
const BATCH: u64 = 500;
const COPY: &str = "copy people";

impl Subscriptions {
    /// Copies every row to `target`, which may be of the other engine. It has no accounts yet; its
    /// own keys and rights are replaced. All of it arrives or nothing.
    ///
    /// # Errors
    ///
    /// `Conflict` when the target has accounts.
    pub async fn copy_to(&self, target: &Self) -> Result<()> {
        if !target.has_no_accounts().await? {
            return Err(SubscriptionsError::TargetNotEmpty);
        }
        // One snapshot, also where others go on writing; SQLite's readers always have one.
        let isolation_level =
            (self.database.engine() == Engine::Postgres).then_some(IsolationLevel::RepeatableRead);
        let snapshot = TransactionOptions { isolation_level, ..TransactionOptions::default() };
        let from = self.database.read().begin_with_options(snapshot).await.during(COPY)?;
        let to = target.database.begin_write().await.during(COPY)?;
        copy::<accounts::Entity>(&from, &to).await?;
        copy::<sessions::Entity>(&from, &to).await?;
        copy::<attempts::Entity>(&from, &to).await?;
        copy::<tiers::Entity>(&from, &to).await?;
        copy::<keys::Entity>(&from, &to).await?;
        copy::<edges::Entity>(&from, &to).await?;
        copy::<sent::Entity>(&from, &to).await?;
        copy::<sent::reports::Entity>(&from, &to).await?;
        copy::<revocations::Entity>(&from, &to).await?;
        if target.database.engine() == Engine::Postgres {
            // Its counter does not see numbers that were given by hand; SQLite's does.
            let go_on = "SELECT setval(pg_get_serial_sequence('account_revocations', 'number'), \
                         (SELECT coalesce(max(number), 0) + 1 FROM account_revocations), false)";
            to.query_one_raw(Statement::from_string(to.get_database_backend(), go_on)).await.during(COPY)?;
        }
        to.commit().await.during(COPY)?;
        from.rollback().await.during(COPY)
    }
}

/// Replaces the rows of one table, page by page in the order of its key.
async fn copy<E>(from: &DatabaseTransaction, to: &DatabaseTransaction) -> Result<()>
where
    E: EntityTrait,
    E::Model: FromQueryResult + IntoActiveModel<E::ActiveModel> + Send + Sync,
    E::ActiveModel: ActiveModelTrait<Entity = E> + Send,
{
    E::delete_many().exec(to).await.during(COPY)?;
    let keys = E::PrimaryKey::iter().map(PrimaryKeyToColumn::into_column);
    let ordered = keys.fold(E::find(), |rows, key| rows.order_by_asc(key));
    let mut pages = ordered.paginate(from, BATCH);
    while let Some(rows) = pages.fetch_and_next().await.during(COPY)? {
        if rows.is_empty() {
            continue;
        }
        // A row as it is read is marked as unchanged; inserting takes what is set.
        let rows = rows.into_iter().map(|row| row.into_active_model().reset_all());
        E::insert_many(rows).exec_without_returning(to).await.during(COPY)?;
    }
    Ok(())
}
