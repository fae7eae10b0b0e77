//! Originals become renditions.

mod backoff;
mod cell;
mod config;
mod error;
mod package;
pub mod plan;
mod progress;
mod rendition;
mod scratch;
mod verify;
mod worker;

pub use cell::Patience;
pub use config::Config;
pub use error::PackagerError;
pub use plan::{Limits, plan};
pub use worker::Packager;
