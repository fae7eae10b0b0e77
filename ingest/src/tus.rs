//! The words of tus 1.0: what its header fields say. Pure.

mod checksum;
mod fields;
mod metadata;
mod route;

pub(crate) use checksum::{ALGORITHMS, Checksum, Hasher};
pub(crate) use fields::{
    EXPIRES, LENGTH, OFFSET, RESUMABLE, VERSION, check_body_type, check_version, length, offset,
};
pub(crate) use metadata::{METADATA, Metadata};
pub(crate) use route::{BASE, Route};

/// What a header field says that cannot be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TusError {
    /// The client speaks another version, or does not say which.
    #[error("not tus 1.0.0")]
    Version,
    /// A body that is not `application/offset+octet-stream`.
    #[error("body of another type than `application/offset+octet-stream`")]
    BodyType,
    /// A field that is missing, doubled or cannot be read.
    #[error("unreadable `{0}`")]
    Field(&'static str),
    /// An extension that is not spoken here.
    #[error("`{0}` is not supported")]
    Extension(&'static str),
}
