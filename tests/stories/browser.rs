//! Journeys in a real browser, told by the scripts in `tests/browser`.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tests::{Cells, Clip, Engines, Kind, Stack, Started, project_file, run, until};

pub(crate) fn script(name: &str, arguments: &[&str]) -> Value {
    let script = project_file(&format!("tests/browser/{name}"));
    let script = script.to_string_lossy();
    let mut all = vec![&*script];
    all.extend(arguments);
    let told = run("node", &all).ok();
    serde_json::from_str(&told).unwrap_or_else(|e| panic!("{name} printed no JSON ({e}): {told}"))
}

/// A real film, with another codec's sound, as people upload them.
fn trailer() -> std::path::PathBuf {
    let file = project_file(".tools/trailer_bbb.mp4");
    assert!(file.exists(), "`scripts/install-trailer` puts the trailer there; `make test` calls it");
    file
}

/// Larger than any film of these stories.
const LIMIT_BYTES: u32 = 40_000_000;

async fn a_creator_publishes_and_plays(engines: Engines, film: &Path) {
    let limit = LIMIT_BYTES.to_string();
    let stack = Stack::start_with(engines, &format!("[uploads]\nmax_size_bytes = {limit}\n")).await;
    stack.person("ana", "creator", 1).await;
    stack.person("nadie", "viewer", 0).await;
    let (base, film) = (stack.url(""), film.to_string_lossy().into_owned());
    let told = tokio::task::spawn_blocking(move || {
        let (creator, viewer) = ("ana:contraseña de ana", "nadie:contraseña de nadie");
        let people = ["--base", &base, "--creator", creator, "--viewer", viewer];
        script("journey.js", &[&people[..], &["--file", &film, "--limit", &limit]].concat())
    });
    let told = told.await.expect("the journey does not panic");
    assert_eq!(told["tooLarge"], "El archivo es mayor de lo que permite tu cuenta.");
    let reason = "El archivo no es un video ni un audio. Comprueba que elegiste el correcto.";
    assert_eq!(told["notFilm"], reason);
    assert_uploaded(&told["uploaded"]);
    assert!(rises(&told["packaged"]["progress"]), "{:#}", told["packaged"]);
    assert_eq!(told["packaged"]["title"], "Una prueba con \"comillas\" & <b>signos</b>");
    assert_played(&told["played"]);
    assert_refused(&told["refused"]);
    assert_quiet(&told);

    // What is stored is two originals and the one video that was made.
    let listing = stack.listing().await;
    let originals = listing.iter().filter(|name| name.ends_with("/original")).count();
    let video = told["video"].as_str().expect("the video's id");
    let elsewhere = listing.iter().filter(|name| !name.contains(video) && !name.ends_with("/original"));
    assert_eq!((originals, elsewhere.count()), (2, 0), "{listing:#?}");
    assert_eq!(stack.shape().await.lines().filter(|line| line.ends_with("/index.json")).count(), 1);
    assert_eq!(stack.cocuyo(&["doctor"]).trim(), "everything is in order");
}

/// Numbers that never go back, and more than one of them.
fn rises(sights: &Value) -> bool {
    let sights: Vec<_> = sights.as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    sights.len() > 1 && sights.is_sorted()
}

fn assert_uploaded(uploaded: &Value) {
    assert!(rises(&uploaded["sent"]), "{uploaded:#}");
    let paused = &uploaded["paused"];
    assert_eq!(paused["sending"], 0, "{uploaded:#}");
    assert_eq!(paused["elsewhere"], "uploading", "{uploaded:#}");
    assert!(paused["standing"].as_u64().is_some_and(|bytes| bytes > 0), "{uploaded:#}");
    assert_eq!(paused["still"], paused["standing"], "{uploaded:#}");
    assert_eq!(paused["shown"], paused["standing"], "the page says what the server has: {uploaded:#}");
}

fn assert_played(played: &Value) {
    let is_engine =
        |script: &Value| ["engine", "hls", "controls"].iter().any(|part| script.to_string().contains(part));
    let scripts = |key: &str| played[key].as_array().expect("a list of scripts").clone();
    assert!(!scripts("scriptsBeforePlay").is_empty(), "{played:#}");
    assert!(!scripts("scriptsBeforePlay").iter().any(is_engine), "nothing plays yet: {played:#}");
    assert!(scripts("scripts").iter().any(is_engine), "{played:#}");
    let costs = played["costs"].as_array().expect("a list of costs");
    assert!(!costs.is_empty() && costs.iter().all(|cost| cost.to_string().contains("MB/min")), "{played:#}");
    let past5 = &played["past5"];
    assert!(past5["time"].as_f64().is_some_and(|seconds| seconds > 5.0), "{played:#}");
    assert!(past5["picture"].as_u64().is_some_and(|bytes| bytes > 0), "{played:#}");
    let switched = &played["switched"];
    assert_eq!((&switched["144p"], &switched["720p"]), (&Value::from(144), &Value::from(720)), "{played:#}");
    assert!(switched["saver"].as_u64().is_some_and(|height| (1..=240).contains(&height)), "{played:#}");
    assert!(played["missed"].as_u64() > Some(0) && played["stood"]["height"] == 720, "{played:#}");
    let alone = &played["soundAlone"];
    assert!(alone["height"] == 0 && alone["sound"].as_u64().is_some_and(|bytes| bytes > 0), "{played:#}");
    assert_eq!(played["pausedByKey"], true, "{played:#}");
}

fn assert_refused(refused: &Value) {
    for (who, status, links) in [("viewer", 403, 0), ("anonymous", 401, 1)] {
        let told = &refused[who];
        assert_eq!(told["playback"], status, "{who}: {told:#}");
        assert_eq!(told["players"], 0, "{who}: {told:#}");
        assert_eq!(told["signInLink"], links, "{who}: {told:#}");
        assert!(told["text"].as_str().is_some_and(|text| text.contains("Plan 1")), "{who}: {told:#}");
    }
}

/// No page complained, and no request left the site.
fn assert_quiet(told: &Value) {
    assert_eq!((&told["complaints"], &told["strangers"]), (&json!([]), &json!([])), "{told:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creator_publishes_and_plays_on_a_folder_and_sqlite() {
    a_creator_publishes_and_plays(Engines::Embedded, &trailer()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creator_publishes_and_plays_on_s3_and_postgresql() {
    a_creator_publishes_and_plays(Engines::Servers, Clip::Long.file()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_site_works_without_scripts_and_looks_well_with_them() {
    let stack = Stack::start().await;
    let creator = stack.person("ana", "creator", 1).await;
    let open = creator.upload("Para todos", Clip::Long.file()).await;
    let gated = creator.upload("Para el nivel 2", Clip::Short.file()).await;
    creator.until_ready(&open).await;
    creator.until_ready(&gated).await;
    creator.publish(&open, 0).await;
    creator.publish(&gated, 2).await;
    let event = creator.post("/api/v1/events", json!({"title": "Pronto", "visibility": "unlisted"})).await;
    let event = event.expect(201).json()["id"].as_str().expect("an id").to_owned();
    let pictures = tempfile::tempdir().expect("a temporary folder");
    let (base, out) = (stack.url(""), pictures.path().to_string_lossy().into_owned());
    let told = tokio::task::spawn_blocking(move || {
        let creator = "ana:contraseña de ana";
        let plain = script("plain.js", &["--base", &base, "--creator", creator, "--video", &open]);
        let looks = [
            "--base",
            &base,
            "--creator",
            creator,
            "--video",
            &open,
            "--gated",
            &gated,
            "--event",
            &event,
            "--out",
            &out,
        ];
        (plain, script("looks.js", &looks))
    });
    let (plain, looks) = told.await.expect("the scripts do not panic");
    assert_eq!(plain["wrongPassword"], "El usuario o la contraseña no son correctos.", "{plain:#}");
    assert!(plain["played"]["time"].as_f64().is_some_and(|seconds| seconds > 5.0), "{plain:#}");
    assert_eq!((&plain["listed"], &plain["language"]), (&json!(3), &json!("en")), "{plain:#}");
    assert_eq!(plain["description"], "Escrita sin JavaScript.\nSegunda línea.", "{plain:#}");
    assert_eq!(plain["afterSignOut"], "/sign-in", "{plain:#}");
    assert_quiet(&plain);
    assert_eq!(looks["findings"], json!([]), "{looks:#}");
    assert!(looks["followed"].as_u64().is_some_and(|links| links > 20), "{looks:#}");
    assert_quiet(&looks);
}

/// A film plays from its first second while it is made, also where it is not made yet, and takes
/// up what gets better.
#[tokio::test(flavor = "multi_thread")]
async fn a_film_is_watched_while_it_is_made() {
    let cells = Cells::new();
    // Whatever nobody waits for is not there.
    let held = [Kind::Rest, Kind::Upper].map(|kind| cells.hold(kind));
    let stack = Stack::start_with(Engines::Embedded, &cells.configuration("slots = 2")).await;
    let creator = stack.person("ana", "creator", 1).await;
    let film = Clip::Numbered { seconds: 100, width: 854 };
    let video = creator.upload("Mientras se hace", film.file()).await;
    creator.until_plays(&video).await;
    let base = stack.url("");
    let told = tokio::task::spawn_blocking(move || {
        script("playing.js", &["--base", &base, "--creator", "ana:contraseña de ana", "--video", &video])
    });
    // Four fifths of 25 segments on.
    let is_sought = |cell: &Started| cell.kind == Kind::Wanted && cell.segments == Some(20..22);
    cells.until_started("the part that is sought", is_sought).await;
    drop(held);
    let told = told.await.expect("the script does not panic");
    assert_eq!(told["before"]["plays"], true, "{told:#}");
    assert_eq!(told["whileMade"]["state"], "packaging", "it was ready before it was seen: {told:#}");
    assert!((told["past5"]["duration"].as_f64().unwrap_or_default() - 100.0).abs() < 0.1, "{told:#}");
    assert_eq!(told["better"]["height"], 480, "{told:#}");
    for kind in ["twice", "again"] {
        assert!(told[kind].as_array().is_some_and(|segments| segments.len() <= 1), "{kind}: {told:#}");
    }
    assert_quiet(&told);
}

/// What a viewer saw of a film of so many milliseconds, with these chapters.
fn assert_watched(seen: &Value, duration: f64, chapters: &[&str]) {
    let titles: Vec<&str> = chapters.iter().filter_map(|chapter| Some(chapter.split_once('\n')?.1)).collect();
    assert_eq!(seen["texts"], json!(chapters), "{seen:#}");
    assert_eq!(seen["bar"], json!(titles), "the seek bar: {seen:#}");
    assert_eq!(seen["segments"], chapters.len(), "the seek bar: {seen:#}");
    assert!((seen["duration"].as_f64().unwrap_or_default() - duration).abs() < 0.2, "{seen:#}");
    assert!(
        seen["current"].as_str().is_some_and(|text| text.ends_with(titles[titles.len() - 1])),
        "{seen:#}"
    );
    assert_eq!(seen["overflow"], 0, "{seen:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn chapters_are_typed_and_pressed_and_ends_trimmed_and_undone_by_hand() {
    let stack = Stack::start().await;
    let creator = stack.person("ana", "creator", 1).await;
    let film = Clip::Numbered { seconds: 24, width: 256 };
    for (width, height) in [("360", "640"), ("1280", "800")] {
        let video = creator.upload("Con capítulos", film.file()).await;
        creator.until_ready(&video).await;
        let pictures = tempfile::tempdir().expect("a temporary folder");
        let (base, out) = (stack.url(""), pictures.path().to_string_lossy().into_owned());
        let told = tokio::task::spawn_blocking(move || {
            let place = ["--base", &base, "--creator", "ana:contraseña de ana", "--video", &video];
            script("shelf.js", &[&place[..], &["--width", width, "--height", height, "--out", &out]].concat())
        });
        let told = told.await.expect("the script does not panic");
        let wrong = &told["wrong"];
        assert!(wrong["fault"].as_str().is_some_and(|text| text.starts_with("Línea 2:")), "{told:#}");
        assert_eq!(
            (&wrong["isInSight"], &wrong["chapters"]),
            (&json!(true), &json!("0:00 Intro\nsin tiempo"))
        );
        assert_eq!(told["typed"]["status"], json!(["Cambios guardados."]), "{told:#}");
        let listed = json!({
            "fault": "Línea 2: no empieza con un tiempo como 1:05, 1:02:03 o 1:05.250 (milésimas como mucho).",
            "isItsFields": true, "isInvalid": "true", "chapters": "0:00 Intro\n0:99 La mitad"
        });
        assert_eq!(told["inList"], listed, "{told:#}");
        let all = ["0:00\nIntro", "0:08\nLa mitad", "0:16\nFinal"];
        assert_watched(&told["shown"], 24.0, &all);
        assert!(told["shown"]["at"].as_f64().is_some_and(|at| (16.4..20.0).contains(&at)), "{told:#}");

        let refused = &told["refused"];
        assert!(refused["fault"].as_str().is_some_and(|text| text.contains("dentro del video")), "{told:#}");
        assert_eq!(
            (&refused["isInSight"], &refused["from"], &refused["to"]),
            (&json!(true), &json!("0:20"), &json!("0:05"))
        );
        let sentence = told["trimmed"]["sentence"].as_str().unwrap_or_default();
        assert!(sentence.starts_with("Recortado: quedó de 0:08 a 0:16."), "{told:#}");
        // The second chapter is the first thing that is left.
        assert_watched(&told["after"], 8.0, &["0:00\nLa mitad"]);
        assert_watched(&told["before"], 24.0, &all);
        for page in ["wrong", "typed", "refused", "trimmed", "undone"] {
            assert_eq!(told[page]["overflow"], 0, "{page}: {told:#}");
            assert_eq!(told[page]["violations"], json!([]), "{page}: {told:#}");
        }
        assert_quiet(&told);
    }
}

/// A film plays on, also where nothing of it was loaded, while the origin is away.
#[tokio::test(flavor = "multi_thread")]
async fn a_film_is_watched_from_an_edge_of_its_own_while_the_origin_is_away() {
    let mut stack = Stack::start().await;
    let edge = stack.add_edge("habana").await;
    let creator = stack.person("ana", "creator", 1).await;
    let film = Clip::Numbered { seconds: 100, width: 256 };
    let video = creator.upload("Sin origen", film.file()).await;
    creator.until_ready(&video).await;
    creator.publish(&video, 1).await;
    let out = tempfile::tempdir().expect("a temporary folder");
    let (base, door) = (stack.url(""), edge.url(""));
    let folder = out.path().to_string_lossy().into_owned();
    let told = tokio::task::spawn_blocking(move || {
        let place = ["--base", &base, "--edge", &door, "--out", &folder];
        script("away.js", &[&place[..], &["--viewer", "ana:contraseña de ana", "--video", &video]].concat())
    });
    until_said(out.path(), "playing").await;
    stack.kill_server();
    std::fs::write(out.path().join("away"), "").expect("tell the script");
    until_said(out.path(), "played").await;
    stack.start_server().await;
    std::fs::write(out.path().join("back"), "").expect("tell the script");
    let told = told.await.expect("the script does not panic");
    assert!(told["meanwhile"].as_u64().is_some_and(|media| media > 0), "{told:#}");
    assert_eq!((&told["statuses"], &told["complaints"]), (&json!([200]), &json!([])), "{told:#}");
}

async fn until_said(folder: &Path, name: &str) {
    until("the script to get there", Duration::from_secs(120), || {
        let said = folder.join(name).exists();
        std::future::ready(if said { Ok(()) } else { Err(name.to_owned()) })
    })
    .await;
}
