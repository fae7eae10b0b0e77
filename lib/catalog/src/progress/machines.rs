//! Who had how much of which machine: transcoders that run on one machine at a time share it.

use std::collections::BTreeMap;

use model::Timestamp;

use super::estimate::{Doing, Part};

/// What the machines did for a film until now.
#[derive(Debug, Default)]
pub(super) struct Machines {
    /// Seconds of a whole machine that each part has had for what is done of it.
    pub(super) spent: Vec<f64>,
    /// Seconds during which a machine was lately at work on the film, of all machines together.
    pub(super) busy_lately: f64,
    /// The same since the beginning,
    busy: f64,
    /// and the seconds of all parts.
    running: f64,
}

/// A part starts or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    at: Timestamp,
    part: usize,
}

impl Machines {
    /// What they did for `parts` until `now`; "lately" begins at `lately`.
    pub(super) fn of(parts: &[Part<'_>], lately: Timestamp, now: Timestamp) -> Self {
        let mut events: BTreeMap<&str, Vec<Event>> = BTreeMap::new();
        for (part, at) in parts.iter().enumerate() {
            let (machine, started, ended) = match at.doing {
                Doing::Waits => continue,
                Doing::Runs { machine, started, .. } => (machine, started, now),
                Doing::Done { machine, started, ended } => (machine, started, ended),
            };
            let events = events.entry(machine).or_default();
            events.extend([started, ended.max(started)].map(|at| Event { at, part }));
        }
        let mut machines = Self { spent: vec![0.0; parts.len()], ..Self::default() };
        for mut events in events.into_values() {
            events.sort_unstable();
            machines.add(parts, &events, lately);
        }
        machines
    }

    /// How many parts a machine had in hand at a time, on average.
    pub(super) fn at_once(&self) -> f64 {
        if self.busy > 0.0 { self.running / self.busy } else { 1.0 }
    }

    /// Adds one machine, whose events are in order.
    fn add(&mut self, parts: &[Part<'_>], events: &[Event], lately: Timestamp) {
        let mut running: Vec<usize> = Vec::new();
        for (event, next) in events.iter().zip(events.iter().skip(1)) {
            match running.iter().position(|part| *part == event.part) {
                Some(place) => drop(running.swap_remove(place)),
                None => running.push(event.part),
            }
            if running.is_empty() {
                continue;
            }
            let time = next.at.since(event.at).as_secs_f64();
            self.busy += time;
            self.running += time * running.len() as f64;
            self.busy_lately += next.at.since(event.at.max(lately)).as_secs_f64();
            for part in &running {
                // What it did since it was seen is not among what is done.
                let until = parts[*part].seen().map_or(next.at, |seen| seen.min(next.at));
                self.spent[*part] += until.since(event.at).as_secs_f64() / running.len() as f64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use model::Lane;

    use super::super::estimate::Class;
    use super::*;

    fn at(s: i64) -> Timestamp {
        Timestamp::from_millis(s * 1000)
    }

    fn part(doing: Doing<'_>) -> Part<'_> {
        Part { class: Class::Pictures(Lane::A), length_ms: 8000, done_ms: 4000, weight: 1.0, doing }
    }

    #[test]
    fn those_that_run_at_a_time_share_their_machine() {
        let parts = [
            part(Doing::Done { machine: "a", started: at(0), ended: at(10) }),
            part(Doing::Runs { machine: "a", started: at(4), seen: at(18) }),
            part(Doing::Done { machine: "b", started: at(4), ended: at(12) }),
            part(Doing::Waits),
        ];
        let machines = Machines::of(&parts, at(16), at(20));
        assert_eq!(machines.spent, [7.0, 11.0, 8.0, 0.0]);
        assert_eq!(machines.busy_lately, 4.0);
        assert_eq!(machines.at_once(), 34.0 / 28.0);
    }
}
