//! Originals become renditions.

mod backoff;
mod cell;
mod config;
pub mod plan;
mod progress;
mod verify;

pub use cell::Patience;
pub use config::Config;
pub use plan::{Limits, plan};
