use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use model::{
    Clock, Health, HealthWarning, LetGo, ObjectKey, PictureHealth, PublishRefusal, Role, StreamKey, VideoId,
    Visibility,
};
use serde_json::{Value, json};

use super::videos::claims;
use crate::LiveHealth;
use crate::testing::{START, Site, Somebody};

const EVENTS: &str = "/api/v1/events";

fn path(event: impl std::fmt::Display) -> String {
    format!("{EVENTS}/{event}")
}

async fn create(site: &Site, person: &Somebody, order: Value) -> Value {
    let answer = site.post(EVENTS, Some(person), order).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()
}

fn key_of(answer: &Value) -> StreamKey {
    answer["key"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn an_event_is_created_with_a_key_that_is_told_once() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    let starts = START.as_millis() + 3_600_000;
    let order = json!({"title": " Fiesta ", "visibility": "public", "starts_at": starts, "dvr_s": 600});
    let created = create(&site, &ana, order).await;
    let (id, key) = (created["id"].as_str().unwrap(), key_of(&created["publish"]));
    assert_eq!(created["publish"]["rtmp_url"], "rtmp://localhost/live");
    assert_eq!(
        (
            &created["state"],
            &created["starts_at"],
            &created["dvr_s"],
            &created["record"],
            &created["publishing"]
        ),
        (&json!("scheduled"), &json!(starts), &json!(600), &json!(true), &json!(false))
    );
    let video = &created["video"];
    assert_eq!((&video["title"], &video["id"]), (&json!("Fiesta"), &json!(id)));
    assert_eq!(
        (&video["state"], &video["stage"], &video["plays"]),
        (&json!("event"), &json!("scheduled"), &json!(false))
    );

    // Wherever else the event is told of, its key is not, in whatever form.
    site.publish(&key).await;
    for path in [
        path(id),
        format!("{EVENTS}?mine=true"),
        EVENTS.into(),
        format!("/api/v1/videos/{id}"),
        path(format!("{id}/health")),
    ] {
        let answer = site.get(&path, Some(&ana)).await;
        assert_eq!(answer.status, 200, "{path}");
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!text.contains(&key.expose()) && !text.contains(&key.hash().to_string()), "{path}: {text}");
    }
    let playback = site.post(&format!("/api/v1/videos/{id}/playback"), Some(&ana), Value::Null).await;
    assert!(!String::from_utf8_lossy(&playback.body).contains(&key.expose()));
}

#[tokio::test]
async fn an_event_needs_a_creator_and_words_that_make_sense() {
    let site = Site::open().await;
    let (ana, eva) =
        (site.somebody("ana", Role::Creator, 0).await, site.somebody("eva", Role::Viewer, 3).await);
    assert_eq!(site.post(EVENTS, None, json!({"title": "t"})).await.refusal().0, 401);
    assert_eq!(site.post(EVENTS, Some(&eva), json!({"title": "t"})).await.refusal().0, 403);
    let cases = [
        (json!({}), "invalid_body"),
        (json!({"title": ""}), "invalid_title"),
        (json!({"title": "t", "description": "nul\0"}), "invalid_description"),
        (json!({"title": "t", "key": "mine"}), "invalid_body"),
        (json!({"title": "t", "visibility": "everywhere"}), "invalid_body"),
        (json!({"title": "t", "min_tier": 4}), "invalid_body"),
        (json!({"title": "t", "starts_at": 5}), "invalid_start"),
        (json!({"title": "t", "starts_at": i64::MAX}), "invalid_start"),
        (json!({"title": "t", "dvr_s": 86_401}), "invalid_dvr"),
        (json!({"title": "t", "dvr_s": -1}), "invalid_body"),
    ];
    for (order, code) in cases {
        assert_eq!(site.post(EVENTS, Some(&ana), order).await.refusal(), (400, code.to_owned()));
    }
    let draft = create(&site, &ana, json!({"title": "t"})).await;
    assert_eq!((&draft["video"]["visibility"], &draft["dvr_s"]), (&json!("draft"), &json!(43_200)));
    for _ in 1..100 {
        create(&site, &ana, json!({"title": "t"})).await;
    }
    let one_more = site.post(EVENTS, Some(&ana), json!({"title": "t"})).await;
    assert_eq!(one_more.refusal(), (429, "too_many_events".to_owned()));
}

#[tokio::test]
async fn only_its_owner_and_administrators_touch_an_event() {
    let site = Site::open().await;
    let (ana, eva) =
        (site.somebody("ana", Role::Creator, 0).await, site.somebody("eva", Role::Creator, 3).await);
    let admin = site.somebody("root1", Role::Admin, 0).await;
    let (hidden, _) = site.event(&ana, Visibility::Private, 0).await;
    let (public, _) = site.event(&ana, Visibility::Public, 0).await;
    let routes = [
        (Method::PATCH, "", json!({"title": "Mine now"})),
        (Method::DELETE, "", Value::Null),
        (Method::POST, "/key", Value::Null),
        (Method::POST, "/end", Value::Null),
        (Method::GET, "/health", Value::Null),
    ];
    for (method, rest, body) in routes {
        let ask = async |event: VideoId, person| {
            site.call(method.clone(), &path(format!("{event}{rest}")), person, body.clone()).await.refusal().0
        };
        assert_eq!(ask(public, None).await, 401, "{method} {rest}");
        assert_eq!(ask(public, Some(&eva)).await, 403, "{method} {rest}");
        assert_eq!(ask(hidden, Some(&eva)).await, 404, "{method} {rest}");
        assert_eq!(ask(VideoId::from_bits(5), Some(&admin)).await, 404, "{method} {rest}");
    }
    assert_eq!(site.get(&path(hidden), Some(&eva)).await.refusal().0, 404);
    assert_eq!(site.get(&path("..%2f"), Some(&eva)).await.refusal().0, 404);
    assert_eq!(site.get(&path(public), Some(&eva)).await.json()["publishing"], Value::Null);
    assert_eq!(site.get(&path(public), Some(&admin)).await.json()["publishing"], false);
    assert_eq!(site.post(&path(format!("{hidden}/end")), Some(&admin), Value::Null).await.status, 200);
    assert_eq!(site.delete(&path(public), Some(&admin)).await.status, 204);
    assert_eq!(site.get(&path(public), Some(&ana)).await.refusal().0, 404);
    let video = site.video(&ana, Visibility::Public, 0).await;
    assert_eq!(site.get(&path(video), Some(&ana)).await.refusal().0, 404, "it was never an event");
}

#[tokio::test]
async fn what_is_on_air_plays_by_the_rights_of_a_video_and_lands_on_the_shelf() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    let (none, best) =
        (site.somebody("none", Role::Viewer, 0).await, site.somebody("best", Role::Viewer, 2).await);
    let (event, key) = site.event(&ana, Visibility::Public, 0).await;
    let play =
        async |person| site.post(&format!("/api/v1/videos/{event}/playback"), person, Value::Null).await;
    assert_eq!(play(None).await.refusal(), (409, "not_ready".to_owned()));
    let turn = site.publish(&key).await;
    let url = format!("/live/{event}/{}/multivariant.m3u8", turn.version);
    let free = play(None).await.json();
    assert_eq!(
        (&free["url"], &free["foreign_url"], &free["token"]),
        (&json!(url), &json!(url), &Value::Null)
    );
    let granted = |answer: &Value| {
        assert_eq!(answer["url"], url);
        let foreign = answer["foreign_url"].as_str().unwrap();
        assert!(foreign.starts_with("/t/") && foreign.ends_with(&url), "{foreign}");
        let claims = claims(&answer["token"]);
        (claims["height"].as_u64().unwrap(), claims["uses"].clone(), claims["rewind_s"].as_u64())
    };
    assert_eq!(granted(&play(Some(&none)).await.json()), (480, json!(["play"]), None));
    assert_eq!(granted(&play(Some(&best)).await.json()), (1080, json!(["play", "rewind"]), Some(7200)));
    let own = granted(&play(Some(&ana)).await.json());
    assert_eq!(own, (4320, json!(["play", "rewind"]), Some(43_200)), "as far as the event lets anybody go");
    site.patch(&path(event), Some(&ana), json!({"dvr_s": 60})).await;
    assert_eq!(granted(&play(Some(&best)).await.json()).2, Some(60));

    let listed = site.get("/api/v1/videos", None).await.json();
    assert_eq!(listed["items"][0]["stage"], "live", "it stands in the list of videos");
    site.state.catalog.publisher_left(event, turn.generation, site.clock.now()).await.unwrap();
    let away = site.get(&path(event), None).await.json();
    assert_eq!(
        (&away["state"], &away["on_air"], &away["away_since"]),
        (&json!("live"), &json!(false), &json!(START.as_millis()))
    );
    assert_eq!(play(None).await.status, 200, "it goes on when the publisher is back");

    let ended = site.post(&path(format!("{event}/end")), Some(&ana), Value::Null).await.json();
    assert_eq!((&ended["state"], &ended["video"]["state"]), (&json!("ended"), &json!("event")));
    let again = site.post(&path(format!("{event}/end")), Some(&ana), Value::Null).await;
    assert_eq!((again.status.as_u16(), again.json()), (200, ended));
    let new = catalog::NewVersion {
        version: turn.version,
        duration_ms: 5000,
        renditions: Vec::new(),
        stretches: None,
    };
    site.state.catalog.event_ended(event, Some(&new), site.clock.now()).await.unwrap();
    let shelf = play(None).await.json();
    assert_eq!(shelf["url"], format!("/v/{event}/{}/multivariant.m3u8", turn.version));
    let over = site.patch(&path(event), Some(&ana), json!({"record": false})).await;
    assert_eq!(over.refusal().0, 409);
    let title = site.patch(&path(event), Some(&ana), json!({"title": "Otra vez"})).await.json();
    assert_eq!(title["video"]["title"], "Otra vez");
}

#[tokio::test]
async fn a_tier_guards_an_event_as_it_guards_a_video() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    let basic = site.somebody("basic", Role::Viewer, 1).await;
    let (event, key) = site.event(&ana, Visibility::Public, 2).await;
    site.publish(&key).await;
    let play = async |person| {
        site.post(&format!("/api/v1/videos/{event}/playback"), person, Value::Null).await.refusal()
    };
    assert_eq!(play(None).await.0, 401);
    assert_eq!(play(Some(&basic)).await, (403, "tier_required".to_owned()));
}

#[tokio::test]
async fn another_key_puts_the_publisher_off() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    let (event, old) = site.event(&ana, Visibility::Public, 0).await;
    let turn = site.publish(&old).await;
    let answer = site.post(&path(format!("{event}/key")), Some(&ana), Value::Null).await.json();
    let new = key_of(&answer);
    assert!(new != old);
    let (catalog, now) = (&site.state.catalog, site.clock.now());
    assert!(catalog.publishers_heard(&[(event, turn.generation)], now).await.unwrap().is_empty());
    let refused = catalog.admit_publisher(&old.hash(), now).await.unwrap();
    assert_eq!(refused, Err(PublishRefusal::UnknownKey));
    site.publish(&new).await;
    site.post(&path(format!("{event}/end")), Some(&ana), Value::Null).await;
    assert_eq!(site.post(&path(format!("{event}/key")), Some(&ana), Value::Null).await.refusal().0, 409);
}

#[tokio::test]
async fn events_are_listed_for_everybody_and_for_their_owner() {
    let site = Site::open().await;
    let (ana, eva) =
        (site.somebody("ana", Role::Creator, 0).await, site.somebody("eva", Role::Creator, 0).await);
    let (upcoming, _) = site.event(&ana, Visibility::Public, 0).await;
    let (live, key) = site.event(&ana, Visibility::Public, 1).await;
    site.publish(&key).await;
    let (draft, _) = site.event(&ana, Visibility::Draft, 0).await;
    site.event(&eva, Visibility::Unlisted, 0).await;
    let ids = |answer: &Value| -> Vec<String> {
        answer["items"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
    };
    let public = site.get(EVENTS, None).await.json();
    assert_eq!(ids(&public), [live.to_string(), upcoming.to_string()]);
    assert_eq!(ids(&site.get(&format!("{EVENTS}?limit=1"), None).await.json()), [live.to_string()]);
    let mine = site.get(&format!("{EVENTS}?mine=true&limit=2"), Some(&ana)).await.json();
    let next = mine["next"].as_str().unwrap();
    let rest = site.get(&format!("{EVENTS}?mine=true&limit=2&cursor={next}"), Some(&ana)).await.json();
    let mut all = [ids(&mine), ids(&rest)].concat();
    all.sort();
    let mut expected = [upcoming, live, draft].map(|id| id.to_string());
    expected.sort();
    assert_eq!((all, &rest["next"]), (expected.to_vec(), &Value::Null));
    assert_eq!(site.get(&format!("{EVENTS}?mine=true"), None).await.refusal().0, 401);
    assert_eq!(site.get(&format!("{EVENTS}?mine=maybe"), None).await.refusal().0, 400);
}

#[tokio::test]
async fn viewers_are_counted_by_their_players() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    let (event, key) = site.event(&ana, Visibility::Public, 0).await;
    let beat = async |event: VideoId, player: u128| {
        let player = VideoId::from_bits(player).to_string();
        site.post(&path(format!("{event}/beat")), None, json!({"player": player})).await
    };
    assert_eq!(beat(event, 1).await.json(), json!({"viewers": 0, "live": false}));
    site.publish(&key).await;
    assert_eq!(beat(event, 1).await.json(), json!({"viewers": 1, "live": true}));
    assert_eq!(beat(event, 2).await.json(), json!({"viewers": 2, "live": true}));
    site.clock.advance(Duration::from_secs(30));
    assert_eq!(beat(event, 2).await.json()["viewers"], 2);
    site.clock.advance(Duration::from_secs(50));
    assert_eq!(site.get(&path(event), None).await.json()["viewers"], 1);
    assert_eq!(beat(VideoId::from_bits(5), 1).await.refusal().0, 404);
    let (hidden, key) = site.event(&ana, Visibility::Private, 0).await;
    site.publish(&key).await;
    assert_eq!(beat(hidden, 1).await.refusal().0, 404);
    let odd = site.post(&path(format!("{event}/beat")), None, json!({"player": "me"})).await;
    assert_eq!(odd.refusal(), (400, "invalid_body".to_owned()));
}

#[derive(Debug)]
struct Bad(VideoId);

#[async_trait]
impl LiveHealth for Bad {
    async fn health(&self, video: VideoId) -> Option<Health> {
        (video == self.0).then(|| Health {
            at: START,
            encoder: "OBS <31>".into(),
            bitrate_kbps: 2500,
            picture: Some(PictureHealth {
                codec: "H.264".into(),
                width: 640,
                height: 360,
                fps: 29.97,
                gop_s: 8.3,
            }),
            skew_ms: -12,
            queue_ms: 40,
            dropped: 3,
            renditions: vec!["360p".parse().unwrap(), "a64".parse().unwrap()],
            warnings: vec![HealthWarning::LatencyOff],
        })
    }
}

#[tokio::test]
async fn its_publisher_is_told_how_the_feed_is() {
    let mut site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    let (event, key) = site.event(&ana, Visibility::Public, 0).await;
    let (other, _) = site.event(&ana, Visibility::Public, 0).await;
    let turn = site.publish(&key).await;
    let ask = async |site: &Site, event: VideoId| {
        site.get(&path(format!("{event}/health")), Some(&ana)).await.json()
    };
    let unknown = json!({"state": "live", "on_air": true, "publishing": true, "viewers": 0, "feed": null, "let_go": null});
    assert_eq!(ask(&site, event).await, unknown, "nobody here can tell");
    site.with_health(Arc::new(Bad(event)));
    let told = ask(&site, event).await;
    assert_eq!(
        told["feed"],
        json!({
            "at": START.as_millis(), "encoder": "OBS <31>", "bitrate_kbps": 2500,
            "picture": {"codec": "H.264", "width": 640, "height": 360, "fps": 29.97, "gop_s": 8.3},
            "skew_ms": -12, "queue_ms": 40, "dropped": 3, "renditions": ["360p", "a64"],
            "warnings": [{
                "code": "latency_off",
                "text": "Key frames are too far apart: the broadcast arrives later than it could. \
                         Set the key frame interval to 2 seconds."
            }]
        })
    );
    assert_eq!(ask(&site, other).await["feed"], Value::Null);

    // Why it is over.
    let catalog = &site.state.catalog;
    catalog.publisher_let_go(event, turn.generation, LetGo::TooLarge).await.unwrap();
    let told = ask(&site, event).await["let_go"].clone();
    let text = "The picture is larger than your plan allows. Lower the output resolution.";
    assert_eq!(told, json!({"code": "too_large", "text": text}));
}

#[tokio::test]
async fn a_deleted_event_takes_its_objects_along_once_its_packager_has_noticed() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    let (event, key) = site.event(&ana, Visibility::Public, 0).await;
    let turn = site.publish(&key).await;
    let index = ObjectKey::Index { video: event, version: turn.version };
    site.state.store.put(&index, bytes::Bytes::from_static(b"{}")).await.unwrap();
    assert_eq!(site.delete(&path(event), Some(&ana)).await.status, 204);
    assert_eq!(site.objects().await, [""; 0]);
    let (catalog, now) = (&site.state.catalog, site.clock.now());
    assert!(catalog.publishers_heard(&[(event, turn.generation)], now).await.unwrap().is_empty());
    // Written before the packager noticed.
    site.state.store.put(&index, bytes::Bytes::from_static(b"{}")).await.unwrap();
    site.clock.advance(Duration::from_secs(61));
    crate::finish_erasures(catalog, &*site.state.store, site.clock.now()).await.unwrap();
    assert_eq!(site.objects().await, [""; 0]);
    assert_eq!(catalog.deleted_videos().await.unwrap(), []);
}
