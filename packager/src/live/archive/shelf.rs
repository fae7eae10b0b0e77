//! What of an event goes on the shelf.

use live::{Record, Recorded, Segment, Track};
use model::RenditionName;

use crate::live::footage::Footage;

/// The most that a rendition of the shelf may lack at once, in seconds: so long there is a still instead, or
/// silence.
const MOST_LACKING_S: u64 = 8;

/// The renditions that go on the shelf: of pictures and of sounds not those that lack too much of what
/// others of their kind have.
pub(super) fn shelved(record: &Record) -> Vec<(&RenditionName, &Recorded)> {
    let of_kind = |is_video: bool| -> Vec<(&RenditionName, &Recorded)> {
        let of_kind = record.renditions.iter().filter(|(name, _)| name.is_video() == is_video);
        let there: Vec<_> = of_kind.filter(|(_, recorded)| !recorded.sealed.is_empty()).collect();
        let all: Vec<&Recorded> = there.iter().map(|(_, recorded)| *recorded).collect();
        let good: Vec<_> = there.iter().copied().filter(|(_, one)| !lacks_much(&all, one)).collect();
        if good.is_empty() { there } else { good }
    };
    [of_kind(false), of_kind(true)].concat()
}

/// The formats that a rendition has on the shelf, each with its first segment there.
pub(super) fn formats_of(recorded: &Recorded) -> Vec<(u32, &Track)> {
    let mut formats: Vec<(u32, &Track)> = Vec::new();
    for (spans, chunk) in &recorded.sealed {
        // A chunk is of one format; a still before its first real segment is, too.
        let mut real = spans.iter().filter_map(|(from, _)| recorded.segment(*from));
        let init = real.find(|(segment, _)| !segment.begun.gap).map(|(segment, _)| segment.begun.init);
        let track = recorded.tracks.iter().find(|track| Some(track.init) == init);
        if let Some(track) =
            track.filter(|track| formats.last().is_none_or(|(_, last)| last.init != track.init))
        {
            formats.push((chunk.number, track));
        }
    }
    formats
}

/// The segments of a rendition on the shelf before which the film breaks.
pub(super) fn breaks_of(footage: &Footage, recorded: &Recorded) -> Vec<u32> {
    let spans: Vec<(u32, u32)> = recorded.sealed.iter().flat_map(|(spans, _)| spans.clone()).collect();
    let pairs = spans.iter().zip(spans.iter().skip(1)).zip(1..);
    let breaks = pairs.filter(|((before, span), _)| footage.breaks(Some(before.1), span.0).next().is_some());
    breaks.map(|(_, number)| number).collect()
}

/// Whether a rendition lacks too much at once of what any of these has, the greatest of which is last.
fn lacks_much(all: &[&Recorded], recorded: &Recorded) -> bool {
    let Some(greatest) = all.last() else { return false };
    lacking(all, greatest, recorded) > MOST_LACKING_S * u64::from(greatest.timescale())
}

/// The longest piece that a rendition lacks of what any of these has, in the ticks of the greatest.
fn lacking(all: &[&Recorded], greatest: &Recorded, recorded: &Recorded) -> u64 {
    let (mut longest, mut piece) = (0, 0);
    for (Segment { begun, duration, .. }, _) in &greatest.segments {
        if recorded.has(begun.msn) {
            piece = 0;
        } else if all.iter().any(|one| one.has(begun.msn)) {
            piece += u64::from(*duration);
        }
        longest = longest.max(piece);
    }
    longest
}

#[cfg(test)]
mod tests {
    use cmaf::ChunkRef;
    use model::ChunkHash;

    use super::*;
    use crate::live::testing::{OWN, SMALL, record, rendition};

    #[test]
    fn the_longest_piece_that_a_rendition_lacks_is_known() {
        let (_, own) = rendition(OWN, 0..10, &[4, 5]);
        for (msns, gaps, expected) in [
            (0..10, &[][..], 0),
            (0..10, &[4, 5], 0),
            // Its encoder began with the third segment, whether it was told of before or not.
            (2..10, &[], 4000),
            (0..10, &[0, 1], 4000),
            (1..10, &[1], 4000),
            // What everybody lacked is no part of the film.
            (6..10, &[], 8000),
            (0..7, &[], 6000),
            // Its encoder was given up, and it had gaps until the end.
            (0..7, &[6], 8000),
            (0..10, &[6, 7, 8, 9], 8000),
            // It was given up, and came back.
            (0..10, &[1, 2, 7], 4000),
            (0..10, &[3, 4, 5, 6, 7], 6000),
            (0..0, &[], 16_000),
        ] {
            let (_, small) = rendition(SMALL, msns.clone(), gaps);
            assert_eq!(lacking(&[&small, &own], &own, &small), expected, "{msns:?} without {gaps:?}");
        }
    }

    /// What of a rendition is in the store does not matter here.
    fn sealed((name, recorded): (RenditionName, Recorded)) -> (RenditionName, Recorded) {
        let hash = ChunkHash::of(b"");
        let chunk = ChunkRef { number: 0, hash, size_bytes: 1, index_bytes: 1, segments: vec![] };
        (name, Recorded { sealed: vec![(vec![(0, 0)], chunk)], ..recorded })
    }

    #[test]
    fn a_sound_that_another_is_there_for_stays_away_too() {
        let sound = |kbps, msns, gaps: &[u32]| rendition(RenditionName::Audio { kbps }, msns, gaps);
        let names = |sounds: [(RenditionName, Recorded); 3]| {
            let event = record(sounds.into_iter().chain([rendition(OWN, 0..20, &[])]).map(sealed));
            shelved(&event).iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>()
        };
        // The publisher came back with Opus in the middle, and an AAC is made of that only.
        let found = names([sound(32, 1..20, &[]), sound(128, 10..20, &[]), sound(160, 0..20, &[])]);
        assert_eq!(found, ["a32", "a160", "360p"]);
        // There was no sound for half of the film: what all lack is silence.
        let found = names([sound(32, 10..20, &[]), sound(128, 10..20, &[]), sound(160, 10..20, &[])]);
        assert_eq!(found, ["a32", "a128", "a160", "360p"]);
    }

    #[test]
    fn a_picture_that_lacks_much_at_once_stays_away() {
        for (msns, gaps, is_there) in [
            (0..20, &[][..], true),
            (4..20, &[], true),
            (5..20, &[], false),
            (0..16, &[], true),
            (0..15, &[], false),
            (0..20, &[7, 8, 9, 10, 12, 13, 14, 15], true),
            (0..20, &[7, 8, 9, 10, 11], false),
        ] {
            let event =
                record([rendition(OWN, 0..20, &[]), rendition(SMALL, msns.clone(), gaps)].map(sealed));
            let names: Vec<_> = shelved(&event).iter().map(|(name, _)| **name).collect();
            assert_eq!(names.contains(&SMALL), is_there, "{msns:?} without {gaps:?}");
            assert!(names.contains(&OWN));
        }
    }
}
