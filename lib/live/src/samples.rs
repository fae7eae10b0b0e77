//! What the tests of several files make their cases from.

use model::{RenditionName, Timestamp};

use crate::{Part, Rendition, Segment, Timing, rendition::Begun};

pub(crate) const TIMING: Timing =
    Timing { zero: Timestamp::from_seconds(1_700_000_000), target_duration_s: 2, part_target_ms: Some(350) };

pub(crate) fn begun(msn: u32, start: u64) -> Begun {
    Begun { msn, start, init: 0, discontinuity: false, gap: false }
}

/// A rendition after `steps` parts of a third of a second, six in a segment.
pub(crate) fn grown(steps: u32) -> Rendition {
    let mut rendition = Rendition::new(RenditionName::Video { height: 360 }, 90_000, 3);
    for step in 0..steps {
        if step % 6 == 0 {
            rendition.begin(begun(3 + step / 6, u64::from(step) * 30_000));
        }
        rendition.add(Part { duration: 30_000, size_bytes: 1000 + step, independent: step % 6 == 0 });
        if step % 6 == 5 {
            rendition.close(6000);
        }
    }
    rendition
}

/// The same with only closed segments: those numbered in `gaps` are empty, those in `breaks` are
/// preceded by a discontinuity.
pub(crate) fn closed(segments: u32, gaps: &[u32], breaks: &[u32]) -> Rendition {
    let mut rendition = Rendition::new(RenditionName::Video { height: 360 }, 90_000, 0);
    for msn in 0..segments {
        let (gap, discontinuity) = (gaps.contains(&msn), breaks.contains(&msn));
        let init = breaks.iter().filter(|at| **at <= msn).count() as u32;
        let begun = Begun { gap, discontinuity, init, ..begun(msn, u64::from(msn) * 180_000) };
        rendition.push(Segment { begun, duration: 180_000, size_bytes: 60_000, parts: Vec::new() });
    }
    rendition
}
