use std::collections::HashSet;

use database::on_both_engines;
use futures::future::join_all;
use model::{ErrorKind, FailureReason, VideoState};

use super::*;
use crate::JobFailure;

async fn state(catalog: &Catalog, video: VideoId) -> VideoState {
    catalog.video(video).await.unwrap().unwrap().state
}

on_both_engines! {
    async fn concurrent_claims_never_share_a_job(test: &TestDatabase) {
        let catalogs = [open(test).await, open(test).await];
        for n in 0..20 {
            queue(&catalogs[0], n).await;
        }
        let workers = (0..8).map(|n| {
            let catalog = &catalogs[n % 2];
            async move {
                let mut claimed = Vec::new();
                // Somebody else may hold the last free row for a moment: ask until all are taken.
                for _ in 0..20 {
                    claimed.extend(claim(catalog, NOW).await.map(|job| job.id));
                }
                claimed
            }
        });
        let claimed: Vec<_> = join_all(workers).await.into_iter().flatten().collect();
        assert_eq!(claimed.len(), 20);
        assert_eq!(claimed.iter().collect::<HashSet<_>>().len(), 20);
    }

    async fn a_worker_that_lost_its_lease_publishes_nothing(test: &TestDatabase) {
        let catalog = open(test).await;
        let video = queue(&catalog, 1).await;
        let slow = claim(&catalog, NOW).await.unwrap();
        assert_eq!(slow.lease_until, after(30));
        assert!(catalog.extend_lease(slow.id, slow.attempt, 0, after(20), LEASE).await.unwrap());
        assert_eq!(claim(&catalog, after(49)).await, None, "the lease was extended");
        assert_eq!(claim(&catalog, after(51)).await, None, "a crash is followed by a pause");
        let next = claim(&catalog, after(55)).await.unwrap();
        assert_eq!((next.id, next.attempt, next.crashes), (slow.id, 2, 1));

        let stale = catalog.publish(slow.id, slow.attempt, &version(1), after(56)).await.unwrap_err();
        assert_eq!(stale.kind(), ErrorKind::Conflict);
        assert!(!catalog.extend_lease(slow.id, slow.attempt, 0, after(56), LEASE).await.unwrap());
        let failure = JobFailure::Final(FailureReason::NotMedia);
        for stale in [
            catalog.fail_job(slow.id, slow.attempt, failure, after(56)).await,
            catalog.release_job(slow.id, slow.attempt, after(56)).await,
        ] {
            assert_eq!(stale.unwrap_err().kind(), ErrorKind::Conflict);
        }
        assert_eq!(state(&catalog, video).await, VideoState::Packaging { since: after(55), plays: None });
        assert_eq!(catalog.known_video(video).await.unwrap().unwrap().versions, []);

        catalog.publish(next.id, next.attempt, &version(2), after(57)).await.unwrap();
        catalog.publish(next.id, next.attempt, &version(2), after(58)).await.expect("its answer was lost");
        let other = catalog.publish(next.id, next.attempt, &version(3), after(58)).await.unwrap_err();
        assert_eq!(other.kind(), ErrorKind::Conflict);
        let ready = VideoState::Ready { version: version(2).version, at: after(57) };
        assert_eq!(state(&catalog, video).await, ready);
        assert_eq!(catalog.known_video(video).await.unwrap().unwrap().versions, [version(2).version]);
        assert_eq!(claim(&catalog, after(999_999)).await, None, "a job that is done is not claimed");
    }

    async fn of_two_publications_at_once_one_is_seen(test: &TestDatabase) {
        let catalog = open(test).await;
        let video = queue(&catalog, 1).await;
        let job = claim(&catalog, NOW).await.unwrap();
        let versions = [version(1), version(2)];
        let racing = versions.iter().map(|version| catalog.publish(job.id, job.attempt, version, NOW));
        let results = join_all(racing).await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
        assert_eq!(catalog.known_video(video).await.unwrap().unwrap().versions.len(), 1);
    }

    async fn a_poison_file_fails_after_three_crashes_and_the_queue_moves_on(test: &TestDatabase) {
        let catalog = open(test).await;
        let poison = queue(&catalog, 1).await;
        let first = claim(&catalog, NOW).await.unwrap();
        // Given back at shutdown: not a crash.
        catalog.release_job(first.id, first.attempt, NOW).await.unwrap();
        assert_eq!(state(&catalog, poison).await, VideoState::Queued { since: NOW });
        // The cell dies, the whole worker dies, the cell dies.
        let second = claim(&catalog, NOW).await.unwrap();
        catalog.fail_job(second.id, second.attempt, JobFailure::Crashed, NOW).await.unwrap();
        assert_eq!(claim(&catalog, after(4)).await, None);
        let third = claim(&catalog, after(5)).await.unwrap();
        let fourth = claim(&catalog, after(100)).await.unwrap();
        assert_eq!((third.crashes, fourth.crashes, fourth.attempt), (1, 2, 4));
        let good = queue(&catalog, 2).await;
        catalog.fail_job(fourth.id, fourth.attempt, JobFailure::Crashed, after(101)).await.unwrap();
        let failed = VideoState::Failed { reason: FailureReason::Crashed, at: after(101) };
        assert_eq!(state(&catalog, poison).await, failed);
        assert_eq!(claim(&catalog, after(101)).await.unwrap().video, good);

        // The same by leases alone, the last of them found while claiming.
        for s in [200, 300] {
            assert!(claim(&catalog, after(s)).await.is_some_and(|job| job.video == good));
        }
        assert_eq!(claim(&catalog, after(400)).await, None);
        let failed = VideoState::Failed { reason: FailureReason::Crashed, at: after(400) };
        assert_eq!(state(&catalog, good).await, failed);
    }

    async fn a_failed_video_is_retried_with_a_new_attempt(test: &TestDatabase) {
        let catalog = open(test).await;
        let video = queue(&catalog, 1).await;
        let early = catalog.retry_video(video, NOW).await.unwrap_err();
        assert_eq!(early.kind(), ErrorKind::Conflict);
        let absent = catalog.retry_video(video_id(9), NOW).await.unwrap_err();
        assert_eq!(absent.kind(), ErrorKind::NotFound);
        let job = claim(&catalog, NOW).await.unwrap();
        catalog.fail_job(job.id, job.attempt, JobFailure::Retry { at: after(60) }, NOW).await.unwrap();
        assert_eq!(claim(&catalog, after(59)).await, None, "storage was away");
        let job = claim(&catalog, after(60)).await.unwrap();
        assert_eq!(job.crashes, 0);
        let failure = JobFailure::Final(FailureReason::Truncated);
        catalog.fail_job(job.id, job.attempt, failure, after(61)).await.unwrap();
        assert_eq!(
            state(&catalog, video).await,
            VideoState::Failed { reason: FailureReason::Truncated, at: after(61) }
        );
        assert_eq!(claim(&catalog, after(999)).await, None);

        catalog.retry_video(video, after(1000)).await.unwrap();
        let again = claim(&catalog, after(1000)).await.unwrap();
        assert_eq!(again.attempt, 3, "numbers of attempts go on");
        let stale = catalog.publish(job.id, job.attempt, &version(1), after(1001)).await.unwrap_err();
        assert_eq!(stale.kind(), ErrorKind::Conflict);
        catalog.publish(again.id, again.attempt, &version(1), after(1001)).await.unwrap();
    }

    async fn a_worker_in_the_same_process_is_woken(test: &TestDatabase) {
        let catalog = open(test).await;
        let waiting = tokio::time::timeout(Duration::from_secs(10), catalog.job_queued());
        let (woken, _) = tokio::join!(waiting, queue(&catalog, 1));
        woken.expect("completing an upload wakes a worker");
    }
}
