//! What processes on one PostgreSQL server tell each other without rows: that there is something
//! to look at. Nothing may depend on it arriving.

use sea_orm::{ConnectionTrait, DbErr, Statement};
use sqlx::postgres::PgListener;

use crate::{Database, DatabaseError, Engine};

impl Database {
    /// Tells all processes that listen to `channel`, this one too; on SQLite, where there is one
    /// process, nobody.
    pub async fn tell(&self, channel: &'static str) -> Result<(), DbErr> {
        if self.engine() == Engine::Sqlite {
            return Ok(());
        }
        let tell = "SELECT pg_notify($1, '')";
        let backend = self.read().get_database_backend();
        self.read().query_one_raw(Statement::from_sql_and_values(backend, tell, [channel.into()])).await?;
        Ok(())
    }

    /// Listens to `channels`, by a connection of its own; `None` on SQLite, and when the
    /// database is closed.
    ///
    /// # Errors
    ///
    /// `Unavailable` when the server does not answer.
    pub async fn listen(&self, channels: &[&'static str]) -> Result<Option<Listener>, DatabaseError> {
        if self.engine() == Engine::Sqlite {
            return Ok(None);
        }
        let pool = self.read().get_postgres_connection_pool();
        if pool.is_closed() {
            return Ok(None);
        }
        let open = |source| DatabaseError::Open { name: self.name().to_owned(), source };
        let mut listener = PgListener::connect_with(pool).await.map_err(open)?;
        listener.listen_all(channels.iter().copied()).await.map_err(open)?;
        Ok(Some(Listener { listener: Some(listener) }))
    }
}

/// Hears what is told.
#[derive(Debug)]
pub struct Listener {
    /// Absent once it is gone: its connection is one for which closing waits.
    listener: Option<PgListener>,
}

/// What a [`Listener`] has heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Something was told on this channel.
    Told(String),
    /// The connection broke, and is being made again: anything may have been missed.
    Missed,
    /// The database was closed, or the server is away: listen again later, if at all.
    Gone,
}

impl Listener {
    /// Waits for what is told next; may be cut off at any time.
    pub async fn heard(&mut self) -> Heard {
        let Some(listener) = &mut self.listener else { return Heard::Gone };
        match listener.try_recv().await {
            Ok(Some(told)) => Heard::Told(told.channel().to_owned()),
            Ok(None) => Heard::Missed,
            Err(_) => {
                self.listener = None;
                Heard::Gone
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::TestDatabase;

    async fn heard(listener: &mut Listener) -> Heard {
        tokio::time::timeout(Duration::from_secs(10), listener.heard()).await.expect("it is told at once")
    }

    #[tokio::test]
    async fn what_one_process_tells_another_one_hears() {
        let test = TestDatabase::postgres_of_its_own().await;
        let (here, there) = (test.open().await, test.open().await);
        let mut listener = there.listen(&["a", "b"]).await.unwrap().unwrap();
        for channel in ["c", "b", "a"] {
            here.tell(channel).await.unwrap();
        }
        assert_eq!(heard(&mut listener).await, Heard::Told("b".to_owned()));
        assert_eq!(heard(&mut listener).await, Heard::Told("a".to_owned()));
        let closing = there.clone();
        let (closed, heard) = tokio::join!(closing.close(), heard(&mut listener));
        closed.unwrap();
        assert_eq!(heard, Heard::Gone);
    }

    #[tokio::test]
    async fn a_file_has_nobody_to_tell() {
        let test = TestDatabase::sqlite().await;
        let database = test.open().await;
        database.tell("a").await.unwrap();
        assert!(database.listen(&["a"]).await.unwrap().is_none());
    }
}
