use model::cell::{EncodePlan, VideoRung};

use super::*;
use crate::progress::weights::{self, Weights};
use crate::tests::film::plan;

/// The usual ladder up to 1080p.
fn ladder(seconds: u32) -> EncodePlan {
    let mut plan = plan(seconds);
    let video = plan.video.as_mut().unwrap();
    let top = video.rungs.last().unwrap().clone();
    for (width, height) in [(426, 240), (854, 480), (1920, 1080)] {
        let rendition = model::RenditionName::Video { height };
        let preset = if height == 240 { "slow" } else { "veryfast" }.to_owned();
        video.rungs.push(VideoRung { rendition, width, height: height.into(), preset, ..top.clone() });
    }
    plan
}

/// Between two heartbeats, in milliseconds.
const HEARTBEAT: u64 = 5000;

/// What a machine does with a film.
#[derive(Debug, Clone, Copy)]
struct Machine {
    slots: usize,
    film_s: u32,
    /// Seconds of work for a second of film: sound, lane A, lane B.
    takes: [f64; 3],
}

/// A job and when it began, ended, and was last seen, in milliseconds.
struct Work {
    part: Part,
    is_urgent: bool,
    takes_ms: f64,
    began: Option<u64>,
    ended: Option<u64>,
}

fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(ms.cast_signed())
}

/// A film's jobs in the order in which they are taken.
fn jobs(plan: &EncodePlan, machine: Machine) -> Vec<Work> {
    let weights = Weights::of(plan);
    let work = |class, length_ms, weight, is_urgent, takes: f64| Work {
        part: Part { class, length_ms, done_ms: 0, weight, doing: Doing::Waits },
        is_urgent,
        takes_ms: length_ms as f64 * takes,
        began: None,
        ended: None,
    };
    let [sound, a, b] = machine.takes;
    let mut jobs = vec![work(Class::Sound, weights::sound_ms(plan), weights.sound, true, sound)];
    for (lane, takes) in [(Lane::A, a), (Lane::B, b)] {
        for chunk in plan.grid.chunks(0..plan.grid.count(plan.grid.frames)) {
            let hurry = lane == Lane::A && chunk.start == 0;
            let weight = weights.lane(lane, hurry);
            // The quick presets are as much quicker as they are said to be.
            let takes = takes * weight / weights.lane(lane, false);
            jobs.push(work(Class::Pictures(lane), weights::pictures_ms(plan, chunk), weight, hurry, takes));
        }
    }
    jobs
}

/// Carries out a film on a machine and checks what is told at every heartbeat and commit.
fn check(machine: Machine) {
    let mut jobs = jobs(&ladder(machine.film_s), machine);
    // When each is begun and ended by the slots, and two express workers for what is urgent.
    let mut free = vec![0u64; machine.slots + 2];
    for job in &mut jobs {
        let workers = if job.is_urgent { 0..free.len() } else { 0..machine.slots };
        let worker = workers.rev().min_by_key(|worker| free[*worker]).unwrap();
        job.began = Some(free[worker]);
        free[worker] += job.takes_ms as u64;
        job.ended = Some(free[worker]);
    }
    let end = *free.iter().max().unwrap();
    let whole: f64 = jobs.iter().map(|job| job.takes_ms).sum();

    let mut moments: Vec<u64> = jobs.iter().filter_map(|job| job.ended).collect();
    for job in &jobs {
        moments.extend((job.began.unwrap()..job.ended.unwrap()).step_by(HEARTBEAT as usize));
    }
    moments.sort_unstable();
    let mut percent = 0;
    for now in moments.into_iter().filter(|now| *now < end) {
        let mut worked = 0.0;
        for job in &mut jobs {
            let (began, ended) = (job.began.unwrap(), job.ended.unwrap());
            worked += now.clamp(began, ended).saturating_sub(began) as f64;
            if now >= ended {
                job.part.doing = Doing::Done { started: at(began), ended: at(ended) };
                job.part.done_ms = job.part.length_ms;
            } else if now >= began {
                let seen = began + (now - began) / HEARTBEAT * HEARTBEAT;
                job.part.doing = Doing::Runs { started: at(began), seen: at(seen) };
                job.part.done_ms = ((seen - began) as f64 / job.takes_ms * job.part.length_ms as f64) as u64;
            }
        }
        let parts: Vec<_> = jobs.iter().map(|job| job.part.clone()).collect();
        let told = estimate(&parts, at(0), at(now));
        percent = percent.max(told.percent);
        assert!(told.percent < 100, "{told:?}");
        // What lane B costs nobody knows before it was seen for the first time.
        let is_unseen = |job: &Work| job.part.class == Class::Pictures(Lane::B) && job.part.done_ms == 0;
        let unknown = jobs.iter().filter(|job| is_unseen(job)).any(|job| job.part.doing != Doing::Waits);
        let unknown =
            unknown && jobs.iter().all(|job| job.part.class != Class::Pictures(Lane::B) || is_unseen(job));
        if worked >= whole / 5.0 && !unknown {
            let (eta, left) = (f64::from(told.eta_s.unwrap()), (end - now) as f64 / 1000.0);
            // What is seen is a heartbeat old.
            let slack = (left / 4.0).max(5.0);
            assert!(
                (eta - left).abs() <= slack,
                "{eta} s told, {left} s true at {now} of {end}: {machine:?}"
            );
        }
    }
    assert!(percent > 80, "{percent}: {machine:?}");
}

#[test]
fn after_a_fifth_of_the_work_the_eta_is_within_a_quarter() {
    for slots in [1, 2] {
        for film_s in [55, 300, 7200] {
            // As planned, everything slower, lane B three times as dear, a little cheaper.
            for (a, b) in [(0.37, 0.66), (2.0, 3.6), (0.37, 1.98), (0.37, 0.55)] {
                check(Machine { slots, film_s, takes: [0.02, a, b] });
            }
        }
    }
}

#[test]
fn a_film_of_sound_is_as_far_as_its_sound() {
    let plan = EncodePlan { video: None, ..plan(600) };
    let weights = Weights::of(&plan);
    let doing = Doing::Runs { started: at(0), seen: at(10_000) };
    let part =
        Part { class: Class::Sound, length_ms: 600_000, done_ms: 150_000, weight: weights.sound, doing };
    let told = estimate(&[part], at(0), at(10_000));
    assert_eq!(told, Progress { percent: 25, eta_s: Some(30), speed: Some(15.0) });
}

#[test]
fn before_anything_is_made_nothing_is_told() {
    let plan = plan(600);
    let jobs = jobs(&plan, Machine { slots: 1, film_s: 600, takes: [1.0; 3] });
    let parts: Vec<_> = jobs.into_iter().map(|job| job.part).collect();
    assert_eq!(estimate(&parts, at(0), at(0)), Progress::default());
    assert_eq!(estimate(&[], at(0), at(1000)), Progress::default());
}
