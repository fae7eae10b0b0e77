use database::on_both_engines;
use futures::future::join;
use model::{ErrorKind, FailureReason, Lane, PublicPolicy, Revoked, SlowPreset, VideoState, Visibility};

use super::film::*;
use super::*;
use crate::{CatalogError, JobFailure, Reencode, ReencodeRefusal, Reencoding, VideoEdit, Work};

/// What the film's plan says the longest grant lives: six hours, since it is short.
const GRANT_S: u64 = 6 * 3600;
/// How much later its objects may go.
const FAREWELL_S: u64 = 3600;

/// Does all work that there is.
async fn work_off(catalog: &Catalog, now: Timestamp) {
    while let Some(job) = claim(catalog, now).await {
        carry_out(catalog, &job, now).await;
    }
}

/// Video 1 with version 1, 20 s long, whole and public.
async fn published(catalog: &Catalog) -> VideoId {
    let id = start(catalog, 1, 20, NOW).await;
    work_off(catalog, NOW).await;
    let edit = VideoEdit { visibility: Some(Visibility::Public), ..VideoEdit::default() };
    catalog.edit_video(id, edit, NOW).await.unwrap();
    id
}

async fn reencode(
    catalog: &Catalog,
    to: u128,
    names: &[RenditionName],
    now: Timestamp,
) -> Result<(), CatalogError> {
    catalog.start_reencode(video_id(1), id(to), names, SlowPreset::Slower, now).await
}

async fn row(catalog: &Catalog) -> crate::Video {
    catalog.video(video_id(1)).await.unwrap().unwrap()
}

fn refused(result: Result<(), CatalogError>) -> ReencodeRefusal {
    match result {
        Err(CatalogError::Reencode(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

/// What a re-encode of 360p carries over.
fn carried() -> Vec<(RenditionName, cmaf::ChunkRef)> {
    let names = [sound(), film::video(144), film::video(720)];
    names.into_iter().flat_map(|name| [0..2, 2..5].map(|part| (name, chunk(part, "carried")))).collect()
}

async fn carry(catalog: &Catalog, job: &Job, now: Timestamp) {
    let Work::Carry { version } = job.work else { panic!("{job:?}") };
    catalog.announce(job.id, job.attempt, version, &inits(), now).await.unwrap();
    catalog.commit_chunks(job.id, job.attempt, version, &carried(), 0, true, now).await.unwrap();
}

on_both_engines! {
    async fn a_reencode_takes_the_place_of_what_plays(test: &TestDatabase) {
        let catalog = open(test).await;
        let video = published(&catalog).await;
        reencode(&catalog, 2, &[film::video(360)], after(10)).await.unwrap();
        // Another film's last rung comes before any of it.
        start(&catalog, 9, 8, after(11)).await;
        let mut order = Vec::new();
        while let Some(job) = claim(&catalog, after(11)).await {
            order.push(job);
        }
        let order: Vec<Job> = order.into_iter().skip_while(|job| job.video != video).collect();
        assert!(order.iter().all(|job| job.video == video && !job.is_urgent && !job.hurry), "{order:?}");
        let (carry_job, pictures) = order.split_first().unwrap();
        let wanted = [2..5, 0..2].map(|segments| Work::Pictures { version: id(2), lane: Lane::A, segments });
        assert_eq!(pictures.iter().map(|job| job.work.clone()).collect::<Vec<_>>(), wanted);
        assert_eq!(carry_job.work.version(), Some(id(2)));
        let told = Reencode { from: id(1), renditions: vec![film::video(360)] };
        assert_eq!(catalog.reencode(id(2)).await.unwrap(), Some(told));
        assert_eq!(catalog.reencode(id(9)).await.unwrap(), None);
        let growing = catalog.growing(id(2)).await.unwrap().unwrap();
        let rungs = growing.plan.video.iter().flat_map(|video| &video.rungs);
        let told: Vec<_> = rungs.map(|rung| (&*rung.preset, rung.crf)).collect();
        assert_eq!(told, [("slow", 26.5), ("slower", 26.75), ("veryfast", 26.5)], "it looks the same");

        // It plays as it was, whatever becomes of the other.
        let percent_as_it_plays = async || {
            let found = row(&catalog).await;
            assert_eq!(found.state, VideoState::Ready { version: id(1), at: NOW });
            assert_eq!((found.plays(), found.unfinished.len(), found.stage()), (Some(id(1)), 0, crate::Stage::Ready));
            let Reencoding { renditions, preset, percent } = found.reencode.unwrap();
            assert_eq!((renditions, &*preset), (vec![film::video(360)], "slower"));
            percent
        };
        assert_eq!(percent_as_it_plays().await, 0);
        carry(&catalog, carry_job, after(12)).await;
        let first = [(film::video(360), chunk(0..2, "slower"))];
        let [second_job, first_job] = pictures else { panic!("{pictures:?}") };
        let job = first_job;
        catalog.commit_chunks(job.id, job.attempt, id(2), &first, 0, true, after(13)).await.unwrap();
        assert!((39..=40).contains(&percent_as_it_plays().await), "8 s of 20");
        let known = catalog.known_video(video).await.unwrap().unwrap();
        assert!(known.names(id(1)) && known.names(id(2)), "both are somebody's");

        let second = [(film::video(360), chunk(2..5, "slower"))];
        let job = second_job;
        catalog.commit_chunks(job.id, job.attempt, id(2), &second, 0, true, after(14)).await.unwrap();
        let finish = claim(&catalog, after(14)).await.unwrap();
        assert_eq!(finish.work, Work::Finish { version: id(2) });
        assert!(catalog.growing(id(2)).await.unwrap().unwrap().finish_only([film::video(360)]).is_ok());
        carry_out(&catalog, &finish, after(15)).await;
        carry_out(&catalog, &finish, after(15)).await;
        let found = row(&catalog).await;
        assert_eq!(found.state, VideoState::Ready { version: id(2), at: after(15) });
        assert_eq!((found.reencode, found.published_at), (None, Some(NOW)));
        assert_eq!((catalog.growing(id(2)).await.unwrap(), catalog.reencode(id(2)).await.unwrap()), (None, None));

        // The one before is kept for those who may have a grant for it, and for no longer.
        let until = after(15 + GRANT_S);
        assert_eq!(catalog.played_until(video, id(1)).await.unwrap(), Some(until));
        assert_eq!(catalog.played_until(video, id(2)).await.unwrap(), None);
        assert_eq!(catalog.played_until(video_id(9), id(1)).await.unwrap(), None);
        let policy = |also| PublicPolicy { video, version: id(2), also, listed: true, height: Some(480), rewind_s: 0 };
        assert_eq!(catalog.public_policy(video, &FREE).await.unwrap(), Some(policy(vec![id(1)])));
        let gone = 15 + GRANT_S + FAREWELL_S;
        assert_eq!(catalog.outlived_versions(after(gone - 1)).await.unwrap(), []);
        catalog.forget_version(id(1), after(gone - 1)).await.unwrap();
        assert!(catalog.known_video(video).await.unwrap().unwrap().names(id(1)));
        assert_eq!(catalog.outlived_versions(after(gone)).await.unwrap(), [(video, id(1))]);
        catalog.forget_version(id(1), after(gone)).await.unwrap();
        catalog.forget_version(id(1), after(gone)).await.unwrap();
        catalog.forget_version(id(2), after(gone * 9)).await.unwrap();
        let known = catalog.known_video(video).await.unwrap().unwrap();
        assert_eq!(known.versions, [id(2)]);
        assert_eq!(catalog.public_policy(video, &FREE).await.unwrap(), Some(policy(vec![])));
        // And again from there.
        reencode(&catalog, 3, &[film::video(144)], after(gone)).await.unwrap();
        assert_eq!(catalog.reencode(id(3)).await.unwrap().map(|told| told.from), Some(id(2)));
    }

    async fn what_cannot_be_encoded_anew_is_refused(test: &TestDatabase) {
        let catalog = open(test).await;
        let nobody = reencode(&catalog, 2, &[film::video(144)], NOW).await.unwrap_err();
        assert_eq!(nobody.kind(), ErrorKind::NotFound);
        start(&catalog, 1, 20, NOW).await;
        assert_eq!(refused(reencode(&catalog, 2, &[film::video(144)], NOW).await), ReencodeRefusal::NotReady);
        work_off(&catalog, NOW).await;
        assert_eq!(refused(reencode(&catalog, 2, &[], NOW).await), ReencodeRefusal::Nothing);
        for name in [sound(), film::video(1080)] {
            let names = [film::video(144), name];
            assert_eq!(refused(reencode(&catalog, 2, &names, NOW).await), ReencodeRefusal::NoSuchPicture(name));
        }
        let slow = catalog.start_reencode(video_id(1), id(2), &[film::video(360)], SlowPreset::Slow, NOW).await;
        assert_eq!(refused(slow), ReencodeRefusal::NotSlower(film::video(360)));
        let invalid = reencode(&catalog, 2, &[sound()], NOW).await.unwrap_err();
        assert_eq!(invalid.kind(), ErrorKind::Invalid);
        assert_eq!(claim(&catalog, NOW).await, None, "nothing half done");

        let name = [film::video(144)];
        let (one, other) = join(reencode(&catalog, 2, &name, NOW), reencode(&catalog, 3, &name, NOW)).await;
        let lost = if one.is_ok() { other } else { one };
        assert_eq!(refused(lost), ReencodeRefusal::UnderWay);
    }

    async fn a_version_of_which_no_plan_is_known_is_not_encoded_anew(test: &TestDatabase) {
        let catalog = open(test).await;
        publish(&catalog, 1).await;
        assert_eq!(refused(reencode(&catalog, 2, &[film::video(144)], NOW).await), ReencodeRefusal::NoPlan);
    }

    async fn what_fails_or_is_cancelled_leaves_the_video_as_it_was(test: &TestDatabase) {
        let catalog = open(test).await;
        let video = published(&catalog).await;
        let is_as_it_was = async || {
            let found = row(&catalog).await;
            assert_eq!((found.state, found.reencode), (VideoState::Ready { version: id(1), at: NOW }, None));
            assert_eq!(catalog.known_video(video).await.unwrap().unwrap().versions, [id(1)]);
            assert_eq!(claim(&catalog, after(9999)).await, None);
        };
        assert_eq!(catalog.cancel_video(video, NOW).await.unwrap_err().kind(), ErrorKind::Conflict);

        reencode(&catalog, 2, &[film::video(360)], NOW).await.unwrap();
        let job = claim(&catalog, NOW).await.unwrap();
        let failure = JobFailure::Final(FailureReason::Internal);
        catalog.fail_job(job.id, job.attempt, failure, NOW).await.unwrap();
        is_as_it_was().await;
        assert!(!catalog.known_video(video).await.unwrap().unwrap().names(id(2)));

        reencode(&catalog, 3, &[film::video(360)], NOW).await.unwrap();
        let job = claim(&catalog, NOW).await.unwrap();
        catalog.cancel_video(video, NOW).await.unwrap();
        is_as_it_was().await;
        let late = catalog.announce(job.id, job.attempt, id(3), &inits(), after(1)).await.unwrap_err();
        assert_eq!(late.kind(), ErrorKind::Conflict);

        // Three crashes of whole workers.
        reencode(&catalog, 4, &[film::video(720)], after(10_000)).await.unwrap();
        for s in [10_000, 10_100, 10_200] {
            assert_eq!(claim(&catalog, after(s)).await.unwrap().work, Work::Carry { version: id(4) });
            while claim(&catalog, after(s)).await.is_some() {}
        }
        assert_eq!(claim(&catalog, after(10_300)).await, None);
        is_as_it_was().await;
    }

    async fn what_is_hidden_or_deleted_is_so_in_all_its_versions(test: &TestDatabase) {
        let catalog = open(test).await;
        let video = published(&catalog).await;
        reencode(&catalog, 2, &[film::video(360)], NOW).await.unwrap();
        while let Some(job) = claim(&catalog, NOW).await {
            match job.work {
                Work::Carry { .. } => carry(&catalog, &job, NOW).await,
                Work::Pictures { ref segments, .. } => {
                    let chunks = [(film::video(360), chunk(segments.clone(), "slower"))];
                    catalog.commit_chunks(job.id, job.attempt, id(2), &chunks, 0, true, NOW).await.unwrap();
                }
                _ => carry_out(&catalog, &job, NOW).await,
            }
        }
        let hide = VideoEdit { visibility: Some(Visibility::Private), ..VideoEdit::default() };
        catalog.edit_video(video, hide, after(1)).await.unwrap();
        let revoked = async || {
            let lines = catalog.revocations(after(2)).await.unwrap().into_iter();
            let mut revoked: Vec<_> = lines.filter(|line| line.at >= after(1)).map(|line| line.revoked).collect();
            revoked.sort_by_key(|revoked| format!("{revoked:?}"));
            revoked
        };
        assert_eq!(revoked().await, [id(1), id(2)].map(Revoked::Version));
        assert_eq!(catalog.public_policy(video, &FREE).await.unwrap(), None);
        catalog.delete_video(video, after(1)).await.unwrap();
        assert_eq!(revoked().await.len(), 4);
        assert!(catalog.forget_video(video, after(999)).await.unwrap());
        assert_eq!(catalog.outlived_versions(after(99_999_999)).await.unwrap(), []);
    }
}
