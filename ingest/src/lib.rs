//! Bytes come in: resumable uploads, as tus 1.0.0 at `/api/v1/uploads`, and live streams, by RTMP
//! ([`rtmp`]), on their way to the packager ([`live`]). What follows is about uploads.
//!
//! A body's bytes go to a file of the spool as they come, are synced, and are then recorded in
//! the catalog; only what is recorded is ever promised. When the last one is there, the file
//! becomes the object `Original` of the video, and the video is queued. This crate alone writes
//! the spool and that object; it knows no format, no player and no person.
//!
//! # Consistency
//!
//! * An offset that was told is on the disk, or in the store, of the node that told it.
//! * One request at a time changes an upload; a newer one makes the older one keep what it has
//!   and end, so that no client is locked out by its own dead connection.
//! * An upload is finished when its object is closed and its video queued. Each step before
//!   that may be repeated: by the client's next `HEAD` or `PATCH`, or by [`Ingest::recover`].
//! * With a checksum a body counts whole or not at all.
//!
//! # Cancellation
//!
//! The door stands behind an `OnRuntime`: a request whose client is gone ends by itself and
//! keeps what came. [`Ingest::close`] makes all of them end so.
//!
//! # Memory
//!
//! A request holds the frames that its connection has read and nothing more, however long its
//! body is. Parts on their way to S3 are few for all requests together.

mod accounts;
mod close;
mod config;
mod door;
mod error;
mod ingest;
pub mod live;
mod receive;
mod reconcile;
pub mod rtmp;
mod ship;
mod spool;
mod turns;
mod tus;

pub use accounts::{Accounts, Uploader};
pub use config::Config;
pub use error::IngestError;
pub use ingest::Ingest;
