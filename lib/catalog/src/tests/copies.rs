use model::{Chapter, ErrorKind, VideoState};

use super::*;
use crate::{Page, Trim, UploadPart, VideoEdit, Webhook};

async fn claim_urgent(catalog: &Catalog) -> Job {
    loop {
        let job = claim(catalog, NOW).await.expect("the film has a beginning");
        if job.work != crate::Work::Plan {
            break job;
        }
        catalog.release_job(job.id, job.attempt, after(1)).await.unwrap();
    }
}

/// Everything that an outsider can ask, as text.
async fn everything(catalog: &Catalog) -> String {
    let page = Page { limit: 100, cursor: None };
    let mut text = format!("{:#?}\n", catalog.videos_of(OWNER, &page).await.unwrap());
    for n in 1..=5 {
        let (upload, parts) = (catalog.upload(upload_id(n)).await, catalog.upload_parts(upload_id(n)).await);
        text += &format!("{:#?} {:#?}\n", upload.unwrap(), parts.unwrap());
        text += &format!("{:#?}\n", catalog.known_video(video_id(n)).await.unwrap());
    }
    let growing = catalog.growing(film::id(5)).await.unwrap().expect("it was started");
    assert!(growing.is_playable());
    text += &format!("{growing:#?}\n");
    text += &format!("{:#?}\n", catalog.trim(version(7).version).await.unwrap().expect("it was started"));
    text += &format!("{:#?}\n", catalog.events_of(OWNER, &page).await.unwrap());
    text + &format!("{:#?}", catalog.revocations(NOW).await.unwrap())
}

#[tokio::test]
async fn a_catalog_moves_to_the_other_engine_and_back() {
    let (first, second) = (TestDatabase::sqlite().await, TestDatabase::postgres().await);
    let (source, target) = (open(&first).await, open(&second).await);
    publish(&source, 1).await;
    publish(&source, 2).await;
    let chapters = Some(vec![Chapter { start_ms: 5000, title: "Segunda parte".to_owned() }]);
    source.edit_video(video_id(1), VideoEdit { chapters, ..VideoEdit::default() }, NOW).await.unwrap();
    let trim = Trim { from: version(1).version, ms: 5..50_000 };
    source.start_trim(video_id(1), version(7).version, &trim, NOW).await.unwrap();
    source.delete_video(video_id(2), NOW).await.unwrap();
    queue(&source, 3).await;
    source.create_upload(new_upload(4), &NO_LIMITS, NOW).await.unwrap();
    queue(&source, 5).await;
    source.set_priority(video_id(5), 1, NOW).await.unwrap();
    film::plan_it(&source, 5, 60, NOW).await;
    film::carry_out(&source, &claim_urgent(&source).await, NOW).await;
    film::carry_out(&source, &claim_urgent(&source).await, NOW).await;
    let part = UploadPart { number: 1, size_bytes: 5, tag: "\"etag\"".to_owned() };
    source.start_upload_parts(upload_id(4), "token").await.unwrap();
    source.add_upload_part(upload_id(4), "token", part).await.unwrap();

    let webhook = Webhook { url: "https://hooks.example/".to_owned(), secret: "0123456789abcdef".to_owned() };
    source.set_webhook(OWNER, webhook.clone(), NOW).await.unwrap();
    let (event, turn) = events::on_air(&source, 6, NOW).await;

    source.copy_to(&target).await.unwrap();
    assert_eq!(everything(&target).await, everything(&source).await);
    let third = TestDatabase::sqlite().await;
    let back = open(&third).await;
    target.copy_to(&back).await.unwrap();
    assert_eq!(everything(&back).await, everything(&source).await);
    let twice = source.copy_to(&target).await.unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::Conflict);

    // Life goes on in the copies: the job is there, and numbers are not given twice.
    for copy in [&target, &back] {
        assert_eq!(claim(copy, after(1)).await.map(|job| job.video), Some(video_id(3)));
        copy.delete_video(video_id(1), NOW).await.unwrap();
        let numbers: Vec<_> = copy.revocations(NOW).await.unwrap().iter().map(|line| line.number).collect();
        assert_eq!(numbers, [1, 2]);
        assert_eq!(copy.claim_announcements(NOW, LEASE).await.unwrap()[0].webhook, webhook);
        assert!(!copy.publishers_heard(&[(event, turn)], NOW).await.unwrap().is_empty());
    }
    assert!(matches!(
        source.edit_video(video_id(1), VideoEdit::default(), NOW).await.unwrap().state,
        VideoState::Ready { .. }
    ));
}
