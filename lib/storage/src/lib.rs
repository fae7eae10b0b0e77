//! Objects in a bucket: every read and write of object storage goes through this crate.
//!
//! It knows keys and bytes, not videos; it alone knows aws-sdk-s3, and how a folder must be
//! written so that a power cut takes nothing. What a store has acknowledged is there, whole,
//! for every later reader; what it has not is absent, or whole as well.
//!
//! # Consistency
//!
//! Objects are immutable: a key is only ever written with the same bytes again, so a repeated
//! `put` is harmless and a reader never sees half an object.
//!
//! # Cancellation
//!
//! A call whose future is dropped may or may not have its effect. Leftovers are temporary files
//! (cleared when a folder is opened, once they are a day old) and unfinished multi-part writes.

mod config;
mod error;
#[cfg(any(test, feature = "testing"))]
mod flaky;
mod folder;
mod memory;
mod s3;
mod store;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

#[cfg(test)]
mod conformance;

pub use config::{Config, S3Config, Secret};
pub use error::{Operation, StorageError};
#[cfg(any(test, feature = "testing"))]
pub use flaky::Flaky;
pub use folder::Folder;
pub use memory::Memory;
pub use s3::S3;
pub use store::{Listed, ObjectStore, Part, Parts, Unfinished};

use std::sync::Arc;

/// Opens the store that `config` describes and proves that it is there.
///
/// # Errors
///
/// `NoSpace` or `Unavailable` when the folder cannot be written to, `Unavailable` when the
/// server cannot be reached or refuses the credentials.
pub async fn open(config: &Config) -> Result<Arc<dyn ObjectStore>, StorageError> {
    match config {
        Config::Folder(path) => Ok(Arc::new(Folder::open(path).await?)),
        Config::S3(s3) => Ok(Arc::new(S3::open(s3).await?)),
    }
}
