//! Attacks that take more than one request.

use std::time::Duration;

use model::{Grant, ObjectKey, Revoked};
use storage::ObjectStore;

use super::{PARTS, edge, warm};
use crate::film::{VERSION, VIDEO};
use crate::origin::{NOW, grant, keeping};
use crate::serving::{Serving, path};

async fn status(serving: &Serving, part: &str, headers: &[&str]) -> u16 {
    serving.get(&path(part), headers).await.status
}

/// What was everybody's, and is in the edge's memory, is hidden (8).
pub(super) async fn hidden_after_it_was_kept() {
    let serving = edge(Some(1080)).await;
    warm(&serving).await;
    let old = serving.bearer(&grant(1080));
    for part in PARTS.iter().filter(|part| **part != "1080p.mp4") {
        assert_eq!(status(&serving, part, &[]).await, 200, "{part}");
    }
    serving.said.withdraw_policy();
    serving.said.revoke(Revoked::Version(VERSION), NOW);
    serving.edge.refresh().await.unwrap();
    let reads = serving.store.reads();
    for part in PARTS {
        assert_eq!(status(&serving, part, &[]).await, 401, "{part}, by nobody");
        assert_eq!(status(&serving, part, &[&old]).await, 404, "{part}, by an old grant");
        let head = serving.ask("HEAD", &path(part), &[]).await.status;
        assert_eq!(head, 401, "HEAD {part}");
        let known = serving.get(&path(part), &["if-none-match: *"]).await.status;
        assert_eq!(known, 401, "{part}, by somebody who has it");
    }
    assert_eq!(serving.store.reads(), reads);
    // Its owner still sees it.
    let owner = serving.bearer(&Grant { iat: NOW.as_seconds() + 1, ..grant(1080) });
    assert_eq!(status(&serving, "360p/0.m4s", &[&owner]).await, 200);
}

/// A thing is the same whoever asked for it first, and how (11).
pub(super) async fn no_kind_of_request_spoils_the_next() {
    for part in ["multivariant.m3u8", "360p/playlist.m3u8", "360p/0.m4s", "360p.mp4", "poster.jpg"] {
        let wanted = {
            let serving = edge(None).await;
            serving.get(&path(part), &[&serving.bearer(&grant(1080))]).await.body
        };
        for first in ["HEAD", "range", "gzip", "1.0", "other host", "304", "refused", "other method"] {
            let serving = edge(None).await;
            let (target, bearer) = (path(part), serving.bearer(&grant(1080)));
            let answer = match first {
                "HEAD" => serving.ask("HEAD", &target, &[&bearer]).await,
                "range" => serving.get(&target, &[&bearer, "range: bytes=1-2"]).await,
                "gzip" => serving.get(&target, &[&bearer, "accept-encoding: gzip"]).await,
                "1.0" => serving.exchange(&format!("GET {target} HTTP/1.0\r\n{bearer}\r\n\r\n")).await,
                "other host" => {
                    let head =
                        format!("GET {target} HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n");
                    serving.exchange(&format!("{head}{bearer}\r\n\r\n")).await
                }
                "304" => serving.get(&target, &[&bearer, "if-none-match: *"]).await,
                "refused" => serving.get(&target, &[]).await,
                _ => serving.ask("DELETE", &target, &[&bearer]).await,
            };
            let is_whole = matches!(first, "1.0" | "other host");
            assert!(!is_whole || answer.body == wanted, "{first} of {part}");
            assert!(!String::from_utf8_lossy(&answer.body).contains("evil"), "{first} of {part}");
            let next = serving.get(&target, &[&bearer]).await;
            assert_eq!(next.status, 200, "{part} after {first}");
            assert!(next.body == wanted, "{part} after {first}");
        }
    }
}

/// A part, an error, a redirection or a cut object is never kept as the whole (12).
pub(super) async fn what_is_not_whole_is_not_kept() {
    let serving = edge(None).await;
    let bearer = serving.bearer(&keeping(1080));
    let (video, version) = (VIDEO, VERSION);
    let cut = [
        ("multivariant.m3u8", ObjectKey::Index { video, version }),
        ("360p/init.mp4", serving.film.index.init_key("360p".parse().unwrap(), 0)),
        ("360p/0.m4s", serving.film.chunk_key("360p", 0)),
        ("360p.mp4", serving.film.chunk_key("360p", 1)),
    ];
    for (part, key) in cut {
        let whole = serving.film.object(key).clone();
        let answer = async || serving.get(&path(part), &[&bearer]).await;
        for bad in [whole.slice(..whole.len() / 2), whole.slice(..0)] {
            serving.store.put(&key, bad).await.unwrap();
            let first = answer().await;
            // A body under way can only be cut; what is short is then seen to be.
            let is_cut =
                first.status == 200 && first.header("content-length") != first.body.len().to_string();
            assert!(first.status == 503 || is_cut, "{part}: {}", first.status);
        }
        serving.store.delete(&key).await.unwrap();
        let absent = answer().await;
        assert!(matches!(absent.status, 404 | 503) || absent.body.is_empty(), "{part}: {}", absent.status);
        serving.store.put(&key, whole).await.unwrap();
        let mended = answer().await;
        assert_eq!(mended.status, 200, "{part}");
        assert_eq!(mended.header("content-length"), mended.body.len().to_string(), "{part}");
    }
    // A part first, then the whole, then the part again.
    for part in ["360p/1.m4s", "360p.mp4", "poster.jpg", "360p/playlist.m3u8"] {
        let first = serving.get(&path(part), &[&bearer, "range: bytes=5-9"]).await;
        let whole = serving.get(&path(part), &[&bearer]).await;
        let again = serving.get(&path(part), &[&bearer, "range: bytes=5-9"]).await;
        assert_eq!((first.status, whole.status, again.status), (206, 200, 206), "{part}");
        assert!(first.body == whole.body[5..10] && again.body == first.body, "{part}");
    }
    // A redirection is of whoever asked.
    let token = serving.signer.token(&grant(360));
    let multivariant = path("multivariant.m3u8");
    assert_eq!(serving.get(&format!("{multivariant}?token={token}"), &[]).await.status, 302);
    assert_eq!(serving.get(&multivariant, &[]).await.status, 401);
}

/// Whoever is let in lets nobody else in, and whoever is refused shuts nobody out (13).
pub(super) async fn a_decision_is_nobody_elses() {
    for part in ["1080p/0.m4s", "1080p/playlist.m3u8", "1080p/init.mp4", "multivariant.m3u8", "poster.jpg"] {
        for free in [None, Some(360)] {
            let gated = free.is_none() || part.starts_with("1080p");
            for first_pays in [true, false] {
                let serving = edge(free).await;
                let bearer = serving.bearer(&grant(1080));
                for pays in [first_pays, !first_pays, first_pays] {
                    let headers = if pays { vec![bearer.as_str()] } else { Vec::new() };
                    let answer = serving.get(&path(part), &headers).await;
                    let expected = if pays || !gated { 200 } else { 401 };
                    assert_eq!(answer.status, expected, "{part}, free to {free:?}, pays: {pays}");
                    // Nobody between us and them keeps what is one person's.
                    let keep = answer.header("cache-control");
                    assert_eq!(keep.contains("public"), answer.status == 200 && !pays, "{part}: {keep}");
                }
            }
        }
    }
    // The same person's two grants are two.
    let serving = edge(None).await;
    let (low, high) = (serving.bearer(&grant(360)), serving.bearer(&grant(1080)));
    for (bearer, expected) in [(&low, 403), (&high, 200), (&low, 403)] {
        assert_eq!(status(&serving, "1080p/0.m4s", &[bearer]).await, expected);
    }
}

/// Nothing that is sent holds a token, and nothing that is opened from it tells one (14).
pub(super) async fn a_token_is_in_nothing_that_is_sent() {
    let serving = edge(None).await;
    let token = serving.signer.token(&grant(1080));
    let bad = format!("{token}x");
    for (token, refused) in [(&token, false), (&bad, true)] {
        for part in ["multivariant.m3u8", "360p/playlist.m3u8", "a64/playlist.m3u8", "nowhere", "720p/0.m4s"]
        {
            let target = path(part);
            for (target, header) in [
                (format!("/t/{token}{target}"), "x: y".to_owned()),
                (target.clone(), format!("authorization: Bearer {token}")),
                (target.clone(), format!("cookie: cocuyo_grant={token}")),
            ] {
                let answer = serving.get(&target, &[&header]).await;
                assert!(!refused || answer.status != 200, "{part}");
                assert_eq!(answer.header("referrer-policy"), "no-referrer", "{part}");
                let said = format!("{:?} {}", answer.headers, answer.text());
                for secret in token.split('.') {
                    assert!(!said.contains(secret), "{part}: {said}");
                }
            }
        }
    }
}

/// Times that only we could have signed, at the ends of what a number holds (16).
pub(super) async fn no_time_is_too_far_to_count() {
    let serving = edge(None).await;
    for (iat, exp, expected) in [
        (NOW.as_seconds(), i64::MAX, 200),
        (i64::MIN, NOW.as_seconds() + 1, 200),
        (i64::MAX, i64::MAX, 200),
        (0, 0, 401),
        (i64::MIN, i64::MIN, 401),
    ] {
        let bearer = serving.bearer(&Grant { iat, exp, ..grant(360) });
        for _ in 0..2 {
            assert_eq!(status(&serving, "360p/0.m4s", &[&bearer]).await, expected, "{iat}, {exp}");
        }
    }
}

/// An edge that cannot ask closes as its grants end, whatever it has in memory (22).
pub(super) async fn without_its_origin_it_closes() {
    let serving = edge(None).await;
    warm(&serving).await;
    let bearer = serving.bearer(&grant(1080));
    assert_eq!(status(&serving, "1080p/0.m4s", &[&bearer]).await, 200);
    serving.said.go_away(true);
    assert!(serving.edge.refresh().await.is_err());
    assert_eq!(status(&serving, "1080p/0.m4s", &[&bearer]).await, 200);
    serving.clock.advance(Duration::from_secs(570));
    for part in PARTS {
        assert_eq!(status(&serving, part, &[&bearer]).await, 401, "{part}");
    }
}
