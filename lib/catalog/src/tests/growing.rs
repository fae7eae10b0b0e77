use database::on_both_engines;
use futures::future::join_all;
use model::cell::CopiedRung;
use model::{ErrorKind, FailureReason, Lane, PublicPolicy, Revoked, VideoState, Visibility};

use super::film::*;
use super::*;
use crate::{CatalogError, JobFailure, Page, Stage, VideoEdit, Work};

async fn row(catalog: &Catalog, video: VideoId) -> crate::Video {
    catalog.video(video).await.unwrap().unwrap()
}

/// Claims and names everything there is to do, in order.
async fn everything(catalog: &Catalog, claim: Claim, now: Timestamp) -> Vec<Job> {
    let mut jobs = Vec::new();
    while let Some(job) = catalog.claim_next_job(&WorkerId::new("w"), claim, now, LEASE).await.unwrap() {
        jobs.push(job);
    }
    jobs
}

fn name(job: &Job) -> String {
    let hurry = if job.hurry { "!" } else { "" };
    match &job.work {
        Work::Plan => "plan".to_owned(),
        Work::Ladder => "ladder".to_owned(),
        Work::Trim { .. } => "trim".to_owned(),
        Work::Sound { .. } => "sound".to_owned(),
        Work::Stills { .. } => "stills".to_owned(),
        Work::Carry { .. } => "carry".to_owned(),
        Work::Finish { .. } => "finish".to_owned(),
        Work::Pictures { lane, segments, .. } => format!("{lane}{}-{}{hurry}", segments.start, segments.end),
    }
}

async fn names(catalog: &Catalog, claim: Claim, now: Timestamp) -> Vec<String> {
    everything(catalog, claim, now).await.iter().map(name).collect()
}

on_both_engines! {
    async fn a_film_plays_while_it_grows_and_becomes_ready_under_the_same_name(test: &TestDatabase) {
        let catalog = open(test).await;
        let video = queue(&catalog, 1).await;
        catalog.edit_video(video, VideoEdit { visibility: Some(Visibility::Public), ..VideoEdit::default() }, NOW).await.unwrap();
        let mut changes = catalog.changed();
        let plan_job = claim(&catalog, NOW).await.unwrap();
        assert!(plan_job.is_urgent && plan_job.started.is_none());
        catalog.start_version(plan_job.id, plan_job.attempt, id(1), &plan(60), NOW).await.unwrap();
        catalog.start_version(plan_job.id, plan_job.attempt, id(1), &plan(60), NOW).await.expect("its answer was lost");
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        assert_eq!(row(&catalog, video).await.stage(), Stage::Probing);

        // A chunk is there before the inits: it does not play.
        let jobs = everything(&catalog, Claim::Express, NOW).await;
        let first = jobs.iter().find(|job| name(job) == "a0-2!").expect("the first chunk is urgent");
        carry_out(&catalog, first, after(1)).await;
        let sound_job = jobs.iter().find(|job| name(job) == "sound").expect("so is the sound");
        catalog.commit_chunks(sound_job.id, sound_job.attempt, id(1), &sounds(0..2), 0, false, after(2)).await.unwrap();
        assert_eq!(row(&catalog, video).await.plays(), None);
        assert_eq!(catalog.public_policy(video, &FREE).await.unwrap(), None);
        let before = catalog.growing_revision(id(1)).await.unwrap().unwrap();
        catalog.announce(plan_job.id, plan_job.attempt, id(1), &inits(), after(3)).await.unwrap();
        assert!(catalog.growing_revision(id(1)).await.unwrap().unwrap() > before);
        assert!(changes.has_changed().unwrap());
        let found = row(&catalog, video).await;
        assert_eq!(found.state, VideoState::Packaging { since: NOW, plays: Some(id(1)) });
        assert_eq!((found.plays(), found.version(), found.stage()), (Some(id(1)), None, Stage::Playable));
        assert_eq!((found.duration_ms, found.renditions.len(), found.published_at), (Some(60_000), 4, Some(after(3))));
        assert_eq!(catalog.public_videos(&Page::default()).await.unwrap().items, [found]);
        let policy = PublicPolicy { video, version: id(1), also: vec![], listed: true, height: Some(480), rewind_s: 0 };
        assert_eq!(catalog.public_policy(video, &FREE).await.unwrap(), Some(policy));
        let index = catalog.growing(id(1)).await.unwrap().unwrap();
        assert!(index.is_playable() && index.chunk_of(sound(), 1).is_some() && index.chunk_of(sound(), 2).is_none());
        let known = catalog.known_video(video).await.unwrap().unwrap();
        assert!(known.names(id(1)) && !known.names(id(2)), "its objects are not rubbish");
        let growing = known.growing.as_ref().unwrap();
        assert_eq!((growing.chunks(video_name(360)).len(), growing.chunks(sound()).len()), (1, 1));

        catalog.commit_chunks(sound_job.id, sound_job.attempt, id(1), &sounds(2..15), 0, true, after(4)).await.unwrap();
        catalog.finish_job(plan_job.id, plan_job.attempt, after(4)).await.unwrap();
        catalog.finish_job(plan_job.id, plan_job.attempt, after(4)).await.expect("its answer was lost");
        let rest = everything(&catalog, Claim::Any, after(5)).await;
        assert_eq!(rest.iter().map(name).collect::<Vec<_>>(), ["stills", "a2-6", "a6-14", "a14-15", "b6-14", "b2-6", "b0-2", "b14-15"]);
        for job in &rest[..4] {
            carry_out(&catalog, job, after(6)).await;
        }
        let found = row(&catalog, video).await;
        assert_eq!((found.stage(), found.is_whole(video_name(360)), found.is_whole(video_name(720))), (Stage::Improving, true, false));
        for job in &rest[4..] {
            assert_eq!(claim(&catalog, after(7)).await, None, "the finish waits for all others");
            carry_out(&catalog, job, after(7)).await;
        }
        let finish = claim(&catalog, after(8)).await.unwrap();
        assert_eq!((finish.work.clone(), finish.is_urgent), (Work::Finish { version: id(1) }, true));
        assert!(catalog.growing(id(1)).await.unwrap().unwrap().is_whole(video_name(720)));
        let other = catalog.publish(finish.id, finish.attempt, &version(2), after(9)).await.unwrap_err();
        assert_eq!(other.kind(), ErrorKind::Conflict);
        carry_out(&catalog, &finish, after(9)).await;
        carry_out(&catalog, &finish, after(9)).await;
        let found = row(&catalog, video).await;
        assert_eq!(found.state, VideoState::Ready { version: id(1), at: after(9) });
        assert_eq!((found.plays(), found.published_at), (Some(id(1)), Some(after(3))));
        assert_eq!((found.renditions.clone(), found.unfinished), (version(1).renditions, vec![]));
        assert_eq!((catalog.growing(id(1)).await.unwrap(), catalog.growing_revision(id(1)).await.unwrap()), (None, None));
        assert_eq!(claim(&catalog, after(9999)).await, None);
    }

    async fn what_is_wanted_is_cut_out_and_comes_first(test: &TestDatabase) {
        let catalog = open(test).await;
        start(&catalog, 1, 200, NOW).await;
        let running = everything(&catalog, Claim::Express, NOW).await;
        assert_eq!(running.len(), 2, "the first chunk and the sound");
        // Somebody seeks to 100 s, and their player goes on from there.
        catalog.want_segment(id(1), Some(Lane::A), 25, after(1)).await.unwrap();
        catalog.want_segment(id(1), Some(Lane::A), 26, after(1)).await.unwrap();
        catalog.want_segment(id(1), Some(Lane::A), 0, after(1)).await.unwrap();
        catalog.want_segment(id(1), None, 30, after(1)).await.unwrap();
        catalog.want_segment(id(1), Some(Lane::A), 999, after(1)).await.unwrap();
        catalog.want_segment(id(9), Some(Lane::A), 3, after(1)).await.unwrap();
        let wanted = everything(&catalog, Claim::Express, after(2)).await;
        assert_eq!(wanted.iter().map(name).collect::<Vec<_>>(), ["a25-27!"]);
        assert!(wanted[0].is_urgent);
        let rest = names(&catalog, Claim::Any, after(2)).await;
        assert_eq!(
            rest,
            ["stills", "a2-6", "a6-14", "a14-25", "a27-29", "a29-44", "a44-50", "b14-29", "b29-44", "b6-14", "b44-50", "b2-6", "b0-2"]
        );
    }

    async fn a_long_chunk_that_was_only_begun_is_taken_back_for_who_waits(test: &TestDatabase) {
        let catalog = open(test).await;
        start(&catalog, 1, 200, NOW).await;
        let running = everything(&catalog, Claim::Any, NOW).await;
        let job = running.iter().find(|job| name(job) == "a14-29").unwrap();
        catalog.want_segment(id(1), Some(Lane::A), 20, after(1)).await.unwrap();
        assert!(!catalog.extend_lease(job.id, job.attempt, 1, after(1), LEASE).await.unwrap());
        assert_eq!(names(&catalog, Claim::Brief, after(1)).await, ["a20-22!"]);
        assert_eq!(names(&catalog, Claim::Any, after(1)).await, ["a14-20", "a22-26", "a26-29"]);

        // Of this one more than half is made, and that one is short.
        let job = running.iter().find(|job| name(job) == "a29-44").unwrap();
        assert!(catalog.extend_lease(job.id, job.attempt, 31_000, after(1), LEASE).await.unwrap());
        for segment in [40, 1] {
            catalog.want_segment(id(1), Some(Lane::A), segment, after(2)).await.unwrap();
        }
        assert!(names(&catalog, Claim::Any, after(2)).await.is_empty());
    }

    async fn what_is_copied_has_two_jobs_of_its_own(test: &TestDatabase) {
        let catalog = open(test).await;
        queue(&catalog, 1).await;
        let job = claim(&catalog, NOW).await.unwrap();
        let mut plan = plan(200);
        let video = plan.video.as_mut().unwrap();
        let rung = video.rungs.pop().unwrap();
        let (rendition, width, height) = (rung.rendition, rung.width, rung.height);
        video.copied = Some(CopiedRung {
            rendition, width, height, track: 1, avcc: vec![], peak_bps: 5_000_000, average_bps: 4_000_000,
        });
        catalog.start_version(job.id, job.attempt, id(1), &plan, NOW).await.unwrap();
        catalog.announce(job.id, job.attempt, id(1), &inits(), NOW).await.unwrap();
        let first = everything(&catalog, Claim::Express, NOW).await;
        let mut told: Vec<_> = first.iter().map(name).collect();
        told.sort();
        assert_eq!(told, ["a0-2!", "copied0-2!", "sound"], "it is one of the beginnings");
        for job in &first {
            carry_out(&catalog, job, NOW).await;
        }
        let found = row(&catalog, job.video).await;
        let (summary, percent) = (found.rendition(rendition).unwrap(), found.progress.percent);
        assert_eq!((summary.width, summary.bandwidth_bps), (Some(width), 5_000_000));
        assert!(!found.is_whole(rendition));
        // Somebody waits for it while it is not begun, and then while it is.
        catalog.want_segment(id(1), Some(Lane::Copied), 25, after(1)).await.unwrap();
        let wanted = everything(&catalog, Claim::Express, after(2)).await;
        assert_eq!(wanted.iter().map(name).collect::<Vec<_>>(), ["copied25-27!"]);
        let rest = everything(&catalog, Claim::Any, after(2)).await;
        let rest: Vec<_> = rest.iter().filter(|job| !name(job).starts_with('a')).collect();
        assert_eq!(rest.iter().map(|job| name(job)).collect::<Vec<_>>(), ["stills", "copied2-25", "copied27-31", "copied31-39", "copied39-50"]);
        catalog.want_segment(id(1), Some(Lane::Copied), 20, after(3)).await.unwrap();
        assert!(catalog.extend_lease(rest[1].id, rest[1].attempt, 1, after(3), LEASE).await.unwrap(), "it goes on");
        for job in rest.iter().skip(1).copied().chain(&wanted) {
            carry_out(&catalog, job, after(4)).await;
        }
        let found = row(&catalog, job.video).await;
        assert!(found.is_whole(rendition));
        assert_eq!(found.progress.percent, percent, "the work is to encode");
    }

    async fn sound_is_not_for_brief_workers(test: &TestDatabase) {
        let catalog = open(test).await;
        start(&catalog, 1, 20, NOW).await;
        assert_eq!(everything(&catalog, Claim::Brief, NOW).await.len(), 1, "the first chunk");
        let sound = everything(&catalog, Claim::Express, NOW).await;
        assert!(matches!(sound[..], [Job { work: Work::Sound { .. }, .. }]), "{sound:?}");
    }

    async fn who_no_longer_waits_gives_the_turn_back(test: &TestDatabase) {
        let catalog = open(test).await;
        start(&catalog, 1, 200, NOW).await;
        let all = everything(&catalog, Claim::Express, NOW).await;
        assert_eq!(all.len(), 2);
        let want = |segment, s| catalog.want_segment(id(1), Some(Lane::B), segment, after(s));
        let express = |s| {
            let catalog = catalog.clone();
            async move { catalog.claim_next_job(&WorkerId::new("w"), Claim::Express, after(s), LEASE).await.unwrap() }
        };
        // Two wait for the same chunk; one of them goes.
        want(25, 1).await.unwrap();
        want(26, 1).await.unwrap();
        catalog.unwant_segment(id(1), Some(Lane::B), 26, after(1)).await.unwrap();
        let wanted = express(2).await.unwrap();
        assert_eq!(name(&wanted), "b25-27!");
        catalog.release_job(wanted.id, wanted.attempt, after(2)).await.unwrap();
        // The other one too.
        catalog.unwant_segment(id(1), Some(Lane::B), 25, after(2)).await.unwrap();
        catalog.unwant_segment(id(1), Some(Lane::B), 25, after(2)).await.unwrap();
        assert_eq!(express(3).await, None);
        // An edge dies while it waits; it may be renewed before.
        want(30, 10).await.unwrap();
        want(40, 10).await.unwrap();
        want(30, 20).await.unwrap();
        let renewed = express(25).await.unwrap();
        assert_eq!(name(&renewed), "b29-31!", "the other want was forgotten");
        assert_eq!(express(25).await, None);
        // What was cut stays cut, and the longer piece has its turn first.
        let rest = names(&catalog, Claim::Any, after(26)).await;
        assert_eq!(rest[rest.len() - 5..], ["b25-27", "b27-29", "b40-42", "b42-43", "b43-44"]);
        assert!(rest.iter().all(|name| !name.ends_with('!')), "{rest:?}");
    }

    async fn the_beginning_of_every_film_comes_before_the_rest_of_any(test: &TestDatabase) {
        let catalog = open(test).await;
        let first = start(&catalog, 1, 20, NOW).await;
        let second = start(&catalog, 2, 20, after(1)).await;
        let third = queue(&catalog, 3).await;
        catalog.set_priority(second, 5, after(1)).await.unwrap();
        let place = async |video| row(&catalog, video).await.queue_place;
        assert_eq!((place(third).await, place(second).await, place(first).await), (Some(0), Some(1), Some(2)));
        let jobs = everything(&catalog, Claim::Any, after(2)).await;
        let order: Vec<_> = jobs.iter().map(|job| (job.video, job.is_urgent)).collect();
        assert_eq!(order[0], (third, true));
        assert_eq!(order[1..5], [(second, true), (second, true), (first, true), (first, true)]);
        // stills, a2-5; then lane B
        assert_eq!(order[5..9].iter().map(|(video, _)| *video).collect::<Vec<_>>(), [second, second, first, first]);
        assert_eq!(jobs[9..].iter().map(name).collect::<Vec<_>>(), ["b2-5", "b0-2", "b2-5", "b0-2"]);
        assert_eq!(jobs[9].video, second);
        assert_eq!(place(first).await, None, "somebody works on it");
        assert_eq!(row(&catalog, second).await.priority, 5);
        assert_eq!(catalog.set_priority(video_id(9), 1, NOW).await.unwrap_err().kind(), ErrorKind::NotFound);
    }

    async fn concurrent_claims_of_one_film_never_share_a_job(test: &TestDatabase) {
        let catalogs = [open(test).await, open(test).await];
        start(&catalogs[0], 1, 900, NOW).await;
        let workers = (0..6).map(|n| {
            let catalog = &catalogs[n % 2];
            async move {
                let mut claimed = Vec::new();
                for _ in 0..40 {
                    claimed.extend(claim(catalog, NOW).await.map(|job| name(&job)));
                }
                claimed
            }
        });
        let mut claimed: Vec<_> = join_all(workers).await.into_iter().flatten().collect();
        let count = claimed.len();
        claimed.sort();
        claimed.dedup();
        // 8, 16, 32 s, then 60 s each, twice; sound and stills.
        assert_eq!((count, claimed.len()), (2 * 18 + 2, count));
    }

    async fn a_worker_that_lost_its_lease_commits_nothing(test: &TestDatabase) {
        let catalog = open(test).await;
        let video = start(&catalog, 1, 8, NOW).await;
        let jobs = everything(&catalog, Claim::Any, NOW).await;
        let stale = jobs.iter().find(|job| name(job) == "a0-2!").unwrap();
        // Its lease runs out, and after the pause another one has it.
        assert_eq!(claim(&catalog, after(30)).await, None);
        let next = everything(&catalog, Claim::Any, after(35)).await.into_iter().find(|job| job.id == stale.id).unwrap();
        let commit = |job: &Job, content: &str, s| {
            let (job, chunk, catalog) = ((job.id, job.attempt), chunk(0..2, content), catalog.clone());
            async move {
                let chunks = [(video_name(144), chunk.clone()), (video_name(360), chunk)];
                catalog.commit_chunks(job.0, job.1, id(1), &chunks, 0, true, after(s)).await
            }
        };
        assert_eq!(commit(stale, "late", 36).await.unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(catalog.growing(id(1)).await.unwrap().unwrap().chunks(video_name(144)), []);
        commit(&next, "first", 36).await.unwrap();
        assert_eq!(commit(stale, "late", 37).await.unwrap_err().kind(), ErrorKind::Conflict);
        commit(&next, "first", 37).await.expect("its answer was lost");
        assert_eq!(commit(&next, "second", 37).await.unwrap_err().kind(), ErrorKind::Conflict);
        let other = catalog.commit_chunks(next.id, next.attempt, id(2), &[], 0, true, after(37)).await;
        assert_eq!(other.unwrap_err().kind(), ErrorKind::Conflict);
        let chunks = catalog.growing(id(1)).await.unwrap().unwrap().chunks(video_name(144)).to_vec();
        assert_eq!(chunks, [chunk(0..2, "first")]);
        assert!(row(&catalog, video).await.plays().is_none(), "there is no sound");
    }

    async fn of_sound_made_twice_the_first_stays(test: &TestDatabase) {
        let catalog = open(test).await;
        start(&catalog, 1, 24, NOW).await;
        let find = |jobs: Vec<Job>| jobs.into_iter().find(|job| name(job) == "sound").unwrap();
        let first = find(everything(&catalog, Claim::Express, NOW).await);
        let (a, b) = ((sound(), chunk(0..2, "a")), (sound(), chunk(2..6, "b")));
        catalog.commit_chunks(first.id, first.attempt, id(1), std::slice::from_ref(&a), 0, false, NOW).await.unwrap();
        catalog.fail_job(first.id, first.attempt, JobFailure::Crashed, NOW).await.unwrap();
        let again = find(everything(&catalog, Claim::Express, after(5)).await);
        for (chunks, done) in [([(sound(), chunk(0..2, "other"))], false), ([b.clone()], true)] {
            catalog.commit_chunks(again.id, again.attempt, id(1), &chunks, 0, done, after(6)).await.unwrap();
        }
        let index = catalog.growing(id(1)).await.unwrap().unwrap();
        assert_eq!((index.chunks(sound()), index.is_whole(sound())), (&[a.1, b.1][..], true));
    }

    async fn inits_stay_what_they_are(test: &TestDatabase) {
        let catalog = open(test).await;
        queue(&catalog, 1).await;
        let job = claim(&catalog, NOW).await.unwrap();
        catalog.start_version(job.id, job.attempt, id(1), &plan(8), NOW).await.unwrap();
        catalog.announce(job.id, job.attempt, id(1), &inits()[..2], NOW).await.unwrap();
        catalog.announce(job.id, job.attempt, id(1), &inits(), NOW).await.unwrap();
        let mut other = inits();
        other[3].init_size += 1;
        let error = catalog.announce(job.id, job.attempt, id(1), &other, NOW).await.unwrap_err();
        assert!(matches!(&error, CatalogError::OtherInit { rendition, .. } if *rendition == video_name(720)));
        assert_eq!(error.kind(), ErrorKind::Conflict);
        let stale = catalog.announce(job.id, job.attempt + 1, id(1), &inits(), NOW).await.unwrap_err();
        assert_eq!(stale.kind(), ErrorKind::Conflict);
    }

    async fn a_plan_that_died_goes_on_with_its_version_or_starts_another(test: &TestDatabase) {
        let catalog = open(test).await;
        let video = queue(&catalog, 1).await;
        let job = claim(&catalog, NOW).await.unwrap();
        catalog.start_version(job.id, job.attempt, id(1), &plan(8), NOW).await.unwrap();
        catalog.announce(job.id, job.attempt, id(1), &inits(), NOW).await.unwrap();
        let others = everything(&catalog, Claim::Any, NOW).await;
        for job in others.iter().filter(|job| job.is_urgent) {
            carry_out(&catalog, job, after(1)).await;
        }
        let find = |jobs: Vec<Job>| jobs.into_iter().find(|job| job.work == Work::Plan).unwrap();
        assert_eq!(claim(&catalog, after(30)).await, None);
        let again = find(everything(&catalog, Claim::Any, after(35)).await);
        assert_eq!((again.started, row(&catalog, video).await.plays()), (Some(id(1)), Some(id(1))));
        catalog.start_version(again.id, again.attempt, id(2), &plan(8), after(36)).await.unwrap();
        assert_eq!(row(&catalog, video).await.plays(), None);
        assert_eq!(catalog.growing(id(1)).await.unwrap(), None);
        let old = &others.iter().find(|job| name(job) == "b0-2").unwrap();
        let stale = catalog.commit_chunks(old.id, old.attempt, id(1), &pictures(Lane::B, 0..2), 0, true, after(36)).await;
        assert_eq!(stale.unwrap_err().kind(), ErrorKind::Conflict);
        catalog.announce(again.id, again.attempt, id(2), &inits(), after(36)).await.unwrap();
        catalog.finish_job(again.id, again.attempt, after(36)).await.unwrap();
        for job in everything(&catalog, Claim::Any, after(37)).await {
            carry_out(&catalog, &job, after(38)).await;
        }
        carry_out(&catalog, &claim(&catalog, after(39)).await.unwrap(), after(39)).await;
        assert_eq!(row(&catalog, video).await.version(), Some(id(2)));
    }

    async fn a_poison_chunk_fails_its_film_and_the_queue_moves_on(test: &TestDatabase) {
        let catalog = open(test).await;
        let video = start(&catalog, 1, 200, NOW).await;
        let first = everything(&catalog, Claim::Express, NOW).await;
        for job in &first {
            carry_out(&catalog, job, NOW).await;
        }
        assert!(row(&catalog, video).await.plays().is_some());
        let good = start(&catalog, 2, 8, after(1)).await;
        let find = |jobs: Vec<Job>| jobs.into_iter().find(|job| name(job).starts_with("a2-6")).unwrap();
        for s in [10, 20, 100] {
            let jobs = everything(&catalog, Claim::Any, after(s)).await;
            for job in jobs.iter().filter(|job| !name(job).starts_with("a2-6")) {
                catalog.release_job(job.id, job.attempt, after(s)).await.unwrap();
            }
            let poison = find(jobs);
            catalog.fail_job(poison.id, poison.attempt, JobFailure::Crashed, after(s)).await.unwrap();
        }
        let failed = row(&catalog, video).await;
        assert_eq!(failed.state, VideoState::Failed { reason: FailureReason::Crashed, at: after(100) });
        assert_eq!((failed.plays(), failed.renditions.len()), (None, 0));
        assert_eq!(catalog.growing(id(1)).await.unwrap(), None);
        let rest = everything(&catalog, Claim::Any, after(200)).await;
        assert!(rest.len() > 2 && rest.iter().all(|job| job.video == good), "{rest:?}");
    }

    async fn a_film_of_which_a_tenth_is_missing_is_truncated(test: &TestDatabase) {
        for (missing_ms, is_ready) in [(800, true), (801, false)] {
            let catalog = open(test).await;
            let n = u128::from(missing_ms);
            let video = start(&catalog, n, 8, NOW).await;
            for job in everything(&catalog, Claim::Any, NOW).await {
                if let Work::Pictures { version, lane, segments } = job.work.clone() {
                    // Lane B lacks the same.
                    let chunks = pictures(lane, segments);
                    catalog.commit_chunks(job.id, job.attempt, version, &chunks, missing_ms, true, after(1)).await.unwrap();
                } else {
                    carry_out(&catalog, &job, after(1)).await;
                }
            }
            let found = row(&catalog, video).await.state;
            if is_ready {
                carry_out(&catalog, &claim(&catalog, after(2)).await.unwrap(), after(2)).await;
            } else {
                assert_eq!(found, VideoState::Failed { reason: FailureReason::Truncated, at: after(1) });
                assert_eq!(claim(&catalog, after(2)).await, None);
            }
        }
    }

    async fn what_was_cancelled_begins_anew_when_it_is_asked_for(test: &TestDatabase) {
        let catalog = open(test).await;
        let video = start(&catalog, 1, 8, NOW).await;
        let running = everything(&catalog, Claim::Any, NOW).await;
        catalog.cancel_video(video, after(1)).await.unwrap();
        let failed = VideoState::Failed { reason: FailureReason::Cancelled, at: after(1) };
        assert_eq!(row(&catalog, video).await.state, failed);
        for job in &running {
            assert!(!catalog.extend_lease(job.id, job.attempt, 0, after(2), LEASE).await.unwrap());
        }
        assert_eq!(catalog.growing(id(1)).await.unwrap(), None);
        let revoked = catalog.revocations(after(2)).await.unwrap();
        assert!(revoked.iter().any(|one| one.revoked == Revoked::Version(id(1))), "grants for it are void: {revoked:?}");
        assert_eq!(claim(&catalog, after(999)).await, None);
        let twice = catalog.cancel_video(video, after(2)).await.unwrap_err();
        assert_eq!(twice.kind(), ErrorKind::Conflict);

        catalog.retry_video(video, after(3)).await.unwrap();
        let late = &running[0];
        let stale = catalog.commit_chunks(late.id, late.attempt, id(1), &[], 0, true, after(3)).await;
        assert_eq!(stale.unwrap_err().kind(), ErrorKind::Conflict);
        plan_it(&catalog, 2, 8, after(4)).await;
        for job in everything(&catalog, Claim::Any, after(5)).await {
            carry_out(&catalog, &job, after(6)).await;
        }
        carry_out(&catalog, &claim(&catalog, after(7)).await.unwrap(), after(7)).await;
        assert_eq!(row(&catalog, video).await.version(), Some(id(2)));
        assert_eq!(catalog.cancel_video(video, after(8)).await.unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(catalog.cancel_video(video_id(9), NOW).await.unwrap_err().kind(), ErrorKind::NotFound);
    }

    async fn a_film_deleted_while_it_grows_is_gone_with_its_grants(test: &TestDatabase) {
        let catalog = open(test).await;
        let video = start(&catalog, 1, 60, NOW).await;
        let jobs = everything(&catalog, Claim::Express, NOW).await;
        for job in &jobs {
            carry_out(&catalog, job, after(1)).await;
        }
        let rest = everything(&catalog, Claim::Any, after(2)).await;
        let hide = VideoEdit { min_tier: Some(model::Tier::try_from(1).unwrap()), ..VideoEdit::default() };
        catalog.edit_video(video, hide, after(3)).await.unwrap();
        catalog.delete_video(video, after(4)).await.unwrap();
        let revoked: Vec<_> = catalog.revocations(after(5)).await.unwrap().iter().map(|line| (line.revoked, line.at)).collect();
        assert_eq!(revoked, [3, 4].map(|s| (Revoked::Version(id(1)), after(s))));
        let late = catalog.commit_chunks(rest[0].id, rest[0].attempt, id(1), &[], 0, true, after(5)).await;
        assert_eq!(late.unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(claim(&catalog, after(999)).await, None);
        assert!(!catalog.forget_video(video, after(10)).await.unwrap(), "its workers may still write");
        assert!(catalog.forget_video(video, after(60)).await.unwrap());
        assert_eq!(catalog.growing(id(1)).await.unwrap(), None);
    }

    async fn whatever_happens_at_once_the_film_is_finished(test: &TestDatabase) {
        let catalogs = [open(test).await, open(test).await];
        let film = start(&catalogs[0], 1, 600, NOW).await;
        let other = start(&catalogs[0], 2, 600, NOW).await;
        let workers = (0..6usize).map(|n| {
            let catalog = &catalogs[n % 2];
            async move {
                for turn in 0..200 {
                    let claim = if n > 3 { Claim::Express } else { Claim::Any };
                    let Some(job) = catalog.claim_next_job(&WorkerId::new("w"), claim, NOW, LEASE).await.unwrap() else {
                        continue;
                    };
                    let is_bulk = !job.is_urgent && matches!(job.work, Work::Pictures { .. });
                    if !catalog.extend_lease(job.id, job.attempt, 1000, NOW, LEASE).await.unwrap() {
                        assert!(job.video == other || is_bulk, "only that one was stopped, or a chunk wanted: {job:?}");
                    } else if turn % 5 == 4 {
                        let _stopped_meanwhile = catalog.release_job(job.id, job.attempt, NOW).await;
                    } else if job.video == film && is_bulk {
                        let _taken_back_meanwhile = try_out(catalog, &job, NOW).await;
                    } else if job.video == film {
                        carry_out(catalog, &job, NOW).await;
                    }
                }
            }
        });
        let viewers = (0..4u32).map(|n| {
            let catalog = &catalogs[n as usize % 2];
            async move {
                for segment in 0..30 {
                    let lane = if n < 2 { Lane::A } else { Lane::B };
                    let segment = (segment * 7 + n * 31) % 150;
                    catalog.want_segment(id(1), Some(lane), segment, NOW).await.unwrap();
                    if segment % 3 == 0 {
                        catalog.unwant_segment(id(1), Some(lane), segment, NOW).await.unwrap();
                    }
                    catalog.set_priority(film, i32::try_from(n).unwrap(), NOW).await.unwrap();
                }
            }
        });
        let stop = async {
            for _ in 0..5 {
                catalogs[1].video(other).await.unwrap();
            }
            catalogs[1].cancel_video(other, NOW).await.unwrap();
        };
        tokio::join!(join_all(workers), join_all(viewers), stop);
        while let Some(job) = claim(&catalogs[0], after(1)).await {
            carry_out(&catalogs[0], &job, after(1)).await;
        }
        assert_eq!(row(&catalogs[0], film).await.version(), Some(id(1)));
        assert!(matches!(row(&catalogs[0], other).await.state, VideoState::Failed { .. }));
    }

    async fn two_that_are_the_last_at_once_leave_one_finish(test: &TestDatabase) {
        for n in 1..=5 {
            let catalogs = [open(test).await, open(test).await];
            start(&catalogs[0], n, 8, NOW).await;
            let jobs = everything(&catalogs[0], Claim::Any, NOW).await;
            let last = jobs.iter().zip(catalogs.iter().cycle()).map(|(job, catalog)| carry_out(catalog, job, after(1)));
            join_all(last).await;
            let finish = everything(&catalogs[0], Claim::Any, after(2)).await;
            assert_eq!(finish.iter().map(name).collect::<Vec<_>>(), ["finish"]);
            carry_out(&catalogs[0], &finish[0], after(3)).await;
        }
    }
}

fn video_name(height: u16) -> RenditionName {
    video(height)
}

#[tokio::test]
async fn another_process_hears_of_jobs_and_changes() {
    let test = TestDatabase::postgres().await;
    let (here, there) = (open(&test).await, open(&test).await);
    let mut changes = there.changed();
    let patience = Duration::from_secs(10);
    // Until it listens, it may miss what is told.
    loop {
        let queued = tokio::time::timeout(Duration::from_millis(50), there.job_queued());
        let (heard, ()) = tokio::join!(queued, async { here.announce_job() });
        if heard.is_ok() {
            break;
        }
    }
    here.announce_change();
    tokio::time::timeout(patience, changes.changed()).await.expect("it is told at once").unwrap();
    let waiting = tokio::time::timeout(patience, there.job_queued());
    let (heard, _) = tokio::join!(waiting, queue(&here, 1));
    heard.expect("so it is of an upload that is complete");
}
