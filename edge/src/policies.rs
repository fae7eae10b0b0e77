//! The policies of public items, as the origin last told them.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use model::{PublicPolicy, Timestamp, VersionId, VideoId};
use moka::future::Cache;

use crate::config::Config;
use crate::error::EdgeError;
use crate::origin::{Origin, PATIENCE};

/// Policies that are remembered: a few hundred bytes each, asked for by whoever has no grant.
const REMEMBERED: u64 = 65_536;

/// How long an answer holds that does not know the version in question.
const UNKNOWN: Duration = Duration::from_secs(1);

/// What the origin last said about a video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// What everybody may have.
    pub(crate) policy: Option<PublicPolicy>,
    /// When it was asked. What was revoked since, it did not know.
    pub(crate) asked: Timestamp,
}

/// Asks the origin at most once per video and period, however many are waiting.
pub(crate) struct Policies {
    origin: Arc<dyn Origin>,
    /// By video and period, so that an answer is never older than one period.
    fresh: Cache<(VideoId, i64), Answer>,
    /// The last answers, for when the origin is away.
    last: Cache<VideoId, Answer>,
    period: Duration,
    stale: Duration,
}

impl Policies {
    pub(crate) fn new(config: &Config, origin: Arc<dyn Origin>) -> Self {
        let period = Duration::from_secs(config.policy_fresh_s.get());
        let last = Cache::builder().max_capacity(REMEMBERED).build();
        let known = origin.remembered().map(|word| word.policies).unwrap_or_default();
        for (policy, asked) in known {
            // Nobody shares it yet, so nothing is waited for.
            last.insert(policy.video, Answer { policy: Some(policy), asked }).now_or_never();
        }
        Self {
            origin,
            last,
            fresh: Cache::builder().max_capacity(REMEMBERED).time_to_live(period * 2).build(),
            period,
            stale: Duration::from_secs(config.policy_stale_s),
        }
    }

    /// What everybody may have of `video`, not older than the configuration allows. A better version
    /// may have taken the place of the one that is known: for `version`, if that is another, it is
    /// asked anew, at most once a second.
    pub(crate) async fn of(
        &self,
        video: VideoId,
        version: VersionId,
        now: Timestamp,
    ) -> Result<Answer, EdgeError> {
        let period = i64::try_from(self.period.as_millis()).unwrap_or(i64::MAX);
        let key = (video, now.as_millis().div_euclid(period));
        if let Some(answer) = self.fresh.get(&key).await {
            let is_unknown = answer.policy.as_ref().is_some_and(|policy| !policy.covers(version));
            if !is_unknown || now.since(answer.asked) < UNKNOWN {
                return Ok(answer);
            }
            self.fresh.invalidate(&key).await;
        }
        // A failure that is covered by an older answer counts as an answer: an origin that is
        // away is asked once per period and not by every viewer.
        let asked = self.fresh.try_get_with(key, async {
            match self.ask(video).await {
                Ok(policy) => {
                    let answer = Answer { policy, asked: now };
                    self.last.insert(video, answer.clone()).await;
                    Ok(answer)
                }
                Err(error) => match self.last.get(&video).await {
                    Some(answer) if now.since(answer.asked) <= self.stale => Ok(answer),
                    _ => Err(error),
                },
            }
        });
        asked.await.map_err(|error| {
            let source = error.to_string().into();
            EdgeError::Origin { what: "a policy", source }
        })
    }

    async fn ask(&self, video: VideoId) -> Result<Option<PublicPolicy>, listener::BoxError> {
        tokio::time::timeout(PATIENCE, self.origin.policy(video)).await?
    }
}
