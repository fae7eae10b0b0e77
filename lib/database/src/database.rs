use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sea_orm::{
    DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
};
use sqlx::Connection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use crate::DatabaseError;

/// Connections for a process of a modest machine; PostgreSQL's default allows 100 in all.
const POSTGRES_CONNECTIONS: u32 = 16;
/// Readers never wait for the writer in WAL mode, only for each other's processor time.
const SQLITE_READERS: u32 = 4;
/// How long to wait for a free connection before the answer is "not now".
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Which engine keeps the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// A file in this process.
    Sqlite,
    /// A server.
    Postgres,
}

/// An open database; clones share its pools.
#[derive(Debug, Clone)]
pub struct Database {
    engine: Engine,
    name: String,
    read: DatabaseConnection,
    write: DatabaseConnection,
}

impl Database {
    /// Opens `sqlite:///folder/file.db`, creating the file, or `postgres://user:password@host/name`.
    ///
    /// # Errors
    ///
    /// `Invalid` for another URL and for a folder that is absent or cannot be written,
    /// `Unavailable` for a server that does not answer.
    pub async fn open(url: &str) -> Result<Self, DatabaseError> {
        match scheme(url) {
            Some(Engine::Sqlite) => Self::open_sqlite(url).await,
            Some(Engine::Postgres) => Self::open_postgres(url, "off").await,
            None => Err(DatabaseError::Url(None)),
        }
    }

    /// Opens a database that exists, to read it as it is: nothing is created or migrated, and
    /// nothing can be written through it.
    ///
    /// # Errors
    ///
    /// `NotFound` for a file that is absent, otherwise as [`Database::open`].
    pub async fn open_to_read(url: &str) -> Result<Self, DatabaseError> {
        match scheme(url) {
            Some(Engine::Sqlite) => Self::open_sqlite_to_read(url).await,
            Some(Engine::Postgres) => Self::open_postgres(url, "on").await,
            None => Err(DatabaseError::Url(None)),
        }
    }

    /// The engine behind it, for the few statements that are written twice.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// File, or host and database, for logs; never with a password.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// For queries outside of a transaction. On SQLite these connections cannot write.
    pub fn read(&self) -> &DatabaseConnection {
        &self.read
    }

    /// Begins a transaction that will write.
    ///
    /// On SQLite it takes the write lock at once: one that begins as a reader and writes later
    /// fails with `SQLITE_BUSY_SNAPSHOT`, for which the busy timeout does not wait.
    ///
    /// # Errors
    ///
    /// `Unavailable` when no connection, or the lock, was to be had in time.
    pub async fn begin_write(&self) -> Result<DatabaseTransaction, DbErr> {
        let immediate = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        self.write.begin_with_options(immediate).await
    }

    /// Waits for running queries and closes all connections, on SQLite with a checkpoint.
    pub async fn close(self) -> Result<(), DatabaseError> {
        // The writer last: the last connection to a WAL database checkpoints it, and readers cannot.
        self.read.close().await.map_err(DatabaseError::Close)?;
        self.write.close().await.map_err(DatabaseError::Close)
    }

    async fn open_sqlite(url: &str) -> Result<Self, DatabaseError> {
        let (options, path) = sqlite_file(url)?;
        create_private(&path)
            .map_err(|source| DatabaseError::File { path: path.clone(), source: source.into() })?;
        let options = options
            .journal_mode(SqliteJournalMode::Wal)
            // A committed row survives a power cut; with NORMAL the last ones may not.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true);
        // One writer: waiting in our own queue is fair and has no busy errors.
        let write = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
            // A full or failing disk makes SQLite roll back by itself; the driver's own ROLLBACK
            // then fails, and it would take every later transaction for a nested one, which is
            // never committed. Such a connection is closed and another one opened.
            .after_release(|connection, _| {
                Box::pin(async move {
                    // Waits behind the rollback that a dropped transaction has queued.
                    connection.ping().await?;
                    Ok(!connection.is_in_transaction())
                })
            })
            .connect_with(options.clone())
            .await
            .map_err(|source| cannot_open(&path, source))?;
        let read = sqlite_readers(options, &path).await?;
        let name = path.display().to_string();
        Ok(Self { engine: Engine::Sqlite, name, read, write: write.into() })
    }

    async fn open_sqlite_to_read(url: &str) -> Result<Self, DatabaseError> {
        let (options, path) = sqlite_file(url)?;
        if !path.is_file() {
            return Err(DatabaseError::Absent { path });
        }
        // The journal's mode is a property of the file and stays what it is.
        let read = sqlite_readers(options.create_if_missing(false), &path).await?;
        let name = path.display().to_string();
        Ok(Self { engine: Engine::Sqlite, name, write: read.clone(), read })
    }

    async fn open_postgres(url: &str, read_only: &str) -> Result<Self, DatabaseError> {
        let options: PgConnectOptions = url.parse().map_err(|error| DatabaseError::Url(Some(error)))?;
        let name = format!("{}/{}", options.get_host(), options.get_database().unwrap_or_default());
        let options = options.application_name("cocuyo").options([
            // A stuck statement must not hold its locks, nor a lost client its transaction, for ever.
            ("statement_timeout", "30s"),
            ("lock_timeout", "10s"),
            ("idle_in_transaction_session_timeout", "60s"),
            ("default_transaction_read_only", read_only),
        ]);
        let pool = PgPoolOptions::new()
            .max_connections(POSTGRES_CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options)
            .await
            .map_err(|source| DatabaseError::Open { name: name.clone(), source })?;
        let pool = DatabaseConnection::from(pool);
        Ok(Self { engine: Engine::Postgres, name, read: pool.clone(), write: pool })
    }
}

fn scheme(url: &str) -> Option<Engine> {
    match url.split_once(':')?.0 {
        "sqlite" => Some(Engine::Sqlite),
        "postgres" | "postgresql" => Some(Engine::Postgres),
        _ => None,
    }
}

/// What the URL asks for, and its file.
fn sqlite_file(url: &str) -> Result<(SqliteConnectOptions, PathBuf), DatabaseError> {
    let options: SqliteConnectOptions = url.parse().map_err(|error| DatabaseError::Url(Some(error)))?;
    let path = options.get_filename().to_owned();
    // Two pools would be two databases in memory.
    if path.as_os_str().is_empty() || url.contains(":memory:") || url.contains("mode=memory") {
        return Err(DatabaseError::Url(None));
    }
    // Another process (`cocuyo doctor`, a backup) may hold the lock for a moment.
    Ok((options.busy_timeout(Duration::from_secs(5)), path))
}

async fn sqlite_readers(
    options: SqliteConnectOptions,
    path: &Path,
) -> Result<DatabaseConnection, DatabaseError> {
    let pool = SqlitePoolOptions::new()
        .max_connections(SQLITE_READERS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options.pragma("query_only", "on"))
        .await
        .map_err(|source| cannot_open(path, source))?;
    Ok(pool.into())
}

fn cannot_open(path: &Path, source: sqlx::Error) -> DatabaseError {
    let code = source.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
    // PERM, READONLY, CANTOPEN.
    if matches!(code.map(|code| code & 0xff), Some(3 | 8 | 14)) {
        DatabaseError::File { path: path.to_owned(), source: source.into() }
    } else {
        DatabaseError::Open { name: path.display().to_string(), source }
    }
}

/// Password hashes and signing keys are nobody else's to read; SQLite gives its log the same mode.
fn create_private(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.open(path).map(drop)
}

/// The URL of the SQLite file at `path`, whatever characters that has.
pub fn sqlite_url(path: &Path) -> String {
    let text = path.to_string_lossy();
    let escaped = text.replace('%', "%25").replace('?', "%3F").replace('#', "%23");
    format!("sqlite://{escaped}")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use model::ErrorKind;
    use sea_orm::{ConnectionTrait, Statement};

    use super::*;
    use crate::kind_of;

    async fn text(database: &Database, query: &str) -> String {
        let statement = Statement::from_string(database.read().get_database_backend(), query);
        let row = database.read().query_one_raw(statement).await.unwrap().unwrap();
        row.try_get_by_index::<String>(0)
            .or_else(|_| row.try_get_by_index::<i32>(0).map(|n| n.to_string()))
            .unwrap()
    }

    #[tokio::test]
    async fn what_follows_a_transaction_that_sqlite_rolled_back_itself_is_committed() {
        let test = crate::testing::TestDatabase::sqlite().await;
        let database = test.open().await;
        let first = database.begin_write().await.unwrap();
        first.execute_unprepared("CREATE TABLE t (n BIGINT PRIMARY KEY)").await.unwrap();
        first.commit().await.unwrap();
        let failing = database.begin_write().await.unwrap();
        // What a full disk does as well, without filling one.
        let doubled = "INSERT OR ROLLBACK INTO t VALUES (1), (1)";
        failing.execute_unprepared(doubled).await.unwrap_err();
        drop(failing);
        // With the driver's count one too high, a rollback leaves an outer transaction open.
        let forgotten = database.begin_write().await.unwrap();
        forgotten.execute_unprepared("INSERT INTO t VALUES (7)").await.unwrap();
        drop(forgotten);
        for n in 1..3 {
            let next = database.begin_write().await.unwrap();
            next.execute_unprepared(&format!("INSERT INTO t VALUES ({n})")).await.unwrap();
            next.commit().await.unwrap();
            let elsewhere = test.open().await;
            assert_eq!(text(&elsewhere, "SELECT count(*) FROM t").await, n.to_string());
        }
    }

    #[tokio::test]
    async fn a_sqlite_file_is_created_durable_and_with_one_writer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("100% ours? #1.db");
        let database = Database::open(&sqlite_url(&path)).await.unwrap();
        assert!(path.is_file(), "the file has the name that was asked for");
        for entry in std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap()) {
            let mode = entry.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", entry.path().display());
        }
        assert_eq!(text(&database, "PRAGMA journal_mode").await, "wal");
        assert_eq!(text(&database, "PRAGMA synchronous").await, "2");
        assert_eq!(text(&database, "PRAGMA foreign_keys").await, "1");
        assert_eq!(text(&database, "PRAGMA busy_timeout").await, "5000");
        let refused = database.read().execute_unprepared("CREATE TABLE t (n BIGINT)").await;
        assert_eq!(kind_of(&refused.unwrap_err()), ErrorKind::Unavailable, "readers cannot write");
        database.close().await.unwrap();
        let left: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["100% ours? #1.db"], "closing checkpoints the log");
    }

    #[tokio::test]
    async fn a_file_opened_to_be_read_must_exist_and_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("typo.db");
        let error = Database::open_to_read(&format!("{}?mode=rwc", sqlite_url(&path))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("typo.db") && !path.exists(), "{error}");
        Database::open(&sqlite_url(&path)).await.unwrap().close().await.unwrap();
        let before = std::fs::read(&path).unwrap();
        let database = Database::open_to_read(&sqlite_url(&path)).await.unwrap();
        database.begin_write().await.unwrap_err();
        database.close().await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("absent/cocuyo.db");
        let error = Database::open(&sqlite_url(&path)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("absent/cocuyo.db"), "{error}");
    }

    #[tokio::test]
    async fn other_urls_are_refused_without_repeating_them() {
        for url in ["", "mysql://root:secret@host/db", "cocuyo.db", "sqlite::memory:", "sqlite://"] {
            let error = Database::open(url).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{url}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_server_that_does_not_answer_is_unavailable() {
        let error = Database::open("postgres://u:secret@127.0.0.1:1/cocuyo").await.unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::Unavailable, "open database `127.0.0.1/cocuyo`")
        );
    }
}
