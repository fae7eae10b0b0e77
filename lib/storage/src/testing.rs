//! What tests of this crate and of the whole product need of the world.

mod disk;
mod ports;
mod seaweedfs;

pub use disk::{Disk, SmallDisk};
pub use ports::free_ports;
pub use seaweedfs::{SECRET_KEY, SeaweedFs};
