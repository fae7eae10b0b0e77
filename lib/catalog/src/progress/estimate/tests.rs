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

/// Between two heartbeats, in milliseconds,
const HEARTBEAT: u64 = 2000;
/// and between two looks.
const STEP: u64 = 250;

/// What machines do with a film.
#[derive(Debug, Clone, Copy)]
struct Fleet {
    machines: usize,
    /// Of each.
    slots: usize,
    film_s: u32,
    /// Seconds of a whole machine for a second of film: sound, lane A, lane B.
    takes: [f64; 3],
}

/// A job, what there is to do, and how far it is.
struct Work {
    part: Part<'static>,
    is_urgent: bool,
    /// In milliseconds of a whole machine.
    takes: f64,
    made: f64,
    worker: Option<usize>,
}

fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(ms.cast_signed())
}

/// A film's jobs in the order in which they are taken.
fn jobs(plan: &EncodePlan, takes: [f64; 3]) -> Vec<Work> {
    let weights = Weights::of(plan);
    let work = |class, length_ms, weight, is_urgent, takes: f64| Work {
        part: Part { class, length_ms, done_ms: 0, weight, doing: Doing::Waits },
        is_urgent,
        takes: length_ms as f64 * takes,
        made: 0.0,
        worker: None,
    };
    let [sound, a, b] = takes;
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

const MACHINES: [&str; 4] = ["a", "b", "c", "d"];

/// A step of time: free workers take jobs, those of one machine share it.
fn step(jobs: &mut [Work], fleet: Fleet, now: u64) {
    let workers = fleet.machines * (fleet.slots + 2);
    for worker in 0..workers {
        let is_express = worker / fleet.machines >= fleet.slots;
        let runs = |work: &Work| matches!(work.part.doing, Doing::Runs { .. }) && work.worker == Some(worker);
        if !jobs.iter().any(runs) {
            let waits = |work: &&mut Work| work.part.doing == Doing::Waits && (work.is_urgent || !is_express);
            if let Some(work) = jobs.iter_mut().find(waits) {
                work.worker = Some(worker);
                let machine = MACHINES[worker % fleet.machines];
                work.part.doing = Doing::Runs { machine, started: at(now), seen: at(now) };
            }
        }
    }
    let mut at_once = [0u32; MACHINES.len()];
    let running =
        |work: &Work| matches!(work.part.doing, Doing::Runs { .. }).then_some(work.worker).flatten();
    for worker in jobs.iter().filter_map(running) {
        at_once[worker % fleet.machines] += 1;
    }
    for work in jobs {
        let Doing::Runs { machine, started, .. } = work.part.doing else { continue };
        let share = f64::from(at_once[work.worker.unwrap() % fleet.machines]);
        work.made += STEP as f64 / share;
        let then = at(now + STEP);
        if work.made >= work.takes {
            work.part.doing = Doing::Done { machine, started, ended: then };
            work.part.done_ms = work.part.length_ms;
        } else if then.since(started).as_millis().is_multiple_of(HEARTBEAT.into()) {
            work.part.doing = Doing::Runs { machine, started, seen: then };
            // Encoders hold some of what they have worked on.
            let held_ms = if work.part.class == Class::Sound { 0.0 } else { 500.0 };
            let worked_ms = work.made / work.takes * (work.part.length_ms as f64 + held_ms);
            work.part.done_ms = (worked_ms - held_ms).max(0.0) as u64;
        }
    }
}

/// Carries out a film and checks what is told on the way.
fn check(fleet: Fleet) {
    let plan = ladder(fleet.film_s);
    let mut jobs = jobs(&plan, fleet.takes);
    let weights = Weights::of(&plan);
    let [_, a, b] = fleet.takes;
    let as_planned = b / a * weights.lane(Lane::A, false) / weights.lane(Lane::B, false);
    let whole: f64 = jobs.iter().map(|job| job.takes).sum();
    let mut told = Vec::new();
    let mut now = 0;
    while jobs.iter().any(|job| !matches!(job.part.doing, Doing::Done { .. })) {
        step(&mut jobs, fleet, now);
        now += STEP;
        // What lane B costs beside lane A nobody knows before it was seen for the first time.
        let of_b = |job: &&Work| job.part.class == Class::Pictures(Lane::B);
        let is_known =
            (0.85..1.15).contains(&as_planned) || jobs.iter().filter(of_b).any(|job| job.part.is_telling());
        let made: f64 = jobs.iter().map(|job| job.made).sum();
        if now.is_multiple_of(HEARTBEAT) && made >= whole / 5.0 && is_known {
            let parts: Vec<_> = jobs.iter().map(|job| job.part.clone()).collect();
            told.push((now, estimate(&parts, at(0), at(now))));
        }
    }
    for (then, Progress { percent, eta_s, .. }) in &told {
        let (eta, left) = (f64::from(eta_s.unwrap()), now.saturating_sub(*then) as f64 / 1000.0);
        // What is seen is a heartbeat old, what is told is in whole seconds.
        let slack = (left / 4.0).max(3.0);
        assert!((eta - left).abs() <= slack, "{eta} s told, {left} s true at {then} of {now}: {fleet:?}");
        assert!(*percent < 100, "{percent} at {then} of {now}: {fleet:?}");
    }
    let last = told.last().map_or(0, |(_, progress)| progress.percent);
    assert!(last > 80, "{last}: {fleet:?}");
}

#[test]
fn after_a_fifth_of_the_work_the_eta_is_within_a_quarter() {
    for (machines, slots) in [(1, 1), (1, 2), (2, 1), (3, 2)] {
        // A chunk is a large part of a short film: it is not dealt to several machines evenly.
        for film_s in [55, 300, 3600].into_iter().filter(|film_s| machines == 1 || *film_s > 1000) {
            // As planned, everything slower, lane B twice as dear, a little cheaper.
            for (a, b) in [(0.19, 0.33), (1.0, 1.8), (0.19, 0.66), (0.19, 0.28)] {
                check(Fleet { machines, slots, film_s, takes: [0.02, a, b] });
            }
        }
    }
}

#[test]
fn a_film_of_sound_is_as_far_as_its_sound() {
    let plan = EncodePlan { video: None, ..plan(600) };
    let weights = Weights::of(&plan);
    let doing = Doing::Runs { machine: "a", started: at(0), seen: at(10_000) };
    let part =
        Part { class: Class::Sound, length_ms: 600_000, done_ms: 150_000, weight: weights.sound, doing };
    let told = estimate(&[part], at(0), at(10_000));
    assert_eq!(told, Progress { percent: 25, eta_s: Some(30), speed: Some(15.0) });
}

#[test]
fn before_anything_is_made_nothing_is_told() {
    let plan = plan(600);
    let jobs = jobs(&plan, [1.0; 3]);
    let parts: Vec<_> = jobs.into_iter().map(|job| job.part).collect();
    assert_eq!(estimate(&parts, at(0), at(0)), Progress::default());
    assert_eq!(estimate(&[], at(0), at(1000)), Progress::default());
}

/// A cell of a film as it was recorded: class, first and last second of the film, whether it was
/// hurried, when it began and ended, and what it reported: when, and how far it was.
type Recorded = (Class, u64, u64, bool, u64, u64, &'static [(u64, u64)]);

/// What is told, and what is true, twice a second from the first fifth of the time until ten seconds are left.
fn replay(cells: &[Recorded], end: u64) -> Vec<(f64, f64)> {
    let plan = recorded_plan();
    let weights = Weights::of(&plan);
    let part = |cell: &Recorded, now: u64| {
        let &(class, from, to, hurry, began, ended, reports) = cell;
        let length_ms = to - from;
        let weight = match class {
            Class::Sound => weights.sound,
            Class::Pictures(lane) => weights.lane(lane, hurry),
        };
        let (started, machine) = (at(began), "a");
        let (doing, done_ms) = match now {
            now if now < began => (Doing::Waits, 0),
            now if now >= ended => (Doing::Done { machine, started, ended: at(ended) }, length_ms),
            now => {
                let (seen, done_ms) =
                    reports.iter().rev().find(|report| report.0 <= now).copied().unwrap_or((began, 0));
                (Doing::Runs { machine, started, seen: at(seen) }, done_ms)
            }
        };
        Part { class, length_ms, done_ms, weight, doing }
    };
    let looks = (end / 5..end.saturating_sub(10_000)).step_by(500);
    looks
        .filter_map(|now| {
            let parts: Vec<_> = cells.iter().map(|cell| part(cell, now)).collect();
            let told = estimate(&parts, at(0), at(now)).eta_s?;
            Some((f64::from(told), (end - now) as f64 / 1000.0))
        })
        .collect()
}

fn recorded_plan() -> EncodePlan {
    let mut plan = plan(30);
    let video = plan.video.as_mut().unwrap();
    video.frame_rate = model::cell::Ratio::new(30, 1);
    let rung = video.rungs.last().unwrap().clone();
    video.rungs = [
        (256, 144, 2, "slow", "medium"),
        (426, 240, 1, "slow", "faster"),
        (640, 360, 1, "slow", "veryfast"),
        (854, 480, 1, "fast", "veryfast"),
        (1280, 720, 1, "veryfast", "veryfast"),
        (1920, 1080, 1, "veryfast", "veryfast"),
    ]
    .map(|(width, height, frame_divisor, preset, hurried)| VideoRung {
        rendition: model::RenditionName::Video { height: u16::try_from(height).unwrap() },
        width,
        height,
        frame_divisor,
        preset: preset.to_owned(),
        hurried_preset: hurried.to_owned(),
        ..rung.clone()
    })
    .into();
    plan
}

/// Half a minute of 1080p30 at 6 Mbit/s on two cores, as its rows told it.
#[test]
fn half_a_minute_as_it_was_recorded_is_told_within_a_quarter() {
    let (a, b) = (Class::Pictures(Lane::A), Class::Pictures(Lane::B));
    let cells: [Recorded; 7] = [
        (Class::Sound, 0, 30_000, true, 1, 2_253, &[(2_005, 8_256)]),
        (a, 0, 8_000, true, 2, 1_967, &[]),
        (
            a,
            8_000,
            24_000,
            false,
            2_254,
            11_358,
            &[(4_256, 3_200), (6_262, 7_066), (8_267, 10_433), (10_270, 14_433)],
        ),
        (a, 24_000, 30_170, false, 2_499, 6_529, &[(4_500, 2_600)]),
        (b, 0, 8_000, false, 11_358, 24_926, &B_FIRST),
        (b, 8_000, 24_000, false, 6_529, 34_300, &B_SECOND),
        (b, 24_000, 30_170, false, 24_927, 34_500, &B_LAST),
    ];
    let told = replay(&cells, 34_900);
    let is_near = |(told, left): &&(f64, f64)| (told - left).abs() <= left / 4.0;
    let near = told.iter().filter(is_near).count();
    assert_eq!(near, told.len(), "{told:?}");
}

const B_FIRST: [(u64, u64); 6] =
    [(13_362, 533), (15_363, 1_833), (17_382, 3_133), (19_384, 4_633), (21_386, 5_433), (23_388, 6_733)];
const B_SECOND: [(u64, u64); 13] = [
    (8_534, 500),
    (10_536, 1_433),
    (12_539, 2_300),
    (14_552, 3_433),
    (16_561, 4_700),
    (18_563, 5_766),
    (20_566, 6_866),
    (22_569, 8_233),
    (24_571, 9_300),
    (26_574, 10_500),
    (28_580, 11_933),
    (30_586, 13_333),
    (32_601, 14_566),
];
const B_LAST: [(u64, u64); 4] = [(26_930, 966), (28_933, 1_966), (30_936, 3_033), (32_941, 4_666)];
