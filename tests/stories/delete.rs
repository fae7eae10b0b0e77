//! A deleted video is gone: from the edge, from the lists, from the bucket.

use std::time::Duration;

use tests::{Clip, Engines, Stack, Upload, until};

async fn a_deleted_video_is_refused_and_its_objects_go(engines: Engines) {
    let stack = Stack::start_on(engines).await;
    let creator = stack.person("ana", "creator", 0).await;
    let keep = creator.upload("Se queda", Clip::Short.file()).await;
    let video = creator.upload("Se va", Clip::Short.file()).await;
    creator.until_ready(&keep).await;
    let ready = creator.until_ready(&video).await;
    creator.publish(&video, 1).await;
    let subscriber = stack.person("luis", "viewer", 1).await;
    let playback = subscriber.playback(&video).await.expect(200).json();
    let grant = playback["token"].as_str().expect("a token");
    let segment = format!("/v/{video}/{}/144p/0.m4s", ready["version"].as_str().expect("a version"));
    assert_eq!(subscriber.fetch(&segment, Some(grant)).await.status, 200);

    // Only its owner may do that; to others it is as if it were not there.
    assert_eq!(subscriber.delete(&format!("/api/v1/videos/{video}")).await.status, 403);
    creator.delete(&format!("/api/v1/videos/{video}")).await.expect(204);
    until("the edge to refuse the grant", Duration::from_secs(10), || async {
        let with = subscriber.fetch(&segment, Some(grant)).await.status;
        let without = subscriber.fetch(&segment, None).await.status;
        if (with.as_u16(), without.as_u16()) == (404, 401) { Ok(()) } else { Err((with, without)) }
    })
    .await;
    let listing = stack.listing().await;
    assert!(!listing.iter().any(|name| name.contains(&video)), "{listing:#?}");
    assert!(listing.iter().any(|name| name.contains(&keep)));
    assert_eq!(creator.get(&format!("/api/v1/videos/{video}")).await.status, 404);
    assert_eq!(stack.cocuyo(&["doctor"]).trim(), "everything is in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_video_is_refused_and_its_objects_go_on_a_folder_and_sqlite() {
    a_deleted_video_is_refused_and_its_objects_go(Engines::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_video_is_refused_and_its_objects_go_on_s3_and_postgresql() {
    a_deleted_video_is_refused_and_its_objects_go(Engines::Servers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_video_deleted_while_it_is_packaged_does_not_come_back() {
    let stack = Stack::start().await;
    let creator = stack.person("ana", "creator", 0).await;
    let video = creator.upload("A medias", Clip::Long.file()).await;
    until("the first chunk", Duration::from_secs(60), || async {
        let listing = stack.listing().await;
        if listing.iter().any(|name| name.ends_with(".cmaf")) { Ok(()) } else { Err(listing) }
    })
    .await;
    creator.delete(&format!("/api/v1/videos/{video}")).await.expect(204);
    // The worker finds out at its next heartbeat and stops its cell; the next video has its turn.
    let next = creator.upload("El siguiente", Clip::Short.file()).await;
    creator.until_ready(&next).await;
    assert_eq!(creator.get(&format!("/api/v1/videos/{video}")).await.status, 404);
    stack.cocuyo(&["sweep", "--in", "25h"]);
    let listing = stack.listing().await;
    assert!(!listing.iter().any(|name| name.contains(&video)), "{listing:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_upload_leaves_nothing() {
    let stack = Stack::start().await;
    let creator = stack.person("ana", "creator", 0).await;
    let upload = Upload::create(&creator, "No", 1000).await;
    upload.patch(&creator, 0, vec![7; 500]).await.expect(204);
    let request = creator.request(reqwest::Method::DELETE, &upload.location).header("tus-resumable", "1.0.0");
    creator.send(request).await.expect(204);
    let head = creator.request(reqwest::Method::HEAD, &upload.location).header("tus-resumable", "1.0.0");
    assert!([404, 410].contains(&creator.send(head).await.status.as_u16()));
    assert_eq!(creator.get("/api/v1/videos?mine=true").await.json()["items"], serde_json::json!([]));
    assert_eq!(stack.listing().await, Vec::<String>::new());
}
