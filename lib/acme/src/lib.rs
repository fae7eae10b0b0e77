//! A certificate of a certificate authority's, got and renewed by itself (ACME, RFC 8555). It alone
//! speaks to the authority and keeps the account and the certificate on the disk; it knows no port
//! and no handshake: whoever runs a [`Keeper`] answers for its [`Challenges`] on the plain HTTP port
//! and shows its [`Certificate`].
//!
//! # Consistency
//!
//! A certificate and its key are one file, written whole or not at all, so the two never disagree.
//! One process orders for a data folder; a second one would order for itself, and the CA counts both.

mod certificate;
mod challenges;
mod client;
mod config;
mod domain;
mod error;
mod keeper;
mod kept;
mod order;
mod renewal;

pub use certificate::Certificate;
pub use challenges::Challenges;
pub use config::Config;
pub use domain::Domain;
pub use error::AcmeError;
pub use keeper::Keeper;
