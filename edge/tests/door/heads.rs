//! What players and caches depend on, header by header.

use std::io::Read;

use storage::ObjectStore;

use crate::film::Film;
use crate::origin::grant;
use crate::serving::{Answer, Serving, path};

const FOREVER: &str = "private, max-age=31536000, immutable";

fn etag(answer: &Answer) -> String {
    let etag = answer.header("etag").to_owned();
    assert!(etag.len() > 4 && etag.starts_with('"') && etag.ends_with('"'), "not strong: {etag}");
    etag
}

#[tokio::test]
async fn every_entity_has_its_head_and_head_has_the_same() {
    let serving = Serving::start().await;
    let bearer = serving.bearer(&grant(1080));
    let table = [
        ("multivariant.m3u8", "application/vnd.apple.mpegurl", "private, no-cache"),
        ("360p/playlist.m3u8", "application/vnd.apple.mpegurl", FOREVER),
        ("360p/iframes.m3u8", "application/vnd.apple.mpegurl", FOREVER),
        ("360p/init.mp4", "video/mp4", FOREVER),
        ("a64/init.mp4", "audio/mp4", FOREVER),
        ("360p/0.m4s", "video/mp4", FOREVER),
        ("a64/2.m4s", "audio/mp4", FOREVER),
        ("360p.mp4", "video/mp4", FOREVER),
        ("poster.jpg", "image/jpeg", FOREVER),
        ("thumbnail.jpg", "image/jpeg", FOREVER),
    ];
    for (part, content_type, cache_control) in table {
        let get = serving.get(&path(part), &[&bearer, "origin: https://page.example"]).await;
        assert_eq!(get.status, 200, "{part}");
        assert_eq!(get.header("content-length"), get.body.len().to_string(), "{part}");
        for (name, value) in [
            ("content-type", content_type),
            ("cache-control", cache_control),
            ("accept-ranges", "bytes"),
            ("access-control-allow-origin", "*"),
            ("access-control-allow-credentials", ""),
            (
                "access-control-expose-headers",
                "content-length, content-range, etag, date, retry-after, cocuyo-held",
            ),
            ("cross-origin-resource-policy", "cross-origin"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("content-range", ""),
            ("set-cookie", ""),
        ] {
            assert_eq!(get.header(name), value, "{part}: {name}");
        }
        assert_ne!(get.header("date"), "", "{part}");
        let etag = etag(&get);

        let head = serving.ask("HEAD", &path(part), &[&bearer, "origin: https://page.example"]).await;
        assert_eq!(head.body.len(), 0, "{part}");
        let (mut of_get, mut of_head) = (get.headers.clone(), head.headers.clone());
        of_get.remove("date");
        of_head.remove("date");
        assert_eq!(of_head, of_get, "{part}");

        let known = serving.get(&path(part), &[&bearer, &format!("if-none-match: {etag}")]).await;
        assert_eq!((known.status, known.body.len()), (304, 0), "{part}");
        assert_eq!(known.header("etag"), etag, "{part}");
        assert_eq!(known.header("cache-control"), cache_control, "{part}");
        // Right before a 304 comes the gate.
        let stranger = serving.get(&path(part), &[&format!("if-none-match: {etag}")]).await;
        assert_eq!(stranger.status, 401, "{part}");
    }
}

#[tokio::test]
async fn ranges_are_single_and_exact() {
    let serving = Serving::start().await;
    let bearer = serving.bearer(&grant(1080));
    for part in ["360p/1.m4s", "360p.mp4", "360p/playlist.m3u8", "poster.jpg"] {
        let whole = serving.get(&path(part), &[&bearer]).await;
        let (len, etag) = (whole.body.len(), etag(&whole));
        let last = len - 1;
        let table = [
            ("bytes=0-0".to_owned(), Some(0..1)),
            ("bytes=0-".to_owned(), Some(0..len)),
            (format!("bytes=10-{}", len + 1000), Some(10..len)),
            (format!("bytes={last}-{last}"), Some(last..len)),
            ("bytes=-7".to_owned(), Some(len - 7..len)),
            (format!("bytes=-{}", len + 5), Some(0..len)),
            ("bytes=3-9".to_owned(), Some(3..10)),
            // Several ranges, other units, nonsense: the whole thing.
            ("bytes=0-1,3-4".to_owned(), None),
            ("lines=0-1".to_owned(), None),
            ("bytes=9-3".to_owned(), None),
        ];
        for (range, expected) in table {
            let answer = serving.get(&path(part), &[&bearer, &format!("range: {range}")]).await;
            match expected {
                Some(expected) => {
                    assert_eq!(answer.status, 206, "{part} {range}");
                    let content_range = format!("bytes {}-{}/{len}", expected.start, expected.end - 1);
                    assert_eq!(answer.header("content-range"), content_range);
                    assert_eq!(answer.header("content-length"), expected.len().to_string());
                    assert_eq!(answer.header("etag"), etag);
                    assert!(answer.body == whole.body[expected], "{part} {range}: other bytes");
                }
                None => {
                    assert_eq!((answer.status, answer.body.len()), (200, len), "{part} {range}");
                }
            }
        }
        for range in [format!("bytes={len}-"), "bytes=-0".to_owned()] {
            let answer = serving.get(&path(part), &[&bearer, &format!("range: {range}")]).await;
            assert_eq!(answer.status, 416, "{part} {range}");
            assert_eq!(answer.header("content-range"), format!("bytes */{len}"));
            assert_eq!(answer.header("content-type"), "application/problem+json");
            assert_eq!(answer.header("cache-control"), "no-store");
        }
        let conditional = [
            (format!("if-range: {etag}"), 206),
            ("if-range: \"other\"".to_owned(), 200),
            (format!("if-range: W/{etag}"), 200),
            ("if-range: Sat, 29 Oct 1994 19:43:31 GMT".to_owned(), 200),
            (format!("if-match: {etag}"), 206),
            ("if-match: \"other\"".to_owned(), 412),
            (format!("if-none-match: {etag}"), 304),
        ];
        for (condition, status) in conditional {
            let answer = serving.get(&path(part), &[&bearer, "range: bytes=0-1", &condition]).await;
            assert_eq!(answer.status, status, "{part} {condition}");
        }
        let head = serving.ask("HEAD", &path(part), &[&bearer, "range: bytes=0-1"]).await;
        assert_eq!((head.status, head.header("content-length")), (200, len.to_string().as_str()), "{part}");
    }
}

#[tokio::test]
async fn a_page_of_another_origin_may_ask() {
    let serving = Serving::start().await;
    let headers = [
        "origin: https://page.example",
        "access-control-request-method: GET",
        "access-control-request-headers: authorization,range",
    ];
    let answer = serving.ask("OPTIONS", &path("360p/0.m4s"), &headers).await;
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    for (name, value) in [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-methods", "GET, HEAD, OPTIONS"),
        ("access-control-allow-headers", "authorization, range, if-range, if-none-match"),
        ("access-control-max-age", "86400"),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
}

#[tokio::test]
async fn other_methods_are_told_which_would_do() {
    let serving = Serving::start().await;
    let bearer = serving.bearer(&grant(1080));
    for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE"] {
        let answer = serving.ask(method, &path("360p/0.m4s"), &[&bearer, "content-length: 0"]).await;
        assert_eq!((answer.status, answer.header("allow")), (405, "GET, HEAD, OPTIONS"), "{method}");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
    }
}

#[tokio::test]
async fn what_a_client_adds_changes_nothing() {
    let serving = Serving::start().await;
    serving.said.policy(true, Some(360));
    let plain = serving.get(&path("multivariant.m3u8"), &[]).await;
    for odd in [
        "x-forwarded-host: evil.example",
        "x-forwarded-prefix: /evil",
        "x-original-url: /v/other",
        "accept: text/html",
        "x-http-method-override: DELETE",
    ] {
        let answer = serving.get(&path("multivariant.m3u8"), &[odd]).await;
        assert_eq!((answer.status, &answer.body), (200, &plain.body), "{odd}");
    }
}

#[tokio::test]
async fn a_long_playlist_is_sent_compressed_to_whoever_can_read_it() {
    let serving = Serving::start().await;
    let bearer = serving.bearer(&grant(1080));
    let mut long = Film::new().index;
    let rendition = long.renditions.iter_mut().find(|rendition| rendition.name.height() == 360).unwrap();
    let chunk = rendition.chunks[0].clone();
    rendition.chunks = (0..900).map(|number| cmaf::ChunkRef { number, ..chunk.clone() }).collect();
    let key = model::ObjectKey::Index { video: long.video, version: long.version };
    serving.store.put(&key, long.to_json()).await.unwrap();

    let name = path("360p/playlist.m3u8");
    let plain = serving.get(&name, &[&bearer]).await;
    assert_eq!((plain.header("content-encoding"), plain.header("vary")), ("", "accept-encoding"));
    let gzip = serving.get(&name, &[&bearer, "accept-encoding: gzip, br"]).await;
    assert_eq!((gzip.header("content-encoding"), gzip.header("vary")), ("gzip", "accept-encoding"));
    assert_eq!(gzip.header("content-type"), "application/vnd.apple.mpegurl");
    assert_ne!(etag(&gzip), etag(&plain));
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(&gzip.body[..]).read_to_end(&mut text).unwrap();
    assert!(text == plain.body);
    assert!(gzip.body.len() * 5 < plain.body.len(), "{} of {}", gzip.body.len(), plain.body.len());
    let known = format!("if-none-match: {}", etag(&gzip));
    assert_eq!(serving.get(&name, &[&bearer, "accept-encoding: gzip", &known]).await.status, 304);
}
