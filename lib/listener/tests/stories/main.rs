//! The listener from outside: real sockets.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

mod encrypted;
mod families;
mod fixture;
mod http2;
mod plain;
mod proxied;
