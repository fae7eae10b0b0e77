//! Named points on a job's way at which a test ends, stops or delays the process.
//!
//! Built with the feature `faults` the environment variable `FAILPOINTS` says what happens where:
//! `name=action`, several separated by `;`. An action is one of crate `fail`'s (`sleep(500)`,
//! `pause`, `2*off->panic`…) or one of ours: `return(kill)` ends the process as `kill -9` does,
//! `return(stop)` stops it as SIGSTOP does. Without the feature nothing of this is there.

#[cfg(all(feature = "faults", not(debug_assertions)))]
compile_error!("fail points are for tests: a release build must not have them");

/// A worker holds the lease of a job and has done nothing yet.
pub(crate) const CLAIMED: &str = "packager::claimed";
/// The file was probed and planned.
pub(crate) const PROBED: &str = "packager::probed";
/// The version and its jobs are rows; its initialisation segments are not.
pub(crate) const STARTED: &str = "packager::started";
/// A cell sent its first segment.
pub(crate) const SEGMENT: &str = "packager::segment";
/// Chunks are complete and in the scratch folder.
pub(crate) const BEFORE_PUT: &str = "packager::before_put";
/// Chunks are stored and no row names them.
pub(crate) const STORED: &str = "packager::stored";
/// Their rows are committed.
pub(crate) const COMMITTED: &str = "packager::committed";
/// The version's index is about to be stored.
pub(crate) const BEFORE_INDEX: &str = "packager::before_index";
/// The version's index is stored, and nobody knows.
pub(crate) const INDEXED: &str = "packager::indexed";
/// The version is published.
pub(crate) const PUBLISHED: &str = "packager::published";

/// Sabotage, by which the tests are tried: with any action here, chunks are committed and never stored.
#[cfg(feature = "faults")]
const SKIP_PUT: &str = "packager::skip_put";

/// Takes the actions from the environment, for the rest of the process's life.
#[cfg(feature = "faults")]
pub fn from_environment() {
    // Its end would take the actions away again.
    std::mem::forget(fail::FailScenario::setup());
}

/// Does here what the environment asks for.
#[cfg(feature = "faults")]
pub(crate) fn at(point: &'static str) {
    use nix::sys::signal::{Signal, raise};

    fail::fail_point!(point, |what| {
        let signal = match what.as_deref() {
            Some("kill") => Signal::SIGKILL,
            Some("stop") => Signal::SIGSTOP,
            other => panic!("a fail point can kill or stop, not {other:?}"),
        };
        tracing::warn!("fail point `{point}`: {signal}");
        raise(signal).expect("a process may signal itself");
    });
}

/// Does nothing: this build has no fail points.
#[cfg(not(feature = "faults"))]
pub(crate) const fn at(_point: &'static str) {}

/// Whether chunks are to be committed and never stored.
#[cfg(feature = "faults")]
pub(crate) fn skips_put() -> bool {
    fail::fail_point!(SKIP_PUT, |_| true);
    false
}

/// Never: this build has no sabotage.
#[cfg(not(feature = "faults"))]
pub(crate) const fn skips_put() -> bool {
    false
}
