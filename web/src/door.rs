use axum::Router;
use axum::body::Body as AxumBody;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use listener::{Door, Outcome};
use tower::ServiceExt;

use crate::{State, router};

/// The router as one of the process's doors; the last one, for it takes every request.
#[derive(Debug)]
pub struct WebDoor {
    router: Router,
}

impl WebDoor {
    /// The API and the pages over `state`.
    pub fn new(state: State) -> Self {
        Self { router: router(state) }
    }
}

impl Door for WebDoor {
    fn name(&self) -> &'static str {
        "web"
    }

    fn takes(&self, _: &Method, _: &str) -> bool {
        true
    }

    fn serve(&self, request: Request<Incoming>) -> BoxFuture<'static, Response<listener::Body>> {
        let router = self.router.clone();
        async move {
            let Ok(mut response) = router.oneshot(request.map(AxumBody::new)).await;
            response.extensions_mut().get_or_insert(Outcome::of("web"));
            response.map(listener::Body::of)
        }
        .boxed()
    }
}
