//! Tells webhooks what happened to events.

use std::time::Duration;

use bytes::Bytes;
use catalog::{Announcement, Catalog};
use futures::StreamExt;
use futures::stream::iter;
use model::Clock;
use rand::RngExt;
use rand::rngs::StdRng;
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use webhook::{Call, Client, next_try};

/// How long a delivery may be under way before somebody else tries it: longer than a call takes.
const LEASE: Duration = Duration::from_secs(30);
/// Between two looks for what is due, unless something changes.
const ROUND: Duration = Duration::from_secs(5);
/// Receivers that are spoken to at the same time: a slow one does not keep the others waiting.
const AT_ONCE: usize = 8;

/// What a receiver is told.
#[derive(Serialize)]
struct Told<'a> {
    /// By what it knows that it has had it already.
    id: &'a str,
    /// `live.started` or `live.ended`.
    r#type: &'static str,
    /// When it happened, in milliseconds since 1970.
    at: i64,
    event: ToldEvent<'a>,
}

#[derive(Serialize)]
struct ToldEvent<'a> {
    id: String,
    title: &'a str,
    /// Path of its page.
    page: String,
}

/// Tells what is due until the process stops.
pub(crate) async fn run(catalog: &Catalog, client: &Client, clock: &dyn Clock, stop: CancellationToken) {
    let mut rng: StdRng = rand::make_rng();
    let mut changes = catalog.changed();
    while !stop.is_cancelled() {
        match catalog.claim_announcements(clock.now(), LEASE).await {
            Ok(due) if !due.is_empty() => {
                let telling = iter(due).map(|announcement| {
                    let spread = rng.random();
                    tell(catalog, client, clock, announcement, spread)
                });
                telling.buffer_unordered(AT_ONCE).for_each(async |()| {}).await;
                continue;
            }
            Ok(_) => {}
            Err(error) => error!("look for what webhooks are to be told: {:#}", anyhow::Error::from(error)),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            _ = tokio::time::timeout(ROUND, changes.changed()) => {}
        }
    }
}

async fn tell(
    catalog: &Catalog,
    client: &Client,
    clock: &dyn Clock,
    announcement: Announcement,
    spread: f64,
) {
    let (video, word) = (announcement.video, announcement.happened.as_str());
    let result = call(client, &announcement, clock).await;
    let now = clock.now();
    let noted = match result {
        Ok(()) => {
            info!(video.id = %video, "told the webhook of event `{video}` of `{word}`");
            catalog.announced(&announcement).await
        }
        Err(failed) => match next_try(announcement.tries, announcement.at, now, spread) {
            Some(next) => {
                warn!(video.id = %video, "the webhook of event `{video}` did not take `{word}`: {failed:#}");
                catalog.announce_again(&announcement, next).await
            }
            None => {
                error!(video.id = %video, "gave up telling the webhook of event `{video}` of `{word}`: {failed:#}");
                catalog.announced(&announcement).await
            }
        },
    };
    if let Err(error) = noted {
        error!("note what became of a webhook: {:#}", anyhow::Error::from(error));
    }
}

async fn call(client: &Client, announcement: &Announcement, clock: &dyn Clock) -> anyhow::Result<()> {
    let destination = announcement.webhook.url.parse()?;
    let secret = announcement.webhook.secret.parse()?;
    let (video, word) = (announcement.video, announcement.happened.as_str());
    let id = format!("{video}.{word}");
    let event =
        ToldEvent { id: video.to_string(), title: &announcement.title, page: format!("/watch/{video}") };
    let told = Told { id: &id, r#type: word, at: announcement.at.as_millis(), event };
    let body = Bytes::from(serde_json::to_vec(&told)?);
    let call = Call { destination: &destination, secret: &secret, id: &id, body };
    Ok(client.call(call, clock.now()).await?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use catalog::{NewEvent, Webhook};
    use database::testing::TestDatabase;
    use model::{
        AccountId, EventPolicy, ManualClock, StreamKey, Tier, Timestamp, VersionId, VideoId, Visibility,
    };
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use webhook::Secret;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
    const OWNER: AccountId = AccountId::from_bits(1);
    const SECRET: &str = "0123456789abcdef";

    /// Takes one call, answers it with `status`, and gives back its head and its body.
    async fn take(listener: &TcpListener, status: &str) -> (String, String) {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = String::new();
        let (head, body) = loop {
            let mut some = [0; 4096];
            let n = stream.read(&mut some).await.unwrap();
            heard.push_str(std::str::from_utf8(&some[..n]).unwrap());
            let Some((head, body)) = heard.split_once("\r\n\r\n") else { continue };
            let head = head.to_lowercase();
            let (_, length) = head.split_once("content-length: ").unwrap();
            if body.len() == length.lines().next().unwrap().parse::<usize>().unwrap() {
                break (head, body.to_owned());
            }
        };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
        (head, body)
    }

    #[tokio::test]
    async fn a_receiver_that_fails_is_told_again_and_then_no_more() {
        let test = TestDatabase::sqlite().await;
        let catalog = Catalog::open(test.open().await).await.unwrap();
        let clock = Arc::new(ManualClock::at(NOW));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let webhook = Webhook { url, secret: SECRET.to_owned() };
        catalog.set_webhook(OWNER, webhook, NOW).await.unwrap();
        let config = webhook::Config { allowed_networks: vec!["127.0.0.1/32".parse().unwrap()] };
        let (client, stop) = (Client::new(&config).unwrap(), CancellationToken::new());
        let running = run(&catalog, &client, &*clock, stop.clone());

        let story = async {
            let video = VideoId::from_bits(7);
            let key = StreamKey::generate(&mut rand::make_rng::<StdRng>());
            let new = NewEvent {
                video,
                version: VersionId::from_bits(8),
                owner: OWNER,
                title: "Fiesta \"mayor\"".to_owned(),
                description: String::new(),
                visibility: Visibility::Public,
                min_tier: Tier::NONE,
                starts_at: None,
                policy: EventPolicy::default(),
                key: key.hash(),
            };
            catalog.create_event(&new, NOW).await.unwrap();
            let turn = catalog.admit_publisher(&key.hash(), NOW).await.unwrap().unwrap();
            catalog.event_went_live(video, turn.generation, NOW).await.unwrap();

            let (head, body) = take(&listener, "500 Oh").await;
            let secret: Secret = SECRET.parse().unwrap();
            let signature = format!("cocuyo-signature: {}", secret.sign(NOW, body.as_bytes()));
            assert!(
                head.contains(&signature) && head.contains(&format!("cocuyo-delivery: {video}.live.started"))
            );
            let told: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(
                told,
                serde_json::json!({
                    "id": format!("{video}.live.started"), "type": "live.started", "at": NOW.as_millis(),
                    "event": {"id": video.to_string(), "title": "Fiesta \"mayor\"", "page": format!("/watch/{video}")}
                })
            );
            assert!(!body.contains(&key.expose()) && !body.contains(&key.hash().to_string()));
            // Its next try is some seconds away, the next event is not kept waiting by it.
            catalog.end_event(video, NOW).await.unwrap();
            let (_, body) = take(&listener, "204 Fine").await;
            assert!(body.contains("live.ended"), "{body}");
            clock.advance(Duration::from_secs(10));
            let (_, body) = take(&listener, "200 Fine").await;
            assert!(body.contains("live.started"), "{body}");
            // What is being told is noted before the end.
            stop.cancel();
        };
        let both = futures::future::join(running, story);
        tokio::time::timeout(Duration::from_secs(60), both).await.expect("it is told in time");
        clock.advance(Duration::from_secs(24 * 3600));
        assert_eq!(catalog.claim_announcements(clock.now(), LEASE).await.unwrap(), []);
    }
}
