use std::time::Duration;

use model::{Lane, Timestamp};

use super::Progress;

/// "Lately": this part of the time since the work began,
const LATELY_PART: f64 = 0.2;
/// but at least this: longer than between two heartbeats.
const LATELY: Duration = Duration::from_secs(12);
/// A lane that has made this much film has shown how fast it is, in milliseconds.
const TELLING_MS: u64 = 1000;

/// A job, as far as its progress is concerned.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part {
    pub(super) class: Class,
    /// Its stretch of film, in milliseconds,
    pub(super) length_ms: u64,
    /// and how much of that is done.
    pub(super) done_ms: u64,
    /// What a second of it costs by the plan.
    pub(super) weight: f64,
    pub(super) doing: Doing,
}

/// What is equally fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Sound,
    Pictures(Lane),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    Waits,
    Runs {
        started: Timestamp,
        /// When it was where it is.
        seen: Timestamp,
    },
    Done {
        started: Timestamp,
        ended: Timestamp,
    },
}

impl Part {
    /// Seconds that somebody worked on what is done.
    fn busy_s(&self) -> f64 {
        match self.doing {
            Doing::Waits => 0.0,
            Doing::Runs { started, seen: until } | Doing::Done { started, ended: until } => {
                until.since(started).as_secs_f64()
            }
        }
    }

    fn done_cost(&self) -> f64 {
        self.done_ms as f64 / 1000.0 * self.weight
    }

    fn cost(&self) -> f64 {
        self.length_ms as f64 / 1000.0 * self.weight
    }

    /// Seconds since `from` during which somebody worked on it.
    fn busy_since(&self, from: Timestamp, now: Timestamp) -> f64 {
        let (started, until) = match self.doing {
            Doing::Waits => return 0.0,
            Doing::Runs { started, .. } => (started, now),
            Doing::Done { started, ended } => (started, ended),
        };
        until.since(started.max(from)).as_secs_f64()
    }

    fn is_sound(&self) -> bool {
        self.class == Class::Sound
    }
}

/// How far work is that began at `began` and consists of `parts`, in the order in which they are
/// taken.
pub(super) fn estimate(parts: &[Part], began: Timestamp, now: Timestamp) -> Progress {
    let paces = Paces::of(parts);
    let seconds = |part: &Part, cost: f64| cost * paces.of_class(part.class);
    let whole: f64 = parts.iter().map(|part| seconds(part, part.cost())).sum();
    let done: f64 = parts.iter().map(|part| seconds(part, part.done_cost())).sum();
    let percent = if whole > 0.0 { (done / whole * 100.0).clamp(0.0, 99.0) as u8 } else { 0 };

    // The sound is one job, which no number of workers makes faster; pictures are many.
    let has_pictures = parts.iter().any(|part| !part.is_sound());
    let main: Vec<&Part> = parts.iter().filter(|part| part.is_sound() != has_pictures).collect();
    let lately = now.since(began).mul_f64(LATELY_PART).max(LATELY).min(now.since(began));
    let from = now - lately;
    let share = |sum: f64| if lately.is_zero() { 0.0 } else { sum / lately.as_secs_f64() };
    let workers = share(main.iter().map(|part| part.busy_since(from, now)).sum());
    let left = |part: &Part| {
        let left = seconds(part, part.cost() - part.done_cost());
        // It has gone on since it was seen.
        if let Doing::Runs { seen, .. } = part.doing {
            (left - now.since(seen).as_secs_f64()).max(0.0)
        } else {
            left
        }
    };
    let rest: f64 = deal(main.iter().map(|part| left(part)), workers);
    let sound: f64 = parts.iter().filter(|part| part.is_sound()).map(left).sum();
    let is_known = main.iter().any(|part| part.done_ms > 0);

    let made: f64 =
        main.iter().filter(|part| part.busy_s() > 0.0).map(|part| pace_lately(part, from, now)).sum();
    Progress {
        percent,
        eta_s: is_known.then(|| rest.max(sound).ceil() as u32),
        speed: is_known.then(|| share(made)),
    }
}

/// Seconds of film of one part that were made since `from`.
fn pace_lately(part: &Part, from: Timestamp, now: Timestamp) -> f64 {
    part.done_ms as f64 / 1000.0 / part.busy_s() * part.busy_since(from, now)
}

/// When the last of `jobs`, seconds each, ends if that many workers take them in order.
fn deal(jobs: impl Iterator<Item = f64>, workers: f64) -> f64 {
    let mut free_at = vec![0.0f64; (workers.round() as usize).max(1)];
    for job in jobs {
        if let Some(next) = free_at.iter_mut().min_by(|a, b| a.total_cmp(b)) {
            *next += job;
        }
    }
    let last = free_at.into_iter().fold(0.0, f64::max);
    // One worker who has other films too is less than one.
    last / workers.clamp(0.1, 1.0)
}

/// How many seconds a unit of cost takes.
struct Paces {
    sound: f64,
    lanes: [f64; 2],
}

impl Paces {
    /// As measured; a lane that has made nothing yet is as much slower or faster than planned as
    /// the other one, sound is as planned.
    fn of(parts: &[Part]) -> Self {
        let one = |class| measured(parts.iter().filter(|part| part.class == class));
        let pictures = measured(parts.iter().filter(|part| !part.is_sound())).unwrap_or(1.0);
        Self {
            sound: one(Class::Sound).unwrap_or(1.0),
            lanes: Lane::ALL.map(|lane| one(Class::Pictures(lane)).unwrap_or(pictures)),
        }
    }

    fn of_class(&self, class: Class) -> f64 {
        match class {
            Class::Sound => self.sound,
            Class::Pictures(lane) => self.lanes[lane as usize],
        }
    }
}

fn measured<'a>(parts: impl Iterator<Item = &'a Part>) -> Option<f64> {
    let (mut made_ms, mut busy, mut cost) = (0, 0.0, 0.0);
    for part in parts.filter(|part| part.done_ms > 0) {
        made_ms += part.done_ms;
        busy += part.busy_s();
        cost += part.done_cost();
    }
    (made_ms >= TELLING_MS && busy > 0.0 && cost > 0.0).then(|| busy / cost)
}

#[cfg(test)]
mod tests;
