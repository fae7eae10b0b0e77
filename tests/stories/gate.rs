//! What the server refuses, whatever a page or a player says: at the edge of the process that has
//! everything, and at one of its own.

use std::time::Duration;

use serde_json::json;
use tests::{Clip, Engines, OwnEdge, Person, Stack, until};

struct Playing {
    stack: Stack,
    own_edge: OwnEdge,
    creator: Person,
    video: String,
    /// `/v/{video}/{version}`
    base: String,
}

impl Playing {
    /// Somebody, at each door that media come from.
    fn at_each_edge(&self, person: &Person) -> [Person; 2] {
        [person.clone(), person.at(&self.own_edge.url(""))]
    }
}

async fn a_film_for_tier_one(engines: Engines) -> Playing {
    let stack = Stack::start_on(engines).await;
    let own_edge = stack.add_edge("habana").await;
    let creator = stack.person("ana", "creator", 0).await;
    let video = creator.upload("Para abonados", Clip::Long.file()).await;
    let ready = creator.until_ready(&video).await;
    creator.publish(&video, 1).await;
    let base = format!("/v/{video}/{}", ready["version"].as_str().expect("a version"));
    Playing { stack, own_edge, creator, video, base }
}

async fn a_tier_is_enforced_per_rendition_and_per_object(engines: Engines) {
    let playing = a_film_for_tier_one(engines).await;
    let Playing { stack, video, base, .. } = &playing;
    stack.stranger().playback(video).await.expect(401);
    let nobody = stack.person("nadie", "viewer", 0).await;
    let refused = nobody.playback(video).await.expect(403);
    assert_eq!(refused.json()["code"], "tier_required");
    assert_eq!(refused.header("content-type"), "application/problem+json");

    // Every object alike: nothing without a grant, whoever asks.
    let objects = [
        "/multivariant.m3u8",
        "/720p/playlist.m3u8",
        "/144p/playlist.m3u8",
        "/a32/playlist.m3u8",
        "/360p/init.mp4",
        "/360p/0.m4s",
        "/a32/0.m4s",
        "/poster.jpg",
        "/360p.mp4",
    ];
    let strangers = playing.at_each_edge(&stack.stranger());
    for stranger in &strangers {
        for object in objects {
            assert_eq!(stranger.get(&format!("{base}{object}")).await.status, 401, "{object}");
        }
    }

    // With the grant, all of it; in each of the ways in which a grant travels.
    let subscriber = stack.person("luis", "viewer", 1).await;
    let playback = subscriber.playback(video).await.expect(200).json();
    let grant = playback["token"].as_str().expect("a token");
    for stranger in &strangers {
        for object in objects {
            assert_eq!(stranger.fetch(&format!("{base}{object}"), Some(grant)).await.status, 200, "{object}");
            let prefixed = stranger.get(&format!("/t/{grant}{base}{object}")).await;
            assert_eq!(prefixed.status, 200, "{object} under its prefix");
        }
        let redirected = stranger.get(&format!("{base}/multivariant.m3u8?token={grant}")).await.expect(302);
        assert_eq!(redirected.header("location"), format!("/t/{grant}{base}/multivariant.m3u8"));
    }

    // The logs have seen all those requests and no token.
    let signature = grant.rsplit('.').next().expect("a JWT has a signature");
    assert!(!stack.log().contains(signature));
    let log = playing.own_edge.log();
    assert!(!log.contains(signature) && !log.contains(playing.own_edge.credential()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tier_is_enforced_per_rendition_and_per_object_on_a_folder_and_sqlite() {
    a_tier_is_enforced_per_rendition_and_per_object(Engines::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tier_is_enforced_per_rendition_and_per_object_on_s3_and_postgresql() {
    a_tier_is_enforced_per_rendition_and_per_object(Engines::Servers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_height_above_the_tier_is_refused_segment_by_segment() {
    let playing = a_film_for_tier_one(Engines::Embedded).await;
    let Playing { stack, creator, video, base, .. } = &playing;
    // Free for all: strangers get what tier 0 may see, the 480p rung and below.
    creator.publish(video, 0).await;
    for stranger in playing.at_each_edge(&stack.stranger()) {
        let open = until("the policy to reach the edge", Duration::from_secs(15), || async {
            let answer = stranger.get(&format!("{base}/multivariant.m3u8")).await;
            if answer.status == 200 { Ok(answer) } else { Err(answer.status) }
        })
        .await;
        assert!(open.text().contains("480p/") && !open.text().contains("720p/"), "{}", open.text());
        assert_eq!(stranger.get(&format!("{base}/480p/0.m4s")).await.status, 200);
        assert_eq!(stranger.get(&format!("{base}/720p/0.m4s")).await.status, 401);
    }

    let nobody = stack.person("nadie", "viewer", 0).await;
    let capped = nobody.playback(video).await.expect(200).json();
    let grant = capped["token"].as_str().expect("a token");
    for nobody in playing.at_each_edge(&nobody) {
        assert_eq!(nobody.fetch(&format!("{base}/720p/0.m4s"), Some(grant)).await.status, 403);
        assert_eq!(nobody.fetch(&format!("{base}/480p/0.m4s"), Some(grant)).await.status, 200);
    }
    let subscriber = stack.person("luis", "viewer", 1).await;
    let playback = subscriber.playback(video).await.expect(200).json();
    let grant = playback["token"].as_str();
    for subscriber in playing.at_each_edge(&subscriber) {
        assert_eq!(subscriber.fetch(&format!("{base}/720p/0.m4s"), grant).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_is_for_one_version_and_ends_with_its_account() {
    let playing = a_film_for_tier_one(Engines::Embedded).await;
    let Playing { stack, creator, video, base, .. } = &playing;
    let subscriber = stack.person("luis", "viewer", 1).await;
    let playback = subscriber.playback(video).await.expect(200).json();
    let grant = playback["token"].as_str().expect("a token").to_owned();

    let other = creator.upload("Otro", Clip::Short.file()).await;
    let other_version = creator.until_ready(&other).await["version"].as_str().expect("a version").to_owned();
    creator.publish(&other, 1).await;
    let elsewhere = format!("/v/{other}/{other_version}/144p/0.m4s");
    let viewers = playing.at_each_edge(&subscriber);
    let segment = format!("{base}/144p/0.m4s");
    for viewer in &viewers {
        assert_eq!(viewer.fetch(&elsewhere, Some(&grant)).await.status, 404);
        assert_eq!(viewer.fetch(&segment, Some(&grant)).await.status, 200);
    }
    let admin = stack.person("jefa", "admin", 0).await;
    admin.patch("/api/v1/accounts/luis", json!({"tier": 0})).await.expect(200);
    until("the revocation to reach the edges", Duration::from_secs(10), || async {
        let [home, own] = viewers.each_ref().map(|viewer| viewer.fetch(&segment, Some(&grant)));
        let seen = [home.await.status, own.await.status];
        if seen == [401, 401] { Ok(()) } else { Err(seen) }
    })
    .await;
    subscriber.playback(video).await.expect(403);
}
