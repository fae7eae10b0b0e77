use std::time::Duration;

use database::{DatabaseError, kind_of};
use model::ErrorKind;
use sea_orm::DbErr;

use crate::{InvalidPassword, InvalidUsername};

/// Why something about people could not be done.
#[derive(Debug, thiserror::Error)]
pub enum SubscriptionsError {
    /// A text that cannot be a username, or one that nobody may take by themselves.
    #[error("username refused")]
    Username(#[from] InvalidUsername),
    /// Too short or too long.
    #[error("password refused")]
    Password(#[from] InvalidPassword),
    /// Another account has the name.
    #[error("username is taken")]
    UsernameTaken,
    /// No account with this id or name.
    #[error("no such account")]
    NoAccount,
    /// The site would be left without an administrator.
    #[error("the last administrator stays")]
    LastAdministrator,
    /// Unknown name, wrong password, or disabled account: which of them is nobody's business.
    #[error("wrong username or password")]
    WrongCredentials,
    /// Too many failures under this name lately.
    #[error("too many failed sign-ins; wait {} s", wait.as_secs())]
    TooManyAttempts {
        /// How long until the next try counts.
        wait: Duration,
    },
    /// Too many sessions of one account began lately.
    #[error("too many sessions begun; wait {} s", wait.as_secs())]
    TooManySessions {
        /// How long until the next one may begin.
        wait: Duration,
    },
    /// Too many people sign in at this moment.
    #[error("too many passwords wait to be hashed")]
    Busy,
    /// No key has been made; `rotate_keys` never ran.
    #[error("there is no active signing key")]
    NoSigningKey,
    /// An edge of this name has a good credential.
    #[error("an edge of this name is enrolled already; revoke it first")]
    EdgeEnrolled,
    /// No edge of this name has a credential that could be revoked.
    #[error("no such edge")]
    NoEdge,
    /// The copy's target has people in it.
    #[error("the target database has accounts already")]
    TargetNotEmpty,
    /// A grant could not be signed.
    #[error("sign grant")]
    Signing(#[source] jsonwebtoken::errors::Error),
    /// A key could not be made or read.
    #[error("use signing key")]
    Key,
    /// The hashing thread died.
    #[error("hash password")]
    Hashing(#[source] tokio::task::JoinError),
    /// A row holds what no release of ours has written.
    #[error("row `{id}` of `{table}` has no valid `{column}`")]
    Row {
        /// Its table,
        table: &'static str,
        /// its column,
        column: &'static str,
        /// and its key.
        id: String,
    },
    /// The database could not be brought up to date.
    #[error("open the tables of subscriptions")]
    Open(#[from] DatabaseError),
    /// A query failed.
    #[error("{operation}")]
    Query {
        /// What was being done.
        operation: &'static str,
        /// What the database said.
        #[source]
        source: DbErr,
    },
}

impl SubscriptionsError {
    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Username(_) | Self::Password(_) => ErrorKind::Invalid,
            Self::UsernameTaken | Self::LastAdministrator | Self::EdgeEnrolled | Self::TargetNotEmpty => {
                ErrorKind::Conflict
            }
            Self::NoAccount | Self::NoEdge => ErrorKind::NotFound,
            Self::WrongCredentials => ErrorKind::Unauthenticated,
            Self::TooManyAttempts { .. } | Self::TooManySessions { .. } => ErrorKind::TooMany,
            Self::Busy => ErrorKind::Unavailable,
            Self::NoSigningKey | Self::Signing(_) | Self::Key | Self::Hashing(_) | Self::Row { .. } => {
                ErrorKind::Internal
            }
            Self::Open(error) => error.kind(),
            Self::Query { source, .. } => match kind_of(source) {
                // What a person can do wrong was looked at before; a violated constraint is ours.
                ErrorKind::Conflict | ErrorKind::NotFound => ErrorKind::Internal,
                kind => kind,
            },
        }
    }
}

/// Names what a query was for.
pub(crate) trait During<T> {
    fn during(self, operation: &'static str) -> Result<T, SubscriptionsError>;
}

impl<T> During<T> for Result<T, DbErr> {
    fn during(self, operation: &'static str) -> Result<T, SubscriptionsError> {
        self.map_err(|source| SubscriptionsError::Query { operation, source })
    }
}
