//! Who may publish: what the doors for live streams ask, answered by the rows of events and accounts.

use std::collections::HashSet;
use std::error::Error;
use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use catalog::Catalog;
use ingest::live::{Admitted, Denied, FeedLimits, Publishers};
use model::{AccountId, LetGo, PublishLimits, PublishRefusal, StreamKeyHash, Timestamp};
use subscriptions::Subscriptions;

/// The events of a door that lives in the same process as the rows.
#[derive(Debug)]
pub(crate) struct EventPublishers {
    pub(crate) catalog: Catalog,
    pub(crate) subscriptions: Subscriptions,
}

#[async_trait]
impl Publishers for EventPublishers {
    async fn admit(&self, key: StreamKeyHash, _: IpAddr, now: Timestamp) -> Result<Admitted, Denied> {
        let event = self.catalog.event_of_key(&key).await.map_err(unavailable)?.ok_or(Denied::Key)?;
        let limits = self.limits(event.owner, now).await?.ok_or(Denied::Key)?;
        let admitted = self.catalog.admit_publisher(&key, now).await.map_err(unavailable)?;
        let catalog::Admitted { video, version, generation, began, .. } = admitted.map_err(denied)?;
        Ok(Admitted { video, version, generation, limits: left_of(limits, began, now) })
    }

    async fn heard(&self, admitted: &[Admitted], now: Timestamp) -> Vec<Admitted> {
        let turn = |admitted: &Admitted| (admitted.video, admitted.generation);
        let turns: Vec<_> = admitted.iter().map(turn).collect();
        let going = match self.catalog.publishers_heard(&turns, now).await {
            Ok(going) => going,
            Err(error) => {
                unavailable(error);
                return Vec::new();
            }
        };
        let mut barred = HashSet::new();
        for owner in going.values().copied().collect::<HashSet<_>>() {
            // What cannot be found out bars nobody.
            if let Ok(None) = self.limits(owner, now).await {
                barred.insert(owner);
            }
        }
        let is_over =
            |admitted: &Admitted| going.get(&turn(admitted)).is_none_or(|owner| barred.contains(owner));
        admitted.iter().copied().filter(is_over).collect()
    }

    async fn left(&self, admitted: &Admitted, why: Option<LetGo>, now: Timestamp) {
        let Admitted { video, generation, .. } = *admitted;
        if let Some(why) = why
            && let Err(error) = self.catalog.publisher_let_go(video, generation, why).await
        {
            unavailable(error);
        }
        if let Err(error) = self.catalog.publisher_left(video, generation, now).await {
            unavailable(error);
        }
    }
}

impl EventPublishers {
    /// What somebody may publish; `None` if nothing, any more or at all.
    async fn limits(&self, owner: AccountId, now: Timestamp) -> Result<Option<PublishLimits>, Denied> {
        self.subscriptions.publish_limits(owner, now).await.map_err(unavailable)
    }
}

/// What of the limits is left for an event that began a while ago.
fn left_of(limits: PublishLimits, began: Option<Timestamp>, now: Timestamp) -> FeedLimits {
    let lasted = began.map_or(Duration::ZERO, |began| now.since(began));
    FeedLimits {
        bits_per_s: u64::from(limits.bitrate_kbps) * 1000,
        short_side: limits.short_side,
        duration: Some(Duration::from_secs(limits.duration_s.into()).saturating_sub(lasted)),
    }
}

const fn denied(refusal: PublishRefusal) -> Denied {
    match refusal {
        PublishRefusal::UnknownKey | PublishRefusal::NotAllowed => Denied::Key,
        PublishRefusal::EventEnded => Denied::Ended,
        PublishRefusal::TooOften => Denied::TooOften,
    }
}

fn unavailable(error: impl Error + 'static) -> Denied {
    tracing::error!(error = &error as &dyn Error, "find out who may publish");
    Denied::Unavailable
}

#[cfg(test)]
mod tests {
    use catalog::NewEvent;
    use database::testing::TestDatabase;
    use model::{EventPolicy, Role, StreamKey, Tier, VersionId, VideoId, Visibility};
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use subscriptions::{AccountChange, NewAccount};

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
    const HOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    /// Rows of nobody.
    async fn publishers(test: &TestDatabase) -> EventPublishers {
        let database = test.open().await;
        let subscriptions = Subscriptions::open(database.clone(), subscriptions::Config::default());
        let catalog = Catalog::open(database).await.unwrap();
        EventPublishers { catalog, subscriptions: subscriptions.await.unwrap() }
    }

    #[tokio::test]
    async fn a_key_opens_its_event_for_whoever_may_broadcast() {
        let test = TestDatabase::sqlite().await;
        let (publishers, mut rng) = (publishers(&test).await, StdRng::seed_from_u64(1));
        let new = NewAccount {
            username: "ana".into(),
            password: "a long password".into(),
            role: Role::Creator,
            tier: Tier::NONE,
        };
        let owner = publishers.subscriptions.create_account(new, NOW, &mut rng).await.unwrap();
        let key = StreamKey::generate(&mut rng).hash();
        let (video, version) = (VideoId::generate(&mut rng), VersionId::generate(&mut rng));
        let event = NewEvent {
            video,
            version,
            owner,
            title: "Evento".into(),
            description: String::new(),
            visibility: Visibility::Public,
            min_tier: Tier::NONE,
            starts_at: None,
            policy: EventPolicy::default(),
            key,
        };
        publishers.catalog.create_event(&event, NOW).await.unwrap();

        let first = publishers.admit(key, HOST, NOW).await.unwrap();
        assert_eq!((first.video, first.version, first.generation), (video, version, 1));
        assert_eq!(publishers.heard(&[first], NOW).await, []);
        let second = publishers.admit(key, HOST, NOW).await.unwrap();
        assert_eq!(publishers.heard(&[second, first], NOW).await, [first]);
        publishers.left(&second, None, NOW).await;
        assert_eq!(publishers.heard(&[second], NOW).await, [second]);

        let unknown = StreamKey::generate(&mut rng).hash();
        assert_eq!(publishers.admit(unknown, HOST, NOW).await, Err(Denied::Key));
        let third = publishers.admit(key, HOST, NOW).await.unwrap();
        let banned = AccountChange { disabled: Some(true), ..AccountChange::default() };
        publishers.subscriptions.change_account(owner, banned, NOW, &mut rng).await.unwrap();
        assert_eq!(publishers.heard(&[third], NOW).await, [third], "whoever publishes is put off");
        assert_eq!(publishers.admit(key, HOST, NOW).await, Err(Denied::Key), "as for a wrong key");
    }

    #[test]
    fn an_event_lasts_as_long_as_it_may_in_all() {
        let limits = PublishLimits { bitrate_kbps: 8_000, short_side: 1080, duration_s: 3600 };
        let began = Timestamp::from_seconds(1_800_000_000);
        for (after_s, left_s) in [(0, 3600), (600, 3000), (3600, 0), (9999, 0)] {
            let FeedLimits { bits_per_s, short_side, duration } =
                left_of(limits, Some(began), began + Duration::from_secs(after_s));
            assert_eq!((bits_per_s, short_side), (8_000_000, 1080));
            assert_eq!(duration, Some(Duration::from_secs(left_s)));
        }
        assert_eq!(left_of(limits, None, began).duration, Some(Duration::from_secs(3600)));
    }
}
