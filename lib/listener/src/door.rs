use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Method, Request, Response};
use http_body::Body as _;
use hyper::body::Incoming;
use model::ErrorKind;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::body::Body;
use crate::headers::secure;
use crate::language::Language;
use crate::problem::Problem;

/// One of the product's HTTP surfaces.
pub trait Door: Send + Sync + 'static {
    /// The door's name, for logs.
    fn name(&self) -> &'static str;

    /// Whether requests for `path` (as sent, nothing decoded) come to this door.
    fn takes(&self, method: &Method, path: &str) -> bool;

    /// Answers; always, so that an error is a response and not a cut connection.
    fn serve(&self, request: Request<Incoming>) -> BoxFuture<'static, Response<Body>>;
}

/// The name of the route that answered, put by a door into the extensions of its response.
///
/// Logs show it in place of the URL, which may hold a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteName(pub &'static str);

/// Doors in the order in which a request is offered to them.
#[derive(Clone)]
pub struct Doors(Arc<[Arc<dyn Door>]>);

impl Doors {
    /// These doors; the first that takes a request answers it, and a request that none takes is
    /// answered 404.
    pub fn new(doors: impl IntoIterator<Item = Arc<dyn Door>>) -> Self {
        Self(doors.into_iter().collect())
    }

    /// Answers `request`. A door that panics answers 500, and the process lives on.
    pub(crate) async fn serve(&self, request: Request<Incoming>) -> Response<Body> {
        let started = Instant::now();
        let language = Language::of(request.headers());
        let path = request.uri().path();
        let door = self.0.iter().find(|door| door.takes(request.method(), path));
        let name = door.map_or("none", |door| door.name());
        let span = tracing::debug_span!("request", door = name);
        let mut response = match door {
            None => Problem::of(ErrorKind::NotFound).response(language),
            Some(door) => {
                // The call itself may panic too, not only the future.
                let answer = async { door.serve(request).await };
                match AssertUnwindSafe(answer).catch_unwind().instrument(span.clone()).await {
                    Ok(response) => response,
                    Err(panic) => {
                        tracing::error!(
                            door = name,
                            panic = panic_message(&*panic),
                            "door `{name}` panicked"
                        );
                        Problem::of(ErrorKind::Internal).response(language)
                    }
                }
            }
        };
        secure(response.headers_mut());
        tracing::debug!(
            parent: &span,
            route = response.extensions().get::<RouteName>().map_or("none", |route| route.0),
            status = response.status().as_u16(),
            duration_ms = started.elapsed().as_millis() as u64,
            size_bytes = response.body().size_hint().exact(),
            "answered"
        );
        response
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

/// A door whose requests run on another runtime than the one that accepted them.
///
/// For doors that hash passwords, write files or speak SQL: the accepting threads only carry
/// bytes. A handler is never cut short: when its client goes away it runs on, and reading the
/// request's body is an error.
pub struct OnRuntime<D> {
    door: Arc<D>,
    handle: Handle,
    running: TaskTracker,
}

impl<D: Door> OnRuntime<D> {
    /// `door`, run on `handle`.
    pub fn new(door: D, handle: Handle) -> Self {
        Self { door: Arc::new(door), handle, running: TaskTracker::new() }
    }

    /// The handlers that are running; close it and wait for it after the listener has drained,
    /// for those whose clients have gone.
    pub fn running(&self) -> TaskTracker {
        self.running.clone()
    }
}

impl<D: Door> Door for OnRuntime<D> {
    fn name(&self) -> &'static str {
        self.door.name()
    }

    fn takes(&self, method: &Method, path: &str) -> bool {
        self.door.takes(method, path)
    }

    fn serve(&self, request: Request<Incoming>) -> BoxFuture<'static, Response<Body>> {
        let language = Language::of(request.headers());
        let door = Arc::clone(&self.door);
        let answer = async move { door.serve(request).await }.in_current_span();
        let task = self.running.spawn_on(answer, &self.handle);
        async move {
            match task.await {
                Ok(response) => response,
                Err(error) => match error.try_into_panic() {
                    // To be logged and answered where every door's panics are.
                    Ok(panic) => std::panic::resume_unwind(panic),
                    // The other runtime is shutting down.
                    Err(_) => Problem::of(ErrorKind::Unavailable).response(language),
                },
            }
        }
        .boxed()
    }
}
