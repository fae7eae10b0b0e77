//! What the doors for live streams count, for Prometheus.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// The name and the value of a label.
type Label = [(&'static str, &'static str); 1];

/// The counters of all doors of a process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics {
    /// Who publishes now.
    pub(crate) publishers: Gauge,
    /// Bytes from publishers.
    pub(crate) received: Counter,
    /// Packets that the packager did not take in time.
    pub(crate) dropped: Counter,
    /// Times that a feed found its packager again.
    pub(crate) resumed: Counter,
    ended: Family<Label, Counter>,
}

impl Metrics {
    /// Shows them in `registry`.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("cocuyo_live");
        registry.register("publishers", "Programs that publish now", self.publishers.clone());
        registry.register_with_unit("received", "Bytes from publishers", Unit::Bytes, self.received.clone());
        registry.register(
            "packets_dropped",
            "Packets that a packager did not take in time",
            self.dropped.clone(),
        );
        registry.register(
            "feeds_resumed",
            "Times that a feed found its packager again",
            self.resumed.clone(),
        );
        registry.register("connections", "Publishers' connections that ended, by why", self.ended.clone());
    }

    /// Counts a connection that ended because of `reason`.
    pub(crate) fn ended(&self, reason: &'static str) {
        self.ended.get_or_create(&[("ended", reason)]).inc();
    }
}
