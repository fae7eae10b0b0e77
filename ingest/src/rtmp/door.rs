use std::future::pending;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;

use ipnet::IpNet;
use listener::{Arrival, StreamPort};
use model::Clock;
use prometheus_client::registry::Registry;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::session;
use super::tries::Tries;
use crate::live::{Metrics, Publishers, Standings, Turns};

/// Connections at once of those who have not shown a key yet; more wait in the kernel's queue. Each
/// has 20 s to show one.
const MAX_STRANGERS: usize = 1024;

/// Takes live streams in by RTMP, and by RTMPS where there is a certificate.
#[derive(Debug)]
pub struct RtmpDoor {
    plain: Option<StreamPort>,
    encrypted: Option<StreamPort>,
    inner: Arc<Inner>,
}

/// What all sessions have in common.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) publishers: Arc<dyn Publishers>,
    pub(super) clock: Arc<dyn Clock>,
    /// Where the packager listens.
    pub(super) socket: PathBuf,
    pub(super) turns: Turns,
    pub(super) standings: Standings,
    pub(super) tries: Tries,
    pub(super) metrics: Metrics,
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
}

impl RtmpDoor {
    /// A door at these ports, that brings what `publishers` admit to the packager at `socket`. From `exempt`
    /// any number of wrong keys is looked at.
    pub fn new(
        plain: Option<StreamPort>,
        encrypted: Option<StreamPort>,
        publishers: Arc<dyn Publishers>,
        socket: PathBuf,
        exempt: Vec<IpNet>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let standings = Standings::new(Arc::clone(&publishers), Arc::clone(&clock));
        let inner = Inner {
            publishers,
            clock,
            socket,
            turns: Turns::default(),
            standings,
            tries: Tries::new(exempt),
            metrics: Metrics::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        Self { plain, encrypted, inner: Arc::new(inner) }
    }

    /// Shows its counters in `registry`.
    pub fn register(&self, registry: &mut Registry) {
        self.inner.metrics.register(registry);
    }

    /// The addresses of its ports, with the numbers that were found if 0 was asked for.
    pub fn addresses(&self) -> [Option<SocketAddr>; 2] {
        [&self.plain, &self.encrypted].map(|port| port.as_ref().map(StreamPort::address))
    }

    /// Takes streams in until `stop`; then asks publishers to come back, if they understand that, and
    /// ends their connections. No event ends with it.
    pub async fn run(self, stop: CancellationToken) {
        let tasks = self.inner.tasks.clone();
        let strangers = Arc::new(Semaphore::new(MAX_STRANGERS));
        let standings = self.inner.standings.clone();
        let mut asked = pin!(standings.ask());
        loop {
            let accepted = async {
                // Never closed.
                let seat = Arc::clone(&strangers).acquire_owned().await.ok();
                let arrival = tokio::select! {
                    arrival = accept(self.plain.as_ref()) => arrival,
                    arrival = accept(self.encrypted.as_ref()) => arrival,
                };
                (arrival, seat)
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                (arrival, seat) = accepted => {
                    tasks.spawn(serve(arrival, seat, Arc::clone(&self.inner)));
                }
                () = &mut asked => {}
            }
        }
        drop((self.plain, self.encrypted));
        self.inner.stop.cancel();
        tasks.close();
        tasks.wait().await;
    }
}

async fn accept(port: Option<&StreamPort>) -> Arrival {
    match port {
        Some(port) => port.accept().await,
        None => pending().await,
    }
}

async fn serve(arrival: Arrival, seat: Option<OwnedSemaphorePermit>, door: Arc<Inner>) {
    let (peer, stream) = match arrival.open().await {
        Ok(opened) => opened,
        Err(error) => {
            door.metrics.ended("broken");
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "a publisher's connection did not begin"
            );
            return;
        }
    };
    let ended = session::serve(stream, peer.ip(), &door, seat).await;
    door.metrics.ended(ended.reason());
}
