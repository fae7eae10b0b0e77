//! `cocuyo sweep`, `cocuyo doctor`, `cocuyo db copy`.

use model::ObjectKey;
use tests::{Clip, Engines, Stack};

async fn the_doctor_finds_what_is_missing_and_the_sweep_takes_what_nothing_names(engines: Engines) {
    let stack = Stack::start_on(engines).await;
    let creator = stack.person("ana", "creator", 0).await;
    let video = creator.upload("Ordenado", Clip::Short.file()).await;
    creator.until_ready(&video).await;
    let before = stack.listing().await;
    stack.cocuyo(&["sweep", "--in", "25h"]);
    assert_eq!(stack.listing().await, before, "a sweep takes nothing that is named");

    // Rubbish younger than a day may belong to somebody at work.
    let stray = ObjectKey::Original { video: model::VideoId::from_bits(1) };
    stack.bucket().put(&stray, bytes::Bytes::from_static(b"stray")).await.expect("put");
    stack.cocuyo(&["sweep"]);
    assert_eq!(stack.listing().await.len(), before.len() + 1);
    stack.cocuyo(&["sweep", "--in", "25h"]);
    assert_eq!(stack.listing().await, before);

    let chunk = before.iter().find(|name| name.contains("/240p/00000")).expect("a chunk");
    stack.bucket().delete(&chunk.parse().expect("a key")).await.expect("delete");
    let config = stack.config_file().to_string_lossy().into_owned();
    let data = stack.data().to_string_lossy().into_owned();
    let finished = tests::run(tests::program("cocuyo"), &["doctor", "--config", &config, "--data", &data]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stdout.contains(chunk.as_str()), "{finished:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_finds_what_is_missing_and_the_sweep_takes_what_nothing_names_on_a_folder_and_sqlite() {
    the_doctor_finds_what_is_missing_and_the_sweep_takes_what_nothing_names(Engines::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_finds_what_is_missing_and_the_sweep_takes_what_nothing_names_on_s3_and_postgresql() {
    the_doctor_finds_what_is_missing_and_the_sweep_takes_what_nothing_names(Engines::Servers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_moves_from_sqlite_to_postgresql() {
    let mut stack = Stack::start().await;
    let creator = stack.person("ana", "creator", 2).await;
    let video = creator.upload("Mudanza", Clip::Short.file()).await;
    let ready = creator.until_ready(&video).await;
    creator.publish(&video, 1).await;
    stack.stop_server().await;

    let target = database::testing::TestDatabase::postgres().await;
    let from = database::sqlite_url(&stack.data().join("cocuyo.db"));
    tests::run(tests::program("cocuyo"), &["db", "copy", "--from", &from, "--to", target.url()]).ok();
    // A second copy would double everything.
    let again = tests::run(tests::program("cocuyo"), &["db", "copy", "--from", &from, "--to", target.url()]);
    assert_ne!(again.code, Some(0));

    stack.use_database(target.url());
    stack.start_server().await;
    // The session, the video, the grant's keys: everything came along.
    let playback = creator.playback(&video).await.expect(200).json();
    let segment = format!("/v/{video}/{}/144p/0.m4s", ready["version"].as_str().expect("a version"));
    assert_eq!(creator.fetch(&segment, playback["token"].as_str()).await.status, 200);
    let next = creator.upload("Ya en casa", Clip::Short.file()).await;
    creator.until_ready(&next).await;
}
