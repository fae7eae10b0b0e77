//! A fresh database of either engine for each test.
//!
//! PostgreSQL is a private server of the test process, reached through a Unix socket in its own
//! temporary folder; it ends with the process, however that ends.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::{Database, Engine, sqlite_url};

/// Where Debian puts each major version's programs.
const POSTGRES_FOLDERS: &str = "/usr/lib/postgresql";
const START_DEADLINE: Duration = Duration::from_secs(60);

/// Runs an async test on SQLite and on PostgreSQL, as two tests in a module of its name.
///
/// ```ignore
/// database::on_both_engines! {
///     async fn a_row_is_found_again(test: &TestDatabase) { … }
/// }
/// ```
#[macro_export]
macro_rules! on_both_engines {
    ($(async fn $name:ident($test:ident: &TestDatabase) $body:block)*) => {$(
        async fn $name($test: &$crate::testing::TestDatabase) $body

        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$name(&$crate::testing::TestDatabase::sqlite().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                super::$name(&$crate::testing::TestDatabase::postgres().await).await;
            }
        }
    )*};
}

/// An empty database of its own.
#[derive(Debug)]
pub struct TestDatabase {
    url: String,
    // Removed with its file when the test ends.
    _folder: Option<TempDir>,
    // Ends with the value.
    own_server: Option<Server>,
}

impl TestDatabase {
    /// A new file in a temporary folder.
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("the temporary folder can be written");
        let url = sqlite_url(&folder.path().join("cocuyo.db"));
        Self { url, _folder: Some(folder), own_server: None }
    }

    /// A new database on this process's private server.
    pub async fn postgres() -> Self {
        static SERVER: OnceCell<Server> = OnceCell::const_new();
        let url = SERVER.get_or_init(Server::start).await.new_database().await;
        Self { url, _folder: None, own_server: None }
    }

    /// A new database on a server that nobody else uses.
    pub async fn postgres_of_its_own() -> Self {
        let server = Server::start().await;
        Self { url: server.new_database().await, _folder: None, own_server: Some(server) }
    }

    /// Crashes the server that nobody else uses; it recovers by itself and takes connections again.
    ///
    /// # Panics
    ///
    /// On a database that has no server of its own.
    pub fn crash_server(&self) {
        self.own_server.as_ref().expect("a server of its own").crash();
    }

    /// A new database of `engine`.
    pub async fn of(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => Self::sqlite().await,
            Engine::Postgres => Self::postgres().await,
        }
    }

    /// What a configuration would say.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Opens it; several times if asked, as several processes would.
    pub async fn open(&self) -> Database {
        Database::open(&self.url).await.expect("the database was just made")
    }
}

#[derive(Debug)]
struct Server {
    folder: PathBuf,
    // Its standard input is the leash: the keeper stops the server when that closes.
    _keeper: Child,
}

impl Server {
    async fn start() -> Self {
        let programs = newest_postgres().unwrap_or_else(|| {
            panic!("no PostgreSQL under {POSTGRES_FOLDERS}: `apt-get install postgresql`")
        });
        let folder =
            tempfile::Builder::new().prefix("cocuyo-pg-").tempdir().expect("a temporary folder").keep();
        let keeper = Command::new("sh")
            .args(["-c", include_str!("testing/keeper.sh"), "keeper"])
            .arg(programs)
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("there is a shell");
        let server = Self { folder, _keeper: keeper };
        let deadline = Instant::now() + START_DEADLINE;
        while let Err(last) = server.connect().await {
            if Instant::now() > deadline {
                let log = std::fs::read_to_string(server.folder.join("log")).unwrap_or_default();
                panic!("PostgreSQL does not answer: {last}\n{log}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        server
    }

    async fn new_database(&self) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut admin = self.connect().await.expect("the server has started");
        // Not STRATEGY wal_log, the default: copying files is quicker where nothing is synced.
        let create = format!("CREATE DATABASE {name} STRATEGY file_copy");
        admin.execute(AssertSqlSafe(create)).await.expect("the name is new");
        self.url(&name)
    }

    /// Kills one of its processes, at which all end and the first one starts them again.
    fn crash(&self) {
        let pids = std::fs::read_to_string(self.folder.join("data/postmaster.pid")).expect("it runs");
        let first = pids.lines().next().expect("a pid");
        let children = std::fs::read_to_string(format!("/proc/{first}/task/{first}/children"));
        let children = children.expect("the kernel says it");
        let child = children.split_whitespace().next().expect("it has processes in the background");
        let killed = Command::new("kill").args(["-KILL", child]).status().expect("there is `kill`");
        assert!(killed.success(), "kill {child} of {first}");
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://cocuyo@localhost/{database}?host={}", self.folder.display())
    }

    async fn connect(&self) -> sqlx::Result<PgConnection> {
        PgConnection::connect(&self.url("postgres")).await
    }
}

fn newest_postgres() -> Option<PathBuf> {
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let folders = std::fs::read_dir(POSTGRES_FOLDERS).into_iter().flatten();
    let paths = folders.collect::<io::Result<Vec<_>>>().ok()?.into_iter().map(|entry| entry.path());
    paths.max_by_key(|path| version(path)).map(|path| path.join("bin"))
}

#[cfg(test)]
mod tests {
    use model::ErrorKind;
    use sea_orm::{ConnectionTrait, Statement};

    use super::*;
    use crate::kind_of;

    /// Killing one of its processes makes the whole server recover as after `pg_ctl -m immediate`.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_crash_of_the_server_is_a_blip_and_loses_nothing_acknowledged() {
        const WRITERS: i64 = 8;
        let test = TestDatabase::postgres().await;
        let database = test.open().await;
        let setup = database.begin_write().await.unwrap();
        setup.execute_unprepared("CREATE TABLE t (n BIGINT PRIMARY KEY)").await.unwrap();
        setup.commit().await.unwrap();

        let insert = async |n: i64| {
            let transaction = database.begin_write().await?;
            transaction.execute_unprepared(&format!("INSERT INTO t VALUES ({n})")).await?;
            transaction.commit().await
        };
        let (crashed_at, refused) = (std::sync::OnceLock::new(), AtomicU32::new(0));
        let deadline = Instant::now() + Duration::from_secs(30);
        let writer = async |writer: i64| {
            let (mut acknowledged, mut since_crash) = (Vec::new(), 0);
            for n in 0.. {
                assert!(
                    Instant::now() < deadline,
                    "writer {writer} has {since_crash} writes since the crash"
                );
                let n = n * WRITERS + writer;
                match insert(n).await {
                    Ok(()) => acknowledged.push(n),
                    Err(error) => {
                        assert_eq!(kind_of(&error), ErrorKind::Unavailable, "{error}");
                        refused.fetch_add(1, Ordering::Relaxed);
                    }
                }
                if writer == 0 && acknowledged.len() == 50 && crashed_at.get().is_none() {
                    let pid = text(&database, "SELECT pg_backend_pid()::text").await;
                    let killed = Command::new("kill").args(["-KILL", &pid]).status().unwrap();
                    assert!(killed.success());
                    crashed_at.set(Instant::now()).unwrap();
                    since_crash = 0;
                } else if crashed_at.get().is_some() && acknowledged.last() == Some(&n) {
                    since_crash += 1;
                    if since_crash == 50 {
                        break;
                    }
                }
            }
            acknowledged
        };
        let acknowledged = futures::future::join_all((0..WRITERS).map(writer)).await.concat();
        let took = crashed_at.get().expect("the server was crashed").elapsed();
        assert!(took < Duration::from_secs(15), "{took:?} until every writer had written 50 rows more");
        assert_ne!(refused.into_inner(), 0, "writes failed while it recovered");
        for n in &acknowledged {
            let found = text(&database, &format!("SELECT count(*)::text FROM t WHERE n = {n}")).await;
            assert_eq!(found, "1", "row {n} was acknowledged");
        }
    }

    async fn text(database: &Database, query: &str) -> String {
        let statement = Statement::from_string(database.read().get_database_backend(), query);
        let row = database.read().query_one_raw(statement).await.unwrap().unwrap();
        row.try_get_by_index(0).unwrap()
    }

    on_both_engines! {
        async fn every_test_has_an_empty_database_that_keeps_what_is_committed(test: &TestDatabase) {
            let first = test.open().await;
            let transaction = first.begin_write().await.unwrap();
            transaction.execute_unprepared("CREATE TABLE t (n BIGINT PRIMARY KEY)").await.unwrap();
            transaction.execute_unprepared("INSERT INTO t VALUES (1)").await.unwrap();
            transaction.commit().await.unwrap();
            let forgotten = first.begin_write().await.unwrap();
            forgotten.execute_unprepared("INSERT INTO t VALUES (2)").await.unwrap();
            drop(forgotten);
            let again = first.begin_write().await.unwrap();
            let doubled = again.execute_unprepared("INSERT INTO t VALUES (1)").await.unwrap_err();
            assert_eq!(crate::kind_of(&doubled), model::ErrorKind::Conflict);
            again.rollback().await.unwrap();
            let deleted = test.open().await.begin_write().await.unwrap();
            let rows = deleted.execute_unprepared("DELETE FROM t").await.unwrap().rows_affected();
            assert_eq!(rows, 1, "the dropped transaction left nothing");
        }
    }
}
