use database::on_both_engines;

use super::film::*;
use super::*;
use crate::Work;

on_both_engines! {
    async fn progress_is_told_with_heartbeats_and_never_goes_back(test: &TestDatabase) {
        let catalog = open(test).await;
        let video = start(&catalog, 1, 600, NOW).await;
        let found = async || catalog.video(video).await.unwrap().unwrap();
        assert_eq!((found().await.progress.percent, found().await.progress.eta_s), (0, None));
        // One worker at twice the film's pace, which tells where it is every four seconds.
        let (mut now, mut percent) = (0, 0);
        while let Some(job) = claim(&catalog, after(now)).await {
            let long_s = match &job.work {
                Work::Pictures { segments, .. } => segments.len() as u64 * 2,
                _ => 1,
            };
            for s in (4..long_s).step_by(4) {
                assert!(catalog.extend_lease(job.id, job.attempt, s * 2000, after(now + s), LEASE).await.unwrap());
                let shown = found().await;
                assert!(shown.progress.percent >= percent, "{shown:?}");
                percent = shown.progress.percent;
                assert_eq!(shown.progress_at, Some(after(now + s)));
                let speed = shown.progress.speed.unwrap();
                // At first the stills are in between.
                assert!((if now < 60 { 1.0 } else { 1.8 }..=2.01).contains(&speed), "{speed} at {now}");
            }
            now += long_s;
            if percent == 50 {
                let given_up = (job.id, job.attempt);
                catalog.release_job(given_up.0, given_up.1, after(now)).await.unwrap();
                assert_eq!(found().await.progress.percent, 50);
                percent = 51;
                continue;
            }
            carry_out(&catalog, &job, after(now)).await;
        }
        assert!(percent > 90);
        let ready = found().await;
        assert_eq!((ready.progress.percent, ready.progress.eta_s), (100, None));
    }
}
