use std::sync::Arc;
use std::time::Duration;

use model::{EventState, StreamKey};

use super::*;
use crate::testing::TenSeconds;

/// A form for an event; what is `more` comes before the rest.
fn form(more: &str) -> String {
    format!("{more}&description=Hola&visibility=public&min_tier=0&dvr_s=3600")
}

/// The key that a page shows, once.
fn key_on(page: &str) -> StreamKey {
    let keys: Vec<_> = page
        .split("<code data-copy>")
        .skip(1)
        .filter_map(|after| after.split_once("</code>")?.0.parse::<StreamKey>().ok())
        .collect();
    let [key] = keys.as_slice() else { panic!("{} keys in {page}", keys.len()) };
    key.clone()
}

async fn only_event(site: &Site, owner: &Somebody) -> (catalog::Video, catalog::Event) {
    let listing = site.state.catalog.events_of(owner.account, &catalog::Page::default()).await.unwrap();
    assert_eq!(listing.items.len(), 1);
    listing.items.into_iter().next().unwrap()
}

#[tokio::test]
async fn an_event_is_created_managed_and_ended_without_scripts() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    let cookie = sign_in(&site, "ana").await;
    assert!(page(&site, "/my/events", &cookie).await.contains("Todavía no tienes eventos."));

    // 18:05 on a clock five hours behind UTC.
    let order = form("title=Mi+%3Cb%3Edirecto&starts=2023-11-20T18%3A05&zone=300&record=1");
    let answer = post(&site, "/my/events", &cookie, &order).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(header(&answer, http::header::CACHE_CONTROL), "no-store");
    let created = text(&answer);
    let key = key_on(&created);
    let (video, event) = only_event(&site, &ana).await;
    assert_eq!((video.title.as_str(), event.policy.record), ("Mi <b>directo", true));
    assert_eq!(event.starts_at.unwrap().as_seconds(), 1_700_521_500);
    assert!(
        created.contains("rtmp://cocuyo.example/live")
            && created.contains("20 de noviembre de 2023, 23:05 UTC")
    );
    assert!(created.contains(&format!("rtmp://cocuyo.example/live/{}&#39;", key.expose())), "{created}");
    assert!(!created.contains("<b>directo"));

    let manage = format!("/my/events/{}", video.id);
    let again = page(&site, &manage, &cookie).await;
    assert!(!again.contains(&key.expose()) && again.contains("La clave solo se muestra al crearla"));
    assert!(again.contains("/live/CLAVE&#39;") && again.contains(r#"value="2023-11-20T23:05""#));
    assert!(page(&site, "/my/events", &cookie).await.contains("Próximamente"));

    let turn = site.publish(&key).await;
    let rotated = text(&post(&site, &format!("{manage}/key"), &cookie, "").await);
    let new = key_on(&rotated);
    assert!(new != key && !rotated.contains(&key.expose()));
    let (catalog, now) = (&site.state.catalog, site.clock.now());
    assert!(catalog.publishers_heard(&[(video.id, turn.generation)], now).await.unwrap().is_empty());

    // A box that is not ticked is not sent.
    let saved = post(&site, &manage, &cookie, &form("title=Otro&starts=&zone=300")).await;
    assert_eq!(header(&saved, LOCATION), format!("{manage}?saved"));
    let (video, event) = only_event(&site, &ana).await;
    assert_eq!((video.title.as_str(), event.starts_at, event.policy.record), ("Otro", None, false));
    let ended = post(&site, &format!("{manage}/end"), &cookie, "").await;
    assert_eq!(header(&ended, LOCATION), format!("{manage}?ended"));
    assert!(only_event(&site, &ana).await.1.state.is_ended());
    let over = page(&site, &manage, &cookie).await;
    assert!(over.contains("Terminado") && !over.contains("/key\"") && !over.contains("/end\""));
    let title = post(&site, &manage, &cookie, &form("title=Al+final&starts=&zone=")).await;
    assert_eq!(title.status, StatusCode::SEE_OTHER, "its words can still be changed");
}

#[tokio::test]
async fn forms_that_make_no_sense_and_strangers_get_nothing() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    site.somebody("eva", Role::Creator, 3).await;
    site.somebody("leo", Role::Viewer, 3).await;
    let (event, _) = site.event(&ana, Visibility::Public, 0).await;
    let (own, other, viewer) =
        (sign_in(&site, "ana").await, sign_in(&site, "eva").await, sign_in(&site, "leo").await);
    for more in [
        "title=t&starts=mañana&zone=0",
        "title=t&starts=2023-11-20T18%3A05&zone=x",
        "title=t&starts=1999-11-20T18%3A05",
        "title=&starts=",
        "starts=",
    ] {
        assert_eq!(
            post(&site, "/my/events", &own, &form(more)).await.status,
            StatusCode::BAD_REQUEST,
            "{more}"
        );
    }
    let order = form("title=t&starts=");
    assert_eq!(post(&site, "/my/events", &viewer, &order).await.status, StatusCode::FORBIDDEN);
    assert!(page(&site, "/my/events", &viewer).await.contains("no emitirlos"));
    let manage = format!("/my/events/{event}");
    assert_eq!(get(&site, &manage, &other).await.status, StatusCode::NOT_FOUND);
    for (path, form) in [
        (manage.clone(), order),
        (format!("{manage}/key"), String::new()),
        (format!("{manage}/end"), String::new()),
    ] {
        assert_eq!(post(&site, &path, &other, &form).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let signed_out = get(&site, &manage, "").await;
    assert!(header(&signed_out, LOCATION).starts_with("/sign-in?return=/my/events/"));
    let video = site.video(&ana, Visibility::Public, 0).await;
    assert_eq!(get(&site, &format!("/my/events/{video}"), &own).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn one_page_tells_what_an_event_is_at_before_during_and_after() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    let (event, key) = site.event(&ana, Visibility::Public, 0).await;
    let watch = format!("/watch/{event}");
    let shown = page(&site, &watch, "").await;
    assert!(shown.contains("Próximamente") && shown.contains("Empieza en 1 h 0 min"), "{shown}");
    assert!(
        shown.contains("14 de noviembre de 2023, 23:13 UTC")
            && shown.contains(r#"datetime="2023-11-14T23:13Z""#)
    );
    let state = boot(&shown);
    assert_eq!(
        (&state["event"]["state"], &state["playback"]),
        (&"scheduled".into(), &serde_json::Value::Null)
    );
    assert!(!shown.contains("<video"));

    let turn = site.publish(&key).await;
    let shown = page(&site, &watch, "").await;
    let url = format!("/live/{event}/{}/multivariant.m3u8", turn.version);
    assert!(shown.contains("EN VIVO") && shown.contains("0 viendo") && shown.contains("Se emite en directo"));
    assert!(
        shown.contains(&format!(r#"<source src="{url}" type="application/vnd.apple.mpegurl">"#)),
        "{shown}"
    );
    assert_eq!(boot(&shown)["playback"]["url"], url);
    let front = page(&site, "/", "").await;
    assert!(front.contains("En vivo y pronto") && front.matches(&watch).count() == 1, "{front}");

    site.state.catalog.publisher_left(event, turn.generation, site.clock.now()).await.unwrap();
    assert!(page(&site, &watch, "").await.contains("Sigue sola en cuanto vuelva la señal"));
    site.state.catalog.end_event(event, site.clock.now()).await.unwrap();
    assert!(page(&site, &watch, "").await.contains("La grabación estará aquí enseguida"));
    let renditions = vec![RenditionSummary {
        name: RenditionName::Video { height: 360 },
        width: Some(640),
        height: Some(360),
        bandwidth_bps: 600_000,
        average_bandwidth_bps: 500_000,
        size_bytes: 1000,
        formats: 1,
    }];
    let new = NewVersion { version: turn.version, duration_ms: 60_000, renditions, stretches: None };
    site.state.catalog.event_ended(event, Some(&new), site.clock.now()).await.unwrap();
    let shelf = page(&site, &watch, "").await;
    assert!(shelf.contains(&format!("/v/{event}/{}/360p.mp4", turn.version)) && !shelf.contains("EN VIVO"));
}

#[tokio::test]
async fn what_nobody_saw_and_what_nobody_may_see_is_told_as_it_is() {
    let site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    let (gone, _) = site.event(&ana, Visibility::Public, 0).await;
    site.state.catalog.end_event(gone, site.clock.now()).await.unwrap();
    let shown = page(&site, &format!("/watch/{gone}"), "").await;
    assert!(shown.contains("Esta emisión terminó y no quedó grabación"), "{shown}");
    let (paid, key) = site.event(&ana, Visibility::Public, 2).await;
    site.publish(&key).await;
    let shown = page(&site, &format!("/watch/{paid}"), "").await;
    assert!(shown.contains("Plan 2") && shown.contains("EN VIVO") && !shown.contains("/live/"), "{shown}");
    let (hidden, _) = site.event(&ana, Visibility::Draft, 0).await;
    assert_eq!(get(&site, &format!("/watch/{hidden}"), "").await.status, StatusCode::NOT_FOUND);
    let late = site.event(&ana, Visibility::Unlisted, 0).await.0;
    site.clock.advance(Duration::from_secs(4000));
    assert!(page(&site, &format!("/watch/{late}"), "").await.contains("Empieza en cuanto llegue la señal"));
    assert_eq!(site.state.catalog.event(late).await.unwrap().unwrap().1.state, EventState::Scheduled);
    let studio = page(&site, "/my/videos", &sign_in(&site, "ana").await).await;
    assert!(studio.contains("Evento") && studio.contains("Sin grabación"), "{studio}");
}

#[tokio::test]
async fn a_clip_is_made_by_a_form_that_says_what_is_wrong_and_where_the_clip_is() {
    let mut site = Site::open().await;
    let ana = site.somebody("ana", Role::Creator, 0).await;
    let (event, key) = site.event(&ana, Visibility::Unlisted, 1).await;
    let cookie = sign_in(&site, "ana").await;
    let manage = format!("/my/events/{event}");
    assert!(!page(&site, &manage, &cookie).await.contains("Hacer un clip"), "nobody here can make one");
    site.with_clips(Arc::new(TenSeconds));
    let hidden = r#"<section class="card" id="clips" aria-labelledby="clip" hidden>"#;
    assert!(page(&site, &manage, &cookie).await.contains(hidden), "it is not on air");
    site.publish(&key).await;
    let shown = page(&site, &manage, &cookie).await;
    assert!(shown.contains("Hacer un clip") && !shown.contains(hidden), "{shown}");
    assert!(shown.contains(r#"<option value="60" selected>Los últimos 60 segundos</option>"#), "{shown}");

    let clips = format!("{manage}/clips");
    for (typed, status, field, told) in [
        ("title=+&last=30&from=&to=", 400, "clip-title", "De 1 a 200 caracteres"),
        ("title=Gol&last=&from=&to=0:08", 400, "clip-from", "Escribe los tiempos"),
        ("title=Gol&last=&from=0:01&to=ocho", 400, "clip-to", "Escribe los tiempos"),
        ("title=Gol&last=&from=0:08&to=0:01", 400, "clip-to", "termina después de empezar"),
        ("title=Gol&last=30&from=&to=", 400, "clip", "Del evento hay de 0:00 a 0:10"),
        ("title=Gol&last=77&from=&to=", 409, "clip", "no está en el aire"),
        ("title=Gol&last=66&from=&to=", 503, "clip", ""),
    ] {
        let refused = post(&site, &clips, &cookie, typed).await;
        assert_eq!(refused.status.as_u16(), status, "{typed}");
        let html = text(&refused);
        assert!(fault_at(&html, field).is_some_and(|sentence| sentence.contains(told)), "{field}: {html}");
        assert_eq!(html.matches("aria-invalid").count(), 1, "{html}");
    }
    let typed = "title=Gol+de+todos&last=60&from=0:02&to=0:20";
    let html = text(&post(&site, &clips, &cookie, typed).await);
    assert!(html.contains(r#"value="Gol de todos""#) && html.contains(r#"name="to" value="0:20""#), "{html}");

    let made = post(&site, &clips, &cookie, "title=Gol+de+todos&last=60&from=0:02&to=0:06").await;
    assert_eq!(made.status, StatusCode::SEE_OTHER);
    let place = header(&made, LOCATION).to_owned();
    let (_, clip) = place.split_once(&format!("{manage}?clip=")).unwrap();
    let told = page(&site, &place, &cookie).await;
    assert!(
        told.contains(&format!(r#"El clip está hecho: <a href="/watch/{clip}">Gol de todos</a>"#)),
        "{told}"
    );
    let row = site.state.catalog.video(clip.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((row.visibility, row.min_tier), (Visibility::Unlisted, Tier::ALL[1]));

    // Somebody else's event, somebody else's clip.
    site.somebody("eva", Role::Creator, 0).await;
    let other = sign_in(&site, "eva").await;
    assert_eq!(post(&site, &clips, &other, typed).await.status, StatusCode::NOT_FOUND);
    let (hers, _) = site.event(&site.somebody("lia", Role::Creator, 0).await, Visibility::Public, 0).await;
    let lia = sign_in(&site, "lia").await;
    assert!(!page(&site, &format!("/my/events/{hers}?clip={clip}"), &lia).await.contains("Gol de todos"));
}
