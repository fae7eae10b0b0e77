use std::collections::BTreeMap;
use std::time::Duration;

use model::{Lane, Timestamp};

use super::Progress;
use super::machines::Machines;

/// "Lately": this part of the time since the work began,
const LATELY_PART: f64 = 0.2;
/// but at least this: longer than between two heartbeats.
const LATELY: Duration = Duration::from_secs(12);
/// So much of a part has to be done before it shows how fast it is, or so many milliseconds of
/// film: until then it fills its encoders, which look ahead.
const TELLING_PART: f64 = 0.3;
const TELLING_MS: f64 = 15_000.0;
/// Milliseconds of film that encoders have worked on before they are in what a running part reports as done:
/// they look ahead, and hold pictures back to put them in order.
const HELD_MS: u64 = 550;
/// How many cores a transcoder keeps busy that has a machine for itself: its decoder and its
/// encoders have threads of their own, but wait for each other.
const ALONE: f64 = 3.0;

/// A job, as far as its progress is concerned.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part<'a> {
    pub(super) class: Class,
    /// Its stretch of film, in milliseconds,
    pub(super) length_ms: u64,
    /// and how much of that is done.
    pub(super) done_ms: u64,
    /// What a second of it costs by the plan.
    pub(super) weight: f64,
    pub(super) doing: Doing<'a>,
}

/// What is equally fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Sound,
    Pictures(Lane),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing<'a> {
    Waits,
    Runs {
        /// The process that works on it.
        machine: &'a str,
        started: Timestamp,
        /// When it was where it is.
        seen: Timestamp,
    },
    Done {
        machine: &'a str,
        started: Timestamp,
        ended: Timestamp,
    },
}

impl Part<'_> {
    /// Seconds that somebody worked on what is done.
    fn busy_s(&self) -> f64 {
        match self.doing {
            Doing::Waits => 0.0,
            Doing::Runs { started, seen: until, .. } | Doing::Done { started, ended: until, .. } => {
                until.since(started).as_secs_f64()
            }
        }
    }

    fn done_cost(&self) -> f64 {
        let held_ms = match self.doing {
            Doing::Runs { .. } if self.done_ms > 0 && !self.is_sound() => HELD_MS,
            _ => 0,
        };
        (self.done_ms + held_ms).min(self.length_ms) as f64 / 1000.0 * self.weight
    }

    fn cost(&self) -> f64 {
        self.length_ms as f64 / 1000.0 * self.weight
    }

    /// Seconds since `from` during which somebody worked on it.
    fn busy_since(&self, from: Timestamp, now: Timestamp) -> f64 {
        let (started, until) = match self.doing {
            Doing::Waits => return 0.0,
            Doing::Runs { started, .. } => (started, now),
            Doing::Done { started, ended, .. } => (started, ended),
        };
        until.since(started.max(from)).as_secs_f64()
    }

    /// When a running one was where it is.
    pub(super) fn seen(&self) -> Option<Timestamp> {
        if let Doing::Runs { seen, .. } = self.doing { Some(seen) } else { None }
    }

    /// The machine that it runs on, if it does.
    fn runs_on(&self) -> Option<&str> {
        if let Doing::Runs { machine, .. } = self.doing { Some(machine) } else { None }
    }

    /// Whether it shows how fast its class is.
    fn is_telling(&self) -> bool {
        self.done_ms > 0 && self.done_ms as f64 >= (self.length_ms as f64 * TELLING_PART).min(TELLING_MS)
    }

    fn is_sound(&self) -> bool {
        self.class == Class::Sound
    }
}

/// How far work is that began at `began` and consists of `parts`, in the order in which they are
/// taken.
pub(super) fn estimate(parts: &[Part<'_>], began: Timestamp, now: Timestamp) -> Progress {
    let lately = now.since(began).mul_f64(LATELY_PART).max(LATELY).min(now.since(began));
    let from = now - lately;
    let share = |sum: f64| if lately.is_zero() { 0.0 } else { sum / lately.as_secs_f64() };
    let machines = Machines::of(parts, from, now);
    let paces = Paces::of(parts, &machines.spent);
    let seconds = |part: &Part<'_>, cost: f64| cost * paces.of_class(part.class);
    let whole: f64 = parts.iter().map(|part| seconds(part, part.cost())).sum();
    let done: f64 = parts.iter().map(|part| seconds(part, part.done_cost())).sum();
    let percent = if whole > 0.0 { (done / whole * 100.0).clamp(0.0, 99.0) as u8 } else { 0 };

    let left = || {
        parts.iter().zip(&machines.spent).map(|(part, spent)| {
            let left = seconds(part, part.cost() - part.done_cost());
            let left = if part.is_telling() {
                left
            } else {
                left.min((seconds(part, part.cost()) - spent).max(left / 2.0))
            };
            (part.runs_on(), left)
        })
    };
    let longest = left().map(|(_, left)| left).fold(0.0, f64::max) * (machines.at_once() / ALONE).max(1.0);
    let rest = deal(left(), share(machines.busy_lately)).max(longest);
    // It has gone on since it was seen.
    let seen = parts.iter().filter_map(Part::seen).max().unwrap_or(now);
    let rest = (rest - now.since(seen).as_secs_f64()).max(0.0);

    let has_pictures = parts.iter().any(|part| !part.is_sound());
    let main = || parts.iter().filter(|part| part.is_sound() != has_pictures);
    let is_known = main().any(|part| part.done_ms > 0);
    let made: f64 = main().filter(|part| part.busy_s() > 0.0).map(|part| pace_lately(part, from, now)).sum();
    Progress { percent, eta_s: is_known.then(|| rest.round() as u32), speed: is_known.then(|| share(made)) }
}

/// Seconds of film of one part that were made since `from`.
fn pace_lately(part: &Part<'_>, from: Timestamp, now: Timestamp) -> f64 {
    part.done_ms as f64 / 1000.0 / part.busy_s() * part.busy_since(from, now)
}

/// When the last of `jobs` ends, seconds of a whole machine each, if that many machines take them in order:
/// those that run already stay on theirs.
fn deal<'a>(jobs: impl Iterator<Item = (Option<&'a str>, f64)>, machines: f64) -> f64 {
    let (mut running, mut waiting) = (BTreeMap::<&str, f64>::new(), Vec::new());
    for (machine, seconds) in jobs {
        match machine {
            Some(machine) => *running.entry(machine).or_default() += seconds,
            None => waiting.push(seconds),
        }
    }
    let mut free_at: Vec<f64> = running.into_values().collect();
    free_at.resize(free_at.len().max(machines.round() as usize).max(1), 0.0);
    for seconds in waiting {
        if let Some(next) = free_at.iter_mut().min_by(|a, b| a.total_cmp(b)) {
            *next += seconds;
        }
    }
    let last = free_at.into_iter().fold(0.0, f64::max);
    // One machine that has other films too is less than one.
    last / machines.clamp(0.1, 1.0)
}

/// How many seconds of a machine a unit of cost takes.
struct Paces {
    sound: f64,
    lanes: [f64; 2],
}

impl Paces {
    /// As measured; a lane that has made nothing yet is as much slower or faster than planned as
    /// the other one, sound is as planned.
    fn of(parts: &[Part<'_>], spent: &[f64]) -> Self {
        let one = |class| measured(parts.iter().zip(spent).filter(|(part, _)| part.class == class));
        let pictures = measured(parts.iter().zip(spent).filter(|(part, _)| !part.is_sound())).unwrap_or(1.0);
        Self {
            sound: one(Class::Sound).unwrap_or(1.0),
            lanes: Lane::ENCODED.map(|lane| one(Class::Pictures(lane)).unwrap_or(pictures)),
        }
    }

    fn of_class(&self, class: Class) -> f64 {
        match class {
            Class::Sound => self.sound,
            Class::Pictures(lane) => self.lanes[lane as usize],
        }
    }
}

fn measured<'a>(parts: impl Iterator<Item = (&'a Part<'a>, &'a f64)>) -> Option<f64> {
    let (mut spent, mut cost) = (0.0, 0.0);
    for (part, seconds) in parts.filter(|(part, _)| part.is_telling()) {
        spent += seconds;
        cost += part.done_cost();
    }
    (spent > 0.0 && cost > 0.0).then(|| spent / cost)
}

#[cfg(test)]
mod tests;
