//! Telling programs of other people what happened: a signed `POST` to an address that somebody
//! typed, which may be any.
//!
//! It alone opens connections to addresses that users name. They lead to public addresses only,
//! whatever a name resolves to at that moment, unless the operator allows a network; no redirect is
//! followed, and of an answer only its status is read.
//!
//! # Errors
//!
//! A [`DeliveryError`] says why a call was not taken, without what the other side sent.
//!
//! # Cancellation
//!
//! A delivery that is dropped may have arrived. It is made again: receivers know it by its id.

mod address;
mod again;
mod client;
mod config;
mod destination;
mod signature;

pub use again::next_try;
pub use client::{Call, Client, DeliveryError};
pub use config::Config;
pub use destination::{Destination, InvalidDestination};
pub use signature::{InvalidSecret, SIGNATURE_HEADER, Secret};
