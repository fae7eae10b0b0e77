//! The hyper parts that every HTTP door shares: the accept loop on thread-per-core runtimes, the
//! ordered list of doors, the drain, byte ranges and conditional requests, the one table from
//! [`model::ErrorKind`] to a status, and problem documents. It alone accepts TCP connections; it
//! knows no video, no account and no store.
//!
//! # Cancellation
//!
//! When a client goes away while its answer is sent, or the drain's time is over, the future that
//! [`Door::serve`] returned is dropped in mid-await, except behind an [`OnRuntime`], where the
//! handler runs on to its end and its request body reads an error. A client that goes away before
//! its answer has begun is noticed only by who looks: [`Departure`]. Whoever must not be cut short (uploads, transactions) stands behind one.

pub mod access_log;
mod body;
mod conditional;
mod connection;
mod door;
mod error;
mod headers;
mod language;
mod listener;
mod metrics;
mod problem;
mod range;
mod status;
mod stream;

pub use body::{Body, BoxError, Tally, empty, full, sized};
pub use conditional::{Answer, ETag, answer};
pub use connection::Peer;
pub use door::{Door, Doors, OnRuntime, Outcome};
pub use error::ListenerError;
pub use headers::secure;
pub use language::{Language, cookie};
pub use listener::{Config, Drained, Listener};
pub use problem::{Problem, Text};
pub use range::{Requested, requested};
pub use status::status;
pub use stream::Departure;
