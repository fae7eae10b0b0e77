use sea_orm::sea_query::{Alias, Order, Query};
use sea_orm::{ConnectionTrait, DbErr};
use sea_orm_migration::{MigratorTrait, SchemaManager};

use crate::{Database, DatabaseError, Engine};

/// Brings the tables of one crate up to date, all of its pending migrations or none.
///
/// `M` names its own migration table, so that two crates can live in one database and be
/// migrated apart from each other. Processes that start together wait for one another.
///
/// # Errors
///
/// [`DatabaseError::Newer`] when a newer release has migrated the database already.
pub async fn migrate<M: MigratorTrait>(database: &Database) -> Result<(), DatabaseError> {
    let table = M::migration_table_name().to_string();
    let failed = |source: DbErr| DatabaseError::Migrate { table: table.clone(), source };
    let transaction = database.begin_write().await.map_err(failed)?;
    if database.engine() == Engine::Postgres {
        // SQLite's write lock does the same. The number is arbitrary and ours; a long migration
        // may take longer than any other statement.
        let wait = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; \
                    SELECT pg_advisory_xact_lock(7239016)";
        transaction.execute_unprepared(wait).await.map_err(failed)?;
    }
    let known: Vec<String> = M::migrations().iter().map(|migration| migration.name().to_owned()).collect();
    let applied = applied::<M, _>(&transaction).await.map_err(failed)?;
    if let Some(newer) = applied.into_iter().find(|name| !known.contains(name)) {
        return Err(DatabaseError::Newer { migration: newer });
    }
    M::up(&transaction, None).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)
}

/// Checks that the tables of one crate are exactly of this release, and changes nothing.
///
/// # Errors
///
/// [`DatabaseError::Empty`], [`DatabaseError::Older`] or [`DatabaseError::Newer`] when they are not.
pub async fn require<M: MigratorTrait>(database: &Database) -> Result<(), DatabaseError> {
    let table = M::migration_table_name().to_string();
    let failed = |source: DbErr| DatabaseError::Examine { table: table.clone(), source };
    let connection = database.read();
    if !SchemaManager::new(connection).has_table(&table).await.map_err(failed)? {
        return Err(DatabaseError::Empty { table });
    }
    // The migrator's own query would create the table where it is absent.
    let query = Query::select()
        .column(Alias::new("version"))
        .from(M::migration_table_name())
        .order_by(Alias::new("version"), Order::Asc)
        .to_owned();
    let rows = connection.query_all(&query).await.map_err(failed)?;
    let applied: Vec<String> =
        rows.iter().map(|row| row.try_get("", "version")).collect::<Result<_, _>>().map_err(failed)?;
    let known: Vec<String> = M::migrations().iter().map(|migration| migration.name().to_owned()).collect();
    if let Some(newer) = applied.iter().find(|name| !known.contains(name)) {
        return Err(DatabaseError::Newer { migration: newer.clone() });
    }
    match known.into_iter().find(|name| !applied.contains(name)) {
        Some(migration) => Err(DatabaseError::Older { migration }),
        None => Ok(()),
    }
}

async fn applied<M: MigratorTrait, C: ConnectionTrait>(connection: &C) -> Result<Vec<String>, DbErr> {
    let models = M::get_migration_models(connection).await?;
    Ok(models.into_iter().map(|model| model.version).collect())
}

#[cfg(test)]
mod tests {
    use sea_orm::DynIden;
    use sea_orm::sea_query::IntoIden;
    use sea_orm_migration::{MigrationName, MigrationTrait, async_trait};

    use super::*;

    struct Step(&'static str, &'static str);

    impl MigrationName for Step {
        fn name(&self) -> &str {
            self.0
        }
    }

    #[async_trait::async_trait]
    impl MigrationTrait for Step {
        async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
            manager.get_connection().execute_unprepared(self.1).await.map(drop)
        }
    }

    macro_rules! release {
        ($name:ident, $($step:expr),*) => {
            struct $name;
            #[async_trait::async_trait]
            impl MigratorTrait for $name {
                fn migrations() -> Vec<Box<dyn MigrationTrait>> {
                    vec![$(Box::new($step)),*]
                }
                fn migration_table_name() -> DynIden {
                    Alias::new("test_migrations").into_iden()
                }
            }
        };
    }
    const FIRST: Step = Step("0001", "CREATE TABLE a (n BIGINT)");
    release!(Old, FIRST);
    release!(New, FIRST, Step("0002", "CREATE TABLE b (n BIGINT)"));
    release!(
        Broken,
        FIRST,
        Step("0002", "CREATE TABLE b (n BIGINT)"),
        Step("0003", "CREATE TABLE b (n BIGINT)")
    );

    crate::on_both_engines! {
        async fn an_older_release_refuses_a_newer_database(test: &TestDatabase) {
            let database = test.open().await;
            migrate::<Old>(&database).await.unwrap();
            migrate::<New>(&database).await.unwrap();
            migrate::<New>(&database).await.unwrap();
            let error = migrate::<Old>(&database).await.unwrap_err();
            assert!(matches!(&error, DatabaseError::Newer { migration } if migration == "0002"), "{error}");
        }

        async fn a_database_to_be_read_is_exactly_of_this_release(test: &TestDatabase) {
            let database = test.open().await;
            let reader = Database::open_to_read(test.url()).await.unwrap();
            let error = require::<Old>(&reader).await.unwrap_err();
            assert!(matches!(&error, DatabaseError::Empty { table } if table == "test_migrations"), "{error}");
            migrate::<Old>(&database).await.unwrap();
            require::<Old>(&reader).await.unwrap();
            let error = require::<New>(&reader).await.unwrap_err();
            assert!(matches!(&error, DatabaseError::Older { migration } if migration == "0002"), "{error}");
            reader.read().execute_unprepared("CREATE TABLE c (n BIGINT)").await.unwrap_err();
            migrate::<New>(&database).await.unwrap();
            let error = require::<Old>(&reader).await.unwrap_err();
            assert!(matches!(&error, DatabaseError::Newer { migration } if migration == "0002"), "{error}");
        }

        async fn a_migration_that_fails_leaves_nothing(test: &TestDatabase) {
            let database = test.open().await;
            migrate::<Old>(&database).await.unwrap();
            migrate::<Broken>(&database).await.unwrap_err();
            migrate::<New>(&database).await.unwrap();
        }

        async fn processes_that_start_together_migrate_once(test: &TestDatabase) {
            let (one, two) = (test.open().await, test.open().await);
            let (first, second) = tokio::join!(migrate::<New>(&one), migrate::<New>(&two));
            first.unwrap();
            second.unwrap();
        }
    }
}
