//! Originals become renditions.

pub mod plan;

pub use plan::{Limits, plan};
