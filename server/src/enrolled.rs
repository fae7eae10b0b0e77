//! Who may ask at the origin's door, as the rows say.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use edge::link::Enrolled;
use listener::BoxError;
use model::Clock;
use subscriptions::{EnrolledEdge, FillCredential, Subscriptions};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::parts::Parts;

/// How long rows that were read are good: whoever shows forged credentials does not reach them, and
/// one that is revoked is void that much later.
const FRESH: Duration = Duration::from_secs(1);

/// The edges that are enrolled here.
pub(crate) struct EnrolledEdges {
    subscriptions: Subscriptions,
    clock: Arc<dyn Clock>,
    read: Mutex<Option<(Instant, Arc<[EnrolledEdge]>)>>,
}

impl EnrolledEdges {
    pub(crate) fn of(parts: &Parts) -> Self {
        let (subscriptions, clock) = (parts.subscriptions.clone(), Arc::clone(&parts.clock));
        Self { subscriptions, clock, read: Mutex::new(None) }
    }

    async fn all(&self) -> Result<Arc<[EnrolledEdge]>, BoxError> {
        let mut read = self.read.lock().await;
        if let Some((at, edges)) = &*read
            && at.elapsed() < FRESH
        {
            return Ok(Arc::clone(edges));
        }
        let edges: Arc<[_]> = self.subscriptions.edges().await?.into();
        *read = Some((Instant::now(), Arc::clone(&edges)));
        Ok(edges)
    }
}

#[async_trait]
impl Enrolled for EnrolledEdges {
    async fn edge(&self, credential: &str) -> Result<Option<String>, BoxError> {
        if !FillCredential::has_form(credential) {
            return Ok(None);
        }
        let (edges, now) = (self.all().await?, self.clock.now());
        let good = edges.iter().find(|edge| edge.presents(credential) && edge.is_good(now));
        Ok(good.map(|edge| edge.name.to_string()))
    }
}
