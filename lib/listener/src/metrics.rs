//! What every door counts, for Prometheus.

use http::StatusCode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
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

/// What a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// HTTP/1.1 in the open.
    Plain,
    /// HTTP/1.1 in TLS.
    Tls,
    /// HTTP/2, which only TLS leads to.
    Http2,
}

/// What a connection did not get past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// A proxy's word on whom it speaks for.
    ProxyHeader,
    /// TLS.
    Handshake,
}

/// Connections: those that are open, and those that never began.
#[derive(Debug, Clone, Default)]
pub(crate) struct Connections {
    open: Family<[(&'static str, &'static str); 1], Gauge>,
    refused: Family<[(&'static str, &'static str); 1], Counter>,
}

impl Connections {
    /// Counts one that is open until what this returns is dropped.
    pub(crate) fn open(&self, kind: Kind) -> OpenConnection {
        let word = match kind {
            Kind::Plain => "plain",
            Kind::Tls => "tls",
            Kind::Http2 => "h2",
        };
        let gauge = self.open.get_or_create_owned(&[("kind", word)]);
        gauge.inc();
        OpenConnection(gauge)
    }

    /// Counts one that ended before its first request could come.
    pub(crate) fn refuse(&self, stage: Stage) {
        let word = match stage {
            Stage::ProxyHeader => "proxy_header",
            Stage::Handshake => "handshake",
        };
        self.refused.get_or_create(&[("stage", word)]).inc();
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("cocuyo_connections", "Open connections, by what they speak", self.open.clone());
        let help = "Connections that ended before their first request, by what they did not get past";
        registry.register("cocuyo_connections_refused", help, self.refused.clone());
    }
}

/// A connection that is counted as open.
#[derive(Debug)]
pub(crate) struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}
