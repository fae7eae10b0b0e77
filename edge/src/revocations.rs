//! Whose grants are void, as the origin last told.

use std::collections::HashMap;

use model::{AccountId, Grant, Revocation, Revoked, SessionId, Timestamp, VersionId};

/// Until when grants are void: one table per kind of thing, looked at on every request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Revocations {
    accounts: HashMap<AccountId, Timestamp>,
    sessions: HashMap<SessionId, Timestamp>,
    versions: HashMap<VersionId, Timestamp>,
}

impl Revocations {
    pub(crate) fn new(list: &[Revocation]) -> Self {
        let mut this = Self::default();
        for Revocation { revoked, at, .. } in list {
            let until = match revoked {
                Revoked::Account(id) => this.accounts.entry(*id).or_insert(*at),
                Revoked::Session(id) => this.sessions.entry(*id).or_insert(*at),
                Revoked::Version(id) => this.versions.entry(*id).or_insert(*at),
            };
            *until = (*until).max(*at);
        }
        this
    }

    /// Whether the bearer has lost what they had: 401.
    pub(crate) fn void_bearer(&self, grant: &Grant) -> bool {
        let issued = grant.issued_at();
        self.accounts.get(&grant.sub).is_some_and(|until| issued <= *until)
            || self.sessions.get(&grant.sid).is_some_and(|until| issued <= *until)
    }

    /// Whether rights to `version` that were given at `issued` are gone: 404.
    pub(crate) fn void_version(&self, version: VersionId, issued: Timestamp) -> bool {
        self.versions.get(&version).is_some_and(|until| issued <= *until)
    }
}
