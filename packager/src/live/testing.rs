//! Records of events that were never held.

use std::collections::BTreeMap;
use std::ops::Range;

use live::{Begun, Record, Recorded, Segment, Timing, Track};
use model::cell::Ratio;
use model::{RenditionName, Timestamp, VersionId, VideoId};

/// Segments of 2 s from this one on; those in `gaps` are empty.
pub(super) fn rendition(name: RenditionName, msns: Range<u32>, gaps: &[u32]) -> (RenditionName, Recorded) {
    let kind = match name.is_video() {
        true => cmaf::RenditionKind::Video { width: 640, height: 360, frame_rate: Ratio::new(30, 1) },
        false => cmaf::RenditionKind::Audio { channels: 2, sample_rate: 1000 },
    };
    let track = Track {
        rendition: name,
        init: 0,
        first_msn: msns.start,
        codecs: String::new(),
        timescale: 1000,
        kind,
    };
    let segment = |msn: u32| {
        let begun = Begun {
            msn,
            start: u64::from(msn) * 2000,
            init: 0,
            discontinuity: false,
            gap: gaps.contains(&msn),
        };
        (Segment { begun, duration: 2000, size_bytes: 9, parts: Vec::new() }, 0)
    };
    let recorded =
        Recorded { tracks: vec![track], segments: msns.map(segment).collect(), sealed: Vec::new() };
    (name, recorded)
}

/// The same, of a publisher who came back with another format before each of these segments.
pub(super) fn breaking(
    (name, mut recorded): (RenditionName, Recorded),
    at: &[u32],
) -> (RenditionName, Recorded) {
    for (segment, _) in &mut recorded.segments {
        let Begun { msn, .. } = segment.begun;
        segment.begun.discontinuity = at.contains(&msn);
        segment.begun.init = at.iter().filter(|at| **at <= msn).count() as u32;
    }
    let further = |init: u32| Track { init, ..recorded.tracks[0].clone() };
    let further: Vec<_> = (1..=at.len() as u32).map(further).collect();
    recorded.tracks.extend(further);
    (name, recorded)
}

pub(super) fn record(renditions: impl IntoIterator<Item = (RenditionName, Recorded)>) -> Record {
    let zero = Timestamp::from_seconds(1_700_000_000);
    let timing = Timing { zero, target_duration_s: 2, part_target_ms: None };
    let (video, version) = (VideoId::from_bits(1), VersionId::from_bits(1));
    let renditions: BTreeMap<_, _> = renditions.into_iter().collect();
    Record { video, version, timing, renditions, ended: false }
}

pub(super) const SMALL: RenditionName = RenditionName::Video { height: 144 };
pub(super) const SOUND: RenditionName = RenditionName::Audio { kbps: 128 };
pub(super) const OWN: RenditionName = RenditionName::Video { height: 360 };
