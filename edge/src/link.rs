//! The link between an origin and an edge of its own: an [`Origin`](crate::Origin) over HTTP.
//!
//! ```text
//! rows → Origin → OriginDoor ── /origin/v1/ ──→ RemoteOrigin → Origin → Edge
//! packager → LiveSource ↗                                     ↘ LiveSource ↗
//! ```
//!
//! Both ends speak of the same trait, so an edge cannot see how far away its origin is, and an edge
//! that holds a [`RemoteOrigin`] can open an [`OriginDoor`] over it to be the parent of others.
//!
//! # Consistency
//!
//! Revocations are told as a numbered list, by long polls: each is heard once, in the order in which
//! the origin saw it, within a second or two. A list has a name; who comes with another name (the
//! origin was restarted, or its database restored) gets it whole. Keys are asked for every five
//! seconds. What goes up is numbered by the edge and counted once however often it arrives.
//!
//! # Secrets
//!
//! The fill credential opens the documents and nothing else. No header of a viewer's request is part
//! of a request to the origin.

mod client;
mod config;
mod disk;
mod documents;
mod door;
mod events;
mod list;
mod news;
mod numbers;
mod remote;

pub use config::{Config, Credential, InvalidCredential};
pub use door::{Enrolled, OriginDoor};
pub use remote::{LinkError, RemoteOrigin};
