//! Pages as a browser without scripts gets them: requests through the router.

use axum::body::Body;
use catalog::{NewVersion, RenditionSummary, VideoEdit};
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, HeaderName, LOCATION, SET_COOKIE};
use http::{Request, StatusCode};
use model::{Clock, FailureReason, RenditionName, Role, Tier, VersionId, VideoId, Visibility};

mod events;

use crate::Config;
use crate::testing::{Answer, Site, Somebody};

/// Everything that could break out of text, an attribute, a script element or a line.
const HOSTILE: &str = r#"</script><script>alert(1)</script>"'&<!-- {{ x }} \u003c"#;

/// Signs in by the form and returns the cookie to send.
async fn sign_in(site: &Site, username: &str) -> String {
    let form = format!("username={username}&password=correct+horse&return=/upload");
    let answer = post(site, "/sign-in", "", &form).await;
    assert_eq!((answer.status, header(&answer, LOCATION)), (StatusCode::SEE_OTHER, "/upload"));
    let cookie = header(&answer, SET_COOKIE);
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    cookie.split(';').next().unwrap().to_owned()
}

async fn get(site: &Site, path: &str, cookie: &str) -> Answer {
    let request = Request::get(path).header("host", "cocuyo.example").header(COOKIE, cookie);
    site.send(request.body(Body::empty()).unwrap()).await
}

async fn post(site: &Site, path: &str, cookie: &str, form: &str) -> Answer {
    let request = Request::post(path)
        .header("host", "cocuyo.example")
        .header("sec-fetch-site", "same-origin")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(COOKIE, cookie);
    site.send(request.body(Body::from(form.to_owned())).unwrap()).await
}

/// The page at `path`, which is there.
async fn page(site: &Site, path: &str, cookie: &str) -> String {
    let answer = get(site, path, cookie).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}");
    text(&answer)
}

/// A video that plays, with this title and a hostile description.
async fn film(site: &Site, owner: &Somebody, title: &str, visibility: Visibility, tier: u8) -> VideoId {
    let video = site.video(owner, visibility, tier).await;
    let edit = VideoEdit {
        title: Some(title.to_owned()),
        description: Some(format!("{HOSTILE}\nsegunda línea")),
        ..VideoEdit::default()
    };
    site.state.catalog.edit_video(video, edit, site.clock.now()).await.unwrap();
    video
}

/// Where the edge has the current version.
async fn at_edge(site: &Site, video: VideoId) -> String {
    let version = site.state.catalog.video(video).await.unwrap().unwrap().version().unwrap();
    format!("/v/{video}/{version}")
}

fn header(answer: &Answer, name: HeaderName) -> &str {
    answer.headers[name].to_str().unwrap()
}

fn text(answer: &Answer) -> String {
    String::from_utf8(answer.body.to_vec()).unwrap()
}

/// The JSON that a page's island begins with.
fn boot(page: &str) -> serde_json::Value {
    let (_, after) = page.split_once(r#"<script type="application/json" id="boot">"#).unwrap();
    serde_json::from_str(after.split_once("</script>").unwrap().0).unwrap()
}

#[tokio::test]
async fn the_front_page_shows_what_is_public_with_its_cost() {
    let site = Site::open().await;
    let empty = page(&site, "/", "").await;
    assert!(empty.contains("Todavía no hay videos publicados."), "{empty}");

    let ana = site.somebody("ana", Role::Creator, 0).await;
    let free = film(&site, &ana, "Gratis para todos", Visibility::Public, 0).await;
    film(&site, &ana, "Con plan", Visibility::Public, 2).await;
    film(&site, &ana, "Escondido", Visibility::Unlisted, 0).await;
    let html = page(&site, "/", "").await;
    assert!(html.contains(&format!(r#"href="/watch/{free}""#)) && html.contains("1:00"), "{html}");
    assert!(html.contains(&format!("{}/thumbnail.jpg", at_edge(&site, free).await)));
    assert!(html.contains("Plan 2") && !html.contains("Escondido"));
    assert!(html.contains("3 MB/min a 360p"), "{html}");
    assert!(page(&site, "/", "data=saver; lang=en").await.contains("0.5 MB/min at 144p"));
}

#[tokio::test]
async fn a_free_video_plays_without_scripts_and_without_an_account() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    let video = film(&site, &ana, "Cocuyos", Visibility::Public, 0).await;
    let response = get(&site, &format!("/watch/{video}"), "").await;
    let policy = header(&response, CONTENT_SECURITY_POLICY).to_owned();
    assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
    let html = text(&response);
    let source = format!(r#"<source src="{}/360p.mp4" type="video/mp4">"#, at_edge(&site, video).await);
    assert!(html.contains(&source), "{html}");
    assert!(html.contains("3 MB por minuto") && html.contains("0,5 MB por minuto"));
    // Nobody without a plan gets 720 lines, so nobody is told what they cost.
    assert!(!html.contains("720p"));
    assert!(html.contains(r#"<meta property="og:title" content="Cocuyos">"#));
    assert!(html.contains(r#""contentUrl":"http://cocuyo.example/v/"#), "{html}");
    assert!(html.contains(r#""uploadDate":"2023-11-14""#) && html.contains("14 de noviembre de 2023"));
}

#[tokio::test]
async fn a_film_in_the_making_is_played_by_scripts_and_said_to_be_prepared_without() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    let (video, version) = site.growing(&ana).await;
    let edit = VideoEdit { visibility: Some(Visibility::Public), ..VideoEdit::default() };
    site.state.catalog.edit_video(video, edit, site.clock.now()).await.unwrap();
    let html = page(&site, &format!("/watch/{video}"), "").await;
    assert!(!html.contains(".mp4") && !html.contains(".jpg"), "{html}");
    assert!(html.contains("sin JavaScript se podrá ver más tarde"), "{html}");
    let url = format!("/v/{video}/{version}/multivariant.m3u8");
    let boot = boot(&html);
    assert_eq!((&boot["is_ready"], &boot["mp4"]), (&false.into(), &serde_json::Value::Null));
    assert_eq!(boot["playback"]["url"], url);
    assert_eq!(boot["playback"]["token"], serde_json::Value::Null);
    let whole: Vec<_> =
        boot["qualities"].as_array().unwrap().iter().map(|quality| &quality["whole"]).collect();
    assert_eq!(whole, [false, false], "360p and 144p: without a plan there is no more");
    assert!(page(&site, "/", "").await.contains("A film in the making"));

    let cookie = sign_in(&site, "ana").await;
    let list = page(&site, "/my/videos", &cookie).await;
    assert!(list.contains("Se prepara el resto del video."), "{list}");
    assert!(!list.contains("puesto delante de otros") && list.contains(r#""keeps_queue":false"#), "{list}");
    site.state.catalog.set_priority(video, 1, site.clock.now()).await.unwrap();
    let list = page(&site, "/my/videos", &cookie).await;
    assert!(list.contains("puesto delante de otros"), "{list}");
    assert!(list.contains(&format!(r#"href="/watch/{video}""#)));
    site.whole_lane_a().await;
    let html = page(&site, &format!("/watch/{video}"), "").await;
    assert!(html.contains("/360p.mp4") && html.contains("/poster.jpg"), "{html}");
    assert!(html.contains("Sin JavaScript el video se ve a 360p"), "{html}");

    let cancelled = post(&site, &format!("/my/videos/{video}/cancel"), &cookie, "").await;
    assert_eq!(header(&cancelled, LOCATION), "/my/videos");
    let list = page(&site, "/my/videos", &cookie).await;
    assert!(list.contains("La preparación se canceló.") && list.contains("/retry"), "{list}");
}

#[tokio::test]
async fn sound_without_a_picture_names_no_picture() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    let video = site.upload(&ana, "Programa de radio").await;
    let (job, now) = (site.claim().await, site.clock.now());
    let sound = RenditionSummary {
        name: RenditionName::Audio { kbps: 64 },
        width: None,
        height: None,
        bandwidth_bps: 65_000,
        average_bandwidth_bps: 64_000,
        size_bytes: 100,
        formats: 1,
    };
    let new = NewVersion {
        version: VersionId::from_bits(7),
        duration_ms: 60_000,
        renditions: vec![sound],
        stretches: None,
    };
    site.state.catalog.publish(job.id, job.attempt, &new, now).await.unwrap();
    let edit = VideoEdit { visibility: Some(Visibility::Public), ..VideoEdit::default() };
    site.state.catalog.edit_video(video, edit, now).await.unwrap();
    for path in ["/".to_owned(), format!("/watch/{video}")] {
        let html = page(&site, &path, "").await;
        assert!(html.contains("Programa de radio") && !html.contains(".jpg"), "{html}");
    }
    let html = page(&site, &format!("/watch/{video}"), "").await;
    assert!(html.contains("Solo audio") && html.contains("0,5 MB por minuto"), "{html}");
}

#[tokio::test]
async fn a_plan_opens_a_video_and_its_absence_is_told_in_words() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    let video = film(&site, &ana, "Estreno", Visibility::Public, 2).await;
    let path = format!("/watch/{video}");

    let anonymous = page(&site, &path, "").await;
    assert!(anonymous.contains("Este video pide el Plan 2"), "{anonymous}");
    assert!(anonymous.contains(&format!(r#"href="/sign-in?return={path}""#)));
    assert!(!anonymous.contains("<video") && !anonymous.contains("boot"));

    for (name, tier, expected) in
        [("eva", 0, "Tu cuenta no tiene plan."), ("leo", 1, "Tu cuenta tiene el Plan 1.")]
    {
        site.somebody(name, Role::Viewer, tier).await;
        let html = page(&site, &path, &sign_in(&site, name).await).await;
        assert!(html.contains(expected) && !html.contains("<video"), "{html}");
    }

    site.somebody("sol", Role::Viewer, 2).await;
    let html = page(&site, &path, &sign_in(&site, "sol").await).await;
    assert!(html.contains(r#"<source src="/t/"#) && html.contains("/360p.mp4"), "{html}");
    assert!(html.contains("720p"));
    // Someone else's crawler must not be handed this reader's grant.
    assert!(!html.contains("contentUrl"));
}

#[tokio::test]
async fn a_hostile_title_is_text_everywhere() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    let video = film(&site, &ana, HOSTILE, Visibility::Public, 0).await;
    let cookie = sign_in(&site, "ana").await;
    for path in
        ["/".to_owned(), "/my/videos".into(), format!("/my/videos/{video}"), format!("/watch/{video}")]
    {
        let html = page(&site, &path, &cookie).await;
        assert!(!html.contains("<script>") && !html.contains("<!--"), "{path}: {html}");
        assert!(html.contains("alert(1)"), "{path}");
        for opened in html.split("<script").skip(1) {
            let kind = opened.split('>').next().unwrap();
            let is_ours =
                [" type=\"module\"", " type=\"application/"].iter().any(|ours| kind.starts_with(ours));
            assert!(is_ours, "{path}: <script{kind}>");
        }
    }
    assert_eq!(boot(&page(&site, &format!("/watch/{video}"), "").await)["title"], HOSTILE);
    assert_eq!(boot(&page(&site, "/my/videos", &cookie).await)["items"][0]["title"], HOSTILE);
}

#[tokio::test]
async fn what_is_not_shared_is_a_page_that_does_not_exist() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    site.somebody("eva", Role::Creator, 3).await;
    let draft = film(&site, &ana, "Borrador de Ana", Visibility::Draft, 0).await;
    let (hers, other) = (sign_in(&site, "ana").await, sign_in(&site, "eva").await);
    for path in [format!("/watch/{draft}"), format!("/my/videos/{draft}")] {
        assert_eq!(get(&site, &path, &hers).await.status, StatusCode::OK, "{path}");
        let refused = get(&site, &path, &other).await;
        assert_eq!(refused.status, StatusCode::NOT_FOUND, "{path}");
        assert!(text(&refused).contains("No encontramos esa página"));
    }
    assert!(page(&site, &format!("/watch/{draft}"), &hers).await.contains("Solo tú puedes ver este video"));
    for path in ["/watch/nothing", "/watch/%2e%2e", "/watch/a%00b", "/nowhere", "/my/videos/x"] {
        assert_eq!(get(&site, path, &hers).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let english = text(&get(&site, "/nowhere", "lang=en").await);
    assert!(english.contains("We could not find that page") && english.contains(r#"lang="en""#));
}

#[tokio::test]
async fn an_owner_edits_and_deletes_by_forms() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    let video = film(&site, &ana, "Antes", Visibility::Draft, 0).await;
    let cookie = sign_in(&site, "ana").await;
    let path = format!("/my/videos/{video}");
    let form = "title=Despu%C3%A9s&description=una%0D%0Ados&visibility=public&min_tier=1";
    let saved = post(&site, &path, &cookie, form).await;
    assert_eq!(
        (saved.status, header(&saved, LOCATION)),
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
        let refused = post(&site, &path, &cookie, bad).await;
        assert!(refused.status.is_client_error(), "{bad}");
        assert!(header(&refused, CONTENT_TYPE).starts_with("text/html"), "{bad}");
    }

    let chapters = "title=Tercero&description=&visibility=public&min_tier=0&chapters=";
    let saved =
        post(&site, &path, &cookie, &format!("{chapters}0%3A00+Intro%0D%0A0%3A30+M%C3%A1s%0D%0A")).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER);
    let shown = page(&site, &format!("/watch/{video}"), &cookie).await;
    assert!(shown.contains(r#"<span class="chapter-at">0:30</span><span>Más</span>"#), "{shown}");
    assert_eq!(boot(&shown)["chapters"][1], serde_json::json!({"start_ms": 30_000, "title": "Más"}));
    // What was typed stands in the form again, with what is wrong with it.
    let typed = format!("{chapters}0%3A00+Intro%0D%0Asin+tiempo").replace("Tercero", "Cuarto");
    let refused = post(&site, &path, &cookie, &typed).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let html = text(&refused);
    assert!(html.contains("Línea 2: no empieza con un tiempo"), "{html}");
    assert!(html.contains("0:00 Intro\r\nsin tiempo</textarea>") && html.contains("Cuarto"), "{html}");
    let row = site.state.catalog.video(video).await.unwrap().unwrap();
    assert_eq!((row.title.as_str(), row.chapters.len()), ("Tercero", 2), "nothing was saved");

    let deleted = post(&site, &format!("{path}/delete"), &cookie, "").await;
    assert_eq!(header(&deleted, LOCATION), "/my/videos?deleted");
    assert_eq!(get(&site, &path, &cookie).await.status, StatusCode::NOT_FOUND);
}

/// What stands at a field: what is wrong with it, and nothing else of the page.
fn fault_at<'a>(page: &'a str, field: &str) -> Option<&'a str> {
    assert!(page.matches(r#"class="fault""#).count() < 2, "one thing is told: {page}");
    let (_, after) = page.split_once(&format!(r#"id="{field}-fault" role="alert">"#))?;
    Some(after.split_once('<').unwrap().0)
}

#[tokio::test]
async fn what_is_wrong_with_a_form_stands_at_its_field() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    let video = film(&site, &ana, "Antes", Visibility::Draft, 0).await;
    let cookie = sign_in(&site, "ana").await;
    let path = format!("/my/videos/{video}");
    let rest = "visibility=public&min_tier=2";
    let long = "x".repeat(5001);
    for (typed, field, told) in [
        ("title=+&description=Hola&chapters=0:00+Intro", "title", "De 1 a 200 caracteres"),
        (&format!("title=Otro&description={long}&chapters=0:00+Intro"), "description", "Hasta 5000"),
        ("title=Otro&description=Hola&chapters=0:00.1234+Intro", "chapters", "milésimas como mucho"),
    ] {
        let refused = post(&site, &path, &cookie, &format!("{typed}&{rest}")).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{field}");
        let html = text(&refused);
        let marked = format!(r#"aria-invalid="true" aria-describedby="{field}-fault""#);
        assert_eq!(html.matches(&marked).count(), 1, "{html}");
        assert_eq!(html.matches("aria-invalid").count(), 1, "{html}");
        assert!(fault_at(&html, field).is_some_and(|sentence| sentence.contains(told)), "{html}");
        // The form is as it was filled, and the other one was not touched.
        assert!(
            html.contains("Intro</textarea>") && html.contains(r#"<option value="2" selected>"#),
            "{html}"
        );
        assert!(html.contains(r#"<details class="confirm plain">"#), "{html}");
    }
    let row = site.state.catalog.video(video).await.unwrap().unwrap();
    assert_eq!((row.title.as_str(), row.min_tier), ("Antes", Tier::NONE), "nothing was saved");
}

#[tokio::test]
async fn ends_are_trimmed_and_undone_by_forms_that_say_what_is_wrong() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    let video = site.film_of_segments(&ana).await;
    let cookie = sign_in(&site, "ana").await;
    let path = format!("/my/videos/{video}");
    let refused = async |form: &str, status: StatusCode, field: &str| {
        let answer = post(&site, &format!("{path}/trim"), &cookie, form).await;
        assert_eq!(answer.status, status, "{form}");
        let html = text(&answer);
        let told = fault_at(&html, field).unwrap_or_else(|| panic!("{field}: {html}")).to_owned();
        assert!(html.contains(r#"<details class="confirm plain" open>"#), "{html}");
        (told, html)
    };
    let (told, html) = refused("from=mucho&to=0:50", StatusCode::BAD_REQUEST, "from").await;
    assert!(told.contains("1:05.250"), "{told}");
    assert!(html.contains(r#"name="from" value="mucho""#) && html.contains(r#"name="to" value="0:50""#));
    refused("from=0:08&to=0:50.00001", StatusCode::BAD_REQUEST, "to").await;
    let (told, html) = refused("from=0:50&to=0:08", StatusCode::BAD_REQUEST, "ends").await;
    assert!(told.contains("dentro del video"), "{told}");
    assert_eq!(html.matches(r#"aria-describedby="ends-fault""#).count(), 2, "{html}");
    // Nothing typed is all of the film.
    refused("from=&to=", StatusCode::BAD_REQUEST, "ends").await;
    let undone = post(&site, &format!("{path}/trim/undo"), &cookie, "").await;
    assert_eq!(undone.status, StatusCode::CONFLICT);
    assert_eq!(fault_at(&text(&undone), "undo"), Some("No hay recorte que deshacer"));

    let begun = post(&site, &format!("{path}/trim"), &cookie, "from=0:09&to=").await;
    assert_eq!((begun.status, header(&begun, LOCATION)), (StatusCode::SEE_OTHER, path.as_str()));
    let shown = page(&site, &path, &cookie).await;
    assert!(shown.contains("Se está recortando: quedará de 0:08 a 1:00."), "{shown}");
    let (told, html) = refused("from=0:20&to=0:40", StatusCode::CONFLICT, "ends").await;
    assert_eq!(told, "Ya se está preparando otra versión del video");
    assert!(html.contains(r#"name="from" value="0:20""#), "{html}");
    site.state.catalog.cancel_video(video, site.clock.now()).await.unwrap();
    assert!(!page(&site, &path, &cookie).await.contains("recortando"));
}

#[tokio::test]
async fn a_failure_is_told_in_plain_words_with_another_try() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    let video = site.upload(&ana, "Apuntes").await;
    site.fail(FailureReason::NotMedia).await;
    let cookie = sign_in(&site, "ana").await;
    let html = page(&site, "/my/videos", &cookie).await;
    assert!(html.contains("El archivo no es un video ni un audio."), "{html}");
    assert!(page(&site, &format!("/watch/{video}"), &cookie).await.contains("no se pudo preparar"));
    post(&site, &format!("/my/videos/{video}/retry"), &cookie, "").await;
    assert!(page(&site, "/my/videos", &cookie).await.contains("En cola"));
}

#[tokio::test]
async fn wrong_passwords_and_pages_behind_the_door_lead_to_the_form() {
    let site = Site::open().await;
    site.somebody("ana", Role::Viewer, 0).await;
    let wrong =
        post(&site, "/sign-in", "lang=en", "username=ana%22%3E&password=nonsense&return=//evil.example")
            .await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    let html = text(&wrong);
    assert!(html.contains("The username or the password is wrong"), "{html}");
    assert!(!html.contains(r#"ana">"#) && !html.contains("evil"), "{html}");

    let sent = get(&site, "/my/videos?cursor=a", "").await;
    assert_eq!(header(&sent, LOCATION), "/sign-in?return=/my/videos%3Fcursor%3Da");
    let cookie = sign_in(&site, "ana").await;
    assert!(page(&site, "/upload", &cookie).await.contains("Pide permiso de creador"));
    let left = post(&site, "/sign-out", &cookie, "").await;
    assert_eq!(header(&left, LOCATION), "/");
    assert_eq!(get(&site, "/upload", &cookie).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn people_make_their_own_accounts_where_the_site_lets_them() {
    let site = Site::open().await;
    let made = post(&site, "/register", "", "username=nuevo&password=correct+horse").await;
    assert_eq!(header(&made, LOCATION), "/");
    let cookie = header(&made, SET_COOKIE).split(';').next().unwrap().to_owned();
    assert!(page(&site, "/", &cookie).await.contains("Sesión de nuevo"));
    let taken = post(&site, "/register", "", "username=nuevo&password=correct+horse").await;
    assert_eq!(taken.status, StatusCode::CONFLICT);
    assert!(text(&taken).contains("Ese nombre de usuario ya existe"));

    let closed = Site::open_with(Config { registration: false, ..Config::default() }).await;
    assert_eq!(get(&closed, "/register", "").await.status, StatusCode::FORBIDDEN);
    assert!(!page(&closed, "/sign-in", "").await.contains("/register"));
}

#[tokio::test]
async fn choices_are_kept_in_cookies_and_lead_back() {
    let site = Site::open().await;
    let chosen = post(&site, "/preferences", "", "lang=en&return=/watch/abc").await;
    assert_eq!(header(&chosen, LOCATION), "/watch/abc");
    assert!(header(&chosen, SET_COOKIE).starts_with("lang=en; Path=/; Max-Age="));
    let away = post(&site, "/preferences", "", "data=saver&return=https://evil.example").await;
    assert_eq!(header(&away, LOCATION), "/");
    assert_eq!(post(&site, "/preferences", "", "lang=fr").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_bundled_works_licences_are_one_link_away_and_what_is_no_asset_is_a_problem() {
    let site = Site::open().await;
    for (language, word) in [("es", "Licencias"), ("en", "Licenses")] {
        let html = page(&site, "/", &format!("lang={language}")).await;
        assert!(html.contains(&format!(r#"<a href="/assets/licenses.md">{word}</a>"#)), "{html}");
    }
    let licenses = get(&site, "/assets/licenses.md", "").await;
    assert_eq!(licenses.status, StatusCode::OK, "the user interface is built");
    assert_eq!(header(&licenses, CONTENT_TYPE), "text/plain; charset=utf-8");
    let absent = get(&site, "/assets/none.js", "").await;
    assert_eq!(absent.status, StatusCode::NOT_FOUND);
    assert_eq!(header(&absent, CONTENT_TYPE), "application/problem+json");
}
