use serde::{Deserialize, Serialize};

/// What kind of failure an error is, for whoever must answer it.
///
/// Every public error of a crate has a `kind()`; `listener` holds the only table from kind to
/// HTTP status. The list is closed and small on purpose: a new kind is a new way for a client
/// to behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The request cannot be understood or breaks a rule: 400.
    Invalid,
    /// Nobody is signed in, or the token is bad, expired or revoked: 401.
    Unauthenticated,
    /// Known, and not allowed: 403.
    Forbidden,
    /// Absent, or to be treated as absent: 404.
    NotFound,
    /// The request took too long to arrive: 408.
    TimedOut,
    /// The state of the thing does not allow this now: 409.
    Conflict,
    /// A precondition of the request does not hold: 412.
    Precondition,
    /// Larger than the limit: 413.
    TooLarge,
    /// A media type that is not spoken here: 415.
    Unsupported,
    /// A byte range outside of the thing: 416.
    Range,
    /// A checksum that does not fit its bytes (tus): 460.
    Checksum,
    /// More than the limit per person: 429.
    TooMany,
    /// No space left to keep the bytes: 507.
    NoSpace,
    /// Not now; trying again may help: 503.
    Unavailable,
    /// A defect of ours: 500.
    Internal,
}
