//! What one playlist must be.

use super::listing::{Control, Listed, Listing, Micros};
use super::{Faults, Rule};

const SECOND: Micros = 1_000_000;
/// By which a duration may be off because it is written with five decimals.
pub(super) const ROUNDING: Micros = 10;

pub(super) fn check(listing: &Listing, faults: &mut Faults) {
    let target = listing.target_duration_s * SECOND;
    for tag in &listing.misplaced {
        faults.add(Rule::Order, tag.clone());
    }
    control(&listing.control, target, listing, faults);
    for (msn, segment) in listing.numbered() {
        let rounded = (segment.duration + SECOND / 2) / SECOND;
        faults.unless(rounded <= listing.target_duration_s, Rule::TargetDuration, || {
            format!("segment {msn} lasts {} µs", segment.duration)
        });
        parts_of(msn, segment, listing.control.part_target, true, faults);
    }
    if let Some(open) = &listing.open {
        parts_of(listing.end().0, open, listing.control.part_target, false, faults);
    }
    hints(listing, faults);
    let first = listing.segments.first().or(listing.open.as_ref());
    faults.unless(first.is_none_or(|first| first.date_ms.is_some()), Rule::Dated, || {
        "its first segment has no time of day".to_owned()
    });
    faults.unless(first.is_none_or(|first| first.map.is_some()), Rule::Order, || {
        "its first segment has no map".to_owned()
    });
    faults.unless(listing.discontinuity_sequence.is_some(), Rule::Discontinuities, || {
        "it has no discontinuity sequence".to_owned()
    });
    parts_listed(listing, target, faults);
}

fn control(control: &Control, target: Micros, listing: &Listing, faults: &mut Faults) {
    let rule = Rule::ServerControl;
    faults.unless(control.hold_back.is_none_or(|back| back >= 3 * target), rule, || {
        format!("HOLD-BACK is {:?} µs", control.hold_back)
    });
    faults.unless(control.skip_until.is_none_or(|until| until >= 6 * target), rule, || {
        format!("CAN-SKIP-UNTIL is {:?} µs", control.skip_until)
    });
    faults.unless(listing.skipped == 0 || control.skip_until.is_some(), rule, || {
        "it skips what it said it cannot".to_owned()
    });
    let has_parts = listing.segments.iter().chain(&listing.open).any(|segment| !segment.parts.is_empty());
    match (control.part_target, control.part_hold_back) {
        (None, _) => faults.unless(!has_parts, rule, || "parts without PART-INF".to_owned()),
        (Some(_), None) => faults.add(rule, "PART-INF without PART-HOLD-BACK"),
        // At least twice as much; three times is what should be, and we do.
        (Some(part), Some(back)) => {
            faults.unless(back >= 3 * part, rule, || format!("PART-HOLD-BACK is {back} µs"))
        }
    }
}

fn parts_of(msn: u64, segment: &Listed, target: Option<Micros>, is_closed: bool, faults: &mut Faults) {
    let Some(target) = target.filter(|_| !segment.parts.is_empty()) else { return };
    for (n, part) in segment.parts.iter().enumerate() {
        let next = segment.parts.get(n + 1);
        // The last of a segment, or nobody knows yet; those that decoding can begin with; what a gap follows.
        let is_exempt = part.gap || segment.gap || part.independent || next.is_none_or(|next| next.gap);
        let least = if is_exempt { 0 } else { target * 85 / 100 - ROUNDING };
        faults.unless((least..=target + ROUNDING).contains(&part.duration), Rule::PartDuration, || {
            format!("part {msn}.{n} lasts {} µs", part.duration)
        });
        // A segment whose packager was killed may end in gaps, and not go on behind one.
        let is_tail = n > 0 && segment.parts[n..].iter().all(|part| part.gap);
        faults.unless(part.gap == segment.gap || is_tail || !is_closed, Rule::Gap, || {
            format!("part {msn}.{n} has GAP={}, its segment {}", part.gap, segment.gap)
        });
    }
    let sum: Micros = segment.parts.iter().map(|part| part.duration).sum();
    let off = ROUNDING * (segment.parts.len() as u64 + 1);
    faults.unless(!is_closed || sum.abs_diff(segment.duration) <= off, Rule::PartsAreSegment, || {
        format!("segment {msn} lasts {} µs, its parts {sum}", segment.duration)
    });
}

fn hints(listing: &Listing, faults: &mut Faults) {
    for (n, (kind, uri)) in listing.hints.iter().enumerate() {
        faults.unless(!listing.hints[..n].iter().any(|(other, _)| other == kind), Rule::Hint, || {
            format!("two hints of {kind}")
        });
        faults.unless(kind == "PART" || kind == "MAP", Rule::Hint, || format!("a hint of {kind}"));
        let parts = listing.segments.iter().chain(&listing.open).flat_map(|segment| &segment.parts);
        faults.unless(!parts.clone().any(|part| part.uri == *uri), Rule::Hint, || format!("{uri} is listed"));
    }
    faults.unless(!listing.ended || listing.hints.is_empty(), Rule::Hint, || "behind the end".to_owned());
    faults.unless(
        listing.ended || listing.control.part_target.is_none() || !listing.hints.is_empty(),
        Rule::Hint,
        || "no hint at the next part".to_owned(),
    );
}

/// No parts of a segment that ends further than three target durations from the end.
fn parts_listed(listing: &Listing, target: Micros, faults: &mut Faults) {
    let mut behind: Micros = listing.open.iter().flat_map(|open| &open.parts).map(|part| part.duration).sum();
    for (msn, segment) in listing.numbered().rev() {
        faults.unless(segment.parts.is_empty() || behind <= 3 * target + ROUNDING, Rule::PartsListed, || {
            format!("parts of segment {msn}, {behind} µs from the end")
        });
        behind += segment.duration;
    }
}
