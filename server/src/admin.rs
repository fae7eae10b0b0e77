//! The operator's port, on loopback: whether the process lives, whether it should be sent
//! requests, and what it counts.

use std::sync::Arc;

use edge::link::RemoteOrigin;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response};
use hyper::body::Incoming;
use listener::{Body, Door, Outcome};
use model::ErrorKind;
use prometheus_client::registry::Registry;
use subscriptions::Subscriptions;
use tokio_util::sync::CancellationToken;

/// `/health/live`, `/health/ready` and `/metrics`.
pub(crate) struct AdminDoor {
    pub(crate) metrics: Arc<Registry>,
    pub(crate) needs: Needs,
    pub(crate) stop: CancellationToken,
}

/// Without what requests should go elsewhere.
#[derive(Clone)]
pub(crate) enum Needs {
    /// The rows.
    Database(Subscriptions),
    /// What an origin says, or said.
    Origin(RemoteOrigin),
}

impl Door for AdminDoor {
    fn name(&self) -> &'static str {
        "admin"
    }

    fn takes(&self, method: &Method, path: &str) -> bool {
        matches!(*method, Method::GET | Method::HEAD)
            && matches!(path, "/health/live" | "/health/ready" | "/metrics")
    }

    fn serve(&self, request: Request<Incoming>) -> BoxFuture<'static, Response<Body>> {
        if request.uri().path() == "/metrics" {
            return std::future::ready(shown(&self.metrics)).boxed();
        }
        let live = request.uri().path() == "/health/live";
        let (needs, stopping) = (self.needs.clone(), self.stop.is_cancelled());
        async move {
            let reason = if live { None } else { not_ready(&needs, stopping).await };
            let mut response = match reason {
                None => Response::new(listener::full("ok\n")),
                Some(reason) => {
                    let mut response = Response::new(listener::full(format!("{reason}\n")));
                    *response.status_mut() = listener::status(ErrorKind::Unavailable);
                    response
                }
            };
            response.extensions_mut().insert(Outcome::of("health"));
            response
        }
        .boxed()
    }
}

/// What the process counts, as Prometheus reads it (OpenMetrics 1.0).
fn shown(metrics: &Registry) -> Response<Body> {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = prometheus_client::encoding::text::encode(&mut text, metrics);
    let mut response = Response::new(listener::full(text));
    let form = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, form);
    response.extensions_mut().insert(Outcome::of("metrics"));
    response
}

/// Why requests should go elsewhere: it is stopping, or what it needs is out of reach.
async fn not_ready(needs: &Needs, stopping: bool) -> Option<String> {
    if stopping {
        return Some("stopping".to_owned());
    }
    match needs {
        Needs::Database(subscriptions) => {
            let asked = subscriptions.tier_rights().await;
            asked.err().map(|error| format!("the database does not answer: {error}"))
        }
        Needs::Origin(origin) => origin.not_ready(),
    }
}
