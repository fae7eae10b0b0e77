//! What every door counts, for Prometheus.

use http::StatusCode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// Names and values of labels.
type Labels = [(&'static str, &'static str); 2];

const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// Answers, by door and class of status.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answers(Family<Labels, Counter>);

impl Answers {
    /// The counters of one door.
    pub(crate) fn of(&self, door: &'static str) -> ByStatus {
        ByStatus(CLASSES.map(|class| self.0.get_or_create_owned(&[("door", door), ("status", class)])))
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("cocuyo_requests", "Answers, by door and status", self.0.clone());
    }
}

/// A door's answers, by class of status.
#[derive(Debug)]
pub(crate) struct ByStatus([Counter; CLASSES.len()]);

impl ByStatus {
    pub(crate) fn count(&self, status: StatusCode) {
        self.0[usize::from(status.as_u16() / 100).clamp(2, 5) - 2].inc();
    }
}
