use database::on_both_engines;
use model::{Chapter, ErrorKind, PublicPolicy, Revoked, Tier, VideoState, Visibility};

use super::*;
use crate::{Page, Progress, VideoEdit};

fn tier(number: u8) -> Tier {
    Tier::try_from(number).unwrap()
}

fn to(visibility: Visibility) -> VideoEdit {
    VideoEdit { visibility: Some(visibility), ..VideoEdit::default() }
}

async fn revoked(catalog: &Catalog, now: Timestamp) -> Vec<(Revoked, Timestamp)> {
    catalog.revocations(now).await.unwrap().iter().map(|line| (line.revoked, line.at)).collect()
}

on_both_engines! {
    async fn a_published_video_tells_what_it_consists_of(test: &TestDatabase) {
        let catalog = open(test).await;
        let id = publish(&catalog, 1).await;
        let video = catalog.video(id).await.unwrap().unwrap();
        assert_eq!(video.state, VideoState::Ready { version: version(1).version, at: NOW });
        assert_eq!(video.renditions, version(1).renditions);
        assert_eq!(video.duration_ms, Some(61_234));
        assert_eq!(video.progress, Progress { percent: 100, ..Progress::default() });
        assert_eq!(video.published_at, None, "it is a draft");
    }

    async fn withdrawing_a_video_revokes_its_version(test: &TestDatabase) {
        let catalog = open(test).await;
        let id = publish(&catalog, 1).await;
        let line = |s| (Revoked::Version(version(1).version), after(s));
        let edit = VideoEdit {
            title: Some("El \"título\"\n".to_owned()),
            description: Some("🎬".to_owned()),
            chapters: Some(vec![Chapter { start_ms: 7, title: "Fin".to_owned() }]),
            ..to(Visibility::Public)
        };
        let video = catalog.edit_video(id, edit, after(1)).await.unwrap();
        assert_eq!((video.title.as_str(), video.description.as_str()), ("El \"título\"\n", "🎬"));
        assert_eq!((video.published_at, video.updated_at), (Some(after(1)), after(1)));
        assert_eq!((video.renditions.len(), video.chapters.len()), (3, 1));
        let raise = VideoEdit { min_tier: Some(tier(2)), ..VideoEdit::default() };
        catalog.edit_video(id, raise, after(2)).await.unwrap();
        assert_eq!(revoked(&catalog, after(9)).await, [line(2)]);
        let lower = VideoEdit { min_tier: Some(tier(1)), ..to(Visibility::Unlisted) };
        catalog.edit_video(id, lower, after(3)).await.unwrap();
        assert_eq!(revoked(&catalog, after(9)).await, [line(2)], "who had a grant keeps it");
        catalog.edit_video(id, to(Visibility::Private), after(4)).await.unwrap();
        assert_eq!(revoked(&catalog, after(9)).await, [line(2), line(4)]);
        let none = VideoEdit { chapters: Some(Vec::new()), ..to(Visibility::Public) };
        let again = catalog.edit_video(id, none, after(5)).await.unwrap();
        assert_eq!(again.chapters, []);
        assert_eq!(again.published_at, Some(after(1)), "first publication counts");
        let days = |n: u64| Duration::from_secs(n * 24 * 3600);
        assert_eq!(revoked(&catalog, after(3) + days(8)).await, [line(4)], "no grant lives for 8 days");
        let absent = catalog.edit_video(video_id(9), VideoEdit::default(), NOW).await.unwrap_err();
        assert_eq!(absent.kind(), ErrorKind::NotFound);
    }

    async fn a_deleted_video_is_gone_for_everybody_at_once(test: &TestDatabase) {
        let catalog = open(test).await;
        let id = publish(&catalog, 1).await;
        catalog.edit_video(id, to(Visibility::Public), NOW).await.unwrap();
        catalog.delete_video(id, after(1)).await.unwrap();
        assert_eq!(catalog.video(id).await.unwrap(), None);
        assert_eq!(catalog.public_policy(id, &FREE).await.unwrap(), None);
        assert_eq!(catalog.public_videos(&Page::default()).await.unwrap().items, []);
        assert_eq!(catalog.videos_of(OWNER, &Page::default()).await.unwrap().items, []);
        assert_eq!(revoked(&catalog, after(2)).await, [(Revoked::Version(version(1).version), after(1))]);
        for gone in [
            catalog.delete_video(id, after(2)).await.unwrap_err(),
            catalog.edit_video(id, to(Visibility::Public), after(2)).await.unwrap_err(),
            catalog.retry_video(id, after(2)).await.unwrap_err(),
        ] {
            assert_eq!(gone.kind(), ErrorKind::NotFound);
        }
        assert_eq!(catalog.deleted_videos().await.unwrap(), [id]);
        let known = catalog.known_video(id).await.unwrap().unwrap();
        assert!(!known.has_original() && !known.names(version(1).version), "nothing names its objects");
        assert!(catalog.forget_video(id, after(2)).await.unwrap());
        assert!(catalog.forget_video(id, after(2)).await.unwrap(), "asked again, nothing changes");
        assert_eq!(catalog.deleted_videos().await.unwrap(), []);
        assert_eq!(revoked(&catalog, after(2)).await.len(), 1, "the revocation outlives the row");
    }

    async fn deleting_ends_the_work_on_a_video(test: &TestDatabase) {
        let catalog = open(test).await;
        let packaging = queue(&catalog, 1).await;
        let job = claim(&catalog, NOW).await.unwrap();
        let waiting = queue(&catalog, 2).await;
        catalog.create_upload(new_upload(3), &NO_LIMITS, NOW).await.unwrap();
        for id in [packaging, waiting, video_id(3)] {
            catalog.delete_video(id, NOW).await.unwrap();
        }
        assert_eq!(catalog.upload(upload_id(3)).await.unwrap(), None);
        assert_eq!(claim(&catalog, after(999)).await, None);
        let lost = catalog.publish(job.id, job.attempt, &version(1), NOW).await.unwrap_err();
        assert_eq!(lost.kind(), ErrorKind::Conflict);
        assert!(!catalog.extend_lease(job.id, job.attempt, 0, NOW, LEASE).await.unwrap());
        assert!(catalog.forget_video(waiting, NOW).await.unwrap());
        assert!(!catalog.forget_video(packaging, after(29)).await.unwrap(), "its worker may still write");
        assert!(catalog.forget_video(packaging, after(30)).await.unwrap());
        let alive = queue(&catalog, 4).await;
        assert_eq!(catalog.forget_video(alive, NOW).await.unwrap_err().kind(), ErrorKind::Conflict);
    }

    async fn pages_follow_each_other_while_rows_come_and_go(test: &TestDatabase) {
        let catalog = open(test).await;
        // All at the same moment, so that only the id orders them.
        for n in 1..=7 {
            let id = publish(&catalog, n).await;
            catalog.edit_video(id, to(Visibility::Public), NOW).await.unwrap();
        }
        let page = |cursor| Page { limit: 3, cursor };
        let ids = |items: &[crate::Video]| items.iter().map(|video| video.id).collect::<Vec<_>>();
        let first = catalog.public_videos(&page(None)).await.unwrap();
        assert_eq!(ids(&first.items), [7, 6, 5].map(video_id));
        catalog.delete_video(video_id(5), NOW).await.unwrap();
        catalog.delete_video(video_id(4), NOW).await.unwrap();
        let newer = publish(&catalog, 8).await;
        catalog.edit_video(newer, to(Visibility::Public), after(1)).await.unwrap();
        let second = catalog.public_videos(&page(first.next)).await.unwrap();
        assert_eq!((ids(&second.items), second.next), ([3, 2, 1].map(video_id).to_vec(), None));
        assert_eq!(catalog.public_videos(&page(None)).await.unwrap().items[0].id, newer);
        catalog.edit_video(newer, to(Visibility::Unlisted), NOW).await.unwrap();
        assert_eq!(catalog.public_videos(&Page { limit: 0, cursor: None }).await.unwrap().items[0].id, video_id(7));
        assert_eq!(catalog.videos_of(OWNER, &Page { limit: 999, cursor: None }).await.unwrap().items.len(), 6);
        let bad = catalog.public_videos(&page(Some("' OR 1=1".to_owned()))).await.unwrap_err();
        assert_eq!(bad.kind(), ErrorKind::Invalid);
    }

    async fn a_policy_tells_what_needs_no_grant(test: &TestDatabase) {
        let catalog = open(test).await;
        let (video, version) = (publish(&catalog, 1).await, version(1).version);
        let policy = |listed, height| Some(PublicPolicy { video, version, also: vec![], listed, height, rewind_s: 0 });
        for (visibility, min_tier, expected) in [
            (Visibility::Draft, 0, None),
            (Visibility::Private, 0, None),
            (Visibility::Unlisted, 0, policy(false, Some(480))),
            (Visibility::Public, 0, policy(true, Some(480))),
            (Visibility::Unlisted, 1, policy(false, None)),
            (Visibility::Public, 3, policy(true, None)),
        ] {
            let edit = VideoEdit { min_tier: Some(tier(min_tier)), ..to(visibility) };
            catalog.edit_video(video, edit, NOW).await.unwrap();
            let found = catalog.public_policy(video, &FREE).await.unwrap();
            assert_eq!(found, expected, "{visibility} {min_tier}");
        }
        let queued = queue(&catalog, 2).await;
        let early = catalog.edit_video(queued, to(Visibility::Public), NOW).await.unwrap();
        assert_eq!((early.published_at, catalog.public_policy(queued, &FREE).await.unwrap()), (None, None));
        let job = claim(&catalog, NOW).await.unwrap();
        catalog.publish(job.id, job.attempt, &super::version(2), after(5)).await.unwrap();
        let ready = catalog.video(queued).await.unwrap().unwrap();
        assert_eq!(ready.published_at, Some(after(5)), "it is listed from when it plays");
        assert!(catalog.public_policy(queued, &FREE).await.unwrap().is_some());
    }

    async fn the_census_names_every_object_that_may_be_there(test: &TestDatabase) {
        let catalog = open(test).await;
        publish(&catalog, 1).await;
        queue(&catalog, 2).await;
        claim(&catalog, NOW).await.unwrap();
        catalog.create_upload(new_upload(3), &NO_LIMITS, NOW).await.unwrap();
        let known = catalog.known_videos(None).await.unwrap();
        let other = VersionId::from_bits(99);
        let named = |n: usize| (known[n].has_original(), known[n].names(version(1).version), known[n].names(other));
        assert_eq!((known.len(), named(0)), (3, (true, true, false)));
        assert_eq!(named(1), (true, false, false), "nothing is made of it yet");
        assert_eq!((named(2), known[2].upload), ((false, false, false), Some(upload_id(3))));
        let rest = catalog.known_videos(Some(known[1].id)).await.unwrap();
        assert_eq!(rest, known[2..]);
        assert_eq!(catalog.known_videos(Some(known[2].id)).await.unwrap(), []);
    }
}
