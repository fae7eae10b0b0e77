use http::Method;
use model::{FailureReason, ObjectKey, Revoked, Role, Timestamp, Visibility};
use serde_json::{Value, json};
use subscriptions::PLAYER_LIFE;

use crate::testing::{START, Site};
use crate::{erase, finish_erasures};

fn path(video: model::VideoId) -> String {
    format!("/api/v1/videos/{video}")
}

/// The claims of a token, unverified.
pub(super) fn claims(token: &Value) -> Value {
    let token = jsonwebtoken::dangerous::insecure_decode::<Value>(token.as_str().unwrap());
    token.unwrap().claims
}

#[tokio::test]
async fn a_video_is_shown_with_what_a_minute_costs() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    let video = site.video(&ana, Visibility::Public, 0).await;
    let shown = site.get(&path(video), None).await.json();
    let version = shown["version"].as_str().unwrap();
    let at = START.as_millis();
    assert_eq!(
        shown,
        json!({
            "id": video.to_string(), "title": "A film", "description": "", "visibility": "public", "min_tier": 0,
            "state": "ready", "stage": "ready", "plays": true, "queue_place": null,
            "priority": 0, "progress": 100, "eta_s": null,
            "speed": null, "failure": null, "duration_ms": 60_000, "chapters": [],
            "created_at": at, "published_at": at, "owner": "ana", "version": version,
            "thumbnail_url": format!("/v/{video}/{version}/thumbnail.jpg"),
            "poster_url": format!("/v/{video}/{version}/poster.jpg"),
            "renditions": [
                {"name": "a32", "kind": "audio", "width": null, "height": null, "bandwidth_bps": 33_000,
                 "average_bandwidth_bps": 32_000, "mb_per_minute": 0.24, "whole": true},
                {"name": "a64", "kind": "audio", "width": null, "height": null, "bandwidth_bps": 65_000,
                 "average_bandwidth_bps": 64_000, "mb_per_minute": 0.48, "whole": true},
                {"name": "144p", "kind": "video", "width": 256, "height": 144, "bandwidth_bps": 41_000,
                 "average_bandwidth_bps": 40_000, "mb_per_minute": 0.54, "whole": true},
                {"name": "360p", "kind": "video", "width": 640, "height": 360, "bandwidth_bps": 337_000,
                 "average_bandwidth_bps": 336_000, "mb_per_minute": 3.0, "whole": true},
                {"name": "720p", "kind": "video", "width": 1280, "height": 720, "bandwidth_bps": 1_537_000,
                 "average_bandwidth_bps": 1_536_000, "mb_per_minute": 12.0, "whole": true}
            ],
            "reencode": null, "trim": null
        })
    );
    let listed = site.get("/api/v1/videos", None).await.json();
    assert_eq!(listed, json!({"items": [shown], "next": null}));
}

#[tokio::test]
async fn what_is_hidden_is_as_if_it_were_absent() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    let berta = site.somebody("berta", Role::Moderator, 3).await;
    let admin = site.somebody("root1", Role::Admin, 0).await;
    let absent = site.get("/api/v1/videos/00000000000000000000000000", Some(&berta)).await;
    assert_eq!(absent.refusal(), (404, "not_found".into()));
    for visibility in [Visibility::Draft, Visibility::Private] {
        let video = path(site.video(&ana, visibility, 0).await);
        let playback = format!("{video}/playback");
        for answer in [
            site.get(&video, Some(&berta)).await,
            site.patch(&video, Some(&berta), json!({"title": "Mine"})).await,
            site.delete(&video, Some(&berta)).await,
            site.post(&playback, Some(&berta), Value::Null).await,
            site.post(&format!("{video}/retry"), Some(&berta), Value::Null).await,
            site.get(&video, None).await,
            site.post(&playback, None, Value::Null).await,
        ] {
            assert_eq!(answer.json(), absent.json(), "{visibility}");
        }
        for person in [&ana, &admin] {
            assert_eq!(site.get(&video, Some(person)).await.status, 200);
            let playing = site.post(&playback, Some(person), Value::Null).await.json();
            assert_eq!(claims(&playing["token"])["height"], 4320);
        }
        let shown = site.get(&video, Some(&ana)).await.json();
        assert!(shown["thumbnail_url"].as_str().unwrap().starts_with("/t/ey"), "{shown}");
    }
    assert_eq!(site.get("/api/v1/videos", None).await.json()["items"], json!([]));
    let mine = site.get("/api/v1/videos?mine=true", Some(&ana)).await.json();
    assert_eq!(mine["items"].as_array().unwrap().len(), 2);
    assert_eq!(site.get("/api/v1/videos?mine=true", Some(&berta)).await.json()["items"], json!([]));
    assert_eq!(site.get("/api/v1/videos?mine=true", None).await.refusal().0, 401);
}

#[tokio::test]
async fn everybody_plays_what_their_tier_allows() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    let (none, paid) =
        (site.somebody("none", Role::Viewer, 0).await, site.somebody("paid", Role::Viewer, 2).await);
    let free = site.video(&ana, Visibility::Unlisted, 0).await;
    let gated = site.video(&ana, Visibility::Public, 2).await;
    let play =
        async |video, person| site.post(&format!("{}/playback", path(video)), person, Value::Null).await;

    let open = play(free, None).await.json();
    let url = open["url"].as_str().unwrap();
    assert!(url.starts_with(&format!("/v/{free}/")) && url.ends_with("/multivariant.m3u8"), "{url}");
    assert_eq!(open, json!({"url": url, "token": null, "foreign_url": url, "expires_at": null}));
    assert_eq!(claims(&play(free, Some(&none)).await.json()["token"])["height"], 480);

    assert_eq!(play(gated, None).await.refusal(), (401, "unauthenticated".into()));
    assert_eq!(play(gated, Some(&none)).await.refusal(), (403, "tier_required".into()));
    let playing = play(gated, Some(&paid)).await;
    assert_eq!(playing.headers["cache-control"], "no-store");
    let playing = playing.json();
    let grant = claims(&playing["token"]);
    assert_eq!(
        (&grant["height"], &grant["tier"], &grant["uses"]),
        (&json!(1080), &json!(2), &json!(["play"]))
    );
    assert_eq!(grant["sub"], paid.account.to_string());
    let expires = Timestamp::from_seconds(START.as_seconds()) + PLAYER_LIFE;
    assert_eq!(playing["expires_at"], expires.as_millis());
    let foreign = playing["foreign_url"].as_str().unwrap();
    let (token, rest) = foreign.strip_prefix("/t/").unwrap().split_once('/').unwrap();
    assert_eq!(format!("/{rest}"), playing["url"]);
    assert_eq!(claims(&json!(token))["exp"], START.as_seconds() + 6 * 3600);

    let shown = site.get(&path(gated), Some(&none)).await.json();
    assert!(shown["thumbnail_url"].as_str().unwrap().starts_with("/v/"), "listed, so everybody's");
    assert_eq!(shown["poster_url"], Value::Null);
}

#[tokio::test]
async fn an_entitlement_ends_what_it_paid_for() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    let paid = site.somebody("paid", Role::Viewer, 0).await;
    let video = site.video(&ana, Visibility::Public, 1).await;
    let until = START + PLAYER_LIFE / 2;
    let people = &site.state.subscriptions;
    people.set_tier(paid.account, model::Tier::ALL[1], Some(until), START).await.unwrap();
    let path = format!("{}/playback", path(video));
    let playing = site.post(&path, Some(&paid), Value::Null).await.json();
    let revoked = people.revocations(START).await.unwrap()[0];
    for token in [&playing["token"], &json!(playing["foreign_url"].as_str().unwrap().split('/').nth(2))] {
        let grant: model::Grant = serde_json::from_value(claims(token)).unwrap();
        assert!(Timestamp::from_seconds(grant.exp) <= until, "{grant:?}");
        assert!(grant.issued_at() > revoked.at, "made after the change, in the same second: {grant:?}");
    }
    site.clock.advance(PLAYER_LIFE / 2);
    assert_eq!(site.post(&path, Some(&paid), Value::Null).await.refusal(), (403, "tier_required".into()));
}

#[tokio::test]
async fn what_is_played_after_a_change_is_not_void_with_what_was_played_before() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    let paid = site.somebody("paid", Role::Viewer, 3).await;
    let video = site.video(&ana, Visibility::Public, 0).await;
    let play = async || {
        let playing = site.post(&format!("{}/playback", path(video)), Some(&paid), Value::Null).await.json();
        serde_json::from_value::<model::Grant>(claims(&playing["token"])).unwrap().issued_at()
    };
    let mut before = play().await;
    for min_tier in [1, 2, 3] {
        // All in the same second.
        site.clock.advance(std::time::Duration::from_millis(100));
        site.patch(&path(video), Some(&ana), json!({"min_tier": min_tier})).await;
        let revoked = site.state.catalog.revocations(START).await.unwrap().last().unwrap().at;
        let after = play().await;
        assert!(before <= revoked && revoked < after, "{before} {revoked} {after}");
        before = after;
    }
    site.delete(&path(video), Some(&ana)).await;
    assert!(before <= site.state.catalog.revocations(START).await.unwrap().last().unwrap().at);
}

#[tokio::test]
async fn owners_edit_with_every_character_and_within_bounds() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    let berta = site.somebody("berta", Role::Creator, 0).await;
    let video = path(site.video(&ana, Visibility::Draft, 0).await);
    let hostile = r#""><script>alert('x')</script> \ % _ 🎬"#;
    let edit = json!({"title": hostile, "description": "one\ntwo", "visibility": "public", "min_tier": 3});
    let edited = site.patch(&video, Some(&ana), edit).await.json();
    assert_eq!((&edited["title"], &edited["description"]), (&json!(hostile), &json!("one\ntwo")));
    assert_eq!((&edited["visibility"], &edited["min_tier"]), (&json!("public"), &json!(3)));
    assert_eq!(site.get(&video, Some(&ana)).await.json(), edited);
    let mut again = site.patch(&video, Some(&ana), json!({})).await.json();
    again["poster_url"] = edited["poster_url"].clone();
    assert_eq!(again, edited, "nothing given, nothing changed but the grant in a URL");
    for (body, code) in [
        (json!({"title": ""}), "invalid_title"),
        (json!({"title": "two\nlines"}), "invalid_title"),
        (json!({"description": "x".repeat(5001)}), "invalid_description"),
        (json!({"visibility": "secret"}), "invalid_body"),
        (json!({"min_tier": 4}), "invalid_body"),
        (json!({"min_tier": "1"}), "invalid_body"),
        (
            json!({"chapters": [{"start_ms": 0, "title": "a"}, {"start_ms": 0, "title": "b"}]}),
            "invalid_chapters",
        ),
        (json!({"chapters": [{"start_ms": 60_000, "title": "behind the end"}]}), "invalid_chapters"),
        (json!({"chapters": [{"start_ms": -1, "title": "a"}]}), "invalid_body"),
        (json!({"chapters_text": "0:00 a\n\n0:61 b"}), "invalid_chapters"),
        (json!({"chapters": [], "chapters_text": ""}), "invalid_body"),
        (json!({"owner": "berta"}), "invalid_body"),
        (json!({"state": "ready"}), "invalid_body"),
        (json!([]), "invalid_body"),
    ] {
        assert_eq!(
            site.patch(&video, Some(&ana), body.clone()).await.refusal(),
            (400, code.into()),
            "{body}"
        );
    }
    assert_eq!(
        site.patch(&video, Some(&berta), json!({"title": "x"})).await.refusal().0,
        403,
        "it is public"
    );
    assert_eq!(site.patch(&video, None, json!({"title": "x"})).await.refusal().0, 401);
    assert_eq!(site.get(&video, Some(&ana)).await.json()["title"], hostile);
}

#[tokio::test]
async fn chapters_are_set_as_a_list_or_as_lines_and_shown_to_everybody() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    let video = path(site.video(&ana, Visibility::Public, 0).await);
    let list = json!([{"start_ms": 0, "title": "Intro"}, {"start_ms": 5500, "title": "«Fin»"}]);
    let set = site.patch(&video, Some(&ana), json!({"chapters": list})).await.json();
    assert_eq!(set["chapters"], list);
    assert_eq!(site.get(&video, None).await.json()["chapters"], list);
    let kept = site.patch(&video, Some(&ana), json!({"title": "Otro"})).await.json();
    assert_eq!(kept["chapters"], list, "not given, not changed");
    let lines = json!({"chapters_text": "0:00 Intro\r\n0:05.5   «Fin»\r\n"});
    assert_eq!(site.patch(&video, Some(&ana), lines).await.json()["chapters"], list);
    let wrong = json!({"chapters_text": "0:00 Intro\n\n0:05 Fin\n1:00 Nunca"});
    let told = site.patch(&video, Some(&ana), wrong).await.json();
    assert_eq!(told["detail"], "Line 4: it begins when the video is over.");
    assert_eq!(site.get(&video, None).await.json()["chapters"], list);
    let none = site.patch(&video, Some(&ana), json!({"chapters": []})).await.json();
    assert_eq!(none["chapters"], json!([]));
}

#[tokio::test]
async fn a_failure_is_told_in_the_readers_language_and_can_be_tried_again() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    let video = site.upload(&ana, "Text").await;
    let play = format!("{}/playback", path(video));
    assert_eq!(site.post(&play, Some(&ana), Value::Null).await.refusal(), (409, "not_ready".into()));
    site.fail(FailureReason::NotMedia).await;
    let shown = site.get(&path(video), Some(&ana)).await.json();
    assert_eq!((&shown["state"], &shown["failure"]["code"]), (&json!("failed"), &json!("not_media")));
    let text = shown["failure"]["text"].as_str().unwrap();
    assert!(text.contains("neither video nor audio"), "{text}");
    site.patch(&path(video), Some(&ana), json!({"visibility": "unlisted"})).await;
    assert_eq!(site.get(&path(video), None).await.json()["failure"], Value::Null, "its owner's affair");
    let retry = format!("{}/retry", path(video));
    assert_eq!(site.post(&retry, Some(&ana), Value::Null).await.json()["state"], "queued");
    assert_eq!(site.post(&retry, Some(&ana), Value::Null).await.refusal(), (409, "conflict".into()));
}

#[tokio::test]
async fn a_deleted_video_leaves_nothing_but_its_revocation() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    let berta = site.somebody("berta", Role::Creator, 0).await;
    let kept = site.video(&berta, Visibility::Public, 0).await;
    let before = site.objects().await;
    let video = site.video(&ana, Visibility::Public, 0).await;
    let version = site.state.catalog.video(video).await.unwrap().unwrap().version().unwrap();
    assert!(site.objects().await.len() > before.len());
    assert_eq!(site.delete(&path(video), Some(&berta)).await.refusal().0, 403);
    assert_eq!(site.delete(&path(video), None).await.refusal().0, 401);
    assert_eq!(site.delete(&path(video), Some(&ana)).await.status, 204);
    assert_eq!(site.objects().await, before);
    assert_eq!(site.get(&path(video), Some(&ana)).await.refusal().0, 404);
    assert_eq!(site.delete(&path(video), Some(&ana)).await.refusal().0, 404);
    let revoked = site.state.catalog.revocations(START).await.unwrap();
    assert!(revoked.iter().any(|it| it.revoked == Revoked::Version(version)), "{revoked:?}");
    assert_eq!(site.state.catalog.deleted_videos().await.unwrap(), []);
    assert_eq!(site.get(&path(kept), None).await.status, 200);
}

#[tokio::test]
async fn a_lost_store_delays_the_rest_of_a_deletion_and_no_more() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    let video = site.video(&ana, Visibility::Public, 0).await;
    let catalog = &site.state.catalog;
    let lost = storage::Flaky::new(storage::Memory::new(site.clock.clone()), 1);
    erase(catalog, &lost, video, START).await.unwrap();
    assert_eq!(catalog.video(video).await.unwrap(), None);
    assert_eq!(catalog.deleted_videos().await.unwrap(), [video]);
    finish_erasures(catalog, &*site.state.store, START).await.unwrap();
    assert!(site.objects().await.iter().all(|name| !name.starts_with(&ObjectKey::video_prefix(video))));
    assert_eq!(catalog.deleted_videos().await.unwrap(), []);
}

#[tokio::test]
async fn lists_come_in_parts() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    for _ in 0..5 {
        site.upload(&ana, "One of five").await;
        site.clock.advance(std::time::Duration::from_millis(1));
    }
    let (mut path, mut seen) = ("/api/v1/videos?mine=true&limit=2".to_owned(), Vec::new());
    loop {
        let part = site.get(&path, Some(&ana)).await.json();
        seen.extend(
            part["items"].as_array().unwrap().iter().map(|item| item["created_at"].as_i64().unwrap()),
        );
        let Some(next) = part["next"].as_str() else { break };
        path = format!("/api/v1/videos?mine=true&limit=2&cursor={next}");
    }
    let expected: Vec<_> = (0..5).rev().map(|ms| START.as_millis() + ms).collect();
    assert_eq!(seen, expected);
    for query in
        ["cursor=x", "cursor=%00", "limit=-1", "limit=x", "mine=maybe", "owner=ana", "limit=1&limit=2"]
    {
        let answer =
            site.call(Method::GET, &format!("/api/v1/videos?{query}"), Some(&ana), Value::Null).await;
        assert_eq!(answer.refusal().0, 400, "{query}");
    }
    let most = site.get("/api/v1/videos?mine=true&limit=4000000000", Some(&ana)).await;
    assert_eq!(most.status, 200);
}
