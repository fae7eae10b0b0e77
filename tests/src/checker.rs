//! A checker of live playlists: it is shown what a poller saw, of every rendition, in the order in
//! which it came, and says where that breaks a rule of draft-pantos-hls-rfc8216bis-22. It asks
//! nobody and knows no clock, so it judges any server, and a history that a test makes up.
//!
//! ```text
//! text → Listing: alone ─→ History of the rendition: over time ─→ other renditions: together
//! ```
//!
//! Playlists of different views are different streams: each view has a checker of its own.

mod alone;
mod history;
mod listing;
mod together;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use history::History;
use listing::Listing;

/// A media playlist as it was seen.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// Of which rendition: the name that reports of others have before `/playlist.m3u8`.
    pub rendition: &'a str,
    /// When it was asked for,
    pub sent: Duration,
    /// and when it was there; both from the beginning of the history.
    pub at: Duration,
    /// What the request waited for, if it did: segment, and part.
    pub until: Option<(u64, Option<u64>)>,
    /// The playlist.
    pub text: &'a str,
}

/// A rule that a playlist may break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// It cannot be read.
    Readable,
    /// §4.4.3.1: rounded durations of segments are at most the target duration.
    TargetDuration,
    /// §4.4.3.8: hold-backs, how far one may skip.
    ServerControl,
    /// §4.4.3.7: a part is at most the target and, but for some, at least 85 % of it.
    PartDuration,
    /// §4.4.4.9: the parts of a segment are the segment.
    PartsAreSegment,
    /// §4.4.4.9, §4.4.5.2: what describes a segment precedes its first part; the discontinuity
    /// sequence precedes what is skipped.
    Order,
    /// §4.4.5.3: one hint of a kind, at what is not listed.
    Hint,
    /// Every playlist says what time it is (authoring specification 8.4).
    Dated,
    /// §6.2.2: parts are listed within three target durations of the end, and not beyond.
    PartsListed,
    /// §6.2.2: what moves on has no playlist type, and keeps three target durations.
    Window,
    /// What is in a gap is marked as gap.
    Gap,
    /// §6.2.1: what holds for the whole playlist does not change.
    Constant,
    /// §6.2.2: numbers never go back.
    Monotonic,
    /// §6.2.1: a segment or a part that was listed stays what it was.
    Stable,
    /// A name stands for one thing only.
    NamesOnce,
    /// §6.2.2: discontinuities that left are counted.
    Discontinuities,
    /// §6.2.5.1: only what is known and old is left out.
    Skip,
    /// After the end nothing changes.
    Ended,
    /// §4.4.4.6: the time of day goes as the durations go.
    Time,
    /// §6.2.5.2: what was waited for is there.
    Waited,
    /// §4.4.5.4: each other rendition is reported, and where it is.
    Reports,
    /// §6.2.4: renditions have the same durations, breaks and times.
    Aligned,
}

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// When the playlist was there,
    pub at: Duration,
    /// of which rendition it was,
    pub rendition: String,
    /// which rule it breaks,
    pub rule: Rule,
    /// and how.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, rendition, rule, detail } = self;
        write!(f, "{:.3} s, {rendition}: {rule:?}: {detail}", at.as_secs_f64())
    }
}

/// What was measured. Lateness is that beyond the earliest part, since nobody knows how long the
/// publisher took.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Figures {
    /// Playlists that were seen.
    pub looks: usize,
    /// Parts that were seen to come,
    pub parts: usize,
    /// and how late: the median, one of a thousand, the latest.
    pub part_lateness: (Duration, Duration, Duration),
    /// Requests that waited,
    pub waits: usize,
    /// and for how long: the median, the longest.
    pub waited: (Duration, Duration),
    /// Segments none of whose parts can be decoded by itself: a publisher's long groups of pictures.
    pub dependent_segments: usize,
}

/// Judges one view of one event.
#[derive(Debug, Clone, Default)]
pub struct Checker {
    renditions: BTreeMap<String, History>,
    violations: Vec<Violation>,
    looks: usize,
    waits: Vec<Duration>,
}

impl Checker {
    /// A checker that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes note of a playlist. Looks come in the order in which they were there.
    pub fn saw(&mut self, look: Look<'_>) {
        self.looks += 1;
        if look.until.is_some() {
            self.waits.push(look.at.saturating_sub(look.sent));
        }
        let mut faults = Faults::default();
        match Listing::read(look.text) {
            Err(detail) => faults.add(Rule::Readable, detail),
            Ok(listing) => {
                alone::check(&listing, &mut faults);
                let history = self.renditions.entry(look.rendition.to_owned()).or_default();
                history.take(&look, &listing, &mut faults);
                together::check(&self.renditions, &look, &listing, &mut faults);
                for (name, end) in together::claims(&listing) {
                    if let Some(history) = self.renditions.get_mut(name) {
                        history.claimed(look.rendition, look.at, end);
                    }
                }
            }
        }
        self.violations.extend(faults.0.into_iter().map(|(rule, detail)| Violation {
            at: look.at,
            rendition: look.rendition.to_owned(),
            rule,
            detail,
        }));
    }

    /// Every rule that was broken, in order.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// What was measured.
    pub fn figures(&self) -> Figures {
        let mut late: Vec<Duration> = Vec::new();
        let mut dependent_segments = 0;
        for history in self.renditions.values() {
            late.extend(history.lateness());
            dependent_segments += history.dependent_segments();
        }
        let mut waits = self.waits.clone();
        late.sort();
        waits.sort();
        let of = |sorted: &[Duration], per_mille: usize| {
            let place = (sorted.len() * per_mille / 1000).min(sorted.len().saturating_sub(1));
            sorted.get(place).copied().unwrap_or_default()
        };
        Figures {
            looks: self.looks,
            parts: late.len(),
            part_lateness: (of(&late, 500), of(&late, 999), of(&late, 1000)),
            waits: waits.len(),
            waited: (of(&waits, 500), of(&waits, 1000)),
            dependent_segments,
        }
    }
}

/// What is wrong with one playlist.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<(Rule, String)>);

impl Faults {
    pub(crate) fn add(&mut self, rule: Rule, detail: impl Into<String>) {
        self.0.push((rule, detail.into()));
    }

    pub(crate) fn unless(&mut self, holds: bool, rule: Rule, detail: impl FnOnce() -> String) {
        if !holds {
            self.add(rule, detail());
        }
    }
}
