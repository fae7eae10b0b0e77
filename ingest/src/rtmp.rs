//! The door for RTMP and RTMPS: a publisher's bytes become packets of a feed.
//!
//! ```text
//! bytes → handshake → chunk → message → command (who is it, what does it want)
//!                                     → flv (packets) → live::Feed → the packager
//! ```
//!
//! All but [`door`](self) and `session` is pure. A key is hashed as soon as it is read; neither it
//! nor what it was read from is ever formatted.

mod amf;
mod chunk;
mod clock;
mod command;
mod conversation;
mod door;
mod ended;
mod error;
mod flv;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod handshake;
mod message;
mod publishing;
mod rate;
mod read;
mod session;
mod tries;

pub use door::RtmpDoor;
