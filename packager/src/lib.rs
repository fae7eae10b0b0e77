//! Originals become renditions, part by part: a worker claims a job, lets a transcoder cell do the
//! work, checks every byte that it sends, stores it and has a row name it. The kinds of jobs are
//! the files of `jobs/`.
//!
//! This crate links no ffmpeg and speaks no HTTP. What depends on the source is decided by
//! [`plan`](plan()), a pure function; what reads a stranger's file is the cell, a child process
//! whose end, however violent, is a value.
//!
//! # Consistency
//!
//! * At-least-once work, exactly-once effect: an object is stored before a row names it by its
//!   hash, and rows are written with the attempt's fencing number. A worker that lost its lease
//!   commits nothing.
//! * A cell sends exactly the planned frames behind exactly the announced init, or nothing of it
//!   is kept: chunks made anywhere, in any order, fit together.
//! * A version that was replaced is kept for those who watch it, and goes with the first sweep behind
//!   the end of the last grant for it.
//! * What nothing names is rubbish: that of a video that was given up goes at once, what a killed
//!   worker left goes with the [`sweep`](sweep::sweep), after a day. [`doctor`] shows where rows,
//!   indexes and objects drift apart.
//!
//! # Cancellation
//!
//! [`Packager::run`] ends on its token: cells are stopped and reaped, leases given back. A
//! dropped `run` kills its cells; their leases run out.
//!
//! # Errors
//!
//! A file's failure is a [`model::FailureReason`] in its row. A cell that crashes or is too slow is
//! tried three times. Whatever is not the file's fault (a store that is away, a full disk, no transcoder)
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
mod film;
mod halt;
mod jobs;
pub mod live;
mod named;
mod outlived;
mod output;
pub mod plan;
mod rendition;
mod scratch;
mod storing;
pub mod sweep;
mod turn;
mod verify;
mod worker;

pub use self::live::{Live, LiveSettings};
pub use cell::Patience;
pub use config::Config;
pub use error::PackagerError;
pub use plan::{Limits, plan};
pub use worker::Packager;
