use std::fmt;
use std::io;

use model::ErrorKind;

/// What was done to an object when it went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Making the store ready.
    Open,
    /// Writing an object.
    Put,
    /// Reading an object or a range of it.
    Get,
    /// Asking for its length.
    Size,
    /// Removing it.
    Delete,
    /// Listing a prefix.
    List,
    /// Beginning to write in parts.
    StartParts,
    /// Writing a part.
    PutPart,
    /// Making an object of its parts.
    CompleteParts,
    /// Forgetting parts.
    AbortParts,
    /// Looking for forgotten parts.
    ListParts,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open store",
            Self::Put => "put",
            Self::Get => "get",
            Self::Size => "look up",
            Self::Delete => "delete",
            Self::List => "list",
            Self::StartParts => "start parts of",
            Self::PutPart => "put a part of",
            Self::CompleteParts => "complete parts of",
            Self::AbortParts => "abort parts of",
            Self::ListParts => "list parts of",
        })
    }
}

/// Why an object could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{operation} `{subject}`")]
pub struct StorageError {
    operation: Operation,
    subject: String,
    kind: ErrorKind,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl StorageError {
    pub(crate) fn new(
        operation: Operation,
        subject: impl fmt::Display,
        kind: ErrorKind,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { operation, subject: subject.to_string(), kind, source: source.into() }
    }

    pub(crate) fn io(operation: Operation, subject: impl fmt::Display, source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::NoSpace,
            io::ErrorKind::UnexpectedEof => ErrorKind::Range,
            // A disk that errs, a folder that lost its rights: an operator can mend it, so what
            // waited for it is worth another try.
            _ => ErrorKind::Unavailable,
        };
        Self::new(operation, subject, kind, source)
    }

    /// A store that is only read was to be changed.
    pub fn read_only(operation: Operation, subject: impl fmt::Display) -> Self {
        Self::new(operation, subject, ErrorKind::Internal, "it is only read")
    }

    pub(crate) fn absent(operation: Operation, subject: impl fmt::Display) -> Self {
        Self::new(operation, subject, ErrorKind::NotFound, "no such object")
    }

    /// An object of `size` bytes does not have all of `range`.
    pub fn range(subject: impl fmt::Display, range: &std::ops::Range<u64>, size: u64) -> Self {
        let source = format!("bytes {}..{} of {size}", range.start, range.end);
        Self::new(Operation::Get, subject, ErrorKind::Range, source)
    }

    /// The kind of failure: `NotFound`, `Range`, `NoSpace`, `Unavailable` (worth another try),
    /// or `Internal`.
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What was being done.
    pub const fn operation(&self) -> Operation {
        self.operation
    }
}
