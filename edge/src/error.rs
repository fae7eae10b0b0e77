use cmaf::CmafError;
use listener::BoxError;
use model::{ErrorKind, ObjectKey};
use storage::StorageError;

/// Why the edge could not answer with what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// The version has no such thing, or there is no such version.
    #[error("no such resource")]
    Absent,
    /// It is being made.
    #[error("not there yet")]
    NotYet,
    /// The store did not give an object that an index names.
    #[error("read `{key}`")]
    Read {
        /// Which object.
        key: Box<ObjectKey>,
        /// Why not.
        #[source]
        source: StorageError,
    },
    /// The store gave other bytes than were put.
    #[error("`{key}` is damaged")]
    Damaged {
        /// Which object.
        key: Box<ObjectKey>,
    },
    /// An object has bytes that are not what they should be.
    #[error("understand `{key}`")]
    Unreadable {
        /// Which object.
        key: Box<ObjectKey>,
        /// Why not.
        #[source]
        source: CmafError,
    },
    /// The origin could not be asked, and what it last said is too old.
    #[error("ask the origin for {what}")]
    Origin {
        /// What it was asked for.
        what: &'static str,
        /// Why it did not answer.
        #[source]
        source: BoxError,
    },
    /// Nobody has told this edge yet which keys to trust.
    #[error("the origin has given no keys yet")]
    NoKeys,
}

impl EdgeError {
    /// What kind of failure it is: absent, or worth another try.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Absent => ErrorKind::NotFound,
            // A damaged or lost object may be mended from a backup; the player tries again.
            Self::NotYet
            | Self::Read { .. }
            | Self::Damaged { .. }
            | Self::Unreadable { .. }
            | Self::Origin { .. }
            | Self::NoKeys => ErrorKind::Unavailable,
        }
    }
}
