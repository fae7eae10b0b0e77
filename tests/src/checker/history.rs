//! What a rendition was, and what it may become.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::alone::ROUNDING;
use super::listing::{Control, Listed, ListedPart, Listing, Micros};
use super::{Faults, Look, Rule};

/// By which two statements of a time of day may differ, in microseconds: each is cut off at a
/// millisecond, and the durations between are rounded.
const CLOCK: u64 = 3000;

/// By which a sum of many durations may be off, each of which is rounded.
const SUMMED: Micros = 1000;

/// A rendition over time.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    first: Option<First>,
    last: Option<Last>,
    /// Closed segments, by number.
    closed: BTreeMap<u64, Known>,
    /// What was settled when a segment began, and its parts.
    begun: BTreeMap<u64, Begun>,
    /// What each name stands for: a segment, or a part of it.
    names: HashMap<String, (u64, Option<usize>)>,
    /// What others reported of it since it was last asked for: who, when that was there, and how far
    /// it is said to go.
    claims: Vec<(String, Duration, (u64, u64))>,
    /// When each part was first seen, beyond its own end by the clock of the event, in milliseconds.
    seen: Vec<i64>,
}

/// What must not change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct First {
    pub(crate) target_duration_s: u64,
    pub(crate) control: Control,
    media_sequence: u64,
}

/// The playlist before.
#[derive(Debug, Clone)]
pub(crate) struct Last {
    pub(crate) at: Duration,
    media_sequence: u64,
    discontinuity_sequence: u64,
    /// How far it went.
    pub(crate) end: (u64, u64),
    ended: bool,
}

#[derive(Debug, Clone)]
struct Known {
    uri: String,
    duration: Micros,
    gap: bool,
}

/// What is settled when a segment begins.
#[derive(Debug, Clone)]
pub(crate) struct Begun {
    pub(crate) discontinuity: bool,
    map: Option<String>,
    /// In microseconds of Unix time.
    pub(crate) date: i64,
    parts: Vec<ListedPart>,
}

impl History {
    pub(crate) fn first(&self) -> Option<&First> {
        self.first.as_ref()
    }

    pub(crate) fn last(&self) -> Option<&Last> {
        self.last.as_ref()
    }

    pub(crate) fn begun(&self, msn: u64) -> Option<&Begun> {
        self.begun.get(&msn)
    }

    /// Whether nothing of it was ever listed.
    pub(crate) fn is_empty(&self) -> bool {
        self.begun.is_empty()
    }

    /// Somebody reports that it goes so far.
    pub(crate) fn claimed(&mut self, by: &str, at: Duration, end: (u64, u64)) {
        self.claims.push((by.to_owned(), at, end));
    }

    /// The same end, where all parts of a closed segment that were seen are that segment.
    pub(crate) fn whole(&self, (msn, parts): (u64, u64)) -> (u64, u64) {
        let known = self.begun.get(&msn).map_or(0, |begun| begun.parts.len() as u64);
        let is_whole = self.closed.contains_key(&msn) && known > 0 && parts >= known;
        if is_whole { (msn + 1, 0) } else { (msn, parts) }
    }

    /// Takes a playlist, and finds what does not fit those before it.
    pub(crate) fn take(&mut self, look: &Look<'_>, listing: &Listing, faults: &mut Faults) {
        self.constant(listing, faults);
        self.monotonic(listing, faults);
        self.skip(listing, faults);
        self.discontinuities(listing, faults);
        self.window(listing, faults);
        waited(look, listing, faults);
        let mut date = self.date_before(listing.first_listed());
        for (msn, segment) in listing.numbered() {
            self.began(look, msn, segment, &mut date, faults);
            self.closed(msn, segment, listing, faults);
        }
        if let Some(open) = &listing.open {
            self.began(look, listing.end().0, open, &mut date, faults);
        }
        self.claims(look, listing, faults);
        self.last = Some(Last {
            at: look.at,
            media_sequence: listing.media_sequence,
            discontinuity_sequence: listing.discontinuity_sequence.unwrap_or_default(),
            end: listing.end(),
            ended: listing.ended,
        });
    }

    fn constant(&mut self, listing: &Listing, faults: &mut Faults) {
        let (target_duration_s, control) = (listing.target_duration_s, listing.control.clone());
        let now = First { target_duration_s, control, media_sequence: listing.media_sequence };
        let first = self.first.get_or_insert_with(|| now.clone());
        faults.unless(first.target_duration_s == now.target_duration_s, Rule::Constant, || {
            format!("the target duration was {} s and is {}", first.target_duration_s, now.target_duration_s)
        });
        faults.unless(first.control == now.control, Rule::Constant, || {
            format!("it was {:?} and is {:?}", first.control, now.control)
        });
    }

    fn monotonic(&self, listing: &Listing, faults: &mut Faults) {
        let Some(last) = &self.last else { return };
        faults.unless(listing.media_sequence >= last.media_sequence, Rule::Monotonic, || {
            format!("the media sequence was {} and is {}", last.media_sequence, listing.media_sequence)
        });
        faults.unless(listing.end() >= last.end, Rule::Monotonic, || {
            format!("it went to {:?} and goes to {:?}", last.end, listing.end())
        });
        if last.ended {
            faults.unless(listing.ended && listing.end() == last.end, Rule::Ended, || {
                format!("it ended at {:?}; now ended is {}, at {:?}", last.end, listing.ended, listing.end())
            });
        }
    }

    /// Of what is left out the client knows all, and it lies back far enough.
    fn skip(&self, listing: &Listing, faults: &mut Faults) {
        let Some(until) = listing.control.skip_until.filter(|_| listing.skipped > 0) else { return };
        let skipped = listing.media_sequence..listing.first_listed();
        faults.unless(skipped.clone().all(|msn| self.closed.contains_key(&msn)), Rule::Skip, || {
            format!("segments {skipped:?} are left out, and not all of them were listed before")
        });
        let last = skipped.end.checked_sub(1).and_then(|msn| self.closed.get(&msn));
        let behind = listing.listed();
        // A segment ends where the next one begins, and it is its end that must lie back.
        faults.unless(last.is_none() || behind + SUMMED >= until, Rule::Skip, || {
            format!("what is left out ends {behind} µs from the end")
        });
    }

    fn discontinuities(&self, listing: &Listing, faults: &mut Faults) {
        let (Some(last), Some(now)) = (&self.last, listing.discontinuity_sequence) else { return };
        let removed: Option<Vec<_>> =
            (last.media_sequence..listing.media_sequence).map(|msn| self.begun.get(&msn)).collect();
        // What came and went between two looks is not known.
        let Some(removed) = removed else { return };
        let breaks = removed.iter().filter(|begun| begun.discontinuity).count() as u64;
        faults.unless(now == last.discontinuity_sequence + breaks, Rule::Discontinuities, || {
            format!("the sequence was {}, {breaks} left, and it is {now}", last.discontinuity_sequence)
        });
    }

    fn window(&self, listing: &Listing, faults: &mut Faults) {
        let moved = self.first.as_ref().is_some_and(|first| listing.media_sequence > first.media_sequence);
        if !moved {
            return;
        }
        faults.unless(listing.playlist_type.is_none(), Rule::Window, || {
            format!("it moves on and is of type {:?}", listing.playlist_type)
        });
        let skipped =
            (listing.media_sequence..listing.first_listed()).filter_map(|msn| self.closed.get(&msn));
        let total = listing.listed() + skipped.map(|known| known.duration).sum::<Micros>();
        let least = 3 * listing.target_duration_s * 1_000_000;
        faults.unless(total >= least, Rule::Window, || format!("only {total} µs are listed"));
    }

    /// What others said before it was asked for is there.
    fn claims(&mut self, look: &Look<'_>, listing: &Listing, faults: &mut Faults) {
        let claims = std::mem::take(&mut self.claims);
        let (due, later): (Vec<_>, Vec<_>) = claims.into_iter().partition(|(_, at, _)| *at <= look.sent);
        self.claims = later;
        for (by, _, said) in due {
            faults.unless(self.whole(said) <= listing.end(), Rule::Reports, || {
                format!("{by} said that it goes to {said:?}, and it goes to {:?}", listing.end())
            });
        }
    }

    /// The time of day at which segment `msn` must begin, by the one before it.
    fn date_before(&self, msn: u64) -> Option<i64> {
        let before = msn.checked_sub(1)?;
        let (begun, closed) = (self.begun.get(&before)?, self.closed.get(&before)?);
        Some(begun.date + closed.duration as i64)
    }

    /// A segment that has begun: it begins as it did, and has the parts that it had.
    fn began(
        &mut self,
        look: &Look<'_>,
        msn: u64,
        listed: &Listed,
        date: &mut Option<i64>,
        faults: &mut Faults,
    ) {
        let by_durations = *date;
        let says = listed.date_ms.map(|ms| ms * 1000).or(by_durations);
        let Some(says) = says else { return };
        let differs = by_durations.is_some_and(|by_durations| says.abs_diff(by_durations) > CLOCK);
        faults.unless(!differs || listed.discontinuity, Rule::Time, || {
            format!("segment {msn} begins at {says} µs, and by durations at {by_durations:?}")
        });
        let lasts = if listed.uri.is_empty() { 0 } else { listed.duration };
        *date = Some(says + lasts as i64);

        let begun = self.begun.entry(msn).or_insert_with(|| Begun {
            discontinuity: listed.discontinuity,
            map: listed.map.clone(),
            date: says,
            parts: Vec::new(),
        });
        faults.unless(begun.discontinuity == listed.discontinuity, Rule::Stable, || {
            format!(
                "segment {msn} had a discontinuity: {}, and now {}",
                begun.discontinuity, listed.discontinuity
            )
        });
        faults.unless(begun.map == listed.map, Rule::Stable, || {
            format!("segment {msn} had the map {:?} and has {:?}", begun.map, listed.map)
        });
        faults.unless(begun.date.abs_diff(says) <= CLOCK, Rule::Time, || {
            format!("segment {msn} began at {} µs and begins at {says}", begun.date)
        });
        for (n, (was, is)) in begun.parts.iter().zip(&listed.parts).enumerate() {
            faults.unless(was == is, Rule::Stable, || format!("part {msn}.{n} was {was:?} and is {is:?}"));
        }
        let known = begun.parts.len();
        faults.unless(listed.parts.is_empty() || listed.parts.len() >= known, Rule::Stable, || {
            format!("segment {msn} had {known} parts and has {}", listed.parts.len())
        });
        let mut end = begun.date + begun.parts.iter().map(|part| part.duration as i64).sum::<i64>();
        for part in listed.parts.iter().skip(known) {
            end += part.duration as i64;
            // What was there at the first look came at some time before.
            if self.last.is_some() && !part.gap {
                self.seen.push(look.at.as_millis() as i64 - end / 1000);
            }
        }
        let new = listed.parts.get(known..).unwrap_or_default().to_vec();
        begun.parts.extend(new.iter().cloned());
        for (n, part) in new.iter().enumerate() {
            self.name(&part.uri, (msn, Some(known + n)), faults);
        }
    }

    /// A closed segment stays what it is, and is what its parts were.
    fn closed(&mut self, msn: u64, listed: &Listed, listing: &Listing, faults: &mut Faults) {
        self.name(&listed.uri, (msn, None), faults);
        let is = Known { uri: listed.uri.clone(), duration: listed.duration, gap: listed.gap };
        if let Some(was) = self.closed.get(&msn) {
            let same =
                was.uri == is.uri && was.gap == is.gap && was.duration.abs_diff(is.duration) <= ROUNDING;
            faults.unless(same, Rule::Stable, || format!("segment {msn} was {was:?} and is {is:?}"));
        }
        let parts = self.begun.get(&msn).map(|begun| &begun.parts[..]).unwrap_or_default();
        // A segment that was a gap from its beginning has parts that are gaps, if any.
        // Others may end in gaps.
        let media = parts.iter().take_while(|part| !part.gap).count();
        let is_right = if is.gap { media == 0 } else { parts.is_empty() || media > 0 };
        faults.unless(is_right && parts[media..].iter().all(|part| part.gap), Rule::Gap, || {
            format!("segment {msn} has GAP {}, and its parts were {parts:?}", is.gap)
        });
        let sum: Micros = parts.iter().map(|part| part.duration).sum();
        let off = ROUNDING * (parts.len() as u64 + 1);
        // Whoever did not see all parts cannot add them up.
        faults.unless(sum <= is.duration + off, Rule::PartsAreSegment, || {
            format!("segment {msn} lasts {} µs, the parts that were seen {sum}", is.duration)
        });
        let later = listing.numbered().filter(|(other, _)| *other > msn).map(|(_, later)| later.duration);
        let open = listing.open.iter().flat_map(|open| &open.parts).map(|part| part.duration);
        let behind: Micros = later.chain(open).sum();
        let is_near = behind + is.duration <= 3 * listing.target_duration_s * 1_000_000;
        let were_listed = !parts.is_empty() && self.last.as_ref().is_some_and(|last| last.end.0 >= msn);
        faults.unless(!listed.parts.is_empty() || !is_near || !were_listed, Rule::PartsListed, || {
            format!("the parts of segment {msn} are gone, {behind} µs from the end")
        });
        self.closed.insert(msn, is);
    }

    fn name(&mut self, uri: &str, thing: (u64, Option<usize>), faults: &mut Faults) {
        let known = *self.names.entry(uri.to_owned()).or_insert(thing);
        faults.unless(known == thing, Rule::NamesOnce, || format!("{uri} was {known:?} and is {thing:?}"));
    }

    /// How late parts were, beyond the earliest.
    pub(crate) fn lateness(&self) -> impl Iterator<Item = Duration> {
        let earliest = self.seen.iter().min().copied().unwrap_or_default();
        self.seen.iter().map(move |seen| Duration::from_millis((seen - earliest).unsigned_abs()))
    }

    pub(crate) fn dependent_segments(&self) -> usize {
        let dependent = |begun: &&Begun| {
            !begun.parts.is_empty() && begun.parts.iter().all(|part| !part.independent && !part.gap)
        };
        self.begun.values().filter(dependent).count()
    }
}

/// Whoever waited for something has it, unless there is an end.
fn waited(look: &Look<'_>, listing: &Listing, faults: &mut Faults) {
    let Some((msn, part)) = look.until.filter(|_| !listing.ended) else { return };
    let (end, parts) = listing.end();
    let is_there = end > msn || (end == msn && part.is_some_and(|part| parts > part));
    faults.unless(is_there, Rule::Waited, || {
        format!("{msn}, {part:?} was waited for; it goes to {end}, {parts}")
    });
}
