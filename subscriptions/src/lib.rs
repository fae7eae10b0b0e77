//! People and what they paid for: accounts, sessions, tiers, and the grants that carry a tier to
//! an edge.
//!
//! It alone reads and writes passwords, session tokens and signing keys; none of them leaves it
//! but a token, once, to the person who signed in. It knows videos by id only, and no HTTP.
//!
//! # Consistency
//!
//! A change that takes a right away (disabled, another tier, role or password, a sign-out) and
//! its revocation are one transaction. Who may do what is read from rows each time, never from a
//! token.
//!
//! # Cancellation
//!
//! Dropping a call in mid-await leaves either all or nothing of its change. A password hash that
//! has begun is computed to its end.

mod accounts;
mod attempts;
mod copy;
mod edges;
mod entitlement;
mod error;
mod grant;
mod keys;
mod migrations;
mod password;
mod revocations;
mod rows;
mod sent;
mod sessions;
mod throttle;
mod tiers;
mod token;
mod username;

use database::Database;
use serde::{Deserialize, Serialize};

pub use accounts::{Account, AccountChange, NewAccount};
pub use edges::{EdgeName, EnrolledEdge, FillCredential, InvalidEdgeName};
pub use entitlement::Entitlement;
pub use error::SubscriptionsError;
pub use grant::{Bearer, PLAYER_LIFE, Scope, foreign_grant, player_grant, revocation_moment};
pub use password::{InvalidPassword, MIN_PASSWORD};
pub use sent::{Sent, SentSubject};
pub use sessions::{SignIn, SignedIn};
pub use token::SessionToken;
pub use username::{InvalidUsername, Username};

use password::Hasher;

type Result<T, E = SubscriptionsError> = std::result::Result<T, E>;

/// The `[subscriptions]` section of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Passwords hashed at a time, each with 19 MiB and a core for some 30 ms; more wait.
    /// Default: 2.
    pub hashes_at_once: usize,
    /// Days without a visit after which a session ends. Default: 30.
    pub session_idle_days: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { hashes_at_once: 2, session_idle_days: 30 }
    }
}

/// People and what they paid for; clones share everything.
#[derive(Debug, Clone)]
pub struct Subscriptions {
    database: Database,
    hasher: Hasher,
    config: Config,
}

impl Subscriptions {
    /// Brings the tables up to date.
    ///
    /// Before the first grant [`Subscriptions::rotate_keys`] must have run once; the process that
    /// serves calls it at its start and every hour.
    ///
    /// # Errors
    ///
    /// What [`database::migrate`] says.
    pub async fn open(database: Database, config: Config) -> Result<Self> {
        database::migrate::<migrations::Migrations>(&database).await?;
        let hasher = Hasher::new(config.hashes_at_once);
        Ok(Self { database, hasher, config })
    }

    /// Opens tables that are of this release already, and changes nothing: to copy them.
    ///
    /// # Errors
    ///
    /// What [`database::require`] says.
    pub async fn open_as_is(database: Database, config: Config) -> Result<Self> {
        database::require::<migrations::Migrations>(&database).await?;
        let hasher = Hasher::new(config.hashes_at_once);
        Ok(Self { database, hasher, config })
    }
}

#[cfg(test)]
mod tests;
