//! What the renditions of an event must have in common.

use std::collections::BTreeMap;

use super::history::History;
use super::listing::Listing;
use super::{Faults, Look, Rule};

/// By which segments of the same number may begin apart, in microseconds: sound is cut between its
/// own frames.
const APART: u64 = 100_000;

/// Compares a playlist, which its history has taken already, with the other renditions.
pub(super) fn check(
    renditions: &BTreeMap<String, History>,
    look: &Look<'_>,
    listing: &Listing,
    faults: &mut Faults,
) {
    let Some(own) = renditions.get(look.rendition) else { return };
    let others = || renditions.iter().filter(|(name, _)| *name != look.rendition);
    for (name, other) in others() {
        aligned(name, own, other, listing, faults);
    }
    let reported = |name: &str| {
        let mut reports = listing.reports.iter().filter(|(uri, ..)| rendition_of(uri) == Some(name));
        reports.next().filter(|_| reports.next().is_none())
    };
    if listing.ended || !listing.control.can_block {
        return;
    }
    for (name, other) in others() {
        match reported(name) {
            None if other.is_empty() => {}
            None => faults.add(Rule::Reports, format!("{name} is not reported, or twice")),
            Some((_, msn, part)) => truthful(name, end_of(*msn, *part), other, look, faults),
        }
    }
    faults.unless(reported(look.rendition).is_none(), Rule::Reports, || "it reports itself".to_owned());
}

/// What a playlist says of others: which, and how far they go.
pub(super) fn claims(listing: &Listing) -> impl Iterator<Item = (&str, (u64, u64))> {
    let claims = listing.reports.iter();
    claims.filter_map(|(uri, msn, part)| Some((rendition_of(uri)?, end_of(*msn, *part))))
}

/// The rendition that a report's name is about.
fn rendition_of(uri: &str) -> Option<&str> {
    uri.strip_suffix("/playlist.m3u8")?.rsplit('/').next()
}

fn aligned(name: &str, own: &History, other: &History, listing: &Listing, faults: &mut Faults) {
    if let (Some(own), Some(other)) = (own.first(), other.first()) {
        let same = own.target_duration_s == other.target_duration_s && own.control == other.control;
        faults.unless(same, Rule::Aligned, || format!("{name} has {other:?}, this one {own:?}"));
    }
    let (end, _) = listing.end();
    // Others were looked at when they were new.
    for msn in end.saturating_sub(2)..=end {
        let (Some(own), Some(other)) = (own.begun(msn), other.begun(msn)) else { continue };
        faults.unless(own.discontinuity == other.discontinuity, Rule::Aligned, || {
            format!(
                "segment {msn} has a discontinuity: {}, in {name}: {}",
                own.discontinuity, other.discontinuity
            )
        });
        faults.unless(own.date.abs_diff(other.date) <= APART, Rule::Aligned, || {
            format!("segment {msn} begins at {} µs, in {name} at {}", own.date, other.date)
        });
    }
}

/// A report goes at least as far as what was seen before it was asked for, less a part that may have
/// come at that moment.
fn truthful(name: &str, said: (u64, u64), other: &History, look: &Look<'_>, faults: &mut Faults) {
    let Some(last) = other.last().filter(|last| last.at <= look.sent) else { return };
    let least = match last.end {
        (msn, 0) => (msn.saturating_sub(1), 0),
        (msn, parts) => (msn, parts - 1),
    };
    faults.unless(other.whole(said) >= least, Rule::Reports, || {
        format!("{name} is said to go to {said:?} and was seen to go to {:?}", last.end)
    });
}

/// How far a rendition goes that has listed this last.
fn end_of(msn: u64, part: Option<u64>) -> (u64, u64) {
    part.map_or((msn + 1, 0), |part| (msn, part + 1))
}
