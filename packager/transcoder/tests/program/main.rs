//! The real program on real and on hostile files, looked at from outside.
#![expect(clippy::unwrap_used, reason = "tests and their support")]

mod copied_sound;
mod copying;
mod driver;
mod evil;
mod feeds;
mod lengths;
mod live;
mod parts;
mod refusals;
mod stories;
