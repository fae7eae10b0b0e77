use std::path::PathBuf;

use model::ErrorKind;
use sea_orm::{DbErr, RuntimeErr};

/// Why a database could not be opened, migrated or closed.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// A URL of another kind, or one that its engine cannot read.
    #[error("a database URL is `sqlite:///folder/file.db` or `postgres://user@host/name`")]
    Url(#[source] Option<sqlx::Error>),
    /// The file's folder is absent or cannot be written.
    #[error("create or write database file `{}`; its folder must exist and be writable", path.display())]
    File {
        /// The database's file.
        path: PathBuf,
        /// What SQLite or the system said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A database to be read that is not there.
    #[error("there is no database file `{}`", path.display())]
    Absent {
        /// Where it should be.
        path: PathBuf,
    },
    /// No connection to the server, or the file is not a database.
    #[error("open database `{name}`")]
    Open {
        /// File, or host and database; never with a password.
        name: String,
        /// What the driver said.
        #[source]
        source: sqlx::Error,
    },
    /// A migration failed; nothing of it was kept.
    #[error("migrate `{table}`")]
    Migrate {
        /// The table that lists the applied migrations.
        table: String,
        /// What the database said.
        #[source]
        source: DbErr,
    },
    /// A newer release has been at work here.
    #[error("the database was migrated by a newer release, which added `{migration}`; run that release")]
    Newer {
        /// The first migration that this release does not know.
        migration: String,
    },
    /// A database to be read that no release has ever prepared.
    #[error("the database holds no installation: it has no table `{table}`")]
    Empty {
        /// The table that would list the applied migrations.
        table: String,
    },
    /// A database to be read that only older releases have been at work in.
    #[error("the database is an older release's; start the installation once with this release first")]
    Older {
        /// The first migration that it lacks.
        migration: String,
    },
    /// The applied migrations could not be read.
    #[error("read `{table}`")]
    Examine {
        /// The table that lists them.
        table: String,
        /// What the database said.
        #[source]
        source: DbErr,
    },
    /// The pools could not be closed.
    #[error("close the database")]
    Close(#[source] DbErr),
}

impl DatabaseError {
    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Url(_)
            | Self::File { .. }
            | Self::Newer { .. }
            | Self::Older { .. }
            | Self::Empty { .. } => ErrorKind::Invalid,
            Self::Absent { .. } => ErrorKind::NotFound,
            Self::Open { source, .. } => kind_of_driver(source),
            Self::Migrate { source, .. } | Self::Examine { source, .. } | Self::Close(source) => {
                kind_of(source)
            }
        }
    }
}

/// What kind of failure a query's error is: the one place that knows the engines' codes.
///
/// `Unavailable` is worth another try; `Conflict` is a uniqueness or a reference that does not
/// hold; `NoSpace` a full disk; everything else is a defect of ours.
pub fn kind_of(error: &DbErr) -> ErrorKind {
    match error {
        DbErr::ConnectionAcquire(_) => ErrorKind::Unavailable,
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => kind_of_driver(error),
        DbErr::RecordNotFound(_) => ErrorKind::NotFound,
        DbErr::RecordNotInserted | DbErr::RecordNotUpdated => ErrorKind::Conflict,
        _ => ErrorKind::Internal,
    }
}

fn kind_of_driver(error: &sqlx::Error) -> ErrorKind {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => ErrorKind::Unavailable,
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default();
            // SQLSTATEs have five characters, SQLite's codes are short decimal numbers.
            match code.parse::<u32>() {
                Ok(number) if code.len() != 5 => kind_of_sqlite(number),
                _ => kind_of_sqlstate(&code),
            }
        }
        _ => ErrorKind::Internal,
    }
}

/// <https://www.sqlite.org/rescode.html>; the low byte is the primary code.
fn kind_of_sqlite(code: u32) -> ErrorKind {
    const CONSTRAINT_FOREIGNKEY: u32 = 787;
    const CONSTRAINT_PRIMARYKEY: u32 = 1555;
    const CONSTRAINT_UNIQUE: u32 = 2067;
    match (code, code & 0xff) {
        (CONSTRAINT_FOREIGNKEY | CONSTRAINT_PRIMARYKEY | CONSTRAINT_UNIQUE, _) => ErrorKind::Conflict,
        // BUSY, LOCKED; READONLY, IOERR, CANTOPEN: a disk that went away may come back.
        (_, 5 | 6 | 8 | 10 | 14) => ErrorKind::Unavailable,
        // FULL.
        (_, 13) => ErrorKind::NoSpace,
        _ => ErrorKind::Internal,
    }
}

/// PostgreSQL 15, appendix A.
fn kind_of_sqlstate(code: &str) -> ErrorKind {
    match code {
        // foreign_key_violation, unique_violation
        "23503" | "23505" => ErrorKind::Conflict,
        // disk_full
        "53100" => ErrorKind::NoSpace,
        // query_canceled (our own statement_timeout), lock_not_available, read_only_sql_transaction (a
        // standby that is being promoted)
        "57014" | "55P03" | "25006" => ErrorKind::Unavailable,
        // admin_shutdown, crash_shutdown, cannot_connect_now, database_dropped…
        _ if code.starts_with("57P") => ErrorKind::Unavailable,
        // connection exceptions, insufficient resources, transaction rollback (deadlock, serialization),
        // idle in transaction
        _ if ["08", "53", "40"].iter().any(|class| code.starts_with(class)) || code == "25P03" => {
            ErrorKind::Unavailable
        }
        _ => ErrorKind::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_both_engines_have_a_kind() {
        let sqlite = [(5, ErrorKind::Unavailable), (517, ErrorKind::Unavailable), (13, ErrorKind::NoSpace)];
        for (code, kind) in sqlite.into_iter().chain([(2067, ErrorKind::Conflict), (1, ErrorKind::Internal)])
        {
            assert_eq!(kind_of_sqlite(code), kind, "{code}");
        }
        for (code, kind) in [
            ("23505", ErrorKind::Conflict),
            ("40P01", ErrorKind::Unavailable),
            ("57P01", ErrorKind::Unavailable),
            ("53100", ErrorKind::NoSpace),
            ("53300", ErrorKind::Unavailable),
            ("42P01", ErrorKind::Internal),
        ] {
            assert_eq!(kind_of_sqlstate(code), kind, "{code}");
        }
    }
}
