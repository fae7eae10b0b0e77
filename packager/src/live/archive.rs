//! From the spool to the shelf: closed segments become chunks in the store, as they are.
//!
//! On the shelf the film has no outages: times are those of the event without what everybody lacked.
//! What only one rendition lacks, its picture before lasts longer, or its first one if it came late. A
//! picture that came too late or left too early stays away: all of a film's begin and end together.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use catalog::NewVersion;
use cmaf::{
    Bandwidth, ChunkRef, ChunkWriter, CmafError, ReadSegment, RenditionIndex, Sample, SegmentRef,
    VersionIndex, media_segment, part_head, read_chunk_index, read_part, segment_head,
};
use live::{Line, Record, Recorded, Segment};
use model::{ChunkHash, ObjectKey, RenditionName};
use storage::ObjectStore;
use tokio::sync::Semaphore;

use super::LiveError;
use super::going::OnAir;
use super::spool::{Reader, reel};
use crate::backoff;
use crate::jobs::summary;

/// What an event has on its packager's disk and in the store.
#[derive(Debug)]
pub(crate) struct Archive {
    record: Mutex<Record>,
    reader: Reader,
    store: Arc<dyn ObjectStore>,
    /// How many chunks of all events are put together at once: each is in memory then.
    turns: Arc<Semaphore>,
    /// Of a clip: the event that goes on, which knows what is in the store of what is not in the spool.
    behind: Option<Arc<OnAir>>,
}

/// The most that a chunk lasts, in seconds.
const CHUNK_S: u64 = 60;
/// Segments behind the last chunk after which another is tried: those of a chunk, and one more.
const ENOUGH: usize = 32;

/// What a picture of the shelf may lack at its beginning or at its end, in seconds.
const MOST_LACKING_S: u64 = 8;

/// What comes next of a rendition.
struct Pending {
    timescale: u64,
    /// Of its next segment on the shelf the number,
    number: u32,
    /// and the beginning.
    start: u64,
    /// What of the film was over when its first segment began, if that is to come.
    late: u64,
    /// The event's segments, with where their bytes begin, and whether everybody lacks them.
    segments: Vec<(Segment, u64, Option<bool>)>,
}

/// Segments that become one of a chunk: together they begin with a key frame.
struct Joined {
    span: (u32, u32),
    base: u64,
    samples: Vec<Sample>,
    payload: BytesMut,
}

impl Joined {
    /// Its last sample lasts longer, also through segment `msn`. `false` if it would be too long: the
    /// ticks of a segment are a `u32`, half a day of 90 kHz.
    fn wait(&mut self, msn: u32, ticks: u32) -> bool {
        let fits = u32::try_from(ticks_of(&self.samples) + u64::from(ticks)).is_ok();
        if let Some(sample) = self.samples.last_mut().filter(|_| fits) {
            sample.duration += ticks;
            self.span.1 = msn;
        }
        fits
    }

    /// Its first sample once more, which can be decoded by itself, for segment `msn` that begins at `base`.
    fn again(&self, msn: u32, base: u64, ticks: u32) -> Self {
        let first = self.samples.first().map(|first| Sample { duration: ticks, ..*first });
        let len = first.map_or(0, |first| first.size as usize);
        let (samples, payload) = (first.into_iter().collect(), BytesMut::from(&self.payload[..len]));
        Self { span: (msn, msn), base, samples, payload }
    }
}

impl Archive {
    pub(crate) fn new(
        record: Record,
        reader: Reader,
        store: Arc<dyn ObjectStore>,
        turns: Arc<Semaphore>,
    ) -> Self {
        Self { record: Mutex::new(record), reader, store, turns, behind: None }
    }

    /// Of a clip, whose segments are those of the event.
    /// It has turns of its own: neither it nor the event waits for the other.
    pub(super) fn of_clip(record: Record, event: Arc<OnAir>, turns: Arc<Semaphore>) -> Self {
        let Self { reader, store, .. } = &event.archive;
        let (reader, store) = (reader.clone(), Arc::clone(store));
        Self { record: Mutex::new(record), reader, store, turns, behind: Some(event) }
    }

    /// What is known of the event at this moment.
    pub(super) fn recorded(&self) -> Record {
        self.record().clone()
    }

    /// Remembers lines that were written down.
    pub(crate) fn note(&self, lines: impl IntoIterator<Item = Line>) {
        let mut record = self.record();
        for line in lines {
            if let Err(fault) = record.add(line) {
                tracing::error!("a line of a live event is left out: {fault}");
            }
        }
    }

    /// The next rendition after `last` in turn that has enough behind its last chunk for another.
    pub(crate) fn is_due(&self, last: Option<RenditionName>) -> Option<RenditionName> {
        due(&self.record(), last)
    }

    /// Puts the next chunk of a rendition into the store. Returns the line to write down, and to
    /// [`note`](Self::note); `None` while there is too little, or when all is there and it is `last`.
    pub(crate) async fn seal(&self, rendition: RenditionName, last: bool) -> Result<Option<Line>, LiveError> {
        let _turn = self.turns.acquire().await;
        let (video, version) = {
            let record = self.record();
            (record.video, record.version)
        };
        let Some((number, start, joined)) = self.gather(rendition, last).await? else { return Ok(None) };
        let mut writer = ChunkWriter::new(number, start);
        let mut bytes = BytesMut::new();
        let mut spans = Vec::with_capacity(joined.len());
        for (sequence, segment) in (number..).zip(&joined) {
            let whole = media_segment(sequence + 1, segment.base, &segment.samples, &segment.payload)?;
            writer.push(&whole)?;
            bytes.extend_from_slice(&whole);
            spans.push(segment.span);
        }
        let finished = writer.finish();
        bytes.extend_from_slice(&finished.tail);
        let chunk = finished.chunk;
        let key = ObjectKey::Chunk { video, version, rendition, number, hash: chunk.hash };
        let bytes = bytes.freeze();
        backoff::insist(backoff::WRITE, || self.store.put(&key, bytes.clone())).await?;
        Ok(Some(Line::Sealed { rendition, spans, chunk }))
    }

    /// Lets go of the reels that are all in the store and that nobody asks for often.
    pub(crate) fn discard(&self, rendition: RenditionName) -> Result<(), LiveError> {
        let record = self.record();
        let Some(recorded) = record.renditions.get(&rendition) else { return Ok(()) };
        let Some((_, to)) = recorded.sealed.last().and_then(|(spans, _)| spans.last()).copied() else {
            return Ok(());
        };
        // The last one may hold segments that are not.
        if let Some(before) = reel(to).checked_sub(1) {
            self.reader.discard(rendition, before)?;
        }
        Ok(())
    }

    /// What is not in the store of a rendition.
    fn pending(&self, name: RenditionName) -> Option<Pending> {
        let record = self.record();
        let recorded = record.renditions.get(&name)?;
        let leader = leader(&record);
        let number = recorded.sealed.iter().map(|(spans, _)| spans.len()).sum::<usize>();
        let segments = recorded.segments[sealed(recorded)..].iter().map(|(segment, offset)| {
            (segment.clone(), *offset, leader.and_then(|leader| state_of(leader, segment.begun.msn)))
        });
        Some(Pending {
            timescale: recorded.tracks.first().map_or(1, |track| u64::from(track.timescale)),
            number: u32::try_from(number).unwrap_or(u32::MAX),
            start: recorded.sealed.iter().map(|(_, chunk)| ticks(chunk)).sum(),
            late: match leader {
                Some(leader) if number == 0 => late(leader, recorded),
                _ => 0,
            },
            segments: segments.collect(),
        })
    }

    /// The segments of the next chunk: its number, its beginning on the shelf, and them.
    async fn gather(
        &self,
        name: RenditionName,
        last: bool,
    ) -> Result<Option<(u32, u64, Vec<Joined>)>, LiveError> {
        let Some(Pending { timescale, number, start, late, segments }) = self.pending(name) else {
            return Ok(None);
        };
        let mut joined: Vec<Joined> = Vec::new();
        let (mut end, mut init) = (start, None);
        for (segment, offset, everybody) in &segments {
            let msn = segment.begun.msn;
            if segment.begun.gap {
                match (*everybody, joined.last_mut()) {
                    // Nobody knows yet whether the others had it.
                    (None, _) if !last => return Ok(None),
                    (Some(true) | None, _) => {}
                    (Some(false), Some(before)) => {
                        if !before.wait(msn, segment.duration) {
                            let again = before.again(msn, end, segment.duration);
                            joined.push(again);
                        }
                        end += u64::from(segment.duration);
                    }
                    (Some(false), None) => {}
                }
                continue;
            }
            let bytes = match (self.spooled(name, segment, *offset).await?, &self.behind) {
                (None, Some(event)) => Box::pin(event.archive.segment(name, msn)).await?,
                (bytes, _) => bytes,
            };
            let bytes = bytes.ok_or(LiveError::Lost { rendition: name, msn })?;
            let ReadSegment { mut samples, payload, .. } = read_part(&bytes)?;
            let begins = samples.first().is_some_and(|sample| sample.sync);
            // A chunk is of one format, and lasts a minute.
            let whole = joined.len() >= CHUNK_S as usize / 2
                || end - start >= CHUNK_S * timescale
                || init.is_some_and(|init| init != segment.begun.init);
            if begins && whole && !joined.is_empty() {
                return Ok(Some((number, start, joined)));
            }
            let mut lasts = ticks_of(&samples);
            if let (true, true, Some(first)) = (begins, joined.is_empty(), samples.first_mut()) {
                let late = late.min(u64::from(u32::MAX).saturating_sub(lasts));
                first.duration += u32::try_from(late).unwrap_or(0);
                lasts += late;
            }
            init = Some(segment.begun.init);
            match joined.last_mut() {
                Some(before) if !begins => {
                    before.span.1 = msn;
                    before.samples.extend(samples);
                    before.payload.extend_from_slice(&bytes[payload]);
                }
                // Nothing can be decoded before the first key frame.
                None if !begins => continue,
                _ => joined.push(Joined {
                    span: (msn, msn),
                    base: end,
                    samples,
                    payload: BytesMut::from(&bytes[payload]),
                }),
            }
            end += lasts;
        }
        Ok((last && !joined.is_empty()).then_some((number, start, joined)))
    }

    /// A closed segment, from the spool or from the store.
    pub(crate) async fn segment(&self, name: RenditionName, msn: u32) -> Result<Option<Bytes>, LiveError> {
        let (segment, offset, from) = {
            let record = self.record();
            let Some(recorded) = record.renditions.get(&name) else { return Ok(None) };
            let Some((segment, offset)) = find(recorded, msn).cloned() else { return Ok(None) };
            (segment, offset, in_store(&record, recorded, name, msn))
        };
        if segment.begun.gap {
            return Ok(None);
        }
        if let Some(bytes) = self.spooled(name, &segment, offset).await? {
            return Ok(Some(bytes));
        }
        let Some(from) = from else { return Ok(None) };
        let InStore { key, chunk, place, late, before } = from;
        let index = self.store.get_range(&key, chunk.index_range()).await?;
        let index = read_chunk_index(&index)?;
        let at: u64 = chunk.segments[..place].iter().map(|one| u64::from(one.size_bytes)).sum();
        let range = at..at + u64::from(chunk.segments[place].size_bytes);
        let stored = self.store.get_range(&key, range).await?;
        let mut samples = index.segments[place].samples.clone();
        if let Some(first) = samples.first_mut() {
            first.duration = first.duration.saturating_sub(late).max(1);
        }
        let payload = index.segments[place].payload_offset as usize;
        Ok(Some(cut_out(&segment, &samples, &stored[payload..], before)?))
    }

    /// A segment from the spool, if it is there. Whoever asks may be one of few threads that serve
    /// everybody, so the disk is waited for elsewhere.
    async fn spooled(
        &self,
        name: RenditionName,
        segment: &Segment,
        offset: u64,
    ) -> Result<Option<Bytes>, LiveError> {
        let (reader, segment) = (self.reader.clone(), segment.clone());
        let read = tokio::task::spawn_blocking(move || reader.segment(name, &segment, offset));
        Ok(read.await.map_err(LiveError::Task)??)
    }

    /// Stores what is missing of the version that the event grew, its index last. `None` when there
    /// is nothing to keep.
    pub(crate) async fn finish(&self) -> Result<Option<(VersionIndex, NewVersion)>, LiveError> {
        let record = self.record().clone();
        let (video, version) = (record.video, record.version);
        let mut renditions = Vec::new();
        for (name, recorded) in shelved(&record) {
            let Some(track) = recorded.tracks.first() else { continue };
            let init = self.reader.init(*name, track.init)?;
            let key = ObjectKey::Init { video, version, rendition: *name, number: 0 };
            backoff::insist(backoff::WRITE, || self.store.put(&key, init.clone())).await?;
            let chunks = chunks_of_first_format(recorded);
            let segments: Vec<SegmentRef> = chunks.iter().flat_map(|chunk| chunk.segments.clone()).collect();
            renditions.push(RenditionIndex {
                name: *name,
                codecs: track.codecs.clone(),
                timescale: track.timescale,
                kind: track.kind,
                bandwidth: Bandwidth::measure(track.timescale, segments),
                init_size: u32::try_from(init.len()).unwrap_or(u32::MAX),
                init_hash: ChunkHash::of(&init),
                chunks,
                changes: Vec::new(),
                breaks: Vec::new(),
            });
        }
        if renditions.is_empty() {
            return Ok(None);
        }
        let ms = |one: &RenditionIndex| one.duration() * 1000 / u64::from(one.timescale.max(1));
        let duration_ms = renditions.iter().map(ms).max().unwrap_or_default();
        let index = VersionIndex { format: VersionIndex::FORMAT, video, version, duration_ms, renditions };
        let key = ObjectKey::Index { video, version };
        let json = index.to_json();
        backoff::insist(backoff::WRITE, || self.store.put(&key, json.clone())).await?;
        let renditions = index.renditions.iter().map(summary).collect();
        let stretches = leader(&record).map(stretches);
        Ok(Some((index, NewVersion { version, duration_ms, renditions, stretches })))
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The renditions that there are.
    pub(crate) fn renditions(&self) -> Vec<RenditionName> {
        self.record().renditions.keys().copied().collect()
    }
}

/// The renditions that go on the shelf. A film has one format for each: what was published in several
/// is left out, as long as there is a picture in one; so are pictures that lack too much. Sound stays:
/// one that came late was silence.
fn shelved(record: &Record) -> impl Iterator<Item = (&RenditionName, &Recorded)> {
    let leader = leader(record);
    let lacks_much = move |recorded: &Recorded| {
        let most = leader.map_or(0, |leader| MOST_LACKING_S * timescale(leader));
        leader.is_some_and(|leader| lacking(leader, recorded).into_iter().any(|ticks| ticks > most))
    };
    let is_whole = |recorded: &Recorded| recorded.tracks.len() == 1;
    let there = record.renditions.iter().filter(|(_, recorded)| !recorded.sealed.is_empty());
    let is_good = move |recorded: &Recorded| is_whole(recorded) && !lacks_much(recorded);
    let has_picture = there.clone().any(|(name, recorded)| name.is_video() && is_good(recorded));
    there.filter(move |(name, recorded)| !name.is_video() || is_good(recorded) || !has_picture)
}

/// What there is of a rendition up to where its format changed, or all of it.
fn chunks_of_first_format(recorded: &Recorded) -> Vec<ChunkRef> {
    let init = |spans: &[(u32, u32)]| Some(find(recorded, spans.first()?.0)?.0.begun.init);
    let first = recorded.sealed.first().and_then(|(spans, _)| init(spans));
    let is_first = |(spans, _): &&(Vec<(u32, u32)>, ChunkRef)| init(spans) == first;
    recorded.sealed.iter().take_while(is_first).map(|(_, chunk)| chunk.clone()).collect()
}

/// See [`Archive::is_due`]. Gaps are nothing to seal: a rung that was given up has nothing else. And one of
/// which nothing can be sealed for whatever reason keeps no other from its turn.
fn due(record: &Record, last: Option<RenditionName>) -> Option<RenditionName> {
    let is_due = |recorded: &Recorded| {
        let pending = &recorded.segments[sealed(recorded)..];
        pending.iter().filter(|(segment, _)| !segment.begun.gap).count() >= ENOUGH
    };
    let mut due = record.renditions.iter().filter(|(_, one)| is_due(one)).map(|(name, _)| *name);
    due.clone().find(|name| Some(*name) > last).or_else(|| due.next())
}

/// How many of the recorded segments are in the store, or will never be.
fn sealed(recorded: &Recorded) -> usize {
    let last = recorded.sealed.last().and_then(|(spans, _)| spans.last());
    last.map_or(0, |(_, to)| recorded.segments.partition_point(|(segment, _)| segment.begun.msn <= *to))
}

/// The rendition whose gaps everybody had: the publisher's picture, or the sound.
pub(super) fn leader(record: &Record) -> Option<&Recorded> {
    record.renditions.iter().max_by_key(|(name, _)| **name).map(|(_, recorded)| recorded)
}

/// Ticks per second of a rendition.
fn timescale(recorded: &Recorded) -> u64 {
    recorded.tracks.first().map_or(1, |track| u64::from(track.timescale.max(1)))
}

/// Ticks of a rendition in milliseconds.
pub(super) fn ms_of(recorded: &Recorded, ticks: u64) -> u64 {
    ticks * 1000 / timescale(recorded)
}

/// What of `leader` is before the first segment of a rendition that is no gap, and behind the last
/// one, in the leader's ticks.
fn lacking(leader: &Recorded, recorded: &Recorded) -> [u64; 2] {
    let mut real = recorded.segments.iter().filter(|(segment, _)| !segment.begun.gap);
    let first = real.next().map(|(segment, _)| segment.begun.msn);
    let last = real.next_back().map(|(segment, _)| segment.begun.msn).or(first);
    let there = leader.segments.iter().filter(|(segment, _)| !segment.begun.gap);
    let sum = |is_lacking: &dyn Fn(u32) -> bool| {
        let lacking = there.clone().filter(|(segment, _)| is_lacking(segment.begun.msn));
        lacking.map(|(segment, _)| u64::from(segment.duration)).sum()
    };
    let before = sum(&|msn| first.is_none_or(|first| msn < first));
    [before, sum(&|msn| last.is_some_and(|last| msn > last))]
}

/// What of the film was over when the first segment of a rendition began, in the rendition's ticks.
fn late(leader: &Recorded, recorded: &Recorded) -> u64 {
    let [before, _] = lacking(leader, recorded);
    before * timescale(recorded) / timescale(leader)
}

/// What there is of the event between its outages, in milliseconds from its zero.
fn stretches(leader: &Recorded) -> Vec<Range<u64>> {
    let ms = |ticks: u64| ms_of(leader, ticks);
    let mut stretches: Vec<Range<u64>> = Vec::new();
    for (segment, _) in leader.segments.iter().filter(|(segment, _)| !segment.begun.gap) {
        let start = segment.begun.start;
        let (start, end) = (ms(start), ms(start + u64::from(segment.duration)));
        match stretches.last_mut() {
            Some(last) if last.end == start => last.end = end,
            _ => stretches.push(start..end),
        }
    }
    stretches
}

/// Whether segment `msn` is a gap; `None` while it is not known.
fn state_of(recorded: &Recorded, msn: u32) -> Option<bool> {
    find(recorded, msn).map(|(segment, _)| segment.begun.gap)
}

fn find(recorded: &Recorded, msn: u32) -> Option<&(Segment, u64)> {
    let first = recorded.segments.first()?.0.begun.msn;
    recorded.segments.get(usize::try_from(msn.checked_sub(first)?).ok()?)
}

/// Where a segment is in the store.
struct InStore {
    key: ObjectKey,
    chunk: ChunkRef,
    /// Which segment of the chunk,
    place: usize,
    /// by how many ticks its first sample lasts longer there,
    late: u32,
    /// and how many ticks of it are before.
    before: u64,
}

fn in_store(record: &Record, recorded: &Recorded, rendition: RenditionName, msn: u32) -> Option<InStore> {
    let (video, version) = (record.video, record.version);
    recorded.sealed.iter().find_map(|(spans, chunk)| {
        let place = spans.iter().position(|(from, to)| (*from..=*to).contains(&msn))?;
        let before = (spans[place].0..msn).filter_map(|msn| find(recorded, msn));
        let before = before.map(|(segment, _)| u64::from(segment.duration)).sum();
        let key = ObjectKey::Chunk { video, version, rendition, number: chunk.number, hash: chunk.hash };
        let late = match leader(record) {
            Some(leader) if chunk.number == 0 && place == 0 => late(leader, recorded),
            _ => 0,
        };
        let late = u32::try_from(late).unwrap_or(u32::MAX);
        Some(InStore { key, chunk: chunk.clone(), place, late, before })
    })
}

/// The segment of the event out of one on the shelf that holds it, `before` ticks from its beginning.
fn cut_out(segment: &Segment, samples: &[Sample], payload: &[u8], before: u64) -> Result<Bytes, CmafError> {
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
        let lasts = ticks_of(before);
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

fn ticks_of(samples: &[Sample]) -> u64 {
    samples.iter().map(|sample| u64::from(sample.duration)).sum()
}

fn ticks(chunk: &ChunkRef) -> u64 {
    chunk.segments.iter().map(|segment| u64::from(segment.duration)).sum()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use live::Begun;
    use model::{ManualClock, Timestamp};
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;
    use storage::Memory;

    use super::*;
    use crate::live::broadcast::Broadcast;
    use crate::live::spool::Spool;
    use crate::live::testing::{OWN, SMALL, record, rendition};

    #[test]
    fn what_came_late_or_left_early_is_known() {
        let (_, own) = rendition(OWN, 0..10, &[4, 5]);
        for (msns, gaps, expected) in [
            (0..10, &[][..], [0, 0]),
            (0..10, &[4, 5], [0, 0]),
            // Its encoder began with the third segment, whether it was told of before or not.
            (2..10, &[], [4000, 0]),
            (0..10, &[0, 1], [4000, 0]),
            (1..10, &[1], [4000, 0]),
            // What everybody lacked is no part of the film.
            (6..10, &[], [8000, 0]),
            (0..7, &[], [0, 6000]),
            // Its encoder was given up, and it had gaps until the end.
            (0..7, &[6], [0, 8000]),
            (0..10, &[6, 7, 8, 9], [0, 8000]),
            (0..0, &[], [16_000, 0]),
        ] {
            let (_, small) = rendition(SMALL, msns.clone(), gaps);
            assert_eq!(lacking(&own, &small), expected, "{msns:?} without {gaps:?}");
        }
    }

    #[test]
    fn all_that_have_enough_have_their_turn() {
        const MIDDLE: RenditionName = RenditionName::Video { height: 240 };
        let given_up: Vec<u32> = (20..100).collect();
        let event = record([
            rendition(SMALL, 0..40, &[]),
            rendition(MIDDLE, 0..100, &given_up),
            rendition(OWN, 0..100, &[40, 41]),
        ]);
        for (last, expected) in [(None, SMALL), (Some(SMALL), OWN), (Some(MIDDLE), OWN), (Some(OWN), SMALL)] {
            assert_eq!(due(&event, last), Some(expected), "after {last:?}");
        }
        let alone = record([rendition(OWN, 0..32, &[])]);
        assert_eq!(due(&alone, Some(OWN)), Some(OWN));
        let too_little = record([rendition(OWN, 0..33, &[3, 4]), rendition(MIDDLE, 0..100, &given_up)]);
        assert_eq!(due(&too_little, None), None);
    }

    #[test]
    fn all_renditions_of_a_film_begin_and_end_together() {
        for (msns, is_there) in [(0..20, true), (4..20, true), (5..20, false), (0..16, true), (0..15, false)]
        {
            let sealed = |(name, recorded): (RenditionName, Recorded)| {
                let chunk = ChunkRef {
                    number: 0,
                    hash: ChunkHash::of(b""),
                    size_bytes: 1,
                    index_bytes: 1,
                    segments: vec![],
                };
                (name, Recorded { sealed: vec![(vec![(0, 0)], chunk)], ..recorded })
            };
            let event = record([rendition(OWN, 0..20, &[]), rendition(SMALL, msns.clone(), &[])].map(sealed));
            let names: Vec<_> = shelved(&event).map(|(name, _)| *name).collect();
            assert_eq!(names.contains(&SMALL), is_there, "{msns:?}");
            assert!(names.contains(&OWN));
        }
    }

    /// Nothing is recorded in it but the segment that its reel is asked for.
    fn archive(store: Arc<dyn ObjectStore>, record: Record, folder: &Path) -> Archive {
        let began = Line::Began { video: record.video, version: record.version, timing: record.timing };
        let spool = Spool::create(folder.to_owned(), &began).unwrap();
        Archive::new(record, spool.reader(), store, Arc::new(Semaphore::new(1)))
    }

    fn store() -> Arc<dyn ObjectStore> {
        Arc::new(Memory::new(Arc::new(ManualClock::at(Timestamp::from_seconds(0)))))
    }

    /// A reel that nobody writes to yet: whoever opens it waits.
    #[test]
    fn who_seals_keeps_no_thread_that_serves_others() {
        let folder = tempfile::tempdir().unwrap();
        let archive = archive(store(), record([rendition(OWN, 0..40, &[])]), &folder.path().join("event"));
        let reel = folder.path().join("event").join(format!("{OWN}-00000000.reel"));
        mkfifo(&reel, Mode::S_IRWXU).unwrap();
        let (done, is_done) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let others = async {
                    tokio::task::yield_now().await;
                    done.send(()).unwrap();
                };
                let _ = tokio::join!(archive.seal(OWN, true), others);
            });
        });
        is_done.recv_timeout(Duration::from_secs(30)).expect("the disk held up everybody");
        // Whoever waits for it is let go.
        drop(std::fs::OpenOptions::new().write(true).open(&reel).unwrap());
    }

    #[tokio::test]
    async fn a_clip_waits_for_no_event_and_no_event_for_a_clip() {
        let folder = tempfile::tempdir().unwrap();
        let event = record([]);
        let archive = archive(store(), event.clone(), &folder.path().join("event"));
        let Record { video, version, timing, .. } = event;
        let broadcast = Broadcast::new(live::Event {
            video,
            version,
            timing,
            renditions: Vec::new(),
            revision: 0,
            ended: false,
        });
        let on_air = Arc::new(OnAir { broadcast, archive });
        let clip = Archive::of_clip(event, Arc::clone(&on_air), Arc::new(Semaphore::new(1)));
        let _sealing = on_air.archive.turns.acquire().await.unwrap();
        let sealed = tokio::time::timeout(Duration::from_secs(30), clip.seal(OWN, true)).await;
        assert!(matches!(sealed, Ok(Ok(None))), "{sealed:?}");
    }

    #[test]
    fn a_silence_of_half_a_day_is_in_several_pieces() {
        let sample = |duration, size| Sample { size, duration, cts_offset: 0, sync: size == 2 };
        let mut before = Joined {
            span: (1, 1),
            base: 0,
            samples: vec![sample(3000, 2), sample(3000, 1)],
            payload: BytesMut::from(&b"abc"[..]),
        };
        assert!(before.wait(2, u32::MAX - 6000));
        assert!(!before.wait(3, 1));
        assert_eq!((before.span, ticks_of(&before.samples)), ((1, 2), u64::from(u32::MAX)));
        let again = before.again(3, u64::from(u32::MAX), 180_000);
        assert_eq!((again.span, again.base), ((3, 3), u64::from(u32::MAX)));
        assert_eq!((&again.samples[..], &again.payload[..]), (&[sample(180_000, 2)][..], &b"ab"[..]));
    }

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
