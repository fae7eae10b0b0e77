//! Live events, wired: who packages them, and who tells edges and pages of them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use catalog::NewVersion;
use edge::LiveSource;
use edge::link::RemoteOrigin;
use model::{ClipRefusal, ClipStretch, Health, VersionId, VideoId};
use packager::{Live, LiveSettings};
use rand::rngs::StdRng;
use tokio::runtime::Handle;
use web::{LiveClips, LiveHealth};

use crate::config::Config;
use crate::lifecycle::Lifecycle;
use crate::parts::Parts;

/// The events that this process packages.
pub(crate) fn package(config: &Config, parts: &Parts, life: &Lifecycle) -> Live {
    let settings = LiveSettings {
        folder: config.data.join("live"),
        socket: config.live_socket(),
        grace: Duration::from_secs(config.packager.grace_s.into()),
        transcoder: config.packager.transcoder.clone(),
        cores: config.packager.live_cores(),
    };
    let (store, clock) = (Arc::clone(&parts.store), Arc::clone(&parts.clock));
    let live = Live::new(settings, parts.catalog.clone(), store, clock);
    let (running, stop) = (live.clone(), life.stop());
    life.spawn("live events", async move { running.run(stop).await.context("package live events") });
    live
}

/// The events that a packager elsewhere has, where the configuration names it.
pub(crate) fn elsewhere(
    config: &Config,
    parts: &Parts,
    rng: &mut StdRng,
) -> anyhow::Result<Option<Arc<dyn LiveSource>>> {
    let (Some(origin), Some(credential)) = (&config.origin, &config.fill_credential) else { return Ok(None) };
    let (folder, clock) = (config.data.join("packager"), Arc::clone(&parts.clock));
    let (address, credential) = (origin.address.clone(), credential.clone());
    let packager = RemoteOrigin::open(address, credential, folder, clock, Handle::current(), rng)
        .context("open the link to the packager")?;
    Ok(Some(Arc::new(packager)))
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

/// Makes clips of live events for the pages.
#[derive(Debug)]
pub(crate) struct Scissors(pub(crate) Live);

#[async_trait]
impl LiveClips for Scissors {
    async fn clip(
        &self,
        event: VideoId,
        stretch: ClipStretch,
        video: VideoId,
        version: VersionId,
    ) -> Option<Result<NewVersion, ClipRefusal>> {
        let made = self.0.clip(event, stretch, video, version).await;
        made.inspect_err(|error| tracing::error!(error = &**error, video.id = %event, "no clip of `{event}`"))
            .ok()
    }
}
