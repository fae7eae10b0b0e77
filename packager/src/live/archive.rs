//! From the spool to the shelf: closed segments become chunks in the store, as they are.
//!
//! On the shelf the film has no outages: times are those of the event without what everybody lacked.
//! What only one rendition lacks, its picture before lasts longer; or the next one, if it came late or
//! the film breaks there ([`Footage`]). What lacks too much at once stays away, at its beginning and its end,
//! too: all of a film's begin and end together. A rendition may have several formats, one
//! behind the other.

mod joined;
mod shelf;
mod stored;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use catalog::NewVersion;
use cmaf::{
    Bandwidth, Change, ChunkRef, ChunkWriter, ReadSegment, RenditionIndex, SegmentRef, VersionIndex,
    media_segment, read_chunk_index, read_part,
};
use live::{Line, Record, Recorded, Segment, Track};
use model::{ChunkHash, ObjectKey, RenditionName};
use storage::ObjectStore;
use tokio::sync::Semaphore;

use super::LiveError;
use super::footage::Footage;
use super::going::OnAir;
use super::spool::{Reader, SpoolError, reel};
use crate::backoff;
use crate::jobs::summaries;

use joined::{Joined, last_through, ticks_of};
use shelf::{breaks_of, formats_of, shelved};
use stored::{InStore, cut_out, in_store};

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

/// What comes next of a rendition.
struct Pending {
    timescale: u64,
    /// Of its next segment on the shelf the number,
    number: u32,
    /// and the beginning.
    start: u64,
    /// The last of the event's segments that is in the store.
    after: Option<u32>,
    footage: Footage,
    /// Up to which of the event's segments it is clear whether they are in the film.
    known: u32,
    /// The event's segments, with where their bytes begin.
    segments: Vec<(Segment, u64)>,
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

    /// Of a clip, whose segments are those of the event. It has turns of its own: neither it nor the event
    /// waits for the other.
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
    pub(crate) async fn discard(&self, rendition: RenditionName) -> Result<(), LiveError> {
        let sealed = self.record().renditions.get(&rendition).and_then(|recorded| {
            let (spans, _) = recorded.sealed.last()?;
            spans.last().map(|(_, to)| *to)
        });
        // The last one may hold segments that are not.
        let Some(before) = sealed.and_then(|to| reel(to).checked_sub(1)) else { return Ok(()) };
        self.with_reader(move |reader| reader.discard(rendition, before)).await
    }

    /// What is not in the store of a rendition.
    fn pending(&self, name: RenditionName) -> Option<Pending> {
        let record = self.record();
        let recorded = record.renditions.get(&name)?;
        let number = recorded.sealed.iter().map(|(spans, _)| spans.len()).sum::<usize>();
        Some(Pending {
            timescale: recorded.timescale().into(),
            number: u32::try_from(number).unwrap_or(u32::MAX),
            start: recorded.sealed.iter().map(|(_, chunk)| ticks(chunk)).sum(),
            after: recorded.sealed.last().and_then(|(spans, _)| Some(spans.last()?.1)),
            footage: Footage::of(&record),
            known: known(&record),
            segments: recorded.segments[sealed(recorded)..].to_vec(),
        })
    }

    /// The segments of the next chunk: its number, its beginning on the shelf, and them.
    async fn gather(
        &self,
        name: RenditionName,
        last: bool,
    ) -> Result<Option<(u32, u64, Vec<Joined>)>, LiveError> {
        let Some(pending) = self.pending(name) else { return Ok(None) };
        let Pending { timescale, number, start, after, footage, known, segments } = pending;
        let mut joined: Vec<Joined> = Vec::new();
        let (mut end, mut init) = (start, None);
        for (segment, offset) in &segments {
            let msn = segment.begun.msn;
            let before = joined.last().map(|before| before.span.1);
            let is_broken = before.is_some() && footage.breaks(before, msn).next().is_some();
            if segment.begun.gap {
                // Nobody knows yet whether the film has it.
                if msn >= known && !last {
                    return Ok(None);
                }
                if footage.has(msn) && !is_broken {
                    end += last_through(&mut joined, segment, end);
                }
                continue;
            }
            let bytes = match (self.spooled(name, segment, *offset).await?, &self.behind) {
                (None, Some(event)) => Box::pin(event.archive.segment(name, msn)).await?,
                (bytes, _) => bytes,
            };
            let bytes = bytes.ok_or(LiveError::Lost { rendition: name, msn })?;
            let ReadSegment { samples, payload, .. } = read_part(&bytes)?;
            let begins = samples.first().is_some_and(|sample| sample.sync);
            // A chunk is of one format and of one piece, and lasts a minute.
            let is_other = is_broken || init.is_some_and(|init| init != segment.begun.init);
            let whole =
                is_other || joined.len() >= CHUNK_S as usize / 2 || end - start >= CHUNK_S * timescale;
            if begins && whole && !joined.is_empty() {
                return Ok(Some((number, start, joined)));
            }
            match joined.last_mut() {
                Some(before) if !begins && !is_other => {
                    end += ticks_of(&samples);
                    before.span.1 = msn;
                    before.samples.extend(samples);
                    before.payload.extend_from_slice(&bytes[payload]);
                }
                // Nothing can be decoded before the first key frame of a format.
                Some(_) if !begins && !is_broken => end += last_through(&mut joined, segment, end),
                _ if !begins => {}
                _ => {
                    init = Some(segment.begun.init);
                    let payload = BytesMut::from(&bytes[payload]);
                    let own = Joined { span: (msn, msn), base: end, samples, payload };
                    let own = match joined.is_empty() {
                        true => own.behind(after, &footage, timescale),
                        false => vec![own],
                    };
                    end += own.iter().map(|one| ticks_of(&one.samples)).sum::<u64>();
                    joined.extend(own);
                }
            }
        }
        Ok((last && !joined.is_empty()).then_some((number, start, joined)))
    }

    /// A closed segment, from the spool or from the store.
    pub(crate) async fn segment(&self, name: RenditionName, msn: u32) -> Result<Option<Bytes>, LiveError> {
        let (segment, offset, from) = {
            let record = self.record();
            let Some(recorded) = record.renditions.get(&name) else { return Ok(None) };
            let Some((segment, offset)) = recorded.segment(msn).cloned() else { return Ok(None) };
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

    /// A segment from the spool, if it is there.
    async fn spooled(
        &self,
        name: RenditionName,
        segment: &Segment,
        offset: u64,
    ) -> Result<Option<Bytes>, LiveError> {
        let segment = segment.clone();
        self.with_reader(move |reader| reader.segment(name, &segment, offset)).await
    }

    /// Whoever asks may be one of few threads that serve everybody, so the disk is waited for elsewhere.
    async fn with_reader<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Reader) -> Result<T, SpoolError> + Send + 'static,
    ) -> Result<T, LiveError> {
        let reader = self.reader.clone();
        let worked = tokio::task::spawn_blocking(move || work(&reader));
        Ok(worked.await.map_err(LiveError::Task)??)
    }

    /// Stores what is missing of the version that the event grew, its index last. `None` when there
    /// is nothing to keep.
    pub(crate) async fn finish(&self) -> Result<Option<(VersionIndex, NewVersion)>, LiveError> {
        let record = self.record().clone();
        let (video, version) = (record.video, record.version);
        let footage = Footage::of(&record);
        let mut renditions = Vec::new();
        for (name, recorded) in shelved(&record) {
            let mut formats = Vec::new();
            for (number, (segment, track)) in (0..).zip(formats_of(recorded)) {
                let (name, init) = (*name, track.init);
                let init = self.with_reader(move |reader| reader.init(name, init)).await?;
                let key = ObjectKey::Init { video, version, rendition: name, number };
                backoff::insist(backoff::WRITE, || self.store.put(&key, init.clone())).await?;
                let (init_size, init_hash) =
                    (u32::try_from(init.len()).unwrap_or(u32::MAX), ChunkHash::of(&init));
                let Track { codecs, kind, .. } = track.clone();
                formats.push(Change { segment, codecs, kind, init_size, init_hash });
            }
            if formats.is_empty() {
                continue;
            }
            let timescale = recorded.timescale();
            let Change { codecs, kind, init_size, init_hash, .. } = formats.remove(0);
            let chunks: Vec<ChunkRef> = recorded.sealed.iter().map(|(_, chunk)| chunk.clone()).collect();
            let segments: Vec<SegmentRef> = chunks.iter().flat_map(|chunk| chunk.segments.clone()).collect();
            renditions.push(RenditionIndex {
                name: *name,
                codecs,
                timescale,
                kind,
                bandwidth: Bandwidth::measure(timescale, segments),
                init_size,
                init_hash,
                chunks,
                changes: formats,
                breaks: breaks_of(&footage, recorded),
            });
        }
        if renditions.is_empty() {
            return Ok(None);
        }
        let index = VersionIndex::new(video, version, renditions);
        let key = ObjectKey::Index { video, version };
        let json = index.to_json();
        backoff::insist(backoff::WRITE, || self.store.put(&key, json.clone())).await?;
        let (renditions, stretches) = (summaries(&index), Some(footage.stretches()));
        let duration_ms = index.duration_ms;
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

/// The segment behind the last that both the publisher's picture and its sound are known to have or to
/// lack.
fn known(record: &Record) -> u32 {
    let of = |is_video| {
        let mut all = record.renditions.iter().filter(move |(name, _)| name.is_video() == is_video);
        let (_, greatest) = all.next_back()?;
        greatest.segments.last().map(|(segment, _)| segment.begun.msn + 1)
    };
    of(true).into_iter().chain(of(false)).min().unwrap_or(0)
}

fn ticks(chunk: &ChunkRef) -> u64 {
    chunk.segments.iter().map(|segment| u64::from(segment.duration)).sum()
}

#[cfg(test)]
mod tests;
