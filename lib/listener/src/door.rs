use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::request::Parts;
use http::{Method, Request, Response};
use http_body::Body as _;
use hyper::body::Incoming;
use model::ErrorKind;
use prometheus_client::registry::Registry;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::access_log::{AccessLog, Entry};
use crate::body::Body;
use crate::headers::secure;
use crate::language::Language;
use crate::metrics::{Answers, ByStatus, Connections};
use crate::problem::Problem;

/// One of the product's HTTP surfaces.
pub trait Door: Send + Sync + 'static {
    /// The door's name, for logs.
    fn name(&self) -> &'static str;

    /// Whether requests for `path` (as sent, nothing decoded) come to this door.
    fn takes(&self, method: &Method, path: &str) -> bool;

    /// Answers; always, so that an error is a response and not a cut connection.
    fn serve(&self, request: Request<Incoming>) -> BoxFuture<'static, Response<Body>>;

    /// The same door for requests without a body, if it never reads one. It gives the same answers,
    /// all of them with a length, and is asked more cheaply.
    fn without_body(&self) -> Option<&dyn Bodiless> {
        None
    }
}

/// A door that never reads a request's body.
pub trait Bodiless: Send + Sync {
    /// Answers; always, as a [`Door`] does.
    fn answer(&self, request: Parts) -> BoxFuture<'static, Response<Body>>;
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
    connections: Connections,
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
        let doors = doors.into_iter().map(counted).collect();
        Self { doors, answers, connections: Connections::default(), log: None }
    }

    /// The same, with a line in `log` for each request.
    #[must_use]
    pub fn logged(self, log: Option<AccessLog>) -> Self {
        Self { log, ..self }
    }

    /// Shows what they count in `registry`.
    pub fn register(&self, registry: &mut Registry) {
        self.answers.register(registry);
        self.connections.register(registry);
        if let Some(log) = self.log.clone() {
            registry.register_collector(Box::new(log));
        }
    }

    /// Answers `request`. A door that panics answers 500, and the process lives on.
    pub(crate) async fn serve(&self, request: Request<Incoming>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let begun = self.begin(&parts);
        let answer = begun.door.map(|Counted { door, .. }| {
            // The call itself may panic too, not only the future.
            async move { door.serve(Request::from_parts(parts, body)).await }
        });
        begun.answer(answer).await
    }

    /// Answers a request that is for no door, because of what it says itself.
    pub(crate) async fn refuse(&self, request: &Parts, kind: ErrorKind) -> Response<Body> {
        let begun = Begun { door: None, ..self.begin(request) };
        let language = begun.language;
        begun.answer(Some(async move { Problem::of(kind).response(language) })).await
    }

    /// What counts the connections to these doors.
    pub(crate) const fn connections(&self) -> &Connections {
        &self.connections
    }

    /// Whether the door that takes a request has a [`Bodiless`] side.
    pub(crate) fn take_bodiless(&self, request: &Parts) -> bool {
        self.of(request).is_some_and(|found| found.door.without_body().is_some())
    }

    /// [`Doors::serve`] for a request that [`Doors::take_bodiless`]; nothing for any other.
    pub(crate) fn answer_bodiless(&self, request: Parts) -> Option<impl Future<Output = Response<Body>>> {
        let begun = self.begin(&request);
        let door = begun.door?.door.without_body()?;
        Some(begun.answer(Some(async move { door.answer(request).await })))
    }

    fn of(&self, request: &Parts) -> Option<&Counted> {
        self.doors.iter().find(|counted| counted.door.takes(&request.method, request.uri.path()))
    }

    fn begin(&self, request: &Parts) -> Begun<'_> {
        Begun {
            started: Instant::now(),
            language: Language::of(&request.headers),
            door: self.of(request),
            entry: self.log.as_ref().map(|log| log.begin(request)),
        }
    }
}

/// A request that a door is about to answer.
struct Begun<'a> {
    started: Instant,
    language: Language,
    door: Option<&'a Counted>,
    entry: Option<Entry>,
}

impl Begun<'_> {
    /// What the door answers, counted and logged.
    async fn answer(self, answer: Option<impl Future<Output = Response<Body>>>) -> Response<Body> {
        let name = self.door.map_or("none", |counted| counted.door.name());
        let span = tracing::debug_span!("request", door = name);
        let mut response = match answer {
            None => Problem::of(ErrorKind::NotFound).response(self.language),
            Some(answer) => match AssertUnwindSafe(answer).catch_unwind().instrument(span.clone()).await {
                Ok(response) => response,
                Err(panic) => {
                    tracing::error!(door = name, panic = panic_message(&*panic), "door `{name}` panicked");
                    Problem::of(ErrorKind::Internal).response(self.language)
                }
            },
        };
        if let Some(Counted { by_status, .. }) = self.door {
            by_status.count(response.status());
        }
        secure(response.headers_mut());
        tracing::debug!(
            parent: &span,
            route = response.extensions().get::<Outcome>().map_or("none", |outcome| outcome.route),
            status = response.status().as_u16(),
            duration_ms = self.started.elapsed().as_millis() as u64,
            size_bytes = response.body().size_hint().exact(),
            "answered"
        );
        if let Some(entry) = self.entry {
            entry.answered(&mut response);
        }
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
