//! From the spool to the shelf: closed segments become chunks in the store, as they are.
//!
//! On the shelf the film has no outages: times are those of the event without what everybody lacked.
//! What only one rendition lacks, its picture before lasts longer; or the next one, if it came late or
//! the film breaks there ([`Footage`]). What lacks too much at once stays away, at its beginning and its end,
//! too: all of a film's begin and end together. A rendition may have several formats, one
//! behind the other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use catalog::NewVersion;
use cmaf::{
    Bandwidth, Change, ChunkRef, ChunkWriter, CmafError, ReadSegment, RenditionIndex, Sample, SegmentRef,
    VersionIndex, media_segment, part_head, read_chunk_index, read_part, segment_head,
};
use live::{Line, Record, Recorded, Segment, Track};
use model::{ChunkHash, ObjectKey, RenditionName};
use storage::ObjectStore;
use tokio::sync::Semaphore;

use super::LiveError;
use super::footage::Footage;
use super::going::OnAir;
use super::spool::{Reader, reel};
use crate::backoff;
use crate::jobs::summaries;

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

/// The most that a rendition of the shelf may lack at once, in seconds: so long there is a still instead, or
/// silence.
const MOST_LACKING_S: u64 = 8;

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

    /// The first segment of a chunk, behind `after`, with what the rendition lacks of the film in between:
    /// its first picture is there so much longer. Where the film broke meanwhile, that is a segment of its
    /// own for each piece.
    fn behind(mut self, after: Option<u32>, footage: &Footage, timescale: u64) -> Vec<Self> {
        let mut lacking = footage.before(after, self.span.0);
        let late = lacking.pop().map_or(0, |msns| footage.ticks(&msns, timescale));
        let room = u64::from(u32::MAX).saturating_sub(ticks_of(&self.samples));
        let Some(first) = self.samples.first_mut() else { return vec![self] };
        let still = *first;
        first.duration += u32::try_from(room).unwrap_or(u32::MAX).min(late);
        let picture = BytesMut::from(self.payload.get(..still.size as usize).unwrap_or_default());
        let mut all = Vec::with_capacity(lacking.len() + 1);
        for msns in lacking {
            let duration = footage.ticks(&msns, timescale).max(1);
            let samples = vec![Sample { duration, ..still }];
            all.push(Self {
                span: (msns.start, msns.start),
                base: self.base,
                samples,
                payload: picture.clone(),
            });
            self.base += u64::from(duration);
        }
        all.push(self);
        all
    }
}

/// What lacks here the sample before lasts through, or the picture of its segment once more. How long that is.
fn last_through(joined: &mut Vec<Joined>, segment: &Segment, end: u64) -> u64 {
    let Some(before) = joined.last_mut() else { return 0 };
    let (msn, ticks) = (segment.begun.msn, segment.duration);
    if !before.wait(msn, ticks) {
        let again = before.again(msn, end, ticks);
        joined.push(again);
    }
    ticks.into()
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
        let footage = Footage::of(&record);
        let mut renditions = Vec::new();
        for (name, recorded) in shelved(&record) {
            let mut formats = Vec::new();
            for (number, (segment, track)) in (0..).zip(formats_of(recorded)) {
                let init = self.reader.init(*name, track.init)?;
                let key = ObjectKey::Init { video, version, rendition: *name, number };
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

/// The renditions that go on the shelf: of pictures and of sounds not those that lack too much of what
/// others of their kind have.
fn shelved(record: &Record) -> Vec<(&RenditionName, &Recorded)> {
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
fn formats_of(recorded: &Recorded) -> Vec<(u32, &Track)> {
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
fn breaks_of(footage: &Footage, recorded: &Recorded) -> Vec<u32> {
    let spans: Vec<(u32, u32)> = recorded.sealed.iter().flat_map(|(spans, _)| spans.clone()).collect();
    let pairs = spans.iter().zip(spans.iter().skip(1)).zip(1..);
    let breaks = pairs.filter(|((before, span), _)| footage.breaks(Some(before.1), span.0).next().is_some());
    breaks.map(|(_, number)| number).collect()
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

fn ticks_of(samples: &[Sample]) -> u64 {
    samples.iter().map(|sample| u64::from(sample.duration)).sum()
}

fn ticks(chunk: &ChunkRef) -> u64 {
    chunk.segments.iter().map(|segment| u64::from(segment.duration)).sum()
}

#[cfg(test)]
mod tests;
