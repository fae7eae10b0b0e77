//! What the edge learns of the world outside of the bucket, in one process: function calls.

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use catalog::Catalog;
use listener::BoxError;
use model::{Clock, PublicPolicy, Revocation, VersionId, VideoId};
use subscriptions::Subscriptions;
use tokio::runtime::Handle;

/// The origin of an edge that lives in the same process.
#[derive(Debug, Clone)]
pub(crate) struct LocalOrigin {
    pub(crate) catalog: Catalog,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) clock: Arc<dyn Clock>,
    /// Where SQL runs: never on the edge's threads.
    pub(crate) handle: Handle,
}

impl LocalOrigin {
    async fn aside<T, F>(&self, question: F) -> Result<T, BoxError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, BoxError>> + Send + 'static,
    {
        self.handle.spawn(question).await?
    }
}

#[async_trait]
impl edge::Origin for LocalOrigin {
    async fn jwks(&self) -> Result<String, BoxError> {
        let subscriptions = self.subscriptions.clone();
        self.aside(async move { Ok(subscriptions.jwks().await?) }).await
    }

    async fn policy(&self, video: VideoId) -> Result<Option<PublicPolicy>, BoxError> {
        let (catalog, subscriptions) = (self.catalog.clone(), self.subscriptions.clone());
        self.aside(async move {
            let free_height = web::free_height(&subscriptions.tier_rights().await?);
            Ok(catalog.public_policy(video, free_height).await?)
        })
        .await
    }

    async fn revocations(&self) -> Result<Vec<Revocation>, BoxError> {
        let Self { catalog, subscriptions, clock, .. } = self.clone();
        self.aside(async move {
            let now = clock.now();
            let mut all = catalog.revocations(now).await?;
            all.extend(subscriptions.revocations(now).await?);
            Ok(all)
        })
        .await
    }

    async fn growing(
        &self,
        _: VideoId,
        _: VersionId,
        _: Option<u64>,
    ) -> Result<Option<Arc<edge::GrowingIndex>>, BoxError> {
        // The packager publishes whole versions.
        Ok(None)
    }

    async fn want(&self, _: edge::Want) -> Result<(), BoxError> {
        Ok(())
    }

    async fn unwant(&self, _: edge::Want) -> Result<(), BoxError> {
        Ok(())
    }
}
