use std::io;

use catalog::CatalogError;
use cmaf::CmafError;
use model::{ErrorKind, ObjectKey, VersionId};
use storage::StorageError;

/// Why the packager, the sweeper or the doctor could not do their work.
#[derive(Debug, thiserror::Error)]
pub enum PackagerError {
    /// The object store failed.
    #[error("reach the object store")]
    Storage(#[from] StorageError),
    /// The catalog failed.
    #[error("reach the catalog")]
    Catalog(#[from] CatalogError),
    /// The scratch folder failed.
    #[error("use the scratch folder")]
    Scratch(#[source] io::Error),
    /// The transcoder's program could not be started.
    #[error("start the transcoder")]
    Start(#[source] io::Error),
    /// The transcoder could not read the original, although it is there.
    #[error("read the original")]
    Unread,
    /// An object that a finished upload must have left is not there.
    #[error("find `{0}`")]
    Missing(ObjectKey),
    /// An object is not the one that its version's index names.
    #[error("read `{0}`, which is damaged")]
    Damaged(ObjectKey),
    /// Nobody announced the initialisation segments of a version in time.
    #[error("wait for the announcement of version `{0}`")]
    Unannounced(VersionId),
    /// All work on a version is done, and its rows do not add up to it.
    #[error("finish the version")]
    Unfinished(#[source] CmafError),
    /// The catalog knows no video, and the bucket holds objects of some: a sweep would take all.
    #[error(
        "tell what to sweep: the catalog knows no video, and the bucket holds objects of some; check that \
         `database` (COCUYO_DATABASE) is the one that this bucket belongs to"
    )]
    Stranger,
    /// A worker ended for a reason that is a defect of ours.
    #[error("keep the workers running")]
    Worker(#[source] tokio::task::JoinError),
}

impl PackagerError {
    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Storage(error) => error.kind(),
            Self::Catalog(error) => error.kind(),
            Self::Scratch(error) => match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::NoSpace,
                _ => ErrorKind::Unavailable,
            },
            Self::Start(_) | Self::Unread | Self::Unannounced(_) => ErrorKind::Unavailable,
            Self::Stranger => ErrorKind::Conflict,
            Self::Missing(_) => ErrorKind::NotFound,
            Self::Worker(_) | Self::Unfinished(_) | Self::Damaged(_) => ErrorKind::Internal,
        }
    }
}
