use database::DatabaseError;
use model::{ErrorKind, InvalidTransition, RenditionName};
use sea_orm::DbErr;

use crate::{ReencodeRefusal, TrimRefusal};

/// Why the catalog could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The database did not open or migrate.
    #[error("open the catalog")]
    Open(#[source] DatabaseError),
    /// The database refused a query.
    #[error("query the catalog")]
    Query(#[from] DbErr),
    /// No row has this id.
    #[error("no {what} `{id}`")]
    Absent {
        /// The kind of thing.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// Somebody else changed the row first, or an attempt has lost its lease.
    #[error("{what} `{id}` has moved on")]
    MovedOn {
        /// The kind of thing.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// Another initialisation segment was announced for the rendition, and viewers may have it.
    #[error("version `{version}` has another init of `{rendition}` already")]
    OtherInit {
        /// The version.
        version: String,
        /// The rendition.
        rendition: RenditionName,
    },
    /// The video's state does not allow this.
    #[error(transparent)]
    State(#[from] InvalidTransition),
    /// The video is not encoded anew.
    #[error(transparent)]
    Reencode(#[from] ReencodeRefusal),
    /// The video is not trimmed, or that not undone.
    #[error(transparent)]
    Trim(#[from] TrimRefusal),
    /// One file over the limit per file.
    #[error("a file of {size_bytes} bytes is over the limit of {limit_bytes}")]
    FileTooLarge {
        /// Announced length in bytes.
        size_bytes: u64,
        /// The limit in bytes.
        limit_bytes: u64,
    },
    /// As many uploads as the limit are open.
    #[error("{open} uploads are open, and no more are allowed")]
    TooManyUploads {
        /// How many.
        open: u64,
    },
    /// As many events as the limit are not over.
    #[error("{open} events are not over, and no more are allowed")]
    TooManyEvents {
        /// How many.
        open: u64,
    },
    /// The account's originals would be over their limit.
    #[error("{used_bytes} of {limit_bytes} bytes are used or reserved, and {size_bytes} more do not fit")]
    QuotaExceeded {
        /// Announced length in bytes.
        size_bytes: u64,
        /// Bytes of the account's originals and open uploads.
        used_bytes: u64,
        /// The limit in bytes.
        limit_bytes: u64,
    },
    /// A text that is not a cursor of ours.
    #[error("not a cursor of this list")]
    Cursor,
    /// A copy goes into an empty catalog only.
    #[error("the target has rows in `{table}`; a copy needs an empty one")]
    NotEmpty {
        /// The first table with rows.
        table: &'static str,
    },
    /// A row that this release cannot read.
    #[error("row `{id}` of `{table}` has an unreadable `{column}`")]
    Row {
        /// Its table.
        table: &'static str,
        /// Its key.
        id: String,
        /// The column.
        column: &'static str,
    },
}

impl CatalogError {
    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Open(source) => source.kind(),
            Self::Query(source) => database::kind_of(source),
            Self::Absent { .. } => ErrorKind::NotFound,
            Self::MovedOn { .. } | Self::OtherInit { .. } | Self::State(_) | Self::NotEmpty { .. } => {
                ErrorKind::Conflict
            }
            Self::Reencode(
                ReencodeRefusal::Nothing | ReencodeRefusal::NoSuchPicture(_) | ReencodeRefusal::NotSlower(_),
            ) => ErrorKind::Invalid,
            Self::Reencode(_) | Self::Trim(_) => ErrorKind::Conflict,
            Self::FileTooLarge { .. } => ErrorKind::TooLarge,
            Self::TooManyUploads { .. } | Self::TooManyEvents { .. } | Self::QuotaExceeded { .. } => {
                ErrorKind::TooMany
            }
            Self::Cursor => ErrorKind::Invalid,
            Self::Row { .. } => ErrorKind::Internal,
        }
    }
}

pub(crate) type Result<T, E = CatalogError> = std::result::Result<T, E>;

/// The proof of a conditional update: exactly this row was still as expected.
pub(crate) fn one_row(rows: u64, what: &'static str, id: &str) -> Result<()> {
    if rows == 1 { Ok(()) } else { Err(CatalogError::MovedOn { what, id: id.to_owned() }) }
}
