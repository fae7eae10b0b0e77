//! Originals become renditions.

mod backoff;
mod cell;
pub mod plan;

pub use plan::{Limits, plan};
