use bytes::Bytes;
use cmaf::{ChunkRef, CmafError, Sample, part_head, segment_head};
use live::{Record, Recorded, Segment};
use model::{ObjectKey, RenditionName};

use crate::live::footage::Footage;

/// Where a segment is in the store.
pub(super) struct InStore {
    pub(super) key: ObjectKey,
    pub(super) chunk: ChunkRef,
    /// Which segment of the chunk,
    pub(super) place: usize,
    /// by how many ticks its first sample lasts longer there,
    pub(super) late: u32,
    /// and how many ticks of it are before.
    pub(super) before: u64,
}

pub(super) fn in_store(
    record: &Record,
    recorded: &Recorded,
    rendition: RenditionName,
    msn: u32,
) -> Option<InStore> {
    let (video, version) = (record.video, record.version);
    let mut after = None;
    recorded.sealed.iter().find_map(|(spans, chunk)| {
        let Some(place) = spans.iter().position(|(from, to)| (*from..=*to).contains(&msn)) else {
            after = spans.last().map(|(_, to)| *to);
            return None;
        };
        let from = spans[place].0;
        let before = (from..msn).filter_map(|msn| recorded.segment(msn));
        let before = before.map(|(segment, _)| u64::from(segment.duration)).sum();
        let key = ObjectKey::Chunk { video, version, rendition, number: chunk.number, hash: chunk.hash };
        let after = place.checked_sub(1).map_or(after, |place| Some(spans[place].1));
        let late = Footage::of(record).late(after, from, recorded.timescale().into());
        Some(InStore { key, chunk: chunk.clone(), place, late, before })
    })
}

/// The segment of the event out of one on the shelf that holds it, `before` ticks from its beginning.
pub(super) fn cut_out(
    segment: &Segment,
    samples: &[Sample],
    payload: &[u8],
    before: u64,
) -> Result<Bytes, CmafError> {
    let (mut at, mut from) = (0, 0);
    let mut own: Vec<Sample> = Vec::new();
    for sample in samples {
        if at < before {
            from += sample.size as usize;
        } else if at < before + u64::from(segment.duration) {
            own.push(*sample);
        }
        at += u64::from(sample.duration);
    }
    if let Some((last, before)) = own.split_last_mut() {
        // It lasts longer on the shelf where a gap follows.
        let lasts: u64 = before.iter().map(|sample| u64::from(sample.duration)).sum();
        last.duration = u32::try_from(u64::from(segment.duration).saturating_sub(lasts)).unwrap_or(1).max(1);
    }
    let len: usize = own.iter().map(|sample| sample.size as usize).sum();
    // `read_chunk_index` checked that the samples fill their segment.
    let own_payload = payload.get(from..from + len).unwrap_or_default();
    let (sequence, start) = (segment.begun.msn, segment.begun.start);
    let head = match own.first() {
        Some(first) if first.sync => segment_head(sequence, start, &own, len)?,
        _ => part_head(sequence, start, &own, len)?,
    };
    Ok([&head[..], own_payload].concat().into())
}

#[cfg(test)]
mod tests {
    use cmaf::{ReadSegment, read_part};
    use live::Begun;

    use super::*;

    #[test]
    fn a_segment_is_cut_out_as_it_was() {
        let sample = |duration| Sample { size: 1, duration, cts_offset: 0, sync: true };
        let begun = Begun { msn: 1, start: 2000, init: 0, discontinuity: false, gap: false };
        let segment = Segment { begun, duration: 2000, size_bytes: 9, parts: Vec::new() };
        let joined = [1000, 1000, 1000, 1500].map(sample);
        let bytes = cut_out(&segment, &joined, b"abcd", 2000).unwrap();
        let ReadSegment { samples, payload, .. } = read_part(&bytes).unwrap();
        assert_eq!((&samples[..], &bytes[payload]), (&[sample(1000), sample(1000)][..], &b"cd"[..]));
    }
}
