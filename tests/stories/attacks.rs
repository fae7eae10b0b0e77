//! The attacks on gated playback, by the numbers that issue 4 names, on the whole product: the
//! process that has everything and an edge of its own. Each is sent before anybody was served
//! anything (cold) and again after those who may have it had it all (warm); the answers are the same.
//! More lines, of an edge alone, are in `edge/tests/door/attacks.rs`.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use expect_test::expect;
use serde_json::{Value, json};
use tests::{Clip, Engines, OwnEdge, Person, Stack, Upload, plainly, until};

mod lines;
mod tokens;

const NUMBERS: [u8; 19] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 21, 22, 60];

/// A film that is whole.
struct Film {
    video: String,
    /// `/v/{video}/{version}`
    base: String,
}

/// People, films, and the doors to them.
struct Scene {
    stack: Stack,
    own_edge: OwnEdge,
    /// Whose films they are.
    owner: Person,
    /// Somebody with tier 1,
    subscriber: Person,
    /// who has a grant for what is paid for.
    grant: String,
    /// Somebody without a tier,
    guest: Person,
    /// who has a grant for what is free, up to 480p.
    capped: String,
    paid: Film,
    free: Film,
    secret: Film,
}

/// What a page or a list would show of what is secret.
const TITLE: &str = "Un secreto de Ana";

impl Scene {
    async fn set(engines: Engines) -> Self {
        let stack = Stack::start_on(engines).await;
        let own_edge = stack.add_edge("habana").await;
        own_edge.until_ready().await;
        let owner = stack.person("ana", "creator", 0).await;
        let film = async |title: &str, clip: Clip, edit: Value| {
            let video = owner.upload(title, clip.file()).await;
            let version = owner.until_ready(&video).await["version"].as_str().expect("a version").to_owned();
            owner.patch(&format!("/api/v1/videos/{video}"), edit).await.expect(200);
            Film { base: format!("/v/{video}/{version}"), video }
        };
        let free = film("Para todos", Clip::Long, json!({"visibility": "public", "min_tier": 0})).await;
        let paid = film("Para abonados", Clip::Short, json!({"visibility": "public", "min_tier": 1})).await;
        let secret = film(TITLE, Clip::Short, json!({"visibility": "private"})).await;
        let subscriber = stack.person("luis", "viewer", 1).await;
        let guest = stack.person("nadie", "viewer", 0).await;
        let grant = async |person: &Person, film: &Film| {
            let playback = person.playback(&film.video).await.expect(200).json();
            playback["token"].as_str().expect("a token").to_owned()
        };
        let (granted, capped) = (grant(&subscriber, &paid).await, grant(&guest, &free).await);
        Self { stack, own_edge, owner, subscriber, grant: granted, guest, capped, paid, free, secret }
    }

    fn address(&self, door: Door) -> SocketAddr {
        match door {
            Door::Home => self.stack.address(),
            Door::Own => self.own_edge.url("").trim_start_matches("http://").parse().expect("an address"),
        }
    }

    /// Those who may have something have it, at each door.
    async fn warm(&self) {
        for base in [self.stack.url(""), self.own_edge.url("")] {
            let owner_of = async |film: &Film| {
                let playback = self.owner.playback(&film.video).await.expect(200).json();
                playback["token"].as_str().expect("a token").to_owned()
            };
            for (film, picture) in [(&self.paid, "360p"), (&self.secret, "360p"), (&self.free, "720p")] {
                let token = owner_of(film).await;
                for part in lines::parts(picture) {
                    let path = format!("{}/{part}", film.base);
                    let answer = self.owner.at(&base).fetch(&path, Some(&token)).await;
                    assert_eq!(answer.status, 200, "{path}");
                }
            }
            let (paid, free) =
                (format!("{}/360p/0.m4s", self.paid.base), format!("{}/480p/0.m4s", self.free.base));
            self.subscriber.at(&base).fetch(&paid, Some(&self.grant)).await.expect(200);
            self.guest.at(&base).fetch(&free, Some(&self.capped)).await.expect(200);
            self.stack.stranger().at(&base).get(&free).await.expect(200);
        }
        for page in ["/", "/my/videos", "/api/v1/videos?mine=true", "/api/v1/session"] {
            self.owner.get(page).await;
        }
        self.owner.get(&format!("/watch/{}", self.secret.video)).await;
        self.owner.get(&format!("/api/v1/videos/{}", self.secret.video)).await.expect(200);
    }
}

/// A door that media come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    /// Of the process that has everything.
    Home,
    /// Of an edge of its own.
    Own,
}

const EDGES: &[Door] = &[Door::Home, Door::Own];
const HOME: &[Door] = &[Door::Home];

/// A request and what becomes of it at these doors.
struct Attack {
    number: u8,
    what: String,
    doors: &'static [Door],
    method: &'static str,
    target: String,
    headers: Vec<String>,
    status: u16,
}

impl Attack {
    fn new(number: u8, what: impl Into<String>, doors: &'static [Door], target: impl Into<String>) -> Self {
        let (what, target) = (what.into(), target.into());
        Self { number, what, doors, method: "GET", target, headers: Vec::new(), status: 0 }
    }

    fn by(self, method: &'static str) -> Self {
        Self { method, ..self }
    }

    fn with(mut self, header: impl Into<String>) -> Self {
        self.headers.push(header.into());
        self
    }

    fn bearing(self, token: &str) -> Self {
        self.with(format!("authorization: Bearer {token}"))
    }

    fn is(self, status: u16) -> Self {
        Self { status, ..self }
    }

    async fn send(&self, address: SocketAddr) -> Said {
        let mut request =
            format!("{} {} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n", self.method, self.target);
        for header in &self.headers {
            request.push_str(&format!("{header}\r\n"));
        }
        let answer = plainly(address, format!("{request}\r\n").as_bytes()).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let keep = head.lines().find_map(|line| line.strip_prefix("cache-control: ")).unwrap_or_default();
        Said { status, keep: keep.to_owned(), body: body.to_owned() }
    }
}

/// What a door answered.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    status: String,
    /// `Cache-Control`
    keep: String,
    body: String,
}

async fn every_attack_is_answered_cold_and_warm_alike(engines: Engines) {
    let scene = Scene::set(engines).await;
    let attacks = lines::of(&scene);
    let numbers: BTreeSet<_> = attacks.iter().map(|attack| attack.number).collect();
    assert_eq!(numbers, NUMBERS.into(), "an attack without a line");
    // What nobody may read who was refused.
    let session = |person: &Person| person.token().expect("signed in").to_owned();
    let hidden = [TITLE.to_owned(), session(&scene.owner), session(&scene.subscriber), scene.grant.clone()];
    let mut wrong = Vec::new();
    let mut cold: Vec<(String, Said)> = Vec::new();
    for warm in [false, true] {
        if warm {
            scene.warm().await;
        }
        let mut answers = Vec::new();
        for attack in &attacks {
            for door in attack.doors {
                let answer = attack.send(scene.address(*door)).await;
                let Said { status, keep, body } = &answer;
                let name = format!(
                    "{}, {} ({door:?}, warm: {warm}): {} {:.150}",
                    attack.number, attack.what, attack.method, attack.target
                );
                if *status != attack.status.to_string() {
                    wrong.push(format!("{name}: {status} and not {}", attack.status));
                }
                let refused = attack.status >= 303 && attack.status != 304;
                // What is no request at all has a bare answer.
                let is_bare = keep.is_empty() && body.is_empty();
                if refused && keep != "no-store" && !is_bare {
                    wrong.push(format!("{name}: may be kept: {keep:?}"));
                }
                if refused && hidden.iter().any(|secret| body.contains(secret.as_str())) {
                    wrong.push(format!("{name}: tells what it should not: {body}"));
                }
                answers.push((name, answer));
            }
        }
        if warm {
            for ((name, warm), (_, cold)) in answers.iter().zip(&cold) {
                // Pages are of their moment.
                let is_page = name.starts_with("11") && cold.body.contains("<html");
                if warm != cold && !is_page {
                    wrong.push(format!("{name}: {warm:.300?} when warm, {cold:.300?} when cold"));
                }
            }
        }
        cold = answers;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    lines::the_bucket_is_private(&scene).await;
    tokens_are_nowhere_but_with_their_bearers(&scene).await;
    what_becomes_secret_is_so_at_once(&scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attack_is_answered_cold_and_warm_alike_on_a_folder_and_sqlite() {
    every_attack_is_answered_cold_and_warm_alike(Engines::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attack_is_answered_cold_and_warm_alike_on_s3_and_postgresql() {
    every_attack_is_answered_cold_and_warm_alike(Engines::Servers).await;
}

/// After all that, no log and no playlist has a session's or a grant's token; a grant is short and
/// opens nothing else, and a page tells nobody where it was (14).
async fn tokens_are_nowhere_but_with_their_bearers(scene: &Scene) {
    let logs = [scene.stack.log(), scene.own_edge.log()].concat();
    let session = scene.subscriber.token().expect("signed in");
    for token in [&scene.grant, &scene.capped].into_iter().flat_map(|grant| grant.split('.').skip(1)) {
        assert!(!logs.contains(token), "a grant is in a log");
    }
    assert!(!logs.contains(session), "a session is in a log");
    let subscriber = &scene.subscriber;
    for part in ["multivariant.m3u8", "360p/playlist.m3u8", "a32/playlist.m3u8"] {
        for door in [subscriber.clone(), subscriber.at(&scene.own_edge.url(""))] {
            let by_path = door.get(&format!("/t/{}{}/{part}", scene.grant, scene.paid.base)).await;
            // The session travels beside it, as a browser's cookie would.
            let playlist = by_path.expect(200).text();
            assert!(!playlist.contains(session) && !playlist.contains(&scene.grant), "{playlist}");
        }
    }
    for page in ["/", &format!("/watch/{}", scene.free.video), "/sign-in", "/api/v1/videos"] {
        let policy = subscriber.get(page).await.expect(200).header("referrer-policy").to_owned();
        assert!(matches!(policy.as_str(), "no-referrer" | "same-origin"), "{page}: {policy:?}");
    }
    let playback = subscriber.playback(&scene.paid.video).await.expect(200).json();
    let expires = playback["expires_at"].as_i64().expect("a time");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let left = expires - i64::try_from(now.as_millis()).expect("it fits");
    assert!(left <= 11 * 60 * 1000, "a player's grant lives {left} ms");
}

/// What was everybody's, and is in both edges' memories, is nobody's within ten seconds (8).
async fn what_becomes_secret_is_so_at_once(scene: &Scene) {
    let edit = json!({"visibility": "private"});
    scene.owner.patch(&format!("/api/v1/videos/{}", scene.free.video), edit).await.expect(200);
    let doors = [scene.stack.url(""), scene.own_edge.url("")].map(|base| scene.stack.stranger().at(&base));
    let parts =
        ["multivariant.m3u8", "480p/playlist.m3u8", "480p/0.m4s", "360p.mp4", "poster.jpg", "thumbnail.jpg"];
    until("what is private to be refused", Duration::from_secs(10), || async {
        let mut open = Vec::new();
        for door in &doors {
            for part in parts {
                let path = format!("{}/{part}", scene.free.base);
                let (nobody, before) = (door.get(&path).await, door.fetch(&path, Some(&scene.capped)).await);
                if (nobody.status.as_u16(), before.status.as_u16()) != (401, 404) {
                    open.push((path, nobody.status, before.status));
                }
            }
        }
        if open.is_empty() { Ok(()) } else { Err(open) }
    })
    .await;
    scene.stack.stranger().get(&format!("/api/v1/videos/{}", scene.free.video)).await.expect(404);
    scene.stack.stranger().get(&format!("/watch/{}", scene.free.video)).await.expect(404);
    scene.guest.playback(&scene.free.video).await.expect(404);
}

/// Who may play what: each role, each visibility, each state; what playback says, and what both
/// edges then say to the multivariant (21).
#[tokio::test(flavor = "multi_thread")]
async fn a_playlist_is_for_whom_the_matrix_says() {
    let stack = Stack::start().await;
    let own_edge = stack.add_edge("habana").await;
    own_edge.until_ready().await;
    let owner = stack.person("ana", "creator", 0).await;
    let people = [
        ("nobody", stack.stranger()),
        ("no tier", stack.person("nadie", "viewer", 0).await),
        ("tier 1", stack.person("luis", "viewer", 1).await),
        ("creator", stack.person("eva", "creator", 0).await),
        ("moderator", stack.person("marta", "moderator", 0).await),
        ("owner", owner.clone()),
        ("admin", stack.person("jefa", "admin", 0).await),
    ];
    let ready = owner.upload("Lista", Clip::Short.file()).await;
    owner.until_ready(&ready).await;
    let failed = owner.upload_bytes("Rota", b"Esto no es una pelicula.".repeat(99)).await;
    owner.until_settled(&failed).await;
    let uploading = Upload::create(&owner, "A medias", 1000).await.video;
    let deleted = owner.upload("Borrada", Clip::Short.file()).await;
    owner.until_ready(&deleted).await;
    let mut table = String::new();
    for (state, video) in
        [("ready", &ready), ("failed", &failed), ("uploading", &uploading), ("deleted", &deleted)]
    {
        let version = owner.video(video).await["version"].as_str().unwrap_or(video).to_owned();
        let multivariant = format!("/v/{video}/{version}/multivariant.m3u8");
        for visibility in ["draft", "private", "unlisted", "public"] {
            let edit = json!({"visibility": visibility, "min_tier": 1});
            let edited = owner.patch(&format!("/api/v1/videos/{video}"), edit).await;
            if state == "deleted" && edited.status == 200 {
                owner.delete(&format!("/api/v1/videos/{video}")).await.expect(204);
            }
            table.push_str(&format!("{state:9} {visibility:8}"));
            for (name, person) in &people {
                let playback = person.playback(video).await;
                let token = playback.json()["token"].as_str().map(str::to_owned);
                let mut said = playback.status.as_str().to_owned();
                for base in [stack.url(""), own_edge.url("")] {
                    // Whoever got a grant may use it, and without one there is nothing to see.
                    let answer = person.at(&base).fetch(&multivariant, token.as_deref()).await;
                    said.push_str(&format!(" {}", answer.status.as_str()));
                }
                table.push_str(&format!(" | {name} {said}"));
            }
            table.push('\n');
        }
    }
    expect![[r#"
        ready     draft    | nobody 404 401 401 | no tier 404 401 401 | tier 1 404 401 401 | creator 404 401 401 | moderator 404 401 401 | owner 200 200 200 | admin 200 200 200
        ready     private  | nobody 404 401 401 | no tier 404 401 401 | tier 1 404 401 401 | creator 404 401 401 | moderator 404 401 401 | owner 200 200 200 | admin 200 200 200
        ready     unlisted | nobody 401 401 401 | no tier 403 401 401 | tier 1 200 200 200 | creator 403 401 401 | moderator 403 401 401 | owner 200 200 200 | admin 200 200 200
        ready     public   | nobody 401 401 401 | no tier 403 401 401 | tier 1 200 200 200 | creator 403 401 401 | moderator 403 401 401 | owner 200 200 200 | admin 200 200 200
        failed    draft    | nobody 404 401 401 | no tier 404 401 401 | tier 1 404 401 401 | creator 404 401 401 | moderator 404 401 401 | owner 409 401 401 | admin 409 401 401
        failed    private  | nobody 404 401 401 | no tier 404 401 401 | tier 1 404 401 401 | creator 404 401 401 | moderator 404 401 401 | owner 409 401 401 | admin 409 401 401
        failed    unlisted | nobody 401 401 401 | no tier 403 401 401 | tier 1 409 401 401 | creator 403 401 401 | moderator 403 401 401 | owner 409 401 401 | admin 409 401 401
        failed    public   | nobody 401 401 401 | no tier 403 401 401 | tier 1 409 401 401 | creator 403 401 401 | moderator 403 401 401 | owner 409 401 401 | admin 409 401 401
        uploading draft    | nobody 404 401 401 | no tier 404 401 401 | tier 1 404 401 401 | creator 404 401 401 | moderator 404 401 401 | owner 409 401 401 | admin 409 401 401
        uploading private  | nobody 404 401 401 | no tier 404 401 401 | tier 1 404 401 401 | creator 404 401 401 | moderator 404 401 401 | owner 409 401 401 | admin 409 401 401
        uploading unlisted | nobody 401 401 401 | no tier 403 401 401 | tier 1 409 401 401 | creator 403 401 401 | moderator 403 401 401 | owner 409 401 401 | admin 409 401 401
        uploading public   | nobody 401 401 401 | no tier 403 401 401 | tier 1 409 401 401 | creator 403 401 401 | moderator 403 401 401 | owner 409 401 401 | admin 409 401 401
        deleted   draft    | nobody 404 401 401 | no tier 404 401 401 | tier 1 404 401 401 | creator 404 401 401 | moderator 404 401 401 | owner 404 401 401 | admin 404 401 401
        deleted   private  | nobody 404 401 401 | no tier 404 401 401 | tier 1 404 401 401 | creator 404 401 401 | moderator 404 401 401 | owner 404 401 401 | admin 404 401 401
        deleted   unlisted | nobody 404 401 401 | no tier 404 401 401 | tier 1 404 401 401 | creator 404 401 401 | moderator 404 401 401 | owner 404 401 401 | admin 404 401 401
        deleted   public   | nobody 404 401 401 | no tier 404 401 401 | tier 1 404 401 401 | creator 404 401 401 | moderator 404 401 401 | owner 404 401 401 | admin 404 401 401
    "#]].assert_eq(&table);
}
