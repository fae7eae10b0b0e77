//! Journeys in a real browser, told by the scripts in `tests/browser`.

use std::path::Path;

use serde_json::Value;
use tests::{Clip, Engines, Stack, project_file, run};

fn script(name: &str, arguments: &[&str]) -> Value {
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

async fn a_creator_publishes_and_plays(engines: Engines, film: &Path) {
    let stack = Stack::start_on(engines).await;
    stack.person("ana", "creator", 1).await;
    stack.person("nadie", "viewer", 0).await;
    let (base, film) = (stack.url(""), film.to_string_lossy().into_owned());
    let (creator, viewer) = ("ana:contraseña de ana", "nadie:contraseña de nadie");
    let told = tokio::task::spawn_blocking(move || {
        script("journey.js", &["--base", &base, "--creator", creator, "--viewer", viewer, "--file", &film])
    });
    let told = told.await.expect("the journey does not panic");
    assert!(told["played"]["past5"]["time"].as_f64().is_some_and(|seconds| seconds > 5.0), "{told:#}");
    assert_eq!(told["complaints"], serde_json::json!([]), "{told:#}");
    assert_eq!(told["strangers"], serde_json::json!([]), "no request leaves the site: {told:#}");
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
    let pictures = tempfile::tempdir().expect("a temporary folder");
    let (base, out) = (stack.url(""), pictures.path().to_string_lossy().into_owned());
    let told = tokio::task::spawn_blocking(move || {
        let creator = "ana:contraseña de ana";
        let plain = script("plain.js", &["--base", &base, "--creator", creator, "--video", &open]);
        let looks =
            ["--base", &base, "--creator", creator, "--video", &open, "--gated", &gated, "--out", &out];
        (plain, script("looks.js", &looks))
    });
    let (plain, looks) = told.await.expect("the scripts do not panic");
    assert!(plain["played"]["time"].as_f64().is_some_and(|seconds| seconds > 5.0), "{plain:#}");
    assert_eq!(looks["findings"], serde_json::json!([]), "{looks:#}");
}
