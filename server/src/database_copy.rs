//! `cocuyo db copy`: an installation moves from one database to another.

use std::process::ExitCode;

use anyhow::Context;
use catalog::Catalog;
use database::Database;
use subscriptions::Subscriptions;

/// What to do with databases.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Copy all rows into an empty database, for example from SQLite to PostgreSQL. Stop every
    /// process of the installation first.
    Copy {
        /// URL of the database to read (`sqlite://…` or `postgres://…`).
        #[arg(long, value_name = "URL")]
        from: String,
        /// URL of the empty database to fill.
        #[arg(long, value_name = "URL")]
        to: String,
    },
}

pub(crate) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let Command::Copy { from, to } = command;
    copy(&from, &to).await?;
    crate::say("copied all rows; point `database` to the new one before the next start");
    Ok(ExitCode::SUCCESS)
}

async fn copy(from: &str, to: &str) -> anyhow::Result<()> {
    let (from_catalog, from_people) = open_source(from).await.context("open the database to read")?;
    let (to_catalog, to_people) = open_target(to).await.context("open the database to fill")?;
    from_people.copy_to(&to_people).await.context("copy the accounts")?;
    from_catalog.copy_to(&to_catalog).await.context("copy the catalog")
}

async fn open_source(url: &str) -> anyhow::Result<(Catalog, Subscriptions)> {
    let database = Database::open_to_read(url).await?;
    let people = Subscriptions::open_as_is(database.clone(), subscriptions::Config::default()).await?;
    Ok((Catalog::open_as_is(database).await?, people))
}

async fn open_target(url: &str) -> anyhow::Result<(Catalog, Subscriptions)> {
    let database = Database::open(url).await?;
    let people = Subscriptions::open(database.clone(), subscriptions::Config::default()).await?;
    Ok((Catalog::open(database).await?, people))
}

#[cfg(test)]
mod tests {
    use model::{Role, Tier, Timestamp};
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use subscriptions::NewAccount;

    use super::*;

    #[tokio::test]
    async fn what_is_copied_exists_and_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let url = |name: &str| database::sqlite_url(&file(name));

        let typo = copy(&url("typo.db"), &url("to.db")).await.unwrap_err();
        assert!(format!("{typo:#}").contains("there is no database file"), "{typo:#}");
        std::fs::write(file("empty.db"), "").unwrap();
        let empty = copy(&url("empty.db"), &url("to.db")).await.unwrap_err();
        assert!(format!("{empty:#}").contains("holds no installation"), "{empty:#}");
        assert_eq!(std::fs::metadata(file("empty.db")).unwrap().len(), 0);
        assert!(!file("typo.db").exists() && !file("to.db").exists(), "nothing was created");

        let now = Timestamp::from_millis(1_000_000);
        let (catalog, people) = open_target(&url("from.db")).await.unwrap();
        drop(catalog);
        let mut rng = StdRng::seed_from_u64(1);
        let ana = NewAccount {
            username: "ana".to_owned(),
            password: "a good password".to_owned(),
            role: Role::Admin,
            tier: Tier::NONE,
        };
        people.create_account(ana, now, &mut rng).await.unwrap();
        drop(people);
        copy(&url("from.db"), &url("to.db")).await.unwrap();
        let (_, copied) = open_source(&url("to.db")).await.unwrap();
        assert!(copied.account_named("ana").await.unwrap().is_some());
        let twice = copy(&url("from.db"), &url("to.db")).await.unwrap_err();
        assert!(format!("{twice:#}").contains("has accounts already"), "{twice:#}");
    }
}
