//! `kill -9`, and what is still there afterwards.

use std::collections::BTreeSet;
use std::time::Duration;

use expect_test::expect;
use sha2::{Digest, Sha256};
use tests::{Clip, Engines, Stack, Upload, named_by, until};

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn an_upload_survives_a_crash(engines: Engines) {
    let mut stack = Stack::start_on(engines).await;
    let creator = stack.person("ana", "creator", 0).await;
    let bytes = Clip::Long.bytes();
    let upload = Upload::create(&creator, "Interrumpido", bytes.len() as u64).await;

    // One acknowledged piece, then a crash in the middle of the next one.
    let third = bytes.len() / 3;
    upload.patch(&creator, 0, bytes[..third].to_vec()).await.expect(204);
    let (sender, body) = tokio::sync::mpsc::channel::<Result<bytes::Bytes, std::io::Error>>(1);
    let stream =
        futures::stream::unfold(body, |mut body| async { body.recv().await.map(|piece| (piece, body)) });
    let request = creator
        .request(reqwest::Method::PATCH, &upload.location)
        .header("tus-resumable", "1.0.0")
        .header("upload-offset", third)
        .header("content-type", "application/offset+octet-stream")
        .body(reqwest::Body::wrap_stream(stream));
    let sending = tokio::spawn(request.send());
    for piece in bytes[third..2 * third].chunks(64 * 1024) {
        sender.send(Ok(bytes::Bytes::copy_from_slice(piece))).await.expect("the request is being sent");
    }
    stack.kill_server();
    drop(sender);
    let _cut = sending.await.expect("the client does not panic");

    stack.start_server().await;
    // Never less than was acknowledged, never more than was sent.
    let offset = upload.offset(&creator).await as usize;
    assert!((third..=2 * third).contains(&offset), "{offset} of {third}..={}", 2 * third);
    upload.patch(&creator, offset as u64, bytes[offset..].to_vec()).await.expect(204);

    let key = model::ObjectKey::Original { video: upload.video.parse().expect("a video's id") };
    let stored = stack.bucket().get(&key).await.expect("the original is there");
    assert_eq!(sha256(&stored), sha256(&bytes));
    creator.until_ready(&upload.video).await;
    // One video of three chunks (8, 16 and 16 s) in each rendition, and nothing that the crash left behind.
    expect![[r#"
        3 VIDEO/VERSION/144p/*-HASH.cmaf
        1 VIDEO/VERSION/144p/init.mp4
        3 VIDEO/VERSION/240p/*-HASH.cmaf
        1 VIDEO/VERSION/240p/init.mp4
        3 VIDEO/VERSION/360p/*-HASH.cmaf
        1 VIDEO/VERSION/360p/init.mp4
        3 VIDEO/VERSION/480p/*-HASH.cmaf
        1 VIDEO/VERSION/480p/init.mp4
        3 VIDEO/VERSION/720p/*-HASH.cmaf
        1 VIDEO/VERSION/720p/init.mp4
        3 VIDEO/VERSION/a128/*-HASH.cmaf
        1 VIDEO/VERSION/a128/init.mp4
        3 VIDEO/VERSION/a32/*-HASH.cmaf
        1 VIDEO/VERSION/a32/init.mp4
        3 VIDEO/VERSION/a64/*-HASH.cmaf
        1 VIDEO/VERSION/a64/init.mp4
        1 VIDEO/VERSION/index.json
        1 VIDEO/VERSION/poster.jpg
        1 VIDEO/VERSION/thumbnail.jpg
        1 VIDEO/original
    "#]]
    .assert_eq(&stack.outline().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_survives_a_crash_on_a_folder_and_sqlite() {
    an_upload_survives_a_crash(Engines::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_survives_a_crash_on_s3_and_postgresql() {
    an_upload_survives_a_crash(Engines::Servers).await;
}

async fn a_crash_while_packaging_leaves_one_finished_video(engines: Engines) {
    // A short lease, so that the next process takes the job over soon.
    let mut stack = Stack::start_with(engines, "[packager]\nlease_s = 3\n").await;
    let creator = stack.person("ana", "creator", 0).await;
    let video = creator.upload("Una sola vez", Clip::Long.file()).await;
    until("chunks of the first attempt", Duration::from_secs(60), || async {
        let listing = stack.listing().await;
        if listing.iter().any(|name| name.ends_with(".cmaf")) { Ok(()) } else { Err(listing) }
    })
    .await;
    stack.kill_server();

    stack.start_server().await;
    let ready = creator.until_ready(&video).await;
    // What the dead worker had not told of is rubbish that nothing names, and swept a day on.
    let swept = stack.cocuyo(&["sweep", "--in", "25h"]);
    let version = ready["version"].as_str().and_then(|id| id.parse().ok()).expect("a version");
    let key = model::ObjectKey::Index { video: video.parse().expect("an id"), version };
    let index = stack.bucket().get(&key).await.expect("the index is there");
    let index = serde_json::from_slice(&index).expect("it is JSON");
    let listing: BTreeSet<String> = stack.listing().await.into_iter().collect();
    assert_eq!(listing, named_by(&index), "after {swept}");
    assert_eq!(stack.cocuyo(&["doctor"]).trim(), "everything is in order");

    // What was published survives the sweep.
    let playback = creator.playback(&video).await.expect(200).json();
    let foreign = stack.foreign_url(&playback);
    assert_eq!(tests::decode(&foreign).complaints, "");
    let mine = creator.get("/api/v1/videos?mine=true").await.expect(200).json();
    assert_eq!(mine["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_while_packaging_leaves_one_finished_video_on_a_folder_and_sqlite() {
    a_crash_while_packaging_leaves_one_finished_video(Engines::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_while_packaging_leaves_one_finished_video_on_s3_and_postgresql() {
    a_crash_while_packaging_leaves_one_finished_video(Engines::Servers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_gives_the_lease_back_and_the_next_process_finishes() {
    let mut stack = Stack::start().await;
    let creator = stack.person("ana", "creator", 0).await;
    let video = creator.upload("Con calma", Clip::Long.file()).await;
    until("the job to be taken", Duration::from_secs(30), || async {
        let state = creator.video(&video).await;
        if state["state"] == "packaging" { Ok(()) } else { Err(state) }
    })
    .await;
    assert_eq!(stack.stop_server().await, Some(0));
    stack.start_server().await;
    creator.until_ready(&video).await;
}
