//! What is counted of live events.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Why somebody waits no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Release {
    /// What they waited for is there, or is known not to come.
    Settled,
    /// It took too long.
    TooLong,
    /// The right to it was withdrawn.
    Refused,
    /// They hung up.
    Gone,
    /// The edge stops.
    Closed,
}

const RELEASES: [&str; 5] = ["settled", "too_long", "refused", "gone", "closed"];

/// The counters.
pub(crate) struct Counts {
    waiting: Gauge,
    followed: Gauge,
    releases: Family<[(&'static str, &'static str); 1], Counter>,
    release: [Counter; RELEASES.len()],
    part_age: Histogram,
}

/// Counted as long as it lives.
pub(crate) struct Counted(Gauge);

impl Counts {
    pub(super) fn new() -> Self {
        let releases = Family::<[(&'static str, &'static str); 1], Counter>::default();
        Self {
            waiting: Gauge::default(),
            followed: Gauge::default(),
            release: RELEASES.map(|why| releases.get_or_create_owned(&[("why", why)])),
            releases,
            part_age: Histogram::new([0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0]),
        }
    }

    /// Shows them in `registry`.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("cocuyo_edge_live");
        registry.register(
            "waiting",
            "Requests that are held for a part or a segment that will come",
            self.waiting.clone(),
        );
        registry.register("followed", "Renditions of live events that are followed", self.followed.clone());
        registry.register(
            "releases",
            "Requests that were held, by why they were no longer",
            self.releases.clone(),
        );
        registry.register_with_unit(
            "part_age",
            "From the end of a part, by its event's clock, to its being here",
            Unit::Seconds,
            self.part_age.clone(),
        );
    }

    /// Somebody waits, until what this returns is dropped.
    pub(crate) fn waits(&self) -> Counted {
        Counted::new(&self.waiting)
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> i64 {
        self.waiting.get()
    }

    pub(super) fn follows(&self) -> Counted {
        Counted::new(&self.followed)
    }

    pub(crate) fn released(&self, why: Release) {
        self.release[why as usize].inc();
    }

    pub(super) fn part_came(&self, age: Duration) {
        self.part_age.observe(age.as_secs_f64());
    }
}

impl Counted {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
