//! `cocuyo account …`, and the first administrator.

use std::process::ExitCode;

use anyhow::Context;
use model::{Role, Tier};
use rand::RngExt;
use rand::rngs::StdRng;
use subscriptions::NewAccount;

use crate::config::Config;
use crate::parts::Parts;

/// What to do with accounts.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make an account.
    Create {
        /// The name to sign in with.
        #[arg(long, value_name = "U")]
        username: String,
        /// The password.
        #[arg(long, value_name = "P")]
        password: String,
        /// viewer, creator, moderator or admin.
        #[arg(long, default_value = "viewer")]
        role: Role,
        /// 0 for no plan, or 1 to 3, without end.
        #[arg(long, default_value = "0")]
        tier: Tier,
    },
}

pub(crate) async fn run(command: Command, config: &Config) -> anyhow::Result<ExitCode> {
    let parts = Parts::open(config).await?;
    let Command::Create { username, password, role, tier } = command;
    let account = NewAccount { username: username.clone(), password, role, tier };
    let now = parts.clock.now();
    let created = parts.subscriptions.create_account(account, now, &mut rand::make_rng::<StdRng>()).await;
    created.with_context(|| format!("create account `{username}`"))?;
    Ok(ExitCode::SUCCESS)
}

/// The name of the account that an empty installation begins with.
pub(crate) const FIRST_ADMINISTRATOR: &str = "admin";

/// Makes the first administrator where there is no account at all, and says the password at once:
/// nobody else will ever know it.
pub(crate) async fn first_administrator(parts: &Parts, rng: &mut StdRng) -> anyhow::Result<()> {
    if !parts.subscriptions.has_no_accounts().await? {
        return Ok(());
    }
    let password = new_password(rng);
    let account = NewAccount {
        username: FIRST_ADMINISTRATOR.to_owned(),
        password: password.clone(),
        role: Role::Admin,
        tier: Tier::NONE,
    };
    let created = parts.subscriptions.create_account(account, parts.clock.now(), rng).await;
    created.context("create the first administrator")?;
    crate::say(&format!(
        "\nFirst administrator, told once:\n  username: {FIRST_ADMINISTRATOR}\n  password: {password}\n"
    ));
    Ok(())
}

/// Twenty characters that are not mistaken for one another: 98 bits.
fn new_password(rng: &mut StdRng) -> String {
    const LETTERS: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";
    let letters = (0..20).map(|_| char::from(LETTERS[rng.random_range(0..LETTERS.len())]));
    letters.collect()
}
