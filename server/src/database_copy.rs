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
    let (from_catalog, from_people) = open(&from).await.context("open the database to read")?;
    let (to_catalog, to_people) = open(&to).await.context("open the database to fill")?;
    from_people.copy_to(&to_people).await.context("copy the accounts")?;
    from_catalog.copy_to(&to_catalog).await.context("copy the catalog")?;
    crate::say("copied all rows; point `database` to the new one before the next start");
    Ok(ExitCode::SUCCESS)
}

async fn open(url: &str) -> anyhow::Result<(Catalog, Subscriptions)> {
    let database = Database::open(url).await?;
    let subscriptions = Subscriptions::open(database.clone(), subscriptions::Config::default()).await?;
    Ok((Catalog::open(database).await?, subscriptions))
}
