//! The product from outside: a [`Stack`] runs the real programs on free loopback ports, with a
//! folder and SQLite or with SeaweedFS and PostgreSQL; people act on it through its doors.
//!
//! The stories in `stories/` assert only what an outsider can see: statuses, playlists, pictures,
//! and the list of objects in the bucket.

mod broadcaster;
mod browser;
mod cells;
pub mod checker;
mod clip;
pub mod film;
mod https;
mod line;
mod media;
mod observer;
mod own_edge;
mod part;
mod pebble;
mod person;
mod plain;
mod process;
mod replayer;
pub mod rtmp;
mod server;
mod stack;
mod tape;
mod tus;
mod until;
mod watching;

pub use broadcaster::{Broadcaster, Signal};
pub use browser::Browser;
pub use cells::{Cells, Held, Kind, Poison, Started};
pub use clip::{Clip, TINY};
pub use https::{Certified, Https};
pub use line::Line;
pub use media::{Decoded, decode, pictures, probe, stored};
pub use observer::{Notes, Observer};
pub use own_edge::OwnEdge;
pub use part::Part;
pub use pebble::Pebble;
pub use person::{Answer, Person};
pub use plain::plainly;
pub use process::{Finished, program, run};
pub use replayer::Replayer;
pub use server::{End, Server};
pub use stack::{Engines, Setup, Stack, project_file};
pub use tape::Tape;
pub use tus::{Upload, tus_metadata};
pub use until::until;
pub use watching::{Watching, named_by};
