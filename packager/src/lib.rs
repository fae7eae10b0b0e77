//! Originals become renditions: claim a job, probe the file, plan, let a transcoder cell encode,
//! check every byte that it sends, store chunks and index, publish.
//!
//! This crate links no ffmpeg and speaks no HTTP. What depends on the source is decided by
//! [`plan`](plan()), a pure function; what reads a stranger's file is the cell, a child process
//! whose end, however violent, is a value.
//!
//! # Consistency
//!
//! * At-least-once work, exactly-once effect: every attempt writes under a version of its own,
//!   stores the index last, and publishes with its fencing number. A worker that lost its lease
//!   publishes nothing.
//! * What nothing names is rubbish: the attempt itself removes it, and [`sweep`](sweep::sweep)
//!   what a killed worker left, after a day. [`doctor`] shows where rows, indexes and objects
//!   drift apart.
//!
//! # Cancellation
//!
//! [`Packager::run`] ends on its token: cells are stopped and reaped, leases given back. A
//! dropped `run` kills its cells; their leases run out.
//!
//! # Errors
//!
//! A file's failure is a [`model::FailureReason`] in its row. A crash of the cell is tried three
//! times. Whatever is not the file's fault (a store that is away, a full disk, no transcoder)
//! makes the job wait, as often as it takes.

mod abandoned;
mod attempt;
mod backoff;
mod cell;
mod config;
pub mod doctor;
mod error;
#[cfg(feature = "faults")]
pub mod faults;
#[cfg(not(feature = "faults"))]
mod faults;
mod halt;
mod jobs;
mod named;
mod output;
pub mod plan;
mod rendition;
mod scratch;
mod storing;
pub mod sweep;
mod verify;
mod worker;

pub use cell::Patience;
pub use config::Config;
pub use error::PackagerError;
pub use plan::{Limits, plan};
pub use worker::Packager;
