//! `cocuyo edge …`: which edges of their own may ask at this origin's door.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use model::Timestamp;
use rand::rngs::StdRng;
use subscriptions::{EdgeName, EnrolledEdge};

use crate::config::Config;
use crate::parts::Parts;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What to do with edges.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make a fill credential for an edge and print it, this once.
    Enrol {
        /// The edge's name: lower-case letters, digits and hyphens.
        name: EdgeName,
        /// For how many days it is good.
        #[arg(long, default_value = "90", value_parser = clap::value_parser!(u32).range(1..=3650))]
        days: u32,
    },
    /// List the edges and how long their credentials are good.
    List,
    /// Make an edge's credential void, within seconds.
    Revoke {
        /// The edge's name.
        name: EdgeName,
    },
}

pub(crate) async fn run(command: Command, config: &Config) -> anyhow::Result<ExitCode> {
    let Parts { subscriptions, clock, .. } = Parts::open(config).await?;
    let now = clock.now();
    match command {
        Command::Enrol { name, days } => {
            let mut rng: StdRng = rand::make_rng();
            let credential = subscriptions.enrol_edge(&name, DAY * days, now, &mut rng).await;
            crate::say(credential.with_context(|| format!("enrol edge `{name}`"))?.as_str());
        }
        Command::List => {
            for edge in subscriptions.edges().await.context("list the edges")? {
                crate::say(&line(&edge, now));
            }
        }
        Command::Revoke { name } => {
            let revoked = subscriptions.revoke_edge(&name, now).await;
            revoked.with_context(|| format!("revoke edge `{name}`"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// `havana-1  good for 89 more days`.
fn line(edge: &EnrolledEdge, now: Timestamp) -> String {
    let state = if edge.revoked_at.is_some() {
        "revoked".to_owned()
    } else if edge.is_good(now) {
        format!("good for {} more days", edge.expires_at.since(now).as_secs() / DAY.as_secs())
    } else {
        "its days are over".to_owned()
    };
    format!("{}\t{state}", edge.name)
}
