//! What the edge learns of the world outside of the bucket, in one process: function calls.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use catalog::Catalog;
use edge::{SentReport, Want};
use listener::BoxError;
use model::{Clock, PublicPolicy, Revocation, VersionId, VideoId};
use subscriptions::{Sent, SentSubject, Subscriptions};
use tokio::runtime::Handle;

use crate::parts::Parts;

/// The origin of an edge that lives in the same process.
#[derive(Debug, Clone)]
pub(crate) struct LocalOrigin {
    catalog: Catalog,
    subscriptions: Subscriptions,
    clock: Arc<dyn Clock>,
    /// Where SQL runs: never on the edge's threads.
    handle: Handle,
}

impl LocalOrigin {
    /// The origin that `parts` are, for an edge of whatever runtime; SQL runs on this one.
    pub(crate) fn of(parts: &Parts) -> Self {
        Self {
            catalog: parts.catalog.clone(),
            subscriptions: parts.subscriptions.clone(),
            clock: Arc::clone(&parts.clock),
            handle: Handle::current(),
        }
    }

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
            let [free, ..] = subscriptions.tier_rights().await?;
            Ok(catalog.public_policy(video, &free).await?)
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
        video: VideoId,
        version: VersionId,
        newer_than: Option<u64>,
    ) -> Result<Option<Arc<edge::GrowingIndex>>, BoxError> {
        let catalog = self.catalog.clone();
        self.aside(async move {
            if let Some(known) = newer_than {
                // Whether there was news or not, what there is now is the answer.
                let _news_or_not = tokio::time::timeout(NEWS, news(&catalog, version, known)).await;
            }
            let index = catalog.growing(version).await?;
            Ok(index.filter(|index| index.video == video).map(Arc::new))
        })
        .await
    }

    async fn want(&self, want: Want) -> Result<(), BoxError> {
        let Self { catalog, clock, .. } = self.clone();
        let segment = want.segment;
        self.aside(
            async move { Ok(catalog.want_segment(want.version, want.lane, segment, clock.now()).await?) },
        )
        .await
    }

    async fn sent(&self, report: SentReport) -> Result<(), BoxError> {
        let Self { subscriptions, clock, .. } = self.clone();
        self.aside(async move {
            let (sender, number) = (report.sender.clone(), report.number);
            Ok(subscriptions.count_sent(&sender, number, &lines(report), clock.now()).await?)
        })
        .await
    }

    async fn unwant(&self, want: Want) -> Result<(), BoxError> {
        let Self { catalog, clock, .. } = self.clone();
        let segment = want.segment;
        self.aside(
            async move { Ok(catalog.unwant_segment(want.version, want.lane, segment, clock.now()).await?) },
        )
        .await
    }
}

/// The lines of a report, as rows know them.
fn lines(report: SentReport) -> Vec<Sent> {
    let mut lines = Vec::new();
    for (day, sums) in report.days {
        let mut add = |subject, bytes| lines.push(Sent { subject, day, bytes });
        sums.accounts.into_iter().for_each(|(id, bytes)| add(SentSubject::Account(id), bytes));
        sums.videos.into_iter().for_each(|(id, bytes)| add(SentSubject::Video(id), bytes));
    }
    lines
}

/// How long a question for news of a growing version waits for some.
const NEWS: Duration = Duration::from_secs(2);
/// How often the rows are looked at meanwhile, for what other processes commit.
const LOOK: Duration = Duration::from_millis(250);

/// Waits until a growing version has another revision than `known`, or an error to tell.
async fn news(catalog: &Catalog, version: VersionId, known: u64) {
    let mut changes = catalog.changed();
    loop {
        changes.mark_unchanged();
        match catalog.growing_revision(version).await {
            Ok(Some(revision)) if revision == known => {}
            Ok(_) | Err(_) => return,
        }
        let _committed_here_or_time = tokio::time::timeout(LOOK, changes.changed()).await;
    }
}
