//! The ladder of a film that was an event: it waits for whatever else is made of that.

use database::on_both_engines;
use futures::future::join;
use model::{ErrorKind, FailureReason, SlowPreset};

use super::trims::{id, refused, trim, trimmed, video};
use super::*;
use crate::error::Result;
use crate::{JobFailure, Trim, Work};

/// Event `n` when it is over: its film plays in version `n`.
async fn on_shelf(catalog: &Catalog, n: u64) -> VideoId {
    let (event, _) = events::on_air(catalog, n, NOW).await;
    catalog.event_ended(event, Some(&version(n.into())), after(5)).await.unwrap();
    event
}

/// Starts version `n`, as the job's worker has planned it.
async fn start(catalog: &Catalog, job: &Job, n: u128, now: Timestamp) -> Result<()> {
    catalog.start_version(job.id, job.attempt, id(n), &film::plan(8), now).await
}

/// Makes all of version `n`, and publishes it.
async fn make(catalog: &Catalog, job: &Job, n: u128, now: Timestamp) {
    start(catalog, job, n, now).await.unwrap();
    catalog.announce(job.id, job.attempt, id(n), &film::inits(), now).await.unwrap();
    catalog.finish_job(job.id, job.attempt, now).await.unwrap();
    while let Some(job) = claim(catalog, now).await {
        film::carry_out(catalog, &job, now).await;
    }
}

/// Takes the trim into version `n`, and publishes it.
async fn make_trim(catalog: &Catalog, n: u128, now: Timestamp) {
    let job = claim(catalog, now).await.unwrap();
    assert_eq!(job.work, Work::Trim { version: id(n) });
    catalog.publish(job.id, job.attempt, &trimmed(n), now).await.unwrap();
}

on_both_engines! {
    async fn a_film_that_was_an_event_gets_its_ladder_beside_what_plays(test: &TestDatabase) {
        let catalog = open(test).await;
        let event = on_shelf(&catalog, 1).await;
        let job = claim(&catalog, after(6)).await.unwrap();
        assert_eq!((job.video, job.work.clone(), job.is_urgent), (event, Work::Ladder, false));
        start(&catalog, &job, 5, after(6)).await.unwrap();
        assert_eq!(video(&catalog, event).await.version(), Some(id(1)), "it plays as it did");

        // A trim goes first; the ladder begins anew from what is left.
        catalog.start_trim(event, id(2), &trim(1), after(7)).await.unwrap();
        assert_eq!(catalog.growing(id(5)).await.unwrap(), None);
        let trimming = claim(&catalog, after(8)).await.unwrap();
        assert_eq!(trimming.work, Work::Trim { version: id(2) });
        catalog.publish(trimming.id, trimming.attempt, &trimmed(2), after(9)).await.unwrap();
        let again = claim(&catalog, after(10)).await.unwrap();
        assert_eq!((again.work.clone(), again.started), (Work::Ladder, None));
        make(&catalog, &again, 6, after(10)).await;
        let shown = video(&catalog, event).await;
        assert_eq!(shown.version(), Some(id(6)));
        assert!(shown.trim.is_some_and(|trim| trim.undo_until.is_some()), "the trim can still be undone");

        // What was made behind the trim goes with it, and is made anew.
        catalog.undo_trim(event, after(12)).await.unwrap();
        assert_eq!(video(&catalog, event).await.version(), Some(id(1)));
        let anew = claim(&catalog, after(13)).await.unwrap();
        assert_eq!((anew.work.clone(), anew.started), (Work::Ladder, None));
        start(&catalog, &anew, 7, after(13)).await.unwrap();
        assert_eq!(catalog.reencode(id(7)).await.unwrap().map(|made| made.from), Some(id(1)));
        assert!(catalog.played_until(event, id(6)).await.unwrap().is_some(), "who watches it goes on");
    }

    async fn a_film_that_lacks_nothing_is_left_alone(test: &TestDatabase) {
        let catalog = open(test).await;
        let event = on_shelf(&catalog, 1).await;
        let job = claim(&catalog, after(6)).await.unwrap();
        catalog.drop_ladder(job.id, job.attempt, after(7)).await.unwrap();
        assert_eq!(claim(&catalog, after(99)).await, None);
        assert_eq!(video(&catalog, event).await.version(), Some(id(1)));
    }

    async fn a_ladder_that_was_planned_of_what_is_trimmed_then_starts_nothing(test: &TestDatabase) {
        let catalog = open(test).await;
        let event = on_shelf(&catalog, 1).await;
        let planning = claim(&catalog, after(6)).await.unwrap();
        catalog.start_trim(event, id(2), &trim(1), after(7)).await.unwrap();
        assert_eq!(refused(start(&catalog, &planning, 5, after(8)).await).0, ErrorKind::Conflict);
        let lost = catalog.fail_job(planning.id, planning.attempt, JobFailure::Crashed, after(8)).await;
        assert_eq!(refused(lost).0, ErrorKind::Conflict);

        let trimming = claim(&catalog, after(9)).await.unwrap();
        assert_eq!(trimming.work, Work::Trim { version: id(2) });
        assert_eq!(claim(&catalog, after(9)).await, None, "no other worker begins the ladder meanwhile");
        catalog.publish(trimming.id, trimming.attempt, &trimmed(2), after(10)).await.unwrap();
        assert_eq!(refused(start(&catalog, &planning, 5, after(11)).await).0, ErrorKind::Conflict);
        let again = claim(&catalog, after(20)).await.unwrap();
        assert_eq!((again.work.clone(), again.started, again.crashes), (Work::Ladder, None, 0));
        start(&catalog, &again, 6, after(20)).await.unwrap();
        assert_eq!(catalog.reencode(id(6)).await.unwrap().map(|made| made.from), Some(id(2)));
    }

    async fn a_trim_that_comes_to_nothing_leaves_the_ladder_queued(test: &TestDatabase) {
        let catalog = open(test).await;
        let event = on_shelf(&catalog, 1).await;
        catalog.start_trim(event, id(2), &trim(1), after(6)).await.unwrap();
        catalog.cancel_video(event, after(7)).await.unwrap();
        assert_eq!(video(&catalog, event).await.trim, None);
        let job = claim(&catalog, after(8)).await.unwrap();
        assert_eq!(job.work, Work::Ladder);

        catalog.start_trim(event, id(3), &trim(1), after(9)).await.unwrap();
        for s in [100, 200, 300] {
            let job = claim(&catalog, after(s)).await.unwrap();
            assert_eq!(job.work, Work::Trim { version: id(3) });
            catalog.fail_job(job.id, job.attempt, JobFailure::Crashed, after(s)).await.unwrap();
        }
        assert_eq!(video(&catalog, event).await.trim, None);
        let again = claim(&catalog, after(310)).await.unwrap();
        assert_eq!((again.work, again.started), (Work::Ladder, None));
    }

    async fn a_ladder_that_comes_to_nothing_leaves_the_trim_and_the_film(test: &TestDatabase) {
        let catalog = open(test).await;
        let event = on_shelf(&catalog, 1).await;
        let ladder = claim(&catalog, after(6)).await.unwrap();
        start(&catalog, &ladder, 5, after(6)).await.unwrap();
        let part = claim(&catalog, after(6)).await.unwrap();
        catalog.start_trim(event, id(2), &trim(1), after(7)).await.unwrap();
        let failure = JobFailure::Final(FailureReason::Truncated);
        for job in [&ladder, &part] {
            let late = catalog.fail_job(job.id, job.attempt, failure, after(8)).await;
            assert_eq!(refused(late).0, ErrorKind::Conflict);
        }
        make_trim(&catalog, 2, after(9)).await;

        // What is cancelled is not made again by itself.
        let ladder = claim(&catalog, after(10)).await.unwrap();
        start(&catalog, &ladder, 6, after(10)).await.unwrap();
        catalog.cancel_video(event, after(11)).await.unwrap();
        assert_eq!(catalog.growing(id(6)).await.unwrap(), None);
        catalog.start_trim(event, id(3), &trim(2), after(12)).await.unwrap();
        make_trim(&catalog, 3, after(13)).await;
        assert_eq!(claim(&catalog, after(99)).await, None);
        assert_eq!(video(&catalog, event).await.version(), Some(id(3)));
        catalog.undo_trim(event, after(100)).await.unwrap();
        assert_eq!(claim(&catalog, after(101)).await.unwrap().work, Work::Ladder);
    }

    async fn a_reencode_and_the_ladder_are_made_one_after_the_other(test: &TestDatabase) {
        let catalog = open(test).await;
        let event = on_shelf(&catalog, 1).await;
        let ladder = claim(&catalog, after(6)).await.unwrap();
        make(&catalog, &ladder, 5, after(6)).await;
        let plays = video(&catalog, event).await.version().unwrap();
        catalog.start_trim(event, id(2), &Trim { from: plays, ms: 0..4000 }, after(7)).await.unwrap();
        make_trim(&catalog, 2, after(8)).await;
        catalog.undo_trim(event, after(9)).await.unwrap();
        let planning = claim(&catalog, after(10)).await.unwrap();
        assert_eq!(planning.work, Work::Ladder);
        let names = [film::video(360)];
        catalog.start_reencode(event, id(7), &names, SlowPreset::Slower, after(11)).await.unwrap();
        assert_eq!(refused(start(&catalog, &planning, 8, after(12)).await).0, ErrorKind::Conflict);
        assert!(catalog.growing(id(7)).await.unwrap().is_some());
        while let Some(job) = claim(&catalog, after(13)).await {
            assert_eq!(job.work.version(), Some(id(7)), "{job:?}");
        }
        catalog.cancel_video(event, after(14)).await.unwrap();
        assert_eq!(claim(&catalog, after(30)).await.unwrap().work, Work::Ladder);
    }

    async fn of_a_trim_and_a_ladder_that_begin_at_once_the_trim_is_made(test: &TestDatabase) {
        let catalog = open(test).await;
        for n in 1..=12 {
            let event = on_shelf(&catalog, n).await;
            let (from, order) = (u128::from(n), trim(n.into()));
            let (trimmed, made) = (id(100 + from), 200 + from);
            let trim = catalog.start_trim(event, trimmed, &order, after(7));
            // It is claimed, or it is planned and its version begins; either is the first.
            let begun = match n % 3 {
                0 => {
                    let (claimed, begun) = join(claim(&catalog, after(6)), trim).await;
                    if let Some(job) = claimed.filter(|job| job.work == Work::Ladder) {
                        assert_eq!(refused(start(&catalog, &job, made, after(7)).await).0, ErrorKind::Conflict);
                    }
                    begun
                }
                1 => {
                    let job = claim(&catalog, after(6)).await.unwrap();
                    join(trim, start(&catalog, &job, made, after(7))).await.0
                }
                _ => {
                    let job = claim(&catalog, after(6)).await.unwrap();
                    join(start(&catalog, &job, made, after(7)), trim).await.1
                }
            };
            begun.unwrap();
            assert_eq!(catalog.growing(id(made)).await.unwrap(), None);
            let (first, second) = join(claim(&catalog, after(60)), claim(&catalog, after(60))).await;
            assert_eq!(first.or(second).unwrap().work, Work::Trim { version: trimmed });
            catalog.delete_video(event, after(61)).await.unwrap();
        }
    }
}
