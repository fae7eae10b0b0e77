use database::on_both_engines;
use futures::future::join_all;
use model::{ErrorKind, VideoState, Visibility};

use super::*;
use crate::{CatalogError, UploadPart};

async fn kinds<T>(results: impl IntoIterator<Item = Result<T, CatalogError>>) -> Vec<Option<ErrorKind>> {
    results.into_iter().map(|result| result.err().map(|error| error.kind())).collect()
}

on_both_engines! {
    async fn an_upload_becomes_a_queued_draft_with_one_job(test: &TestDatabase) {
        let catalog = open(test).await;
        catalog.create_upload(new_upload(1), &NO_LIMITS, NOW).await.unwrap();
        let video = catalog.video(video_id(1)).await.unwrap().unwrap();
        assert_eq!((video.state, video.visibility), (VideoState::Uploading, Visibility::Draft));
        assert_eq!((video.title.as_str(), video.size_bytes), ("Video 1", SIZE));
        let early = catalog.complete_upload(upload_id(1), NOW).await.unwrap_err();
        assert_eq!(early.kind(), ErrorKind::Conflict, "bytes are missing");
        assert_eq!(claim(&catalog, NOW).await, None);

        catalog.advance_upload(upload_id(1), 0, SIZE, after(7200)).await.unwrap();
        catalog.complete_upload(upload_id(1), after(1)).await.unwrap();
        catalog.complete_upload(upload_id(1), after(2)).await.expect("asked again, nothing changes");
        let upload = catalog.upload(upload_id(1)).await.unwrap().unwrap();
        assert!(upload.finished && upload.offset_bytes == SIZE && upload.expires_at == after(7200));
        let video = catalog.video(video_id(1)).await.unwrap().unwrap();
        assert_eq!(video.state, VideoState::Queued { since: after(1) });
        assert_eq!(claim(&catalog, after(1)).await.map(|job| (job.video, job.attempt)), Some((video_id(1), 1)));
        assert_eq!(claim(&catalog, after(1)).await, None, "there is one job");
    }

    async fn an_offset_moves_only_from_where_it_stands(test: &TestDatabase) {
        let catalog = open(test).await;
        catalog.create_upload(new_upload(1), &NO_LIMITS, NOW).await.unwrap();
        catalog.advance_upload(upload_id(1), 0, 400, after(1)).await.unwrap();
        for (from, to) in [(0, 400), (0, 500), (399, 500), (400, 400), (400, 300), (400, SIZE + 1), (400, u64::MAX)] {
            let error = catalog.advance_upload(upload_id(1), from, to, after(1)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Conflict, "{from} to {to}");
        }
        assert_eq!(catalog.upload(upload_id(1)).await.unwrap().unwrap().offset_bytes, 400);
        let absent = catalog.advance_upload(upload_id(2), 0, 1, after(1)).await.unwrap_err();
        assert_eq!(absent.kind(), ErrorKind::NotFound);
        let racing = [500, 600].map(|to| catalog.advance_upload(upload_id(1), 400, to, after(1)));
        let won = join_all(racing).await.iter().filter(|result| result.is_ok()).count();
        assert_eq!(won, 1, "one of two that start from the same offset");
    }

    async fn fifty_creations_at_once_stay_within_the_reservation(test: &TestDatabase) {
        // Two handles, as two processes would have.
        let catalogs = [open(test).await, open(test).await];
        let by_bytes = UploadLimits { max_total_bytes: SIZE * 5 / 2, ..NO_LIMITS };
        let by_number = UploadLimits { max_open: 3, ..NO_LIMITS };
        for (owner, limits, allowed) in [(10, by_bytes, 2), (11, by_number, 3)] {
            let create = |n: u128| {
                let upload = new_upload(owner * 100 + n);
                let upload = NewUpload { owner: AccountId::from_bits(owner), ..upload };
                let (catalog, limits) = (&catalogs[(n % 2) as usize], &limits);
                async move { catalog.create_upload(upload, limits, NOW).await }
            };
            let kinds = kinds(join_all((0..50).map(create)).await).await;
            let made = kinds.iter().filter(|kind| kind.is_none()).count();
            let refused = kinds.iter().filter(|kind| **kind == Some(ErrorKind::TooMany)).count();
            assert_eq!((made, refused), (allowed, 50 - allowed), "{kinds:?}");
        }
    }

    async fn what_an_account_uses_is_counted_until_it_is_forgotten(test: &TestDatabase) {
        let catalog = open(test).await;
        let limits = UploadLimits { max_size_bytes: SIZE, max_open: 9, max_total_bytes: SIZE };
        let create = async |n, size_bytes| {
            let upload = NewUpload { size_bytes, ..new_upload(n) };
            catalog.create_upload(upload, &limits, NOW).await.err().map(|error| error.kind())
        };
        assert_eq!(create(1, SIZE + 1).await, Some(ErrorKind::TooLarge));
        assert_eq!(create(1, SIZE).await, None);
        assert_eq!(create(1, 0).await, Some(ErrorKind::Conflict), "an id is used once");
        assert_eq!(create(2, 1).await, Some(ErrorKind::TooMany));
        catalog.terminate_upload(upload_id(1)).await.unwrap();
        queue(&catalog, 3).await;
        catalog.delete_video(video_id(3), NOW).await.unwrap();
        assert_eq!(create(4, 1).await, Some(ErrorKind::TooMany), "its objects are still there");
        assert!(catalog.forget_video(video_id(3), NOW).await.unwrap());
        assert_eq!(create(4, SIZE).await, None);
    }

    async fn expired_uploads_go_with_their_drafts_and_finished_ones_alone(test: &TestDatabase) {
        let catalog = open(test).await;
        queue(&catalog, 1).await;
        catalog.create_upload(new_upload(2), &NO_LIMITS, NOW).await.unwrap();
        let later = NewUpload { expires_at: after(9000), ..new_upload(3) };
        catalog.create_upload(later, &NO_LIMITS, NOW).await.unwrap();
        assert_eq!(catalog.expired_uploads(after(3599)).await.unwrap(), []);
        let mut expired = catalog.expired_uploads(after(3600)).await.unwrap();
        expired.sort_by_key(|upload| upload.id);
        let seen: Vec<_> = expired.iter().map(|upload| (upload.id, upload.finished)).collect();
        assert_eq!(seen, [(upload_id(1), true), (upload_id(2), false)]);
        for upload in expired {
            assert_eq!(catalog.terminate_upload(upload.id).await.unwrap(), Some(upload.clone()));
            assert_eq!(catalog.terminate_upload(upload.id).await.unwrap(), None);
        }
        assert!(catalog.video(video_id(1)).await.unwrap().is_some());
        assert!(catalog.known_video(video_id(2)).await.unwrap().is_none());
        assert!(claim(&catalog, after(3600)).await.is_some(), "the finished one's job is still there");
    }

    async fn parts_are_kept_in_order_and_replaced_by_number(test: &TestDatabase) {
        let catalog = open(test).await;
        catalog.create_upload(new_upload(1), &NO_LIMITS, NOW).await.unwrap();
        catalog.start_upload_parts(upload_id(1), "first").await.unwrap();
        let second = catalog.start_upload_parts(upload_id(1), "second").await.unwrap_err();
        assert_eq!(second.kind(), ErrorKind::Conflict);
        let part = |number, tag: &str| UploadPart { number, size_bytes: 8 << 20, tag: tag.to_owned() };
        for part in [part(2, "b"), part(1, "lost"), part(1, "a")] {
            catalog.add_upload_part(upload_id(1), "first", part).await.unwrap();
        }
        assert_eq!(catalog.upload_parts(upload_id(1)).await.unwrap(), [part(1, "a"), part(2, "b")]);
        assert_eq!(catalog.upload(upload_id(1)).await.unwrap().unwrap().parts_token.as_deref(), Some("first"));
        let absent = catalog.add_upload_part(upload_id(2), "first", part(1, "a")).await.unwrap_err();
        assert_eq!(absent.kind(), ErrorKind::NotFound);
        catalog.terminate_upload(upload_id(1)).await.unwrap();
        assert_eq!(catalog.upload_parts(upload_id(1)).await.unwrap(), []);
    }

    async fn parts_that_the_store_has_dropped_are_forgotten_with_their_name(test: &TestDatabase) {
        let catalog = open(test).await;
        catalog.create_upload(new_upload(1), &NO_LIMITS, NOW).await.unwrap();
        let part = || UploadPart { number: 1, size_bytes: SIZE, tag: "a".to_owned() };
        catalog.start_upload_parts(upload_id(1), "dropped").await.unwrap();
        catalog.add_upload_part(upload_id(1), "dropped", part()).await.unwrap();
        catalog.forget_upload_parts(upload_id(1), "dropped").await.unwrap();
        assert_eq!(catalog.upload(upload_id(1)).await.unwrap().unwrap().parts_token, None);
        assert_eq!(catalog.upload_parts(upload_id(1)).await.unwrap(), []);
        let again = catalog.forget_upload_parts(upload_id(1), "dropped").await;
        // A part of the dropped object that arrives late is no part of the next one.
        let late = catalog.add_upload_part(upload_id(1), "dropped", part()).await;
        catalog.start_upload_parts(upload_id(1), "next").await.unwrap();
        let later = catalog.add_upload_part(upload_id(1), "dropped", part()).await;
        let other = catalog.forget_upload_parts(upload_id(1), "dropped").await;
        assert_eq!(kinds([again, late, later, other]).await, [Some(ErrorKind::Conflict); 4]);
        catalog.add_upload_part(upload_id(1), "next", part()).await.unwrap();
        catalog.advance_upload(upload_id(1), 0, SIZE, after(1)).await.unwrap();
        catalog.complete_upload(upload_id(1), NOW).await.unwrap();
        let late = catalog.forget_upload_parts(upload_id(1), "next").await;
        let absent = catalog.forget_upload_parts(upload_id(2), "next").await;
        assert_eq!(kinds([late, absent]).await, [Some(ErrorKind::Conflict), Some(ErrorKind::NotFound)]);
    }
}
