//! Live events, wired: who may publish, where feeds go, and who tells edges what is on air.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use edge::LiveSource;
use edge::link::RemoteOrigin;
use ingest::live::{Admitted, Denied, FeedLimits, Publishers};
use ingest::rtmp::RtmpDoor;
use listener::{Certificates, Place, StreamPort};
use model::{Health, PublishLimits, PublishRefusal, StreamKeyHash, Timestamp, VideoId};
use packager::{Live, LiveSettings};
use prometheus_client::registry::Registry;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use web::LiveHealth;

use crate::config::Config as Whole;
use crate::lifecycle::Lifecycle;
use crate::parts::Parts;

/// How live events come in, and how long they wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// Where encoders reach the role `ingest` by RTMP.
    pub(crate) rtmp: SocketAddr,
    /// And by RTMPS, if there is a certificate.
    pub(crate) rtmps: SocketAddr,
    /// Where ingest and packager of a machine meet; a socket in the data folder if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) socket: Option<PathBuf>,
    /// Seconds for which an event waits for a publisher who is gone.
    pub(crate) grace_s: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            rtmp: SocketAddr::from(([0, 0, 0, 0], 1935)),
            rtmps: SocketAddr::from(([0, 0, 0, 0], 1936)),
            socket: None,
            grace_s: 120,
        }
    }
}

impl Config {
    fn socket(&self, whole: &Whole) -> PathBuf {
        self.socket.clone().unwrap_or_else(|| whole.data.join("live.sock"))
    }
}

/// The events that this process packages.
pub(crate) fn package(whole: &Whole, parts: &Parts, life: &Lifecycle) -> Live {
    let settings = LiveSettings {
        folder: whole.data.join("live"),
        socket: whole.live.socket(whole),
        grace: Duration::from_secs(whole.live.grace_s.into()),
    };
    let (store, clock) = (Arc::clone(&parts.store), Arc::clone(&parts.clock));
    let live = Live::new(settings, parts.catalog.clone(), store, clock);
    let (running, stop) = (live.clone(), life.stop());
    life.spawn("live events", async move { running.run(stop).await.context("package live events") });
    live
}

/// The events that a packager elsewhere has, where the configuration names it.
pub(crate) fn elsewhere(
    whole: &Whole,
    parts: &Parts,
    rng: &mut StdRng,
) -> anyhow::Result<Option<Arc<dyn LiveSource>>> {
    let (Some(origin), Some(credential)) = (&whole.origin, &whole.fill_credential) else { return Ok(None) };
    let (folder, clock) = (whole.data.join("packager"), Arc::clone(&parts.clock));
    let (address, credential) = (origin.address.clone(), credential.clone());
    let packager = RemoteOrigin::open(address, credential, folder, clock, Handle::current(), rng)
        .context("open the link to the packager")?;
    Ok(Some(Arc::new(packager)))
}

/// Opens the ports that encoders reach.
pub(crate) fn take_in(
    whole: &Whole,
    parts: &Parts,
    certificates: Option<&Certificates>,
    metrics: &mut Registry,
    life: &Lifecycle,
) -> anyhow::Result<()> {
    let plain = StreamPort::open(Place::At(whole.live.rtmp), None, &whole.http)?;
    let encrypted = match certificates {
        Some(certificates) => {
            Some(StreamPort::open(Place::At(whole.live.rtmps), Some(certificates), &whole.http)?)
        }
        None => None,
    };
    let publishers = Arc::new(Keys(parts.clone()));
    let (socket, clock) = (whole.live.socket(whole), Arc::clone(&parts.clock));
    let door = RtmpDoor::new(Some(plain), encrypted, publishers, socket, clock);
    door.register(metrics);
    for (address, scheme) in door.addresses().into_iter().zip(["rtmp", "rtmps"]) {
        if let Some(address) = address {
            crate::say(&format!(
                "Cocuyo takes live streams at {scheme}://{}/live",
                crate::serve::shown(address)
            ));
        }
    }
    let stop = life.stop();
    life.spawn("live streams", async move {
        door.run(stop).await;
        Ok(())
    });
    Ok(())
}

/// Tells the pages how feeds are.
#[derive(Debug)]
pub(crate) struct Pulse(pub(crate) Live);

#[async_trait]
impl LiveHealth for Pulse {
    async fn health(&self, video: VideoId) -> Option<Health> {
        self.0.health(video)
    }
}

/// Stream keys, and the accounts behind them.
#[derive(Debug)]
struct Keys(Parts);

#[async_trait]
impl Publishers for Keys {
    async fn admit(&self, key: StreamKeyHash, _from: IpAddr, now: Timestamp) -> Result<Admitted, Denied> {
        let Parts { catalog, subscriptions, .. } = &self.0;
        let event = catalog.event_of_key(&key).await.map_err(unavailable)?;
        let Some(event) = event else { return Err(Denied::Key) };
        let limits = subscriptions.publish_limits(event.owner, now).await.map_err(unavailable)?;
        // Whoever may not go live is told no more than whoever has no key.
        let Some(limits) = limits else { return Err(Denied::Key) };
        match catalog.admit_publisher(&key, now).await.map_err(unavailable)? {
            Ok(admitted) => Ok(Admitted {
                video: admitted.video,
                version: admitted.version,
                generation: admitted.generation,
                limits: FeedLimits {
                    bits_per_s: u64::from(limits.bitrate_kbps) * 1000,
                    duration: Some(left(limits, admitted.began, now)),
                },
            }),
            Err(PublishRefusal::EventEnded | PublishRefusal::TooOften) => Err(Denied::Closed),
            Err(PublishRefusal::UnknownKey | PublishRefusal::NotAllowed) => Err(Denied::Key),
        }
    }
}

fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> Denied {
    tracing::error!("check a stream key: {:#}", anyhow::Error::from(error));
    Denied::Unavailable
}

/// How much of its longest duration an event has left.
fn left(limits: PublishLimits, began: Option<Timestamp>, now: Timestamp) -> Duration {
    let gone = began.map_or(Duration::ZERO, |began| now.since(began));
    Duration::from_secs(limits.duration_s.into()).saturating_sub(gone)
}
