//! The list of revocations: how the origin numbers it, and how an edge keeps its copy.

use std::collections::HashMap;
use std::time::Duration;

use model::{Revocation, Revoked, Timestamp};

use crate::link::documents::RevocationsDocument;

/// What is older than this concerns no grant that can be alive.
const CONCERNS: Duration = Duration::from_secs(9 * 24 * 60 * 60);

/// What an origin has seen revoked, in the order in which it saw it.
///
/// Rows have numbers, but of two tables, and given before they are committed: whoever asks for
/// those behind the greatest number may miss one that comes late. Here a number is given when a
/// revocation is seen, so nothing comes late. The list lives in memory, with a name of its own.
#[derive(Debug)]
pub(crate) struct List {
    name: String,
    number: u64,
    seen: HashMap<Revoked, (u64, Timestamp)>,
}

impl List {
    /// An empty list with a name that no other one has.
    pub(crate) fn new(name: String) -> Self {
        Self { name, number: 0, seen: HashMap::new() }
    }

    /// Takes note of everything that is revoked now. What is no longer told is too old to matter.
    pub(crate) fn see(&mut self, all: &[Revocation]) {
        let mut latest: HashMap<Revoked, Timestamp> = HashMap::with_capacity(all.len());
        for Revocation { revoked, at, .. } in all {
            let until = latest.entry(*revoked).or_insert(*at);
            *until = (*until).max(*at);
        }
        self.seen.retain(|revoked, _| latest.contains_key(revoked));
        for Revocation { revoked, .. } in all {
            let at = latest[revoked];
            if self.seen.get(revoked).is_none_or(|(_, known)| *known < at) {
                self.number += 1;
                self.seen.insert(*revoked, (self.number, at));
            }
        }
    }

    /// What whoever knows the list `name` up to `number` does not know yet, and whether there is
    /// anything.
    pub(crate) fn since(&self, name: &str, number: u64) -> (RevocationsDocument, bool) {
        let is_known = name == self.name && number <= self.number;
        let after = if is_known { number } else { 0 };
        let news = self.seen.iter().filter(|(_, (number, _))| *number > after);
        let mut revocations: Vec<_> = news
            .map(|(revoked, (number, at))| Revocation {
                number: i64::try_from(*number).unwrap_or(i64::MAX),
                revoked: *revoked,
                at: *at,
            })
            .collect();
        revocations.sort_by_key(|revocation| revocation.number);
        let is_news = !is_known || number < self.number;
        let (list, number) = (self.name.clone(), self.number);
        (RevocationsDocument { list, number, whole: !is_known, revocations }, is_news)
    }
}

/// An edge's copy of an origin's list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Copy {
    list: String,
    number: u64,
    until: HashMap<Revoked, (i64, Timestamp)>,
}

impl Copy {
    /// Which list it is a copy of, and up to which number.
    pub(crate) fn reach(&self) -> (&str, u64) {
        (&self.list, self.number)
    }

    /// Puts what the origin told behind what is known, or in its place.
    ///
    /// A revocation that stands in no later list stays until it is too old to matter: a database that
    /// was restored knows less, and what was void stays void.
    pub(crate) fn learn(&mut self, told: RevocationsDocument, now: Timestamp) {
        (self.list, self.number) = (told.list, told.number);
        for Revocation { number, revoked, at } in told.revocations {
            let known = self.until.entry(revoked).or_insert((number, at));
            *known = (number, known.1.max(at));
        }
        self.until.retain(|_, (_, at)| now.since(*at) < CONCERNS);
    }

    /// Everything that is revoked.
    pub(crate) fn all(&self) -> Vec<Revocation> {
        let entry = |(revoked, (number, at)): (&Revoked, &(i64, Timestamp))| Revocation {
            number: *number,
            revoked: *revoked,
            at: *at,
        };
        self.until.iter().map(entry).collect()
    }

    /// The copy as a document, to be kept.
    pub(crate) fn document(&self) -> RevocationsDocument {
        let (list, number) = (self.list.clone(), self.number);
        RevocationsDocument { list, number, whole: true, revocations: self.all() }
    }
}

#[cfg(test)]
mod tests;
