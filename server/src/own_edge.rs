//! An edge of its own: a process without database and private key, which learns what it must know
//! at its origin's door.

use std::sync::Arc;

use anyhow::Context;
use edge::link::{Credential, RemoteOrigin};
use edge::{Edge, LiveSource};
use listener::Door;
use model::{Clock, SystemClock};
use rand::rngs::StdRng;
use tokio::runtime::Handle;
use tracing::warn;
use url::{Host, Url};

use crate::admin::Needs;
use crate::config::Config;
use crate::lifecycle::Lifecycle;
use crate::serve::{Opened, follow};

/// The one door of such a process, and what it needs.
pub(crate) async fn open(
    config: &Config,
    (address, credential): (Url, Credential),
    life: &Lifecycle,
) -> anyhow::Result<Opened> {
    if is_readable_by_others(&address) {
        warn!("the fill credential goes to {address} in clear text; use https, or a tunnel");
    }
    std::fs::create_dir_all(&config.data)
        .with_context(|| format!("make the data folder `{}`", config.data.display()))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = storage::open(&config.storage()).await.context("open the object store")?;
    let mut rng: StdRng = rand::make_rng();
    let folder = config.data.join("origin");
    let origin =
        RemoteOrigin::open(address, credential, folder, Arc::clone(&clock), Handle::current(), &mut rng)
            .context("open the link to the origin")?;
    let origin_of_events = Some(Arc::new(origin.clone()) as Arc<dyn LiveSource>);
    let edge = Edge::new(config.edge.clone(), store, Arc::new(origin.clone()), origin_of_events, clock);
    let (listening, stop) = (origin.clone(), life.stop());
    life.spawn("link to the origin", async move {
        listening.follow(stop).await;
        Ok(())
    });
    follow(&edge, config, life);
    let doors = vec![Arc::new(edge.clone()) as Arc<dyn Door>];
    Ok(Opened { doors, edge: Some(edge), rtmp: None, needs: Needs::Origin(origin) })
}

fn is_readable_by_others(address: &Url) -> bool {
    let is_near = match address.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    address.scheme() == "http" && !is_near
}
