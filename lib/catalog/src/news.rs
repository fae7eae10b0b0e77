//! That there is something to look at: within this process, and where PostgreSQL carries it, of
//! and to others. Whoever waits for news looks by themselves after a while as well.

use std::sync::{Arc, Weak};
use std::time::Duration;

use database::{Database, Engine, Heard, Listener};
use tokio::sync::{Notify, watch};

/// The channel of queued jobs.
pub(crate) const JOBS: &str = "cocuyo_jobs";
/// The channel of what has changed of versions in the making.
pub(crate) const CHANGES: &str = "cocuyo_changes";
/// Before a server that is away is listened to again.
const AWAY: Duration = Duration::from_secs(5);

/// Who waits for news in this process.
#[derive(Debug, Default)]
pub(crate) struct News {
    jobs: Notify,
    changes: watch::Sender<u64>,
}

impl News {
    pub(crate) async fn job_queued(&self) {
        self.jobs.notified().await;
    }

    pub(crate) fn changed(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(crate) fn tell_of_job(&self) {
        self.jobs.notify_waiters();
        // And one who is about to wait.
        self.jobs.notify_one();
    }

    pub(crate) fn tell_of_change(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }
}

/// Tells other processes, without waiting for it.
#[expect(clippy::disallowed_methods, reason = "nothing depends on it, so a shutdown need not wait for it")]
pub(crate) fn tell_others(database: &Database, channel: &'static str) {
    if database.engine() == Engine::Postgres {
        let database = database.clone();
        tokio::spawn(async move {
            if let Err(error) = database.tell(channel).await {
                tracing::debug!(%error, "could not tell other processes of news");
            }
        });
    }
}

/// Passes on what other processes tell, for as long as somebody has `news`.
#[expect(clippy::disallowed_methods, reason = "it ends with the catalog, and leaves nothing undone")]
pub(crate) fn follow(news: &Arc<News>, database: &Database) {
    if database.engine() == Engine::Postgres {
        // It ends with the last sender of changes.
        let alive = news.changed();
        tokio::spawn(hear(Arc::downgrade(news), alive, database.clone()));
    }
}

async fn hear(news: Weak<News>, mut alive: watch::Receiver<u64>, database: Database) {
    let listening = async {
        loop {
            match database.listen(&[JOBS, CHANGES]).await {
                Ok(Some(listener)) => pass_on(&news, listener).await,
                Ok(None) => return,
                Err(error) => tracing::debug!(%error, "cannot hear other processes"),
            }
            tokio::time::sleep(AWAY).await;
        }
    };
    let forgotten = async { while alive.changed().await.is_ok() {} };
    tokio::select! {
        () = listening => {}
        () = forgotten => {}
    }
}

/// Passes on what is heard, until that ends.
async fn pass_on(news: &Weak<News>, mut listener: Listener) {
    // Something may have been told before it listened.
    let mut heard = Heard::Missed;
    while let Some(news) = news.upgrade() {
        match heard {
            Heard::Told(channel) if channel == JOBS => news.tell_of_job(),
            Heard::Told(_) => news.tell_of_change(),
            Heard::Missed => {
                news.tell_of_job();
                news.tell_of_change();
            }
            Heard::Gone => return,
        }
        drop(news);
        heard = listener.heard().await;
    }
}
