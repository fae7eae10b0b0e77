//! Pages as a browser without scripts gets them: requests through the router, over a real
//! database in a temporary file.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use catalog::{Catalog, NewUpload, NewVersion, RenditionSummary, UploadLimits, VideoEdit};
use database::testing::TestDatabase;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use model::{
    AccountId, FailureReason, ManualClock, Role, Tier, Timestamp, UploadId, VersionId, VideoId, Visibility,
    WorkerId,
};
use rand::SeedableRng;
use rand::rngs::StdRng;
use subscriptions::{NewAccount, Subscriptions};
use tower::ServiceExt;

use crate::{Config, State, router};

const NOW: Timestamp = Timestamp::from_seconds(1_795_219_200);
const PASSWORD: &str = "correct horse";
/// Everything that could break out of text, an attribute, a script element or a line.
const HOSTILE: &str = r#"</script><script>alert(1)</script>"'&<!-- {{ x }} \u003c"#;

/// A site of its own.
struct Site {
    router: Router,
    state: State,
    _databases: [TestDatabase; 2],
}

impl Site {
    async fn open() -> Self {
        Self::with(Config::default()).await
    }

    async fn with(config: Config) -> Self {
        let databases = [TestDatabase::sqlite().await, TestDatabase::sqlite().await];
        let subscriptions =
            Subscriptions::open(databases[0].open().await, subscriptions::Config::default()).await.unwrap();
        subscriptions.rotate_keys(NOW, &mut StdRng::seed_from_u64(1)).await.unwrap();
        let clock = Arc::new(ManualClock::at(NOW));
        let state = State {
            catalog: Catalog::open(databases[1].open().await).await.unwrap(),
            subscriptions,
            store: Arc::new(storage::Memory::new(clock.clone())),
            clock,
            config: Arc::new(config),
        };
        Self { router: router(state.clone()), state, _databases: databases }
    }

    async fn account(&self, username: &str, role: Role, tier: u8) -> AccountId {
        let tier = Tier::try_from(tier).unwrap();
        let new = NewAccount { username: username.into(), password: PASSWORD.into(), role, tier };
        let mut rng = StdRng::seed_from_u64(username.bytes().map(u64::from).sum());
        self.state.subscriptions.create_account(new, NOW, &mut rng).await.unwrap()
    }

    /// Signs in by the form and returns the cookie to send.
    async fn sign_in(&self, username: &str) -> String {
        let form = format!("username={username}&password=correct+horse&return=/upload");
        let response = self.post("/sign-in", "", &form).await;
        assert_eq!((response.status(), header(&response, LOCATION)), (StatusCode::SEE_OTHER, "/upload"));
        let cookie = header(&response, SET_COOKIE);
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
        cookie.split(';').next().unwrap().to_owned()
    }

    async fn get(&self, path: &str, cookie: &str) -> Response<Body> {
        let request = Request::get(path).header("host", "cocuyo.example").header(COOKIE, cookie);
        self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    async fn post(&self, path: &str, cookie: &str, form: &str) -> Response<Body> {
        let request = Request::post(path)
            .header("host", "cocuyo.example")
            .header("sec-fetch-site", "same-origin")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(COOKIE, cookie);
        self.router.clone().oneshot(request.body(Body::from(form.to_owned())).unwrap()).await.unwrap()
    }

    /// The page at `path`, which is there.
    async fn page(&self, path: &str, cookie: &str) -> String {
        let response = self.get(path, cookie).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        text(response).await
    }

    /// An upload that is complete, waiting for a worker.
    async fn queued(&self, n: u128, owner: AccountId, title: &str) -> VideoId {
        let (id, video) = (UploadId::from_bits(n), VideoId::from_bits(n));
        let new = NewUpload {
            id,
            video,
            owner,
            title: title.into(),
            filename: "clip.mp4".into(),
            size_bytes: 10,
            expires_at: NOW + Duration::from_secs(60),
        };
        let limits = UploadLimits { max_size_bytes: 10, max_open: 9, max_total_bytes: 90 };
        let catalog = &self.state.catalog;
        catalog.create_upload(new, &limits, NOW).await.unwrap();
        catalog.advance_upload(id, 0, 10, NOW + Duration::from_secs(60)).await.unwrap();
        catalog.complete_upload(id, NOW).await.unwrap();
        video
    }

    /// A video that plays.
    async fn ready(
        &self,
        n: u128,
        owner: AccountId,
        title: &str,
        visibility: Visibility,
        tier: u8,
    ) -> VideoId {
        let video = self.queued(n, owner, title).await;
        let catalog = &self.state.catalog;
        let lease = Duration::from_secs(30);
        let job = catalog.claim_next_job(&WorkerId::new("test"), NOW, lease).await.unwrap().unwrap();
        let summary = |name: &str, average_bandwidth_bps| RenditionSummary {
            name: name.parse().unwrap(),
            width: None,
            height: None,
            bandwidth_bps: 2 * average_bandwidth_bps,
            average_bandwidth_bps,
            size_bytes: 1000,
        };
        let renditions = vec![
            summary("a32", 32_000),
            summary("a64", 64_000),
            summary("144p", 40_000),
            summary("360p", 336_000),
            summary("720p", 1_536_000),
        ];
        let new = NewVersion { version: VersionId::from_bits(n), duration_ms: 754_000, renditions };
        catalog.publish(job.id, job.attempt, &new, NOW).await.unwrap();
        let edit = VideoEdit {
            visibility: Some(visibility),
            min_tier: Some(Tier::try_from(tier).unwrap()),
            description: Some(format!("{HOSTILE}\nsegunda línea")),
            ..VideoEdit::default()
        };
        catalog.edit_video(video, edit, NOW).await.unwrap();
        video
    }
}

fn header(response: &Response<Body>, name: http::HeaderName) -> &str {
    response.headers()[name].to_str().unwrap()
}

async fn text(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The JSON that a page's island begins with.
fn boot(page: &str) -> serde_json::Value {
    let (_, after) = page.split_once(r#"<script type="application/json" id="boot">"#).unwrap();
    serde_json::from_str(after.split_once("</script>").unwrap().0).unwrap()
}

#[tokio::test]
async fn the_front_page_shows_what_is_public_with_its_cost() {
    let site = Site::open().await;
    let empty = site.page("/", "").await;
    assert!(empty.contains("Todavía no hay videos publicados."), "{empty}");

    let ana = site.account("ana", Role::Creator, 0).await;
    let free = site.ready(1, ana, "Gratis para todos", Visibility::Public, 0).await;
    site.ready(2, ana, "Con plan", Visibility::Public, 2).await;
    site.ready(3, ana, "Escondido", Visibility::Unlisted, 0).await;
    let page = site.page("/", "").await;
    assert!(page.contains(&format!(r#"href="/watch/{free}""#)) && page.contains("12:34"), "{page}");
    assert!(page.contains(&format!("/v/{free}/{}/thumbnail.jpg", VersionId::from_bits(1))));
    assert!(page.contains("Plan 2") && !page.contains("Escondido"));
    assert!(page.contains("3 MB/min a 360p"), "{page}");
    assert!(site.page("/", "data=saver; lang=en").await.contains("0.5 MB/min at 144p"));
}

#[tokio::test]
async fn a_free_video_plays_without_scripts_and_without_an_account() {
    let site = Site::open().await;
    let ana = site.account("ana", Role::Creator, 0).await;
    let video = site.ready(1, ana, "Cocuyos", Visibility::Public, 0).await;
    let response = site.get(&format!("/watch/{video}"), "").await;
    let policy = header(&response, CONTENT_SECURITY_POLICY).to_owned();
    assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
    let page = text(response).await;
    let version = VersionId::from_bits(1);
    let source = format!(r#"<source src="/v/{video}/{version}/360p.mp4" type="video/mp4">"#);
    assert!(page.contains(&source), "{page}");
    assert!(page.contains("3 MB por minuto") && page.contains("0,5 MB por minuto"));
    // Nobody without a plan gets 720 lines, so nobody is told what they cost.
    assert!(!page.contains("720p"));
    assert!(page.contains(r#"<meta property="og:title" content="Cocuyos">"#));
    assert!(page.contains(r#""contentUrl":"http://cocuyo.example/v/"#), "{page}");
    assert!(page.contains(r#""uploadDate":"2026-11-21""#) && page.contains("21 de noviembre de 2026"));
}

#[tokio::test]
async fn a_plan_opens_a_video_and_its_absence_is_told_in_words() {
    let site = Site::open().await;
    let ana = site.account("ana", Role::Creator, 0).await;
    let video = site.ready(1, ana, "Estreno", Visibility::Public, 2).await;
    let path = format!("/watch/{video}");

    let anonymous = site.page(&path, "").await;
    assert!(anonymous.contains("Este video pide el Plan 2"), "{anonymous}");
    assert!(anonymous.contains(&format!(r#"href="/sign-in?return={path}""#)));
    assert!(!anonymous.contains("<video") && !anonymous.contains("boot"));

    for (name, tier, expected) in
        [("eva", 0, "Tu cuenta no tiene plan."), ("leo", 1, "Tu cuenta tiene el Plan 1.")]
    {
        site.account(name, Role::Viewer, tier).await;
        let page = site.page(&path, &site.sign_in(name).await).await;
        assert!(page.contains(expected) && !page.contains("<video"), "{page}");
    }

    site.account("sol", Role::Viewer, 2).await;
    let page = site.page(&path, &site.sign_in("sol").await).await;
    assert!(page.contains(r#"<source src="/t/"#) && page.contains("/360p.mp4"), "{page}");
    assert!(page.contains("720p"));
    // Someone else's crawler must not be handed this reader's grant.
    assert!(!page.contains("contentUrl"));
}

#[tokio::test]
async fn a_hostile_title_is_text_everywhere() {
    let site = Site::open().await;
    let ana = site.account("ana", Role::Creator, 0).await;
    let video = site.ready(1, ana, HOSTILE, Visibility::Public, 0).await;
    let cookie = site.sign_in("ana").await;
    for path in
        ["/".to_owned(), "/my/videos".into(), format!("/my/videos/{video}"), format!("/watch/{video}")]
    {
        let page = site.page(&path, &cookie).await;
        assert!(!page.contains("<script>") && !page.contains("<!--"), "{path}: {page}");
        assert!(page.contains("alert(1)"), "{path}");
        for opened in page.split("<script").skip(1) {
            let kind = opened.split('>').next().unwrap();
            let is_ours =
                [" type=\"module\"", " type=\"application/"].iter().any(|ours| kind.starts_with(ours));
            assert!(is_ours, "{path}: <script{kind}>");
        }
    }
    assert_eq!(boot(&site.page(&format!("/watch/{video}"), "").await)["title"], HOSTILE);
    assert_eq!(boot(&site.page("/my/videos", &cookie).await)["items"][0]["title"], HOSTILE);
}

#[tokio::test]
async fn what_is_not_shared_is_a_page_that_does_not_exist() {
    let site = Site::open().await;
    let ana = site.account("ana", Role::Creator, 0).await;
    site.account("eva", Role::Creator, 3).await;
    let draft = site.ready(1, ana, "Borrador de Ana", Visibility::Draft, 0).await;
    let (hers, other) = (site.sign_in("ana").await, site.sign_in("eva").await);
    for path in [format!("/watch/{draft}"), format!("/my/videos/{draft}")] {
        assert_eq!(site.get(&path, &hers).await.status(), StatusCode::OK, "{path}");
        let refused = site.get(&path, &other).await;
        assert_eq!(refused.status(), StatusCode::NOT_FOUND, "{path}");
        assert!(text(refused).await.contains("No encontramos esa página"));
    }
    assert!(site.page(&format!("/watch/{draft}"), &hers).await.contains("Solo tú puedes ver este video"));
    for path in ["/watch/nothing", "/watch/%2e%2e", "/watch/a%00b", "/nowhere", "/my/videos/x"] {
        assert_eq!(site.get(path, &hers).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let english = text(site.get("/nowhere", "lang=en").await).await;
    assert!(english.contains("We could not find that page") && english.contains(r#"lang="en""#));
}

#[tokio::test]
async fn an_owner_edits_and_deletes_by_forms() {
    let site = Site::open().await;
    let ana = site.account("ana", Role::Creator, 0).await;
    let video = site.ready(1, ana, "Antes", Visibility::Draft, 0).await;
    let cookie = site.sign_in("ana").await;
    let path = format!("/my/videos/{video}");
    let form = "title=Despu%C3%A9s&description=una%0D%0Ados&visibility=public&min_tier=1";
    let saved = site.post(&path, &cookie, form).await;
    assert_eq!(
        (saved.status(), header(&saved, LOCATION)),
        (StatusCode::SEE_OTHER, format!("{path}?saved").as_str())
    );
    let row = site.state.catalog.video(video).await.unwrap().unwrap();
    assert_eq!((row.title.as_str(), row.description.as_str()), ("Después", "una\ndos"));
    assert_eq!((row.visibility, row.min_tier), (Visibility::Public, Tier::ALL[1]));

    for bad in [
        "title=",
        "title=x&description=&visibility=all&min_tier=0",
        "title=x&description=&visibility=public&min_tier=9",
    ] {
        let refused = site.post(&path, &cookie, bad).await;
        assert!(refused.status().is_client_error(), "{bad}");
        assert!(header(&refused, CONTENT_TYPE).starts_with("text/html"), "{bad}");
    }

    let deleted = site.post(&format!("{path}/delete"), &cookie, "").await;
    assert_eq!(header(&deleted, LOCATION), "/my/videos?deleted");
    assert_eq!(site.get(&path, &cookie).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_failure_is_told_in_plain_words_with_another_try() {
    let site = Site::open().await;
    let ana = site.account("ana", Role::Creator, 0).await;
    let video = site.queued(1, ana, "Apuntes").await;
    let catalog = &site.state.catalog;
    let lease = Duration::from_secs(30);
    let job = catalog.claim_next_job(&WorkerId::new("test"), NOW, lease).await.unwrap().unwrap();
    catalog
        .fail_job(job.id, job.attempt, catalog::JobFailure::Final(FailureReason::NotMedia), NOW)
        .await
        .unwrap();
    let cookie = site.sign_in("ana").await;
    let page = site.page("/my/videos", &cookie).await;
    assert!(page.contains("El archivo no es un video ni un audio."), "{page}");
    assert!(site.page(&format!("/watch/{video}"), &cookie).await.contains("no se pudo preparar"));
    site.post(&format!("/my/videos/{video}/retry"), &cookie, "").await;
    assert!(site.page("/my/videos", &cookie).await.contains("En cola"));
}

#[tokio::test]
async fn wrong_passwords_and_pages_behind_the_door_lead_to_the_form() {
    let site = Site::open().await;
    site.account("ana", Role::Viewer, 0).await;
    let wrong =
        site.post("/sign-in", "lang=en", "username=ana%22%3E&password=nonsense&return=//evil.example").await;
    assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
    let page = text(wrong).await;
    assert!(page.contains("The username or the password is wrong"), "{page}");
    assert!(!page.contains(r#"ana">"#) && !page.contains("evil"), "{page}");

    let sent = site.get("/my/videos?cursor=a", "").await;
    assert_eq!(header(&sent, LOCATION), "/sign-in?return=/my/videos%3Fcursor%3Da");
    let cookie = site.sign_in("ana").await;
    assert!(site.page("/upload", &cookie).await.contains("Pide permiso de creador"));
    let left = site.post("/sign-out", &cookie, "").await;
    assert_eq!(header(&left, LOCATION), "/");
    assert_eq!(site.get("/upload", &cookie).await.status(), StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn people_make_their_own_accounts_where_the_site_lets_them() {
    let site = Site::open().await;
    let made = site.post("/register", "", "username=nuevo&password=correct+horse").await;
    assert_eq!(header(&made, LOCATION), "/");
    let cookie = header(&made, SET_COOKIE).split(';').next().unwrap().to_owned();
    assert!(site.page("/", &cookie).await.contains("Sesión de nuevo"));
    let taken = site.post("/register", "", "username=nuevo&password=correct+horse").await;
    assert_eq!(taken.status(), StatusCode::CONFLICT);
    assert!(text(taken).await.contains("Ese nombre de usuario ya existe"));

    let closed = Site::with(Config { registration: false, ..Config::default() }).await;
    assert_eq!(closed.get("/register", "").await.status(), StatusCode::FORBIDDEN);
    assert!(!closed.page("/sign-in", "").await.contains("/register"));
}

#[tokio::test]
async fn choices_are_kept_in_cookies_and_lead_back() {
    let site = Site::open().await;
    let chosen = site.post("/preferences", "", "lang=en&return=/watch/abc").await;
    assert_eq!(header(&chosen, LOCATION), "/watch/abc");
    assert!(header(&chosen, SET_COOKIE).starts_with("lang=en; Path=/; Max-Age="));
    let away = site.post("/preferences", "", "data=saver&return=https://evil.example").await;
    assert_eq!(header(&away, LOCATION), "/");
    assert_eq!(site.post("/preferences", "", "lang=fr").await.status(), StatusCode::BAD_REQUEST);
}
