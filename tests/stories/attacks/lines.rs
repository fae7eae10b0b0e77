//! One line for each request, and what becomes of it.

use super::{Attack, EDGES, Engines, Film, HOME, Scene, tokens};

/// Parts of a film, of which one has this picture.
pub(super) fn parts(picture: &str) -> Vec<String> {
    let of = |name: &str| format!("{picture}/{name}");
    let mut parts = vec![of("playlist.m3u8"), of("init.mp4"), of("0.m4s")];
    let others =
        ["multivariant.m3u8", "144p.mp4", "a32/playlist.m3u8", "a32/0.m4s", "poster.jpg", "thumbnail.jpg"];
    parts.extend(others.map(str::to_owned));
    parts
}

pub(super) fn of(scene: &Scene) -> Vec<Attack> {
    let mut lines = paths(scene);
    lines.extend(places(scene));
    lines.extend(scopes(scene));
    lines.extend(ids(scene));
    lines.extend(folders(scene));
    lines.extend(deception(scene));
    lines.extend(poison(scene));
    lines.extend(links(scene));
    lines.extend(tokens::lines(scene));
    lines
}

/// Ways from what is everybody's to what is not (1).
fn paths(scene: &Scene) -> Vec<Attack> {
    let (free, secret) = (&scene.free.base, &scene.secret.base);
    let secret = &secret["/v/".len()..];
    let mut lines = Vec::new();
    for up in [
        "/..",
        "/%2e%2e",
        "/..%2f",
        "/%2e%2e%2f",
        "/%252e%252e",
        "/..\\",
        "/..%5c",
        "/.%00.",
        "//..",
        "/%c0%ae%c0%ae",
    ] {
        let target = format!("{free}{up}{up}/{secret}/multivariant.m3u8");
        lines.push(Attack::new(1, "a path", EDGES, target.clone()).is(404));
        lines.push(Attack::new(1, "a path, with a grant", EDGES, target).bearing(&scene.grant).is(404));
        let session = scene.subscriber.token().expect("signed in");
        for room in ["/api/v1/videos/", "/watch/", "/assets/", "/my/videos/"] {
            let target = format!("{room}{}{up}{up}/{secret}", scene.free.video);
            // The name of a file of the page's must be a text.
            let status = if room == "/assets/" && up.contains("%c0") { 400 } else { 404 };
            lines.push(Attack::new(1, "a path of the site", HOME, target).bearing(session).is(status));
        }
    }
    let poster = format!("{}/poster.jpg", scene.secret.base);
    for query in ["file=../../secret", "path=%2e%2e%2f", "%00", "public=1"] {
        lines.push(Attack::new(1, "a query", EDGES, format!("{poster}?{query}")).is(401));
    }
    for name in ["x-original-url", "x-rewrite-url", "x-accel-redirect", "referer"] {
        let header = format!("{name}: {free}/poster.jpg");
        lines.push(Attack::new(1, "a header", EDGES, poster.clone()).with(header).is(401));
    }
    lines
}

/// One thing in two places (2).
fn places(scene: &Scene) -> Vec<Attack> {
    let (paid, grant, capped) = (&scene.paid.base, &scene.grant, &scene.capped);
    let multivariant = format!("{paid}/multivariant.m3u8");
    let segment = format!("{paid}/144p/0.m4s");
    let of_other = format!("cookie: cocuyo_grant={grant}");
    vec![
        Attack::new(2, "path and query", EDGES, format!("/t/{capped}{multivariant}?token={grant}")).is(404),
        Attack::new(2, "path and header", EDGES, format!("/t/{capped}{segment}")).bearing(grant).is(404),
        Attack::new(2, "header and cookie", EDGES, segment.clone()).bearing(capped).with(of_other).is(404),
        Attack::new(2, "two headers", EDGES, segment.clone()).bearing(grant).bearing(grant).is(401),
        Attack::new(2, "two queries", EDGES, format!("{multivariant}?token={grant}&token={capped}")).is(400),
        Attack::new(2, "a query, of a segment", EDGES, format!("{segment}?token={grant}")).is(401),
        Attack::new(2, "two limits", HOME, "/api/v1/videos?limit=1&limit=2").is(400),
        Attack::new(2, "two cursors", HOME, "/?cursor=a&cursor=b").is(400),
    ]
}

/// A grant on something else (3); nobody, with the playlist and without (4, 6); whoever did not pay,
/// after whoever did (13); parts of what one may have (12, 17).
fn scopes(scene: &Scene) -> Vec<Attack> {
    let Scene { paid, free, secret, grant, capped, .. } = scene;
    let (guest, subscriber) = (scene.guest.token().expect("in"), scene.subscriber.token().expect("in"));
    let mut lines = Vec::new();
    let path = |film: &Film, part: &str| format!("{}/{part}", film.base);
    for part in parts("360p") {
        lines.push(Attack::new(3, "another's film", EDGES, path(secret, &part)).bearing(grant).is(404));
        lines.push(Attack::new(3, "what is free", EDGES, path(free, &part)).bearing(grant).is(404));
        lines.push(Attack::new(4, "nobody, private", EDGES, path(secret, &part)).is(401));
        lines.push(Attack::new(6, "nobody", EDGES, path(paid, &part)).by("HEAD").is(401));
        lines.push(Attack::new(13, "a session", EDGES, path(paid, &part)).bearing(guest).is(401));
        lines.push(Attack::new(13, "a paid session", EDGES, path(paid, &part)).bearing(subscriber).is(401));
        // The picture of a card on the home page is everybody's.
        if part != "thumbnail.jpg" {
            lines.push(Attack::new(4, "nobody, paid", EDGES, path(paid, &part)).is(401));
            lines.push(Attack::new(13, "a part", EDGES, path(paid, &part)).with("range: bytes=0-0").is(401));
        }
    }
    lines.retain(|line| line.number != 6 || !line.target.ends_with("thumbnail.jpg"));
    for part in ["playlist.m3u8", "init.mp4", "0.m4s"].map(|name| format!("720p/{name}")) {
        lines.push(Attack::new(3, "a greater height", EDGES, path(free, &part)).bearing(capped).is(403));
        lines.push(Attack::new(13, "a greater height, by nobody", EDGES, path(free, &part)).is(401));
    }
    for part in ["original", "index.json", "subtitles/es.vtt", "storyboard.jpg", "waveform.json", "key"] {
        lines.push(Attack::new(3, "what is no route", EDGES, path(paid, part)).bearing(grant).is(404));
        lines.push(Attack::new(4, "what is no route", EDGES, path(secret, part)).is(404));
    }
    for (who, token) in [("nobody", None), ("a guest", Some(guest)), ("a subscriber", Some(subscriber))] {
        for target in ["/api/v1/videos/", "/watch/"].map(|room| format!("{room}{}", secret.video)) {
            let line = Attack::new(4, who, HOME, target).is(404);
            lines.push(if let Some(token) = token { line.bearing(token) } else { line });
        }
        let target = format!("/api/v1/videos/{}/playback", secret.video);
        let line = Attack::new(4, who, HOME, target).by("POST").with("content-length: 0").is(404);
        lines.push(if let Some(token) = token { line.bearing(token) } else { line });
    }
    // 17. Ranges of what one may have.
    let segment = path(paid, "360p/0.m4s");
    let thousand: Vec<_> = (0..1000).map(|number| format!("{number}-{number}")).collect();
    for (what, range, status) in [
        ("a thousand", thousand.join(","), 200),
        ("overlapping", "0-9,5-14".to_owned(), 200),
        ("beyond the end", "999999999-".to_owned(), 416),
        ("none", "-0".to_owned(), 416),
        ("all", "0-".to_owned(), 206),
        ("below zero", "--1".to_owned(), 200),
    ] {
        let line = Attack::new(17, what, EDGES, segment.clone()).bearing(grant);
        lines.push(line.with(format!("range: bytes={range}")).is(status));
    }
    // 12. What comes in part, or not at all, is not what is kept (the bodies are compared below).
    for header in ["range: bytes=1-1", "if-none-match: *", "accept-encoding: gzip"] {
        let status = match header {
            "range: bytes=1-1" => 206,
            "if-none-match: *" => 304,
            _ => 200,
        };
        lines.push(Attack::new(12, header, EDGES, segment.clone()).bearing(grant).with(header).is(status));
    }
    lines.push(Attack::new(12, "then the whole", EDGES, segment).bearing(grant).is(200));
    // 8. in its beginning: what is private at last was so from the start for whoever guesses.
    lines.push(Attack::new(8, "hidden", EDGES, path(secret, "thumbnail.jpg")).is(401));
    // 21. The rest of the matrix is a story of its own.
    lines.push(Attack::new(21, "nobody", EDGES, path(paid, "multivariant.m3u8")).is(401));
    lines
}

/// Ids that are near to one that is known (5).
fn ids(scene: &Scene) -> Vec<Attack> {
    let (video, version) = (&scene.free.video, scene.free.base.rsplit('/').next().expect("a version"));
    // Nothing of one id can be told from another: 128 random bits.
    let shared = |one: &str, other: &str| one.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
    for (one, other) in
        [(&scene.free, &scene.paid), (&scene.paid, &scene.secret), (&scene.free, &scene.secret)]
    {
        assert!(
            one.video.len() == 26 && shared(&one.video, &other.video) < 8,
            "{} {}",
            one.video,
            other.video
        );
        assert!(shared(&one.video, version) < 8, "a version's id says which video it is of");
    }
    let next = |id: &str| {
        let (rest, last) = id.split_at(id.len() - 1);
        format!("{rest}{}", if last == "0" { "1" } else { "0" })
    };
    let mut lines = Vec::new();
    for (video, version) in [(next(video), version.to_owned()), (video.clone(), next(version))] {
        let target = format!("/v/{video}/{version}/144p/0.m4s");
        lines.push(Attack::new(5, "a neighbour", EDGES, target.clone()).is(401));
        lines.push(Attack::new(5, "a neighbour", EDGES, target).bearing(&scene.grant).is(404));
    }
    for id in ["1", "2", "00000000000000000000000000", &video.to_uppercase(), &next(video)] {
        lines.push(Attack::new(5, "a guess", HOME, format!("/api/v1/videos/{id}")).is(404));
    }
    lines
}

/// The store, from outside (7); folders, as a server in front would map them (9).
fn folders(scene: &Scene) -> Vec<Attack> {
    let object = format!("{}/index.json", &scene.free.base["/v/".len()..]);
    let mut lines = Vec::new();
    for root in [
        "",
        "/objects",
        "/objects/videos",
        "/videos",
        "/storage",
        "/static",
        "/media",
        "/files",
        "/data",
        "/assets",
        "/o",
    ] {
        for name in [object.as_str(), "", "cocuyo.db", ".."] {
            // The root itself is the site.
            if (root, name) != ("", "") {
                lines.push(Attack::new(9, "a folder", EDGES, format!("{root}/{name}")).is(404));
            }
        }
        lines.push(Attack::new(7, "the bucket", EDGES, format!("{root}/stories/videos/{object}")).is(404));
    }
    lines
}

/// What is one person's, under a name that a cache would keep (10).
fn deception(scene: &Scene) -> Vec<Attack> {
    let session = scene.owner.token().expect("signed in");
    let mut lines = Vec::new();
    for room in [
        "/api/v1/session".to_owned(),
        "/api/v1/videos".to_owned(),
        "/my/videos".to_owned(),
        format!("/my/videos/{}", scene.secret.video),
        format!("/watch/{}", scene.secret.video),
        format!("/api/v1/videos/{}", scene.secret.video),
    ] {
        for end in ["/x.css", ";.js", "%0a.png", "%3f.m3u8", "%23.css", ".css", "/..%2fx.css", "%00.jpg"] {
            let target = format!("{room}{end}");
            let cookie = format!("cookie: cocuyo_session={session}");
            lines.push(Attack::new(10, "by its owner", HOME, target.clone()).bearing(session).is(404));
            lines.push(Attack::new(10, "by their browser", HOME, target.clone()).with(cookie).is(404));
            // Whoever has videos is asked to sign in before anybody looks which one it is.
            let of_mine = target.strip_prefix("/my/videos/").is_some_and(|name| !name.contains('/'));
            let status = if of_mine { 303 } else { 404 };
            lines.push(Attack::new(10, "by nobody, after", HOME, target).is(status));
        }
    }
    lines
}

/// What a client says of itself (11).
fn poison(scene: &Scene) -> Vec<Attack> {
    let mut lines = Vec::new();
    for header in [
        "x-forwarded-host: evil.example",
        "x-forwarded-proto: gopher",
        "x-forwarded-prefix: /evil",
        "forwarded: host=evil.example",
        "x-http-method-override: DELETE",
        "accept-language: <script>",
        "origin: https://evil.example",
    ] {
        for target in ["/".to_owned(), format!("/watch/{}", scene.free.video), "/api/v1/videos".to_owned()] {
            lines.push(Attack::new(11, header, HOME, target).with(header).is(200));
        }
        let segment = format!("{}/480p/0.m4s", scene.free.base);
        lines.push(Attack::new(11, header, EDGES, segment.clone()).with(header).is(200));
        let huge = format!("x-huge: {}", "a".repeat(8000));
        lines.push(Attack::new(11, "a huge header", EDGES, segment).with(huge).is(200));
    }
    lines
}

/// The line between an edge and its origin (22); grants and sessions in each other's place (14).
fn links(scene: &Scene) -> Vec<Attack> {
    let segment = format!("{}/144p/0.m4s", scene.paid.base);
    let good = scene.own_edge.credential();
    let mut lines = Vec::new();
    for header in [
        "x-internal: 1".to_owned(),
        "x-edge-secret: secret".to_owned(),
        "x-forwarded-for: 127.0.0.1".to_owned(),
        "via: 1.1 habana".to_owned(),
        "cookie: credential=fill_x".to_owned(),
        format!("authorization: Bearer {}", &good[..good.len() - 1]),
        format!("authorization: Bearer {good}x"),
        format!("authorization: Basic {good}"),
        format!("authorization: Bearer {}", scene.grant),
        format!("authorization: Bearer {}", scene.owner.token().expect("signed in")),
    ] {
        let what = header.split(' ').next().unwrap_or_default();
        for document in ["jwks", "revocations", &format!("policy/{}", scene.free.video)] {
            let target = format!("/origin/v1/{document}");
            lines.push(Attack::new(22, what, HOME, target.clone()).with(header.clone()).is(401));
            // An edge is nobody's origin.
            lines.push(Attack::new(22, what, &[super::Door::Own], target).with(header.clone()).is(404));
        }
        if !header.ends_with(&scene.grant) {
            lines.push(Attack::new(22, what, EDGES, segment.clone()).with(header).is(401));
        }
    }
    lines.push(Attack::new(22, "a credential as a grant", EDGES, segment).bearing(good).is(401));
    lines.push(Attack::new(22, "a credential as a session", HOME, "/api/v1/session").bearing(good).is(401));
    lines.push(Attack::new(22, "in a query", HOME, format!("/origin/v1/jwks?token={good}")).is(401));
    lines
        .push(Attack::new(14, "a grant as a session", HOME, "/api/v1/session").bearing(&scene.grant).is(401));
    let upload = Attack::new(14, "a grant as a session", HOME, "/api/v1/uploads").by("POST");
    lines.push(upload.bearing(&scene.grant).with("tus-resumable: 1.0.0").with("upload-length: 1").is(401));
    lines
}

/// What the store itself says to whoever has no key (7).
pub(super) async fn the_bucket_is_private(scene: &Scene) {
    if scene.stack.engines() != Engines::Servers {
        return;
    }
    let settings = scene.stack.storage_settings();
    let endpoint = settings.lines().find_map(|line| line.strip_prefix("endpoint = "));
    let endpoint = endpoint.expect("it is written down").trim_matches(['"', '/']).to_owned();
    for name in ["", "stories", "stories/?list-type=2"] {
        let answer = scene.stack.stranger().get(&format!("{endpoint}/{name}")).await;
        assert_eq!(answer.status, 403, "{name}: {}", answer.text());
    }
    for object in scene.stack.listing().await.into_iter().step_by(7) {
        let answer = scene.stack.stranger().get(&format!("{endpoint}/stories/{object}")).await;
        assert_eq!(answer.status, 403, "{object}");
    }
}
