//! The operator's port, on loopback: whether the process lives, and whether it should be sent
//! requests.

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use listener::{Body, Door, RouteName};
use model::ErrorKind;
use tokio_util::sync::CancellationToken;

use crate::parts::Parts;

/// `/health/live` and `/health/ready`.
pub(crate) struct AdminDoor {
    pub(crate) parts: Parts,
    pub(crate) stop: CancellationToken,
}

impl Door for AdminDoor {
    fn name(&self) -> &'static str {
        "admin"
    }

    fn takes(&self, method: &Method, path: &str) -> bool {
        matches!(*method, Method::GET | Method::HEAD) && matches!(path, "/health/live" | "/health/ready")
    }

    fn serve(&self, request: Request<Incoming>) -> BoxFuture<'static, Response<Body>> {
        let live = request.uri().path() == "/health/live";
        let (parts, stopping) = (self.parts.clone(), self.stop.is_cancelled());
        async move {
            let reason = if live { None } else { not_ready(&parts, stopping).await };
            let mut response = match reason {
                None => Response::new(listener::full("ok\n")),
                Some(reason) => {
                    let mut response = Response::new(listener::full(format!("{reason}\n")));
                    *response.status_mut() = listener::status(ErrorKind::Unavailable);
                    response
                }
            };
            response.extensions_mut().insert(RouteName("health"));
            response
        }
        .boxed()
    }
}

/// Why requests should go elsewhere: it is stopping, or its rows are out of reach.
async fn not_ready(parts: &Parts, stopping: bool) -> Option<String> {
    if stopping {
        return Some("stopping".to_owned());
    }
    let asked = parts.subscriptions.tier_rights().await;
    asked.err().map(|error| format!("the database does not answer: {error}"))
}
