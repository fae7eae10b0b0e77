use sea_orm::entity::prelude::*;
use sea_orm::{
    DatabaseTransaction, IntoActiveModel, Iterable, PrimaryKeyToColumn, QueryOrder, QuerySelect, Statement,
};

use crate::error::Result;
use crate::{
    Catalog, CatalogError, announcements, events, growing, jobs, renditions, revocations, trims,
    upload_parts, uploads, versions, videos, webhooks,
};

/// Rows per statement: times the widest table's columns well below either engine's greatest
/// number of parameters (SQLite: 32,766).
const AT_ONCE: u64 = 500;

impl Catalog {
    /// Copies every row, as of one moment, into `target`: all of them or none.
    ///
    /// # Errors
    ///
    /// `Conflict` when the target has rows already.
    pub async fn copy_to(&self, target: &Catalog) -> Result<()> {
        let from = self.snapshot().await?;
        let to = target.begin().await?;
        // What is referred to before what refers to it.
        copy::<videos::Entity>(&from, &to).await?;
        copy::<versions::Entity>(&from, &to).await?;
        copy::<renditions::Entity>(&from, &to).await?;
        copy::<trims::Entity>(&from, &to).await?;
        copy::<uploads::Entity>(&from, &to).await?;
        copy::<upload_parts::Entity>(&from, &to).await?;
        copy::<jobs::Entity>(&from, &to).await?;
        copy::<growing::Entity>(&from, &to).await?;
        copy::<growing::inits::Entity>(&from, &to).await?;
        copy::<growing::chunks::Entity>(&from, &to).await?;
        copy::<events::Entity>(&from, &to).await?;
        copy::<webhooks::Entity>(&from, &to).await?;
        copy::<announcements::Entity>(&from, &to).await?;
        copy::<revocations::Entity>(&from, &to).await?;
        if target.database().engine() == database::Engine::Postgres {
            // Given numbers do not move its counter, as they do SQLite's.
            let go_on = "SELECT setval(pg_get_serial_sequence('revocations', 'number'), \
                         (SELECT COALESCE(MAX(number), 0) + 1 FROM revocations), false)";
            to.execute_raw(Statement::from_string(to.get_database_backend(), go_on)).await?;
        }
        Ok(to.commit().await?)
    }
}

async fn copy<E>(from: &DatabaseTransaction, to: &DatabaseTransaction) -> Result<()>
where
    E: EntityTrait,
    E::Model: IntoActiveModel<E::ActiveModel>,
{
    if E::find().limit(1).one(to).await?.is_some() {
        return Err(CatalogError::NotEmpty { table: E::default().table_name() });
    }
    for offset in (0..).step_by(AT_ONCE as usize) {
        let mut query = E::find().limit(AT_ONCE).offset(offset);
        for key in E::PrimaryKey::iter() {
            query = query.order_by_asc(key.into_column());
        }
        let rows = query.all(from).await?;
        if rows.is_empty() {
            break;
        }
        let rows = rows.into_iter().map(|row| row.into_active_model().reset_all());
        E::insert_many(rows).exec_without_returning(to).await?;
    }
    Ok(())
}
