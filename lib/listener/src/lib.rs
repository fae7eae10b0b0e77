//! The hyper and rustls parts that every HTTP door shares: the accept loop on thread-per-core
//! runtimes, TLS and the PROXY protocol before a door is reached, the ordered list of doors, the
//! drain, byte ranges and conditional requests, the one table from [`model::ErrorKind`] to a
//! status, and problem documents. It alone accepts TCP connections, also
//! those of doors that do not speak HTTP ([`StreamPort`]); it knows no video, no account
//! and no store.
//!
//! # Cancellation
//!
//! When a client goes away while its answer is sent, or the drain's time is over, the future that
//! [`Door::serve`] returned is dropped in mid-await, except behind an [`OnRuntime`], where the
//! handler runs on to its end and its request body reads an error. Whoever must not be cut short
//! (uploads, transactions) stands behind one. On a plain connection a client that goes away before
//! its answer has begun is noticed only by who looks: [`Departure`]; with TLS or HTTP/2 the future
//! is dropped then too.
//!
//! # Clients that take their time
//!
//! A head has a time of its own, a TLS handshake and a PROXY header too. A client that takes nothing
//! is TCP's to let go, one that takes too little is ours (`min_bytes_per_s`). How slowly a request's
//! body may come is the door's business: it alone knows what it waits for.

pub mod access_log;
mod activity;
mod authority;
mod body;
mod certificates;
mod conditional;
mod config;
mod connection;
mod corked;
mod door;
mod error;
mod gathered;
mod headers;
mod language;
mod listener;
mod metrics;
mod ordinary;
mod pace;
mod port;
mod problem;
mod proxy_protocol;
mod range;
mod rewound;
mod status;
mod stream;
mod stream_port;
mod under_way;

pub use body::{Body, BoxError, Tally, empty, full, sized};
pub use certificates::Certificates;
pub use conditional::{Answer, ETag, answer};
pub use config::{Config, HttpsConfig};
pub use connection::Peer;
pub use door::{Bodiless, Door, Doors, OnRuntime, Outcome};
pub use error::ListenerError;
pub use headers::secure;
pub use language::{Language, cookie};
pub use listener::{Drained, Listener};
pub use port::Place;
pub use problem::{Problem, Text};
pub use range::{Requested, requested};
pub use status::status;
pub use stream::Departure;
pub use stream_port::{Arrival, StreamPort};
