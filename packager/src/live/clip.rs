//! A clip from an event that goes on: the same segments, as a film of its own.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use catalog::NewVersion;
use cmaf::read_part;
use live::{Failure, Record, Recorded, Segment};
use model::{ClipRefusal, ClipStretch, VersionId, VideoId};
use tokio::time::Instant;

use super::archive::Archive;
use super::going::OnAir;
use super::{Live, LiveError, stills};

/// How long the last segment of a rendition that is encoded here is waited for,
const LAG: Duration = Duration::from_secs(3);
/// and how often it is looked for.
const LOOK: Duration = Duration::from_millis(50);

impl Live {
    /// Stores what of an event on air is in the stretch as `version` of `video`, its index last: from
    /// the segment in which it begins to the one in which it ends. Rows know nothing of it yet.
    ///
    /// # Errors
    ///
    /// When the disk or the store fails, or the event ends meanwhile.
    pub async fn clip(
        &self,
        event: VideoId,
        stretch: ClipStretch,
        video: VideoId,
        version: VersionId,
    ) -> Result<Result<NewVersion, ClipRefusal>, Failure> {
        let on_air = self.events().get(&event).and_then(|known| known.on_air.borrow().clone());
        let Some(on_air) = on_air.filter(|on_air| !on_air.broadcast.event().ended) else {
            return Ok(Err(ClipRefusal::NotOnAir));
        };
        let record = on_air.archive.recorded();
        let segments = match segments_of(&record, stretch) {
            Ok(segments) => segments,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let segments = from_key_frame(&on_air, &record, segments).await?;
        let record = once_all_have(&on_air, &segments).await;
        let record = taken(&record, &segments, video, version);
        if record.renditions.is_empty() {
            return Ok(Err(ClipRefusal::Nothing));
        }
        let archive = Archive::of_clip(record, on_air, Arc::clone(&self.shared.clips));
        for name in archive.renditions() {
            while let Some(line) = archive.seal(name, true).await? {
                archive.note([line]);
            }
        }
        let Some((index, version)) = archive.finish().await? else { return Ok(Err(ClipRefusal::Nothing)) };
        if let Err(error) = stills::store(&self.shared, &index).await {
            // The clip is worth more than its poster.
            tracing::warn!(%video, error = &error as &dyn std::error::Error, "a clip has no stills");
        }
        Ok(Ok(version))
    }
}

/// The segments that hold a stretch.
fn segments_of(record: &Record, stretch: ClipStretch) -> Result<Range<u32>, ClipRefusal> {
    let leader = record.leader().ok_or(ClipRefusal::Nothing)?;
    let ms = |ticks: u64| leader.ms(ticks);
    let ends = |(segment, _): &(Segment, u64)| ms(segment.begun.start + u64::from(segment.duration));
    let (Some(first), Some(last)) = (leader.segments.first(), leader.segments.last()) else {
        return Err(ClipRefusal::Nothing);
    };
    let there = ms(first.0.begun.start)..ends(last);
    let wanted = match stretch {
        ClipStretch::Between { from_ms, to_ms } => from_ms..to_ms,
        ClipStretch::Last { ms } => there.end.saturating_sub(ms)..there.end,
    };
    let is_short = matches!(stretch, ClipStretch::Last { ms } if ms > there.end - there.start);
    if is_short || wanted.start < there.start || wanted.end > there.end || wanted.is_empty() {
        return Err(ClipRefusal::NotThere { from_ms: there.start, to_ms: there.end });
    }
    let from = leader.segments.partition_point(|one| ends(one) <= wanted.start);
    let to = leader.segments.partition_point(|one| ms(one.0.begun.start) < wanted.end);
    let held = &leader.segments[from..to];
    match (held.first(), held.last()) {
        (Some((from, _)), Some((to, _))) if held.iter().any(|(one, _)| !one.begun.gap) => {
            Ok(from.begun.msn..to.begun.msn + 1)
        }
        _ => Err(ClipRefusal::Nothing),
    }
}

/// The same, from a segment on with which decoding can begin: a long group of pictures has several.
async fn from_key_frame(
    on_air: &OnAir,
    record: &Record,
    segments: Range<u32>,
) -> Result<Range<u32>, LiveError> {
    let name = record.renditions.keys().max().copied();
    let first =
        record.leader().and_then(|leader| leader.segments.first()).map_or(0, |(one, _)| one.begun.msn);
    let Some(name) = name else { return Ok(segments) };
    let mut start = segments.start;
    while start > first {
        match on_air.archive.segment(name, start).await? {
            Some(bytes) if read_part(&bytes)?.samples.first().is_some_and(|sample| !sample.sync) => {
                start -= 1
            }
            _ => break,
        }
    }
    Ok(start..segments.end)
}

/// What is known once all renditions have these segments, as the encoded ones do a moment later than
/// the publisher's. One that is given up has not.
async fn once_all_have(on_air: &OnAir, segments: &Range<u32>) -> Record {
    let until = Instant::now() + LAG;
    loop {
        let record = on_air.archive.recorded();
        if Instant::now() >= until || record.renditions.values().all(|recorded| has(recorded, segments)) {
            return record;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Whether the last of these segments is there.
fn has(recorded: &Recorded, segments: &Range<u32>) -> bool {
    recorded.segments.last().is_some_and(|(last, _)| last.begun.msn + 1 >= segments.end)
}

/// What there is of the event in these segments, as the record of another one. Renditions that lack
/// the beginning or the end are left out.
fn taken(record: &Record, segments: &Range<u32>, video: VideoId, version: VersionId) -> Record {
    let cut = |recorded: &Recorded| {
        let held = recorded.segments.iter().filter(|(one, _)| segments.contains(&one.begun.msn));
        Recorded { tracks: Vec::new(), segments: held.cloned().collect(), sealed: Vec::new() }
    };
    let begins = |recorded: &Recorded| {
        recorded.segments.iter().find(|(one, _)| !one.begun.gap).map(|(one, _)| one.begun.msn)
    };
    let beginning = record.leader().map(cut).as_ref().and_then(begins);
    let renditions = record.renditions.iter().filter_map(|(name, recorded)| {
        let cut = cut(recorded);
        if begins(&cut) != beginning || !has(recorded, segments) {
            return None;
        }
        let is_used = |init| cut.segments.iter().any(|(one, _)| !one.begun.gap && one.begun.init == init);
        let tracks = recorded.tracks.iter().filter(|track| is_used(track.init)).cloned().collect();
        Some((*name, Recorded { tracks, ..cut }))
    });
    Record { video, version, timing: record.timing, renditions: renditions.collect(), ended: true }
}

#[cfg(test)]
mod tests {
    use model::RenditionName;

    use super::*;
    use crate::live::testing::{OWN, SMALL, record, rendition};

    #[test]
    fn a_stretch_is_in_whole_segments_that_are_there() {
        let event = record([rendition(OWN, 0..5, &[3, 4])]);
        let between = |from_ms, to_ms| ClipStretch::Between { from_ms, to_ms };
        let not_there = Err(ClipRefusal::NotThere { from_ms: 0, to_ms: 10_000 });
        let cases = [
            ("within one", between(2500, 3500), Ok(1..2)),
            ("over borders", between(1999, 4001), Ok(0..3)),
            ("at borders", between(2000, 4000), Ok(1..2)),
            ("into an outage", between(5000, 8000), Ok(2..4)),
            ("nothing but an outage", between(6000, 9000), Err(ClipRefusal::Nothing)),
            ("behind the end", between(9000, 10_001), not_there.clone()),
            ("nothing at all", between(5000, 5000), not_there.clone()),
            ("the last", ClipStretch::Last { ms: 5000 }, Ok(2..5)),
            ("all", ClipStretch::Last { ms: 10_000 }, Ok(0..5)),
            ("more than all", ClipStretch::Last { ms: 10_001 }, not_there),
        ];
        for (name, stretch, expected) in cases {
            assert_eq!(segments_of(&event, stretch), expected, "{name}");
        }
        let nothing = segments_of(&record([]), ClipStretch::Last { ms: 1000 });
        assert_eq!(nothing, Err(ClipRefusal::Nothing));
    }

    #[test]
    fn renditions_that_lack_an_end_of_it_are_left_out() {
        let (video, version) = (VideoId::from_bits(7), VersionId::from_bits(7));
        let with = |other: (RenditionName, Recorded)| {
            let event = record([rendition(OWN, 0..6, &[2]), other]);
            let clip = taken(&event, &(2..5), video, version);
            assert_eq!((clip.video, clip.version), (video, version));
            assert_eq!(clip.renditions[&OWN].segments.len(), 3);
            clip.renditions.contains_key(&SMALL)
        };
        let cases = [
            ("all of it is there", 0..6, vec![2], true),
            ("a gap in the middle is filled by what is before", 0..6, vec![2, 4], true),
            ("its first segment is missing", 0..6, vec![2, 3], false),
            ("it began later", 4..6, vec![], false),
            ("its last segment is not there yet", 0..4, vec![2], false),
        ];
        for (name, msns, gaps, expected) in cases {
            assert_eq!(with(rendition(SMALL, msns, &gaps)), expected, "{name}");
        }
    }
}
