//! Who may have what: a pure function of the route, the bearer, the policy and the time.
//!
//! It is asked on every request, before anything is looked up, so that an answer says nothing
//! about what exists to whoever may not know.

use std::num::NonZeroU64;
use std::sync::Arc;

use model::{AccountId, ErrorKind, Grant, SessionId, Timestamp, Use};

use crate::policies::Answer;
use crate::revocations::Revocations;
use crate::route::{Resource, Route};

/// Who is asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Bearer {
    /// Somebody without a token.
    Nobody,
    /// Somebody whose token is no grant of ours.
    Forged {
        /// As with a grant.
        ambient: bool,
    },
    /// Somebody whose token was not looked at: too many that are no grants come from there.
    Unheard {
        /// As with a grant.
        ambient: bool,
    },
    /// The bearer of a verified grant, which may have expired or been revoked.
    Grant {
        /// Its claims.
        grant: Arc<Grant>,
        /// Whether a browser added it by itself (a cookie): then it may be about something else,
        /// and what is public stays public.
        ambient: bool,
    },
}

/// By which right something is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Right {
    /// A grant: private to its bearer.
    Granted(Arc<Grant>),
    /// The policy of a public item: everybody's.
    Public {
        /// The greatest height.
        height: u16,
        /// How far back in a live event, in seconds.
        rewind_s: u32,
        /// When the policy was asked for; what was revoked since is not covered by it.
        asked: Timestamp,
    },
}

impl Right {
    /// The greatest height that may be served.
    pub(crate) fn height(&self) -> u16 {
        match self {
            Self::Granted(grant) => grant.height,
            Self::Public { height, .. } => *height,
        }
    }

    /// How far it reaches back in a live event, in seconds.
    pub(crate) fn rewind_s(&self) -> u32 {
        match self {
            Self::Granted(grant) if grant.uses.allows(Use::Rewind) => grant.rewind_s,
            Self::Granted(_) => 0,
            Self::Public { rewind_s, .. } => *rewind_s,
        }
    }

    /// The session that it was given to; what is public is given to nobody in particular.
    pub(crate) fn session(&self) -> Option<SessionId> {
        match self {
            Self::Granted(grant) => Some(grant.sid),
            Self::Public { .. } => None,
        }
    }

    /// The greatest rate at which it is sent, in bytes a second.
    pub(crate) fn rate(&self) -> Option<NonZeroU64> {
        match self {
            // No rate can be less than a byte.
            Self::Granted(grant) => {
                grant.rate.map(|bits| NonZeroU64::new(bits / 8).unwrap_or(NonZeroU64::MIN))
            }
            Self::Public { .. } => None,
        }
    }

    /// The account that it was given to.
    pub(crate) fn account(&self) -> Option<AccountId> {
        match self {
            Self::Granted(grant) => Some(grant.sub),
            Self::Public { .. } => None,
        }
    }

    /// Whether a revocation has taken it away. Expiry does not count: who was allowed to begin
    /// may finish.
    pub(crate) fn is_withdrawn(&self, route: &Route, revocations: &Revocations) -> bool {
        match self {
            Self::Granted(grant) => {
                revocations.void_bearer(grant) || revocations.void_version(route.version, grant.issued_at())
            }
            Self::Public { asked, .. } => revocations.void_version(route.version, *asked),
        }
    }
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It is served.
    Allowed(Right),
    /// It is refused with this kind.
    Refused(ErrorKind),
    /// The grant does not help; the item's policy decides, and if it does not allow it, this is
    /// the kind of refusal.
    AskPolicy(ErrorKind),
}

/// What `bearer` may do with `route` at `now` by their grant.
pub(crate) fn by_grant(
    route: &Route,
    bearer: &Bearer,
    revocations: &Revocations,
    now: Timestamp,
) -> Decision {
    let (kind, ambient) = match bearer {
        Bearer::Nobody => (ErrorKind::Unauthenticated, true),
        Bearer::Forged { ambient } => (ErrorKind::Unauthenticated, *ambient),
        Bearer::Unheard { ambient } => (ErrorKind::TooMany, *ambient),
        Bearer::Grant { grant, ambient } => match judge(route, grant, revocations, now) {
            None => return Decision::Allowed(Right::Granted(Arc::clone(grant))),
            Some(kind) => (kind, *ambient),
        },
    };
    // A token that was sent on purpose is answered for what it is. In its scope it is not worth
    // less than none, so what it does not reach may still be everybody's.
    if ambient || kind == ErrorKind::Forbidden { Decision::AskPolicy(kind) } else { Decision::Refused(kind) }
}

/// What everybody may do with `route`, or else `otherwise`. What is free is free to watch; no
/// policy gives files to keep.
pub(crate) fn by_policy(
    route: &Route,
    Answer { policy, asked }: Answer,
    revocations: &Revocations,
    otherwise: ErrorKind,
) -> Decision {
    let policy = policy.filter(|policy| policy.video == route.video && policy.covers(route.version));
    let height = policy.as_ref().and_then(|policy| policy.height);
    let rewind_s = policy.as_ref().map_or(0, |policy| policy.rewind_s);
    let right = match (route.resource, policy, height) {
        (Resource::Thumbnail, Some(policy), _) if policy.listed => {
            Right::Public { height: 0, rewind_s: 0, asked }
        }
        (_, _, Some(height)) if route.height() <= height && needed(route) == Use::Play => {
            Right::Public { height, rewind_s, asked }
        }
        _ => return Decision::Refused(otherwise),
    };
    if right.is_withdrawn(route, revocations) {
        Decision::Refused(otherwise)
    } else {
        Decision::Allowed(right)
    }
}

/// The greatest height of a plain MP4 that is there to be played, by browsers that cannot play
/// streams; a greater one is a file to keep.
const PLAIN_HEIGHT: u16 = 360;

fn needed(route: &Route) -> Use {
    match route.resource {
        Resource::Mp4(name) if name.height() > PLAIN_HEIGHT => Use::Download,
        _ => Use::Play,
    }
}

/// Why the grant does not allow the route, if it does not.
fn judge(route: &Route, grant: &Grant, revocations: &Revocations, now: Timestamp) -> Option<ErrorKind> {
    if grant.is_expired(now) || revocations.void_bearer(grant) {
        return Some(ErrorKind::Unauthenticated);
    }
    if (grant.video, grant.version) != (route.video, route.version)
        || revocations.void_version(route.version, grant.issued_at())
    {
        return Some(ErrorKind::NotFound);
    }
    let allowed = grant.uses.allows(needed(route)) && route.height() <= grant.height;
    if allowed { None } else { Some(ErrorKind::Forbidden) }
}

#[cfg(test)]
mod tests;
