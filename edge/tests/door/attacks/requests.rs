//! Attacks that are one request each.

use model::{Grant, VersionId};

use super::{Attack, PARTS, elsewhere};
use crate::film::{VERSION, VIDEO};
use crate::origin::{NOW, Signer, grant, keeping};
use crate::serving::path;

pub(super) fn lines(signer: &Signer) -> Vec<Attack> {
    let low = signer.token(&grant(360));
    let full = signer.token(&keeping(4320));
    let forged = format!("{}x", signer.token(&grant(4320)));
    let bearer = |token: &str| format!("authorization: Bearer {token}");
    let mut lines = paths(&bearer(&full));
    lines.extend(carriers(&low, &full, &forged));
    lines.extend(scopes(signer, &low));
    lines.extend(guesses(&bearer(&full)));
    lines.extend(poison(&bearer(&full)));
    lines.extend(ranges(&bearer(&full)));

    // 13. Whoever pays has had it; whoever does not asks.
    for part in ["1080p/0.m4s", "1080p/playlist.m3u8", "1080p/init.mp4"] {
        lines.push(Attack::new(13, "paid for by others", path(part)).free(360).is(401));
        lines.push(Attack::new(13, "a lower tier", path(part)).with(bearer(&low)).is(403));
        lines.push(
            Attack::new(13, "a lower tier, free below", path(part)).with(bearer(&low)).free(360).is(403),
        );
        lines.push(Attack::new(13, "forged", path(part)).with(bearer(&forged)).free(360).is(401));
    }
    lines.push(Attack::new(13, "what is free", path("360p/0.m4s")).free(360).gets("360p/0.m4s"));

    // 14. The grant of a player is no key to anything else.
    for target in ["/api/v1/session", "/api/v1/videos", "/origin/v1/jwks", "/metrics", "/"] {
        lines.push(Attack::new(14, "elsewhere", target).with(bearer(&full)).is(404));
    }

    // 21. The playlists of whatever is not there, for everybody alike.
    let absent = [
        ("a version that never was", format!("/v/{VIDEO}/{}/multivariant.m3u8", VersionId::from_bits(7))),
        (
            "a video that never was",
            format!("/v/{}/{VERSION}/multivariant.m3u8", model::VideoId::from_bits(7)),
        ),
    ];
    for (what, target) in absent {
        lines.push(Attack::new(21, what, target.clone()).is(401));
        lines.push(Attack::new(21, what, target.clone()).with(bearer(&full)).is(404));
        lines.push(Attack::new(21, what, target).free(360).is(401));
    }

    // 22. What somebody says who wants to be taken for another edge, or for the origin.
    for header in [
        "x-internal: 1",
        "x-edge-secret: secret",
        "x-forwarded-for: 127.0.0.1",
        "x-real-ip: ::1",
        "forwarded: for=127.0.0.1;by=edge",
        "via: 1.1 cocuyo",
        "authorization: Bearer fill_0123456789abcdefghjkmnpqrstvwxyz",
    ] {
        lines.push(Attack::new(22, header, path("360p/0.m4s")).with(header).is(401));
        lines.push(Attack::new(22, header, "/origin/v1/jwks").with(header).is(404));
        lines.push(Attack::new(22, header, "/o/videos").with(header).is(404));
    }
    lines
}

/// Ways out of the room (1), and names that a cache would take for something else (10).
fn paths(bearer: &str) -> Vec<Attack> {
    let base = format!("/v/{VIDEO}/{VERSION}");
    let climbing = [
        format!("/v/{VIDEO}/../{VIDEO}/{VERSION}/poster.jpg"),
        format!("{base}/../{VERSION}/poster.jpg"),
        format!("{base}/./poster.jpg"),
        format!("{base}/..%2fposter.jpg"),
        format!("{base}/%2e%2e/poster.jpg"),
        format!("{base}/%252e%252e/poster.jpg"),
        format!("{base}/..%252fposter.jpg"),
        format!("{base}/..\\poster.jpg"),
        format!("{base}/..%5cposter.jpg"),
        format!("{base}/poster.jpg%00"),
        format!("{base}/poster.jpg%00.m4s"),
        format!("{base}//poster.jpg"),
        format!("/v//{VIDEO}/{VERSION}/poster.jpg"),
        format!("//v/{VIDEO}/{VERSION}/poster.jpg"),
        format!("{base}/%c0%ae%c0%ae/poster.jpg"),
        format!("{base}/%c0%af/poster.jpg"),
        format!("{base}/%ff"),
        format!("{base}/%70oster.jpg"),
        format!("http://edge/v/{VIDEO}/{VERSION}/../poster.jpg"),
        "/v/..".to_owned(),
        "/v/../../../../etc/passwd".to_owned(),
        format!("/v/{}", "../".repeat(1000)),
        format!("/t/../v/{VIDEO}/{VERSION}/../poster.jpg"),
    ];
    let mut lines = Vec::new();
    for target in climbing {
        for method in ["GET", "HEAD", "POST", "OPTIONS"] {
            lines.push(Attack::new(1, "a path", target.clone()).by(method).with(bearer).is(404));
        }
    }
    for query in ["file=../../secret", "path=..%2f..%2fsecret", "%00", "//", "a=%c0%ae"] {
        let target = format!("{base}/poster.jpg?{query}");
        lines.push(Attack::new(1, "a query", target.clone()).with(bearer).gets("poster.jpg"));
        lines.push(Attack::new(1, "a query alone", target).is(401));
    }
    for header in ["x-original-url", "x-rewrite-url", "x-accel-redirect", "x-sendfile", "referer"] {
        let header = format!("{header}: /v/{VIDEO}/../../secret");
        let line = |what| Attack::new(1, what, path("poster.jpg")).with(header.clone());
        lines.push(line("a header").with(bearer).gets("poster.jpg"));
        lines.push(line("a header alone").is(401));
    }
    let cookie = "cookie: cocuyo_grant=../../secret";
    lines.push(Attack::new(1, "a cookie", path("poster.jpg")).with(cookie).is(401));

    for end in ["/x.css", ";.js", ";x=.css", "%0a.png", "%3f.m3u8", "%23.css", ".css", "/", "%2fx.css"] {
        for part in ["360p/0.m4s", "multivariant.m3u8"] {
            let target = format!("{base}/{part}{end}");
            lines.push(Attack::new(10, "another ending", target.clone()).with(bearer).is(404));
            lines.push(Attack::new(10, "another ending, by nobody", target).is(404));
        }
    }
    lines
}

/// The same thing in two places, with two values (2).
fn carriers(low: &str, full: &str, forged: &str) -> Vec<Attack> {
    let (multivariant, high) = (path("multivariant.m3u8"), path("1080p/0.m4s"));
    let bearer = |token: &str| format!("authorization: Bearer {token}");
    let cookie = |token: &str| format!("cookie: cocuyo_grant={token}");
    let line = |what: &str, target: String| Attack::new(2, what, target);
    vec![
        line("path low, query full", format!("/t/{low}{high}?token={full}")).is(403),
        line("path full, query low", format!("/t/{full}{high}?token={low}")).gets("1080p/0.m4s"),
        line("path forged, query full", format!("/t/{forged}{multivariant}?token={full}")).is(401),
        line("path low, header full", format!("/t/{low}{high}")).with(bearer(full)).is(403),
        line("path forged, header full", format!("/t/{forged}{high}")).with(bearer(full)).is(401),
        line("path empty, header full", format!("/t/{high}")).with(bearer(full)).is(401),
        line("header low, cookie full", high.clone()).with(bearer(low)).with(cookie(full)).is(403),
        line("header forged, cookie full", high.clone()).with(bearer(forged)).with(cookie(full)).is(401),
        line("two headers", high.clone()).with(bearer(low)).with(bearer(full)).is(401),
        line("the same header twice", high.clone()).with(bearer(full)).with(bearer(full)).is(401),
        line("two cookies", high.clone()).with(cookie(low)).with(cookie(full)).is(401),
        line("two cookies in one", high.clone())
            .with(format!("cookie: cocuyo_grant={low}; cocuyo_grant={full}"))
            .is(401),
        line("two queries", format!("{multivariant}?token={low}&token={full}")).is(400),
        line("the same query twice", format!("{multivariant}?token={full}&token={full}")).is(400),
        line("a query where there is none", format!("{high}?token={full}")).is(401),
        line("a path within a path", format!("/t/{low}/t/{full}{high}")).is(404),
        line("a query that moves", format!("{multivariant}?token={full}")).is(302),
    ]
}

/// A grant for one thing, used on another (3); no grant at all (4, 6).
fn scopes(signer: &Signer, low: &str) -> Vec<Attack> {
    let bearer = |token: &str| format!("authorization: Bearer {token}");
    let other_version = Grant { version: VersionId::from_bits(7), ..keeping(4320) };
    let other_version = bearer(&signer.token(&other_version));
    let expired = Grant { exp: NOW.as_seconds() - 60, iat: NOW.as_seconds() - 600, ..keeping(4320) };
    let expired = bearer(&signer.token(&expired));
    let useless = bearer(&signer.token(&Grant { uses: model::Uses::default(), ..grant(4320) }));
    let mut lines = Vec::new();
    for part in PARTS {
        let high = part.starts_with("1080p");
        lines.push(Attack::new(3, "another video", elsewhere(part)).with(bearer(low)).is(404));
        lines.push(Attack::new(3, "another video, by path", format!("/t/{low}{}", elsewhere(part))).is(404));
        lines.push(Attack::new(3, "another version", path(part)).with(other_version.clone()).is(404));
        lines.push(Attack::new(3, "another use", path(part)).with(useless.clone()).is(403));
        if high {
            lines.push(Attack::new(3, "a greater height", path(part)).with(bearer(low)).is(403));
        }
        lines.push(Attack::new(4, "nobody", path(part)).is(401));
        lines.push(Attack::new(4, "nobody, of another", elsewhere(part)).is(401));
        if high {
            lines.push(Attack::new(4, "nobody, above what is free", path(part)).free(360).is(401));
        }
        lines.push(Attack::new(6, "without its playlist, expired", path(part)).with(expired.clone()).is(401));
        lines.push(Attack::new(6, "without its playlist", path(part)).by("HEAD").is(401));
    }
    let keep = path("1080p.mp4");
    lines.push(Attack::new(3, "a file to keep", keep).with(bearer(&signer.token(&grant(1080)))).is(403));
    // What a version is made of, and what it might have beside its pictures.
    for name in [
        "original",
        "index.json",
        "360p/00000.cmaf",
        "subtitles/es.vtt",
        "storyboard.jpg",
        "waveform.json",
        "key",
        "attachments/0",
        "a64.mp4",
    ] {
        let full = bearer(&signer.token(&keeping(4320)));
        lines.push(Attack::new(3, "what is no route", path(name)).with(full.clone()).is(404));
        lines.push(Attack::new(4, "what is no route", path(name)).is(404));
    }
    let original = format!("/v/{VIDEO}/original");
    lines.push(Attack::new(3, "the original", original).with(bearer(low)).is(404));
    lines
}

/// The neighbours of an id (5).
fn guesses(bearer: &str) -> Vec<Attack> {
    let mut lines = Vec::new();
    for bits in [0xf119_u128, 0xf11b, 0, u128::MAX] {
        let target = format!("/v/{}/{VERSION}/360p/0.m4s", model::VideoId::from_bits(bits));
        lines.push(Attack::new(5, "a neighbour", target.clone()).with(bearer).is(404));
        lines.push(Attack::new(5, "a neighbour, by nobody", target).is(401));
    }
    let text = VIDEO.to_string();
    for id in
        [text.to_uppercase(), text[..25].to_owned(), format!("{text}0"), "1".to_owned(), format!("0x{text}")]
    {
        let target = format!("/v/{id}/{VERSION}/360p/0.m4s");
        lines.push(Attack::new(5, "another spelling", target).with(bearer).is(404));
    }
    for number in ["00", "+0", "-1", "0x0", "4294967296", "1e0", "%30"] {
        let target = path(&format!("360p/{number}.m4s"));
        lines.push(Attack::new(5, "another spelling of a number", target).with(bearer).is(404));
    }
    lines
}

/// What a client adds that is no part of a cache's key (11).
fn poison(bearer: &str) -> Vec<Attack> {
    let mut lines = Vec::new();
    let odd = [
        "x-forwarded-host: evil.example".to_owned(),
        "x-forwarded-proto: gopher".to_owned(),
        "x-forwarded-prefix: /evil".to_owned(),
        "x-forwarded-port: 1".to_owned(),
        "forwarded: host=evil.example".to_owned(),
        "x-host: evil.example".to_owned(),
        "x-http-method-override: DELETE".to_owned(),
        "accept: text/html".to_owned(),
        "accept-language: <script>".to_owned(),
        "origin: https://evil.example".to_owned(),
        "referer: https://evil.example/<script>".to_owned(),
        "user-agent: <script>".to_owned(),
        "cmcd-request: x=<script>".to_owned(),
        "if-modified-since: Sat, 29 Oct 2044 19:43:31 GMT".to_owned(),
        format!("x-huge: {}", "a".repeat(8000)),
        "x-\u{e9}: \u{e9}".to_owned(),
    ];
    for header in odd {
        let refused = header.starts_with("x-\u{e9}");
        for part in ["multivariant.m3u8", "360p/playlist.m3u8", "360p/0.m4s"] {
            let line = Attack::new(11, format!("{header:.40}"), path(part)).with(header.clone());
            // A name of a header is ASCII (RFC 9110 §5.1), and then it is no request.
            let line = line.with(bearer);
            lines.push(if refused { line.is(400) } else { line.gets(part) });
        }
        if !refused {
            let line = Attack::new(11, format!("{header:.40}, free"), path("360p/0.m4s"));
            lines.push(line.with(header).free(360).gets("360p/0.m4s"));
        }
    }
    for query in ["utm_source=x", "_HLS_msn=1", "cb=1", "callback=alert"] {
        let target = format!("{}?{query}", path("360p/playlist.m3u8"));
        lines.push(Attack::new(11, query, target).with(bearer).gets("360p/playlist.m3u8"));
    }
    lines
}

/// Ranges (17).
fn ranges(bearer: &str) -> Vec<Attack> {
    let thousand: Vec<_> = (0..1000).map(|number| format!("{number}-{number}")).collect();
    let overlapping = vec!["0-"; 500].join(",");
    let mut lines = Vec::new();
    for part in
        ["multivariant.m3u8", "360p/playlist.m3u8", "360p/init.mp4", "360p/0.m4s", "360p.mp4", "poster.jpg"]
    {
        let line = |what: &str, range: &str| {
            Attack::new(17, what, path(part)).with(bearer).with(format!("range: {range}"))
        };
        // Several are never answered as several: the whole thing, once.
        lines.push(line("a thousand", &format!("bytes={}", thousand.join(","))).gets(part));
        lines.push(line("overlapping", &format!("bytes={overlapping}")).gets(part));
        lines.push(line("overlapping pair", "bytes=0-9,5-14").gets(part));
        lines.push(line("backwards", "bytes=9-3").gets(part));
        lines.push(line("of something else", "lines=0-1").gets(part));
        lines.push(line("no number", "bytes=a-b").gets(part));
        lines.push(line("two signs", "bytes=--1").gets(part));
        lines.push(line("nothing", "bytes=").gets(part));
        lines.push(line("beyond the end", "bytes=99999999-").is(416));
        lines.push(line("none of the end", "bytes=-0").is(416));
        lines.push(line("all of it", "bytes=0-").gets_as_a_part(part));
        lines.push(line("more than all", "bytes=0-99999999").gets_as_a_part(part));
        lines.push(line("more than all from the end", "bytes=-99999999").gets_as_a_part(part));
        lines.push(Attack::new(17, "a byte, by nobody", path(part)).with("range: bytes=0-0").is(401));
    }
    lines
}
