//! The edge: media goes out here, over bare hyper, to whoever holds a grant. It verifies tokens
//! offline with public keys and reads immutable objects; it has no database, no private key and
//! no ffmpeg, and never sees a password.
//!
//! ```text
//! path → Route → Bearer → Decision → object, range → bytes
//! ```
//!
//! # Consistency
//!
//! Every request is decided anew, before anything is looked up, by the same identifiers that are
//! then looked up. A revocation holds within two seconds of being written while the origin can
//! be reached, for bodies under way within seven; when it cannot, grants hold until they expire.
//! What is sent was compared with its hash when it was first read; bytes that do not fit are
//! never sent.
//!
//! # Growing versions
//!
//! A version that is still being made has no index object: one follower per version keeps what
//! the [`Origin`] says of it up to date, while somebody asks. A request for a segment that is not
//! there is held; dropping its future, or its client's hanging up, gives its [`Want`] back.
//!
//! # Live events
//!
//! An event is followed by one follower per rendition, through its [`LiveSource`]: what reaches this
//! edge does not depend on how many watch. What waits, waits for all to be released at once, has
//! its right looked at every five seconds, and after three target durations is told to come again.
//!
//! # Errors
//!
//! A refusal says 401, 403 or 404 and nothing else; why a token is no good, and what the store
//! said, goes to the log.

mod carrier;
mod config;
mod decision;
mod document;
mod edge;
mod error;
mod files;
mod growth;
mod kept;
mod keyring;
pub mod link;
mod live;
mod media;
mod metrics;
mod origin;
mod patience;
mod playlist;
mod policies;
mod response;
mod revocations;
mod route;
mod sent;
mod shelf;
mod strangers;
mod verified;
mod versions;
mod wants;

/// Where an edge's live events come from.
pub use ::live::LiveSource;
/// What an [`Origin`] tells of a version that is being made.
pub use cmaf::GrowingIndex;
pub use config::Config;
pub use edge::Edge;
pub use error::EdgeError;
pub use origin::{Origin, Remembered, Want};
pub use sent::{SentReport, Sums};
