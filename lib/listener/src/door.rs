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
use prometheus_client::registry::Registry;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::access_log::AccessLog;
use crate::body::Body;
use crate::headers::secure;
use crate::language::Language;
use crate::metrics::{Answers, ByStatus};
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

/// What became of a request, put by a door into the extensions of its response.
///
/// Logs show it in place of the URL, which may hold a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The name of the route that answered.
    pub route: &'static str,
    /// To whom: a word of the door's, `none` where it makes no difference.
    pub audience: &'static str,
    /// Where the bytes were found: a word of the door's, `none` where there is nothing to tell.
    pub cache: &'static str,
}

impl Outcome {
    /// That `route` answered, and nothing else.
    pub const fn of(route: &'static str) -> Self {
        Self { route, audience: "none", cache: "none" }
    }
}

/// Doors in the order in which a request is offered to them.
#[derive(Clone)]
pub struct Doors {
    doors: Arc<[Counted]>,
    answers: Answers,
    log: Option<AccessLog>,
}

/// A door, and what counts its answers.
struct Counted {
    door: Arc<dyn Door>,
    by_status: ByStatus,
}

impl Doors {
    /// These doors; the first that takes a request answers it, and a request that none takes is
    /// answered 404.
    pub fn new(doors: impl IntoIterator<Item = Arc<dyn Door>>) -> Self {
        let answers = Answers::default();
        let counted = |door: Arc<dyn Door>| Counted { by_status: answers.of(door.name()), door };
        Self { doors: doors.into_iter().map(counted).collect(), answers, log: None }
    }

    /// The same, with a line in `log` for each request.
    #[must_use]
    pub fn logged(self, log: Option<AccessLog>) -> Self {
        Self { log, ..self }
    }

    /// Shows what they count in `registry`.
    pub fn register(&self, registry: &mut Registry) {
        self.answers.register(registry);
        if let Some(log) = self.log.clone() {
            registry.register_collector(Box::new(log));
        }
    }

    /// Answers `request`. A door that panics answers 500, and the process lives on.
    pub(crate) async fn serve(&self, request: Request<Incoming>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let entry = self.log.as_ref().map(|log| log.begin(&parts));
        let mut response = self.answer(Request::from_parts(parts, body)).await;
        if let Some(entry) = entry {
            entry.answered(&mut response);
        }
        response
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let started = Instant::now();
        let language = Language::of(request.headers());
        let path = request.uri().path();
        let found = self.doors.iter().find(|counted| counted.door.takes(request.method(), path));
        let name = found.map_or("none", |counted| counted.door.name());
        let span = tracing::debug_span!("request", door = name);
        let mut response = match found {
            None => Problem::of(ErrorKind::NotFound).response(language),
            Some(Counted { door, .. }) => {
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
        if let Some(Counted { by_status, .. }) = found {
            by_status.count(response.status());
        }
        secure(response.headers_mut());
        tracing::debug!(
            parent: &span,
            route = response.extensions().get::<Outcome>().map_or("none", |outcome| outcome.route),
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
