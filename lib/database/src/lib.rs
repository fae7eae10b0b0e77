//! Opens the database: a SQLite file or a PostgreSQL server, chosen by a URL.
//!
//! Pools, pragmas, timeouts, migrations and the classification of the driver's errors are
//! decided here, once, for `catalog` and `subscriptions`. This crate knows no table; only those
//! two crates name it.
//!
//! # Consistency
//!
//! Every change runs in a transaction from [`Database::begin_write`]. On SQLite it takes the
//! write lock when it begins, so what was read inside it stays true until it commits. On
//! PostgreSQL it is READ COMMITTED: a change that depends on what was read names that in its
//! `WHERE` and checks the number of rows, or locks the row first.
//!
//! # Cancellation
//!
//! Dropping a transaction before its commit rolls it back. A commit that was answered is on the
//! disk (`synchronous=FULL`, `synchronous_commit=on`).

mod database;
mod error;
mod migrate;
mod news;
#[cfg(feature = "testing")]
pub mod testing;

pub use database::{Database, Engine, sqlite_url};
pub use error::{DatabaseError, kind_of};
pub use migrate::{migrate, require};
pub use news::{Heard, Listener};
