//! Who gets in, and how a token travels.

use std::time::Duration;

use model::{Grant, Revoked, SessionId, VersionId, VideoId};

use crate::film::VERSION;
use crate::origin::{ACCOUNT, NOW, SESSION, Signer, grant, keeping};
use crate::serving::{Serving, path};

#[tokio::test]
async fn a_grant_is_taken_from_header_cookie_and_path_and_cuts_the_playlist() {
    let serving = Serving::start().await;
    let token = serving.signer.token(&grant(360));
    let carried = [
        (path("multivariant.m3u8"), format!("authorization: Bearer {token}")),
        (path("multivariant.m3u8"), format!("cookie: lang=es; cocuyo_grant={token}")),
        (format!("/t/{token}{}", path("multivariant.m3u8")), "x: y".to_owned()),
    ];
    for (path, header) in &carried {
        let answer = serving.get(path, &[header]).await;
        assert_eq!(answer.status, 200, "{header}: {answer:?}");
        assert_eq!(answer.header("content-type"), "application/vnd.apple.mpegurl");
        assert_eq!(answer.header("cache-control"), "private, no-cache");
        assert_eq!(answer.header("vary"), "authorization, cookie");
        let text = answer.text();
        assert!(text.contains("360p/playlist.m3u8") && !text.contains("1080p"), "{text}");
        assert!(!text.contains(&token), "the token stands in the playlist");
    }
}

#[tokio::test]
async fn what_the_gate_says_is_what_the_door_does() {
    let serving = Serving::start().await;
    let small = serving.bearer(&grant(360));
    let other = serving.bearer(&Grant { video: VideoId::from_bits(9), ..grant(1080) });
    for (method, path, header, expected) in [
        ("GET", path("360p/0.m4s"), small.as_str(), 200),
        ("GET", path("1080p/0.m4s"), &small, 403),
        ("GET", path("360p/0.m4s"), &other, 404),
        ("GET", path("360p/0.m4s"), "authorization: Bearer a.b.c", 401),
        ("GET", path("360p/0.m4s"), "x: y", 401),
        ("GET", path("360p/00.m4s"), &small, 404),
        ("POST", path("360p/0.m4s"), &small, 405),
    ] {
        let (name, value) = header.split_once(": ").unwrap();
        let request = http::Request::builder().method(method).uri(&path).header(name, value);
        let (request, ()) = request.body(()).unwrap().into_parts();
        let said = serving.edge.check(&request).map_or(200, |status| status.as_u16());
        assert_eq!(said, expected, "{method} {path} {header}");
        let done = serving.ask(method, &path, &[header]).await;
        assert_eq!(done.status, expected, "{method} {path} {header}");
    }
}

#[tokio::test]
async fn a_token_in_the_query_moves_into_the_path() {
    let serving = Serving::start().await;
    let token = serving.signer.token(&grant(360));
    let multivariant = path("multivariant.m3u8");
    let answer = serving.get(&format!("{multivariant}?a=b&token={token}"), &[]).await;
    assert_eq!((answer.status, answer.header("cache-control")), (302, "no-store"));
    let location = answer.header("location");
    assert_eq!(location, format!("/t/{token}{multivariant}"));
    assert_eq!(serving.get(location, &[]).await.status, 200);

    for (query, status) in [
        ("token=", 401),
        ("token=a.b", 401),
        ("token=a.b.c%0d%0ax:y", 401),
        ("token=//evil.example/a.b.c", 401),
        ("token=a.b.c&token=a.b.d", 400),
        ("other=1", 401),
    ] {
        let answer = serving.get(&format!("{multivariant}?{query}"), &[]).await;
        assert_eq!(answer.status, status, "{query}");
        assert_eq!(answer.header("location"), "", "{query}");
    }
    // Elsewhere a query means nothing.
    let answer = serving.get(&format!("{}?token={token}", path("360p/0.m4s")), &[]).await;
    assert_eq!(answer.status, 401);
}

#[tokio::test]
async fn every_part_is_gated_alike() {
    let serving = Serving::start().await;
    let low = serving.bearer(&grant(480));
    let parts = |name: &str| {
        [
            format!("{name}/playlist.m3u8"),
            format!("{name}/init.mp4"),
            format!("{name}/0.m4s"),
            format!("{name}.mp4"),
        ]
    };
    // A whole file above what a page plays needs more than a grant to watch.
    for (grant, file, status) in
        [(grant(1080), "360p", 200), (grant(1080), "1080p", 403), (keeping(1080), "1080p", 200)]
    {
        let answer = serving.get(&path(&format!("{file}.mp4")), &[&serving.bearer(&grant)]).await;
        assert_eq!(answer.status, status, "{file}.mp4 with {:?}", grant.uses);
    }
    for part in parts("360p") {
        assert_eq!(serving.get(&path(&part), &[&low]).await.status, 200, "{part}");
        assert_eq!(serving.get(&path(&part), &[]).await.status, 401, "{part}");
    }
    for part in parts("1080p") {
        let refused = serving.get(&path(&part), &[&low, "accept-language: en"]).await;
        assert_eq!(refused.status, 403, "{part}");
        assert_eq!(refused.header("cache-control"), "no-store");
        assert_eq!(refused.header("access-control-allow-origin"), "*");
        assert!(refused.text().contains(r#""code":"tier_required""#), "{}", refused.text());
    }
    for part in ["poster.jpg", "thumbnail.jpg", "a64/playlist.m3u8", "a64/init.mp4", "a64/0.m4s"] {
        assert_eq!(serving.get(&path(part), &[&low]).await.status, 200, "{part}");
        assert_eq!(serving.get(&path(part), &[]).await.status, 401, "{part}");
    }
    let further = serving.get(&path("1080p/init-1.mp4"), &[&low]).await;
    assert_eq!(further.status, 403, "whether there is a second format is not said");
    for absent in
        ["360p/init-1.mp4", "720p/playlist.m3u8", "720p/0.m4s", "720p.mp4", "360p/3.m4s", "a96/0.m4s"]
    {
        let high = serving.bearer(&keeping(4320));
        assert_eq!(serving.get(&path(absent), &[&high]).await.status, 404, "{absent}");
    }
}

#[tokio::test]
async fn what_is_out_of_scope_is_refused_before_anything_is_looked_up() {
    let serving = Serving::start().await;
    let before = serving.store.reads();
    let elsewhere = [
        Grant { video: VideoId::from_bits(9), ..grant(4320) },
        Grant { version: VersionId::from_bits(9), ..grant(4320) },
    ];
    for grant in elsewhere {
        let bearer = serving.bearer(&grant);
        for part in ["multivariant.m3u8", "360p/0.m4s", "360p.mp4", "poster.jpg"] {
            assert_eq!(serving.get(&path(part), &[&bearer]).await.status, 404, "{part}");
        }
    }
    assert_eq!(serving.get(&path("1080p/0.m4s"), &[&serving.bearer(&grant(480))]).await.status, 403);
    assert_eq!(serving.store.reads(), before, "the store was asked");
    assert_eq!(serving.said.policies_asked(), 1, "only the one in scope asks for more");
}

#[tokio::test]
async fn a_grant_ends_with_its_time() {
    let serving = Serving::start().await;
    let bearer = serving.bearer(&grant(360));
    serving.clock.advance(Duration::from_secs(540 + 29));
    assert_eq!(serving.get(&path("360p/0.m4s"), &[&bearer]).await.status, 200);
    serving.clock.advance(Duration::from_secs(1));
    assert_eq!(serving.get(&path("360p/0.m4s"), &[&bearer]).await.status, 401);
}

#[tokio::test]
async fn a_revocation_ends_a_grant_that_was_just_used() {
    for (revoked, status) in
        [(Revoked::Account(ACCOUNT), 401), (Revoked::Session(SESSION), 401), (Revoked::Version(VERSION), 404)]
    {
        let serving = Serving::start().await;
        let old = serving.bearer(&grant(360));
        assert_eq!(serving.get(&path("360p/0.m4s"), &[&old]).await.status, 200);
        serving.said.revoke(revoked, NOW);
        serving.edge.refresh().await.unwrap();
        assert_eq!(serving.get(&path("360p/0.m4s"), &[&old]).await.status, status, "{revoked:?}");
        // What is issued afterwards is good, and so is what others have.
        let renewed = serving.bearer(&Grant { iat: NOW.as_seconds() + 1, ..grant(360) });
        assert_eq!(serving.get(&path("360p/0.m4s"), &[&renewed]).await.status, 200, "{revoked:?}");
        let other = Grant { sid: SessionId::from_bits(1), ..grant(360) };
        let expected = if revoked == Revoked::Session(SESSION) { 200 } else { status };
        assert_eq!(serving.get(&path("360p/0.m4s"), &[&serving.bearer(&other)]).await.status, expected);
    }
}

#[tokio::test]
async fn a_key_that_is_withdrawn_takes_its_grants_with_it() {
    let serving = Serving::start().await;
    let next = Signer::new("k2");
    let old = serving.bearer(&grant(360));
    let new = format!("authorization: Bearer {}", next.token(&grant(360)));
    let statuses = async || {
        let (old, new) = (
            serving.get(&path("360p/0.m4s"), &[&old]).await.status,
            serving.get(&path("360p/0.m4s"), &[&new]).await.status,
        );
        (old, new)
    };
    assert_eq!(statuses().await, (200, 401));
    serving.said.keys(&[&serving.signer, &next]);
    serving.edge.refresh().await.unwrap();
    assert_eq!(statuses().await, (200, 200));
    serving.said.keys(&[&next]);
    serving.edge.refresh().await.unwrap();
    assert_eq!(statuses().await, (401, 200));
}

#[tokio::test]
async fn what_is_free_needs_no_grant_and_may_be_kept_by_anybody() {
    let serving = Serving::start().await;
    serving.said.policy(true, Some(360));
    let multivariant = serving.get(&path("multivariant.m3u8"), &[]).await;
    assert_eq!(multivariant.status, 200);
    assert_eq!(multivariant.header("cache-control"), "public, max-age=10");
    assert!(multivariant.text().contains("360p/") && !multivariant.text().contains("1080p/"));
    let segment = serving.get(&path("360p/0.m4s"), &[]).await;
    assert_eq!(
        (segment.status, segment.header("cache-control")),
        (200, "public, max-age=31536000, immutable")
    );
    assert_eq!(serving.get(&path("1080p/0.m4s"), &[]).await.status, 401);
    assert_eq!(serving.get(&path("poster.jpg"), &[]).await.status, 200);
    // A member with more has more.
    assert_eq!(serving.get(&path("1080p/0.m4s"), &[&serving.bearer(&grant(1080))]).await.status, 200);
    // A decision is never kept: who warms the cache changes nothing for who does not.
    assert_eq!(serving.get(&path("1080p/0.m4s"), &[]).await.status, 401);
    // A stale cookie takes nothing away; a token that was sent on purpose is answered.
    assert_eq!(serving.get(&path("360p/0.m4s"), &["cookie: cocuyo_grant=rubbish"]).await.status, 200);
    assert_eq!(serving.get(&path("360p/0.m4s"), &["authorization: Bearer rubbish"]).await.status, 401);
}

#[tokio::test]
async fn a_thumbnail_is_everybodys_where_the_film_is_listed() {
    let serving = Serving::start().await;
    serving.said.policy(true, None);
    assert_eq!(serving.get(&path("thumbnail.jpg"), &[]).await.status, 200);
    assert_eq!(serving.get(&path("poster.jpg"), &[]).await.status, 401);
    serving.said.policy(false, None);
    serving.clock.advance(Duration::from_secs(5));
    assert_eq!(serving.get(&path("thumbnail.jpg"), &[]).await.status, 401);
}

#[tokio::test]
async fn a_version_that_is_new_to_the_policy_is_asked_about_once_a_second() {
    let serving = Serving::start().await;
    serving.said.policy_of(VersionId::from_bits(99), Vec::new());
    for _ in 0..3 {
        assert_eq!(serving.get(&path("360p/0.m4s"), &[]).await.status, 401);
    }
    assert_eq!(serving.said.policies_asked(), 1);
    // It has taken the place of the other, or made place for it.
    for (current, also) in [(VERSION, vec![]), (VersionId::from_bits(99), vec![VERSION])] {
        let asked = serving.said.policies_asked();
        serving.said.policy_of(current, also);
        serving.clock.advance(Duration::from_secs(1));
        for _ in 0..3 {
            assert_eq!(serving.get(&path("360p/0.m4s"), &[]).await.status, 200);
        }
        assert!(serving.said.policies_asked() <= asked + 1);
    }
}

#[tokio::test]
async fn a_policy_is_asked_for_once_in_five_seconds_and_outlives_the_link_by_an_hour() {
    let serving = Serving::start().await;
    serving.said.policy(true, Some(360));
    for _ in 0..10 {
        assert_eq!(serving.get(&path("360p/0.m4s"), &[]).await.status, 200);
    }
    assert_eq!(serving.said.policies_asked(), 1);
    serving.said.withdraw_policy();
    serving.clock.advance(Duration::from_secs(5));
    assert_eq!(serving.get(&path("360p/0.m4s"), &[]).await.status, 401);
    serving.said.policy(true, Some(360));
    serving.clock.advance(Duration::from_secs(5));
    assert_eq!(serving.get(&path("360p/0.m4s"), &[]).await.status, 200);

    serving.said.go_away(true);
    serving.clock.advance(Duration::from_secs(3600));
    let asked = serving.said.policies_asked();
    for _ in 0..5 {
        assert_eq!(serving.get(&path("360p/0.m4s"), &[]).await.status, 200);
    }
    assert_eq!(serving.said.policies_asked(), asked + 1);
    serving.clock.advance(Duration::from_secs(5));
    let answer = serving.get(&path("360p/0.m4s"), &[]).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "2"));
    // A grant needs nobody's word until it ends.
    assert!(serving.edge.refresh().await.is_err());
    let long = Grant { exp: NOW.as_seconds() + 7200, ..grant(360) };
    assert_eq!(serving.get(&path("360p/0.m4s"), &[&serving.bearer(&long)]).await.status, 200);
}

#[tokio::test]
async fn an_edge_that_never_heard_from_its_origin_asks_to_wait() {
    let serving = Serving::without_origin(storage::Memory::default(), edge::Config::default()).await;
    let bearer = serving.bearer(&grant(360));
    let answer = serving.get(&path("360p/0.m4s"), &[&bearer]).await;
    assert_eq!((answer.status, answer.header("cache-control")), (503, "no-store"));
    serving.edge.refresh().await.unwrap();
    assert_eq!(serving.get(&path("360p/0.m4s"), &[&bearer]).await.status, 200);
}
