//! The product from outside: a [`Stack`] runs the real programs on free loopback ports, with a
//! folder and SQLite or with SeaweedFS and PostgreSQL; people act on it through its doors.
//!
//! The stories in `stories/` assert only what an outsider can see: statuses, playlists, pictures,
//! and the list of objects in the bucket.

mod clip;
mod media;
mod person;
mod process;
mod stack;
mod tus;
mod until;

pub use clip::Clip;
pub use media::{Decoded, decode, probe};
pub use person::{Answer, Person};
pub use process::{Finished, program, run};
pub use stack::{Engines, Stack, project_file};
pub use tus::{Upload, tus_metadata};
pub use until::until;
