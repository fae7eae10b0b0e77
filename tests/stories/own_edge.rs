//! Edges of their own: without database and key, they serve what the origin lets them, and go on
//! while it is away.

use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::AUTHORIZATION;
use serde_json::{Value, json};
use tests::{
    Cells, Certified, Clip, Engines, Kind, Line, OwnEdge, Person, Stack, Watching, film, program, run, until,
};

/// A film that is whole, published for a tier.
async fn published(stack: &Stack, title: &str, min_tier: u8) -> (Person, String) {
    let creator = stack.person("ana", "creator", 3).await;
    let video = creator.upload(title, Clip::Short.file()).await;
    creator.until_ready(&video).await;
    creator.publish(&video, min_tier).await;
    (creator, video)
}

/// `/v/{video}/{version}/`
async fn folder(person: &Person, video: &str) -> String {
    format!("/v/{video}/{}/", person.video(video).await["version"].as_str().expect("a version"))
}

async fn until_status(what: &str, person: &Person, path: &str, grant: Option<&str>, status: u16) {
    until(what, Duration::from_secs(20), || async {
        let seen = person.fetch(path, grant).await.status;
        if seen == status { Ok(()) } else { Err(seen) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_has_neither_database_nor_key_nor_anything_secret_on_its_disk() {
    let stack = Stack::start().await;
    let edge = stack.add_edge("habana").await;
    edge.until_ready().await;
    edge.until_kept("word.json", "Ed25519").await;
    let mut kept = files(&edge.data());
    kept.sort();
    assert_eq!(kept, ["origin/word.json"]);
    let word = std::fs::read_to_string(edge.data().join("origin/word.json")).expect("it is there");
    let private = stack.row("SELECT private_key FROM signing_keys WHERE state = 'active'").await;
    assert!(!private.is_empty() && !word.contains(&private) && !word.contains(edge.credential()), "{word}");

    let process = format!("/proc/{}", edge.pid());
    let environment = std::fs::read(format!("{process}/environ")).expect("it runs");
    assert!(!String::from_utf8_lossy(&environment).contains("COCUYO_DATABASE"));
    let open = std::fs::read_dir(format!("{process}/fd")).expect("it runs").flatten();
    let open: Vec<_> = open.filter_map(|file| std::fs::read_link(file.path()).ok()).collect();
    assert!(!open.iter().any(|file| file.to_string_lossy().contains("cocuyo.db")), "{open:?}");

    // Everything else than media is somewhere else.
    let stranger = stack.stranger().at(&edge.url(""));
    for path in ["/", "/api/v1/session", "/origin/v1/jwks", "/metrics"] {
        stranger.get(path).await.expect(404);
    }
}

fn files(folder: &Path) -> Vec<String> {
    let found = run("find", &[&*folder.to_string_lossy(), "-type", "f", "-printf", "%P\n"]).ok();
    found.lines().filter(|name| !name.ends_with(".new")).map(str::to_owned).collect()
}

async fn a_film_that_is_made_plays_through_it(engines: Engines) {
    let cells = Cells::new();
    let rest = cells.hold(Kind::Rest);
    let stack = Stack::start_with(engines, &cells.configuration("slots = 1")).await;
    let edge = stack.add_edge("habana").await;
    let creator = stack.person("ana", "creator", 1).await;
    let film = Clip::Numbered { seconds: 100, width: 256 };
    let video = creator.upload("Mientras se hace", film.file()).await;
    creator.until_plays(&video).await;
    let watching = Watching::start(&stack, &creator, &video).await.at(&edge.url(""));
    watching.get("144p/0.m4s").await.expect(200);
    cells.until_started("a cell in the only slot", |cell| cell.kind == Kind::Rest).await;

    // A seek into the dark: held here, made there before all the rest.
    let insist = |name: &'static str| {
        let watching = watching.clone();
        async move {
            until("the segment to be answered", Duration::from_secs(60), || async {
                let answer = watching.get(name).await;
                if answer.status == 503 { Err(answer) } else { Ok(answer.expect(200)) }
            })
            .await
        }
    };
    let (sought, wanted) = tokio::join!(
        insist("144p/20.m4s"),
        cells.until_started("the wanted chunk", |cell| cell.kind == Kind::Wanted),
    );
    assert_ne!(sought.header("cocuyo-held"), "");
    assert_eq!(wanted.segments, Some(20..22), "only what is waited for, from there on");

    // Two wishes take both express workers; whoever wishes for a third and goes gives it back.
    let waiting = cells.hold(Kind::Wanted);
    let first = ["144p/12.m4s", "144p/16.m4s"].map(|name| tokio::spawn(insist(name)));
    for segment in [12, 16] {
        let is_it = |cell: &tests::Started| cell.segments.as_ref().is_some_and(|all| all.start == segment);
        cells.until_started("both express workers to be busy", is_it).await;
    }
    let third = tokio::spawn(insist("144p/24.m4s"));
    stack.until_wishes("1").await;
    third.abort();
    stack.until_wishes("0").await;
    drop(waiting);
    for answer in first {
        answer.await.expect("it is answered");
    }

    drop(rest);
    creator.until_ready(&video).await;
    until("the edge to see the whole version", Duration::from_secs(20), || async {
        let (offered, planned) = (watching.offered().await, watching.planned().await);
        if offered == planned { Ok(()) } else { Err((offered, planned)) }
    })
    .await;
    assert_eq!(watching.get("144p/20.m4s").await.expect(200).body, sought.body);
    let url = |name: &str| watching.url(&format!("{name}/playlist.m3u8"));
    let (picture, sound) = (url("144p"), url("a32"));
    let checked = tokio::task::spawn_blocking(move || {
        film::assert_every_frame_once(&picture, 2500, 25.0, 2);
        film::assert_beeps(&sound, 100.0);
    });
    checked.await.expect("whole and in step");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_that_is_made_plays_through_it_on_a_folder_and_sqlite() {
    a_film_that_is_made_plays_through_it(Engines::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_that_is_made_plays_through_it_on_s3_and_postgresql() {
    a_film_that_is_made_plays_through_it(Engines::Servers).await;
}

/// Attack 22: the credential.
#[tokio::test(flavor = "multi_thread")]
async fn the_origins_door_opens_to_a_good_credential_only() {
    let stack = Stack::start().await;
    let (_, video) = published(&stack, "Para abonados", 1).await;
    let viewer = stack.person("luis", "viewer", 1).await;
    let watching = Watching::start(&stack, &viewer, &video).await;
    let enrol = |name: &str| stack.cocuyo(&["edge", "enrol", name]).trim().to_owned();
    let (good, other) = (enrol("habana"), enrol("santiago"));
    assert_ne!(good, other);
    let again = stack.try_cocuyo(&["edge", "enrol", "habana"]);
    assert!(again.code == Some(1) && again.stderr.contains("enrolled already"), "{again:?}");
    assert_ne!(stack.try_cocuyo(&["edge", "enrol", "../habana"]).code, Some(0));
    assert!(stack.cocuyo(&["edge", "list"]).contains("habana\tgood for 89 more days"));

    let stranger = stack.stranger();
    let documents = [
        "/origin/v1/jwks".to_owned(),
        "/origin/v1/revocations".to_owned(),
        format!("/origin/v1/policy/{video}"),
        format!("/origin/v1/growing/{video}/{video}"),
        "/origin/v1/".to_owned(),
        "/origin/v1/secrets".to_owned(),
    ];
    let forged = ["", "fill_", "x", &good[1..], &good[..good.len() - 1], &format!("{good}A")];
    let forged = forged.into_iter().chain([watching.grant(), viewer.token().expect("signed in")]);
    for credential in forged.map(Some).chain([None]) {
        for path in &documents {
            let answer = stranger.fetch(path, credential).await.expect(401);
            assert_eq!(answer.header("www-authenticate"), "Bearer", "{path}");
        }
        let want = stack.stranger().request(reqwest::Method::POST, "/origin/v1/wants");
        let want = credential.into_iter().fold(want, |want, credential| want.bearer_auth(credential));
        stranger.send(want.body("{")).await.expect(401);
    }
    // In another place than the header, or twice, it is none.
    stranger.get(&format!("/origin/v1/jwks?token={good}")).await.expect(401);
    let twice = stranger.request(reqwest::Method::GET, "/origin/v1/jwks").bearer_auth(&good);
    stranger.send(twice.header(AUTHORIZATION, format!("Bearer {good}"))).await.expect(401);

    for path in &documents[..4] {
        let answer = stranger.fetch(path, Some(&good)).await.expect(200);
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
    }
    // It mints nothing, and is no session and no grant.
    stranger.fetch(&documents[4], Some(&good)).await.expect(404);
    stranger.fetch("/api/v1/session", Some(&good)).await.expect(401);
    let folder = folder(&viewer, &video).await;
    stranger.fetch(&format!("{folder}multivariant.m3u8"), Some(&good)).await.expect(401);
    let playback =
        stack.stranger().request(reqwest::Method::POST, &format!("/api/v1/videos/{video}/playback"));
    stranger.send(playback.bearer_auth(&good).json(&json!({}))).await.expect(401);

    // The same key set is not sent twice.
    let keys = stranger.fetch(&documents[0], Some(&good)).await.expect(200);
    let known = stranger.request(reqwest::Method::GET, &documents[0]).bearer_auth(&good);
    stranger.send(known.header("if-none-match", keys.header("etag"))).await.expect(304);

    // Who waits for news when the credential is revoked waits no longer; the other one still may.
    let first = stranger.fetch(&documents[1], Some(&good)).await.expect(200).json();
    let (list, number) = (first["list"].as_str().expect("a name"), &first["number"]);
    let rest = format!("{}?list={list}&after={number}", documents[1]);
    let (waiting, waited) = (stranger.clone(), good.clone());
    let poll = tokio::spawn(async move { waiting.fetch(&rest, Some(&waited)).await });
    stack.cocuyo(&["edge", "revoke", "habana"]);
    let refused = tokio::time::timeout(Duration::from_secs(10), poll).await;
    refused.expect("within ten seconds").expect("it does not panic").expect(401);
    stranger.fetch(&documents[0], Some(&good)).await.expect(401);
    stranger.fetch(&documents[0], Some(&other)).await.expect(200);
    assert!(stack.cocuyo(&["edge", "list"]).contains("habana\trevoked"));
    assert!(!stack.log().contains(&good) && !stack.log().contains(&other));
    assert_ne!(enrol("habana"), good);
}

/// Bad reports, and one that comes twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_counted_once_however_often_it_arrives() {
    let cells = Cells::new();
    let _rest = cells.hold(Kind::Rest);
    let _wanted = cells.hold(Kind::Wanted);
    let stack = Stack::start_with(Engines::Embedded, &cells.configuration("slots = 1")).await;
    let creator = stack.person("ana", "creator", 1).await;
    let film = Clip::Numbered { seconds: 100, width: 256 };
    let video = creator.upload("Mientras se hace", film.file()).await;
    let growing = creator.until_plays(&video).await;
    cells.until_started("a cell in the only slot", |cell| cell.kind == Kind::Rest).await;
    let version = Watching::start(&stack, &creator, &video).await.url("");
    let version = version.trim_end_matches('/').rsplit('/').next().expect("a version").to_owned();
    let credential = stack.cocuyo(&["edge", "enrol", "habana"]).trim().to_owned();
    let edge = stack.stranger();
    let post = async |path: &str, body: String| {
        let request = edge.request(reqwest::Method::POST, path).bearer_auth(&credential).body(body);
        edge.send(request).await
    };
    let report = |number: u64, segment: u32| {
        let want = json!({"video": video, "version": version, "lane": "a", "segment": segment});
        json!({"sender": 7, "number": number, "want": want})
    };
    for body in [String::new(), "{".to_owned(), "[]".to_owned(), {
        let mut unknown = report(1, 20);
        unknown["more"] = Value::Null;
        unknown.to_string()
    }] {
        post("/origin/v1/wants", body.clone()).await.expect(400);
    }
    post("/origin/v1/wants", " ".repeat(5000)).await.expect(413);
    edge.fetch("/origin/v1/wants", Some(&credential)).await.expect(405);

    // Bytes that were sent: a sum that no edge can have sent, a name that is none, what is too long.
    let day = (now_ms() / 86_400_000).to_string();
    let sent = |number: u64, sender: &str, bytes: u64| {
        let sums = json!({"accounts": {}, "videos": {&video: bytes}});
        json!({"sender": sender, "number": number, "days": {&day: sums}}).to_string()
    };
    for bad in [sent(1, "7", u64::MAX), sent(1, "7\n8", 1), sent(1, &"7".repeat(300), 1), "{}".to_owned()] {
        post("/origin/v1/sent", bad).await.expect(400);
    }
    post("/origin/v1/sent", " ".repeat(2 << 20)).await.expect(413);
    for (number, bytes) in [(1, 100), (1, 100), (2, 20), (1, 100)] {
        post("/origin/v1/sent", sent(number, "7", bytes)).await.expect(204);
    }
    let counted = stack.row(&format!("SELECT CAST(bytes AS TEXT) FROM sent WHERE day = {day}")).await;
    assert_eq!(counted, "120");

    // Both express workers are busy with the first two, so the third stays in the queue.
    for (number, segment) in [(1, 12), (2, 16)] {
        post("/origin/v1/wants", report(number, segment).to_string()).await.expect(204);
        let is_it = |cell: &tests::Started| cell.segments.as_ref().is_some_and(|all| all.start == segment);
        cells.until_started("an express worker to be busy", is_it).await;
    }
    for _ in 0..3 {
        post("/origin/v1/wants", report(3, 20).to_string()).await.expect(204);
    }
    assert_eq!(
        stack.row("SELECT CAST(sum(wants) AS TEXT) FROM jobs WHERE state = 'queued'").await,
        "1",
        "{growing}"
    );
    for _ in 0..3 {
        post("/origin/v1/unwants", report(4, 20).to_string()).await.expect(204);
    }
    stack.until_wishes("0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_viewer_shows_goes_upstream() {
    let stack = Stack::start().await;
    let (_, video) = published(&stack, "Para todos", 0).await;
    let viewer = stack.person("luis", "viewer", 1).await;
    let line =
        Line::to(stack.url("").rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port")).await;
    let edge = stack.add_edge_with("habana", &format!("http://127.0.0.1:{}", line.port()), "").await;
    let watching = Watching::start(&stack, &viewer, &video).await.at(&edge.url(""));
    watching.get("144p/0.m4s").await.expect(200);
    let stranger = stack.stranger().at(&edge.url(""));
    stranger.get(&format!("{}144p/0.m4s", folder(&viewer, &video).await)).await.expect(200);
    let tokens = [watching.grant(), &format!("{}x", watching.grant()), "a.b.c"];
    for token in tokens {
        stranger.fetch(&format!("/v/{video}/{video}/144p/0.m4s"), Some(token)).await;
        stranger.get(&format!("/t/{token}/v/{video}/{video}/144p/0.m4s")).await;
        let cookie = stranger.request(reqwest::Method::GET, &format!("/v/{video}/{video}/144p/0.m4s"));
        stranger.send(cookie.header("cookie", format!("cocuyo_grant={token}; session={token}"))).await;
    }
    let sent = String::from_utf8_lossy(&line.sent()).into_owned();
    assert!(sent.contains(&format!("GET /origin/v1/policy/{video} ")), "{sent}");
    let signature = watching.grant().rsplit('.').next().expect("a JWT has a signature");
    for secret in [signature, "a.b.c", "cookie", "session", viewer.token().expect("signed in")] {
        assert!(!sent.contains(secret), "`{secret}` went upstream: {sent}");
    }
}

/// A key that is rotated, while the origin stops and starts: what was signed stays good, and what
/// is signed anew is good at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_rotated_without_a_gap() {
    let mut stack = Stack::start().await;
    let edge = stack.add_edge("habana").await;
    let (_, video) = published(&stack, "Para abonados", 1).await;
    let viewer = stack.person("luis", "viewer", 1).await;
    let before = Watching::start(&stack, &viewer, &video).await.at(&edge.url(""));
    before.get("144p/0.m4s").await.expect(200);
    // A month passes: the next key is published, and a day later it signs.
    let mut grants = vec![before];
    for days in [30, 2] {
        stack.stop_server().await;
        let ms = i64::from(days) * 24 * 3600 * 1000;
        stack.change_rows(&format!("UPDATE signing_keys SET since = since - {ms}")).await;
        stack.start_server().await;
        let ids = stack.row("SELECT max(id) || ' ' || min(id) FROM signing_keys").await;
        for id in ids.split(' ') {
            edge.until_kept("word.json", id).await;
        }
        grants.push(Watching::start(&stack, &viewer, &video).await.at(&edge.url("")));
        for watching in &grants {
            watching.get("144p/0.m4s").await.expect(200);
        }
    }
    let signers: Vec<_> = grants.iter().map(|watching| watching.grant().split('.').next()).collect();
    assert!(signers[0] == signers[1] && signers[1] != signers[2], "another key signs: {signers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_watches_goes_on_while_the_origin_is_away() {
    let mut stack = Stack::start().await;
    let mut edge = stack.add_edge("habana").await;
    let hasty = stack.add_edge_with("santiago", &stack.url(""), "[edge]\npolicy_stale_s = 3\n").await;
    let (creator, open) = published(&stack, "Para todos", 0).await;
    let paid = creator.upload("Para abonados", Clip::Short.file()).await;
    creator.until_ready(&paid).await;
    creator.publish(&paid, 1).await;
    let viewer = stack.person("luis", "viewer", 1).await;
    let guest = stack.person("eva", "viewer", 1).await;
    let watching = Watching::start(&stack, &viewer, &paid).await.at(&edge.url(""));
    let banned = Watching::start(&stack, &guest, &paid).await.at(&edge.url(""));
    let segment = format!("{}144p/0.m4s", folder(&creator, &open).await);
    let other = format!("{}144p/0.m4s", folder(&creator, &paid).await);
    let stranger = stack.stranger().at(&edge.url(""));
    let elsewhere = stack.stranger().at(&hasty.url(""));
    watching.get("144p/0.m4s").await.expect(200);
    banned.get("144p/0.m4s").await.expect(200);
    stranger.get(&segment).await.expect(200);
    elsewhere.get(&segment).await.expect(200);
    // Whose account is changed loses it here too: whatever was granted before, and the grants of a
    // version that was just withdrawn once say that they are of the next second.
    until_issued(&banned).await;
    let admin = stack.person("jefa", "admin", 0).await;
    admin.patch("/api/v1/accounts/eva", json!({"tier": 0})).await.expect(200);
    until_status("the revocation", &guest.at(&edge.url("")), &other, Some(banned.grant()), 401).await;
    let account = stack.row("SELECT id FROM accounts WHERE username = 'eva'").await;
    edge.until_kept("word.json", &account).await;
    edge.until_kept("policies.json", &open).await;

    stack.kill_server();
    // Nobody new gets in.
    stranger.get(&other).await.expect(503);
    until_status("a policy to be too old", &elsewhere, &segment, None, 503).await;
    for restarted in [false, true] {
        if restarted {
            edge.kill();
            edge.start_server().await;
            edge.until_ready().await;
        }
        watching.get("144p/0.m4s").await.expect(200);
        watching.get("144p/playlist.m3u8").await.expect(200);
        stranger.get(&segment).await.expect(200);
        banned.get("144p/0.m4s").await.expect(401);
        stranger.fetch(&other, Some("a.b.c")).await.expect(401);
    }
    assert!(edge.log().contains("the origin does not answer"), "{}", edge.log());

    // It comes back, and nobody has to be restarted for it.
    stack.start_server().await;
    until_status("a policy to be told again", &elsewhere, &segment, None, 200).await;
    let renewed = Watching::start(&stack, &viewer, &paid).await.at(&edge.url(""));
    renewed.get("144p/0.m4s").await.expect(200);
    admin.at(&stack.url("")).patch("/api/v1/accounts/luis", json!({"tier": 0})).await.expect(200);
    until_status("another revocation", &viewer.at(&edge.url("")), &other, Some(renewed.grant()), 401).await;
    watching.get("144p/0.m4s").await.expect(401);
    assert!(edge.log().contains("the origin answers again"), "{}", edge.log());
}

/// Attack 22: what was paid for ends with its time, although nobody is there to say so.
#[tokio::test(flavor = "multi_thread")]
async fn it_fails_closed_when_grants_end_while_the_origin_is_away() {
    let mut stack = Stack::start().await;
    let mut edge = stack.add_edge("habana").await;
    let (_, video) = published(&stack, "Para abonados", 1).await;
    let admin = stack.person("jefa", "admin", 0).await;
    stack.person("luis", "viewer", 0).await;
    let soon = now_ms() + 8_000;
    admin.patch("/api/v1/accounts/luis", json!({"tier": 1, "entitled_until": soon})).await.expect(200);
    let viewer = Person::sign_in(stack.url(""), "luis", "contraseña de luis").await;
    let watching = Watching::start(&stack, &viewer, &video).await.at(&edge.url(""));
    watching.get("144p/0.m4s").await.expect(200);
    edge.until_kept("word.json", "Ed25519").await;
    stack.kill_server();
    edge.kill();
    edge.start_server().await;
    watching.get("144p/0.m4s").await.expect(200);
    until("the grant to end", Duration::from_secs(90), || async {
        let status = watching.get("144p/0.m4s").await.status;
        if status == 401 { Ok(()) } else { Err(status) }
    })
    .await;
}

/// Waits until the second is over of which a grant says that it was issued in it.
async fn until_issued(watching: &Watching) {
    let claims = watching.grant().split('.').nth(1).expect("a JWT has claims");
    let claims = URL_SAFE_NO_PAD.decode(claims).expect("base64url");
    let claims: Value = serde_json::from_slice(&claims).expect("JSON");
    let issued = claims["iat"].as_u64().expect("a number") * 1000;
    until("the grant's moment", Duration::from_secs(10), || {
        std::future::ready(if now_ms() > issued + 1000 { Ok(()) } else { Err(issued) })
    })
    .await;
}

fn now_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    u64::try_from(now.expect("it is later than 1970").as_millis()).expect("it fits")
}

#[tokio::test(flavor = "multi_thread")]
async fn it_begins_before_its_origin_does_and_serves_nobody_until_it_has_heard_it() {
    let mut stack = Stack::start().await;
    let (creator, video) = published(&stack, "Para todos", 0).await;
    let segment = format!("{}144p/0.m4s", folder(&creator, &video).await);
    let line = stack.url("");
    let credential = stack.cocuyo(&["edge", "enrol", "habana"]).trim().to_owned();
    stack.kill_server();
    let settings = format!("{}\n[origin]\naddress = \"{line}\"\n", stack.storage_settings());
    let edge = OwnEdge::start(settings, credential).await;
    let stranger = stack.stranger().at(&edge.url(""));
    stranger.get(&segment).await.expect(503);
    let health = edge.health().await.expect(503);
    assert!(health.text().contains("has not been heard yet"), "{}", health.text());
    stack.start_server().await;
    edge.until_ready().await;
    until_status("the film", &stranger, &segment, None, 200).await;

    // Enrolled no longer, it says so to whoever sends viewers here; those who watch go on.
    stack.cocuyo(&["edge", "revoke", "habana"]);
    until("the edge to say that it is refused", Duration::from_secs(10), || async {
        let health = edge.health().await;
        if health.text().contains("refuses this edge's credential") { Ok(()) } else { Err(health) }
    })
    .await;
    stranger.get(&segment).await.expect(200);
}

/// The line to the origin is HTTPS, by a certificate that the operator made: the edge that was told of
/// it plays, and one that was not believes nobody.
#[tokio::test(flavor = "multi_thread")]
async fn its_origin_is_who_its_certificate_says() {
    let (certified, _) = Certified::make();
    let stack = Stack::start_with(Engines::Embedded, &certified.configuration()).await;
    let (_, video) = published(&stack, "Para abonados", 1).await;
    let viewer = stack.person("luis", "viewer", 1).await;
    let origin = format!("https://127.0.0.1:{}", stack.https_address().port());
    let settings = format!("{}\n[origin]\naddress = \"{origin}\"\n", stack.storage_settings());
    let enrol = |name: &str| stack.cocuyo(&["edge", "enrol", name]).trim().to_owned();
    let roots = Some(certified.file("certificate.pem"));
    let edge = OwnEdge::start_trusting(settings.clone(), enrol("habana"), roots).await;
    edge.until_ready().await;
    let watching = Watching::start(&stack, &viewer, &video).await.at(&edge.url(""));
    watching.get("144p/0.m4s").await.expect(200);
    assert!(!edge.log().contains("clear text"), "{}", edge.log());

    let misled = OwnEdge::start(settings, enrol("santiago")).await;
    until("the edge to say why it does not begin", Duration::from_secs(20), || async {
        let log = misled.log();
        if log.contains("certificate") { Ok(()) } else { Err(log) }
    })
    .await;
    assert_eq!(misled.health().await.status, 503);
    watching.at(&misled.url("")).get("144p/0.m4s").await.expect(503);
}

#[test]
fn what_an_edge_of_its_own_lacks_is_said_in_one_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("cocuyo.toml");
    let origin = "[origin]\naddress = \"http://127.0.0.1:1\"\n";
    let storage = "[storage]\nfolder = \"/nowhere\"\n";
    let secret = folder.path().join("credential");
    std::fs::write(&secret, "fill_hush\n").expect("write the credential");
    let with_secret = format!("{origin}credential_file = \"{}\"\n", secret.display());
    let cases = [
        (with_secret.clone(), "needs `[storage]`"),
        (format!("{origin}{storage}"), "COCUYO_ORIGIN_CREDENTIAL"),
        (format!("database = \"postgres://h/d\"\n{with_secret}{storage}"), "has no database"),
        (format!("[origin]\naddress = \"nowhere\"\n{storage}"), "line 2"),
        (format!("{origin}credential_file = \"/nowhere/secret\"\n"), "/nowhere/secret"),
    ];
    for (text, part) in cases {
        std::fs::write(&file, &text).expect("write the configuration");
        let arguments = ["serve", "--roles", "edge", "--config", &file.to_string_lossy()];
        let finished = run(program("cocuyo"), &arguments);
        assert_eq!(finished.code, Some(64), "{text}: {finished:?}");
        assert!(
            finished.stderr.lines().count() == 1 && finished.stderr.contains(part),
            "{text}: {finished:?}"
        );
    }
    std::fs::write(&file, &with_secret).expect("write the configuration");
    let shown = run(program("cocuyo"), &["check-config", "--config", &file.to_string_lossy()]).ok();
    assert!(shown.contains("[origin]") && !shown.contains("hush"), "{shown}");
}
