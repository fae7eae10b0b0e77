use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use cmaf::Bandwidth;
use live::{Event, Line, Offered, Part, Record, Recorded, Segment, Timing, Track};
use model::{RenditionName, VersionId, VideoId};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::archive::Archive;
use super::broadcast::Broadcast;
use super::cadence::Cadence;
use super::cutter::Cutter;
use super::format::Format;
use super::lane::Made;
use super::rungs::Rungs;
use super::sound::{elapsed, stretch, time};
use super::spool::{Reader, Spool, SpoolError};
use super::{LiveError, Shared, shown, stills};

/// What is on air, for whoever asks.
#[derive(Debug)]
pub(crate) struct OnAir {
    pub(crate) broadcast: Broadcast,
    pub(crate) archive: Archive,
}

/// An event that has begun.
pub(super) struct Going {
    pub(super) cutter: Cutter,
    pub(super) on_air: Arc<OnAir>,
    pub(super) spool: Option<Spool>,
    /// Closed segments that the disk did not take yet.
    pub(super) unwritten: Vec<(RenditionName, Segment, Bytes)>,
    /// Whether the disk has taken all so far, sooner or later.
    pub(super) is_recorded: bool,
    /// Whether the log says that it is over.
    pub(super) is_over: bool,
    /// Whether segments are shown part by part.
    pub(super) has_parts: bool,
    /// A chunk on its way to the store.
    pub(super) sealing: Option<JoinHandle<Result<Option<Line>, LiveError>>>,
    /// Of which rendition it is, or was.
    sealed_last: Option<RenditionName>,
    /// The renditions that are encoded here.
    pub(super) rungs: Rungs,
    /// From which segment on they join.
    pub(super) rungs_from: u32,
    /// The formats that the renditions have, and the numbers of their initialisation segments.
    pub(super) formats: BTreeMap<RenditionName, (u32, Format)>,
    pub(super) picture: Option<RenditionName>,
    pub(super) sound: Option<RenditionName>,
    /// While nobody publishes: up to where the gap is cut, where it began, and when.
    pub(super) away: Option<Away>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Away {
    pub(super) cut: u64,
    pub(super) began: u64,
    pub(super) since: Instant,
}

/// What a disk that takes nothing may owe: above that the recording ends.
const MAX_UNWRITTEN: usize = 128 << 20;
/// No rendition is more segments behind another.
const MAX_BEHIND: usize = 64;

impl Going {
    /// The event begins: its folder, its clock, its cadence.
    pub(super) async fn begun(
        shared: &Shared,
        video: VideoId,
        version: VersionId,
        cadence: Cadence,
        waited: u64,
    ) -> Result<Self, LiveError> {
        let timing = Timing {
            zero: shared.clock.now() - stretch(waited),
            target_duration_s: cadence.target_duration_s,
            part_target_ms: cadence.part_target_ms,
        };
        let began = Line::Began { video, version, timing };
        let folder = shared.folder_of(video);
        let created = tokio::task::spawn_blocking(move || Spool::create(folder, &began));
        let spool = created.await.map_err(LiveError::Task)??;
        let record = Record { video, version, timing, renditions: BTreeMap::new(), ended: false };
        let event = Event { video, version, timing, renditions: Vec::new(), revision: 0, ended: false };
        let archive =
            Archive::new(record, spool.reader(), Arc::clone(&shared.store), Arc::clone(&shared.seals));
        let on_air = Arc::new(OnAir { broadcast: Broadcast::new(event), archive });
        Ok(Self::new(Cutter::new(cadence, 0, 0, false), on_air, spool))
    }

    fn new(cutter: Cutter, on_air: Arc<OnAir>, spool: Spool) -> Self {
        let has_parts = on_air.broadcast.event().timing.part_target_ms.is_some();
        Self {
            has_parts,
            cutter,
            on_air,
            spool: Some(spool),
            unwritten: Vec::new(),
            is_recorded: true,
            is_over: false,
            sealing: None,
            sealed_last: None,
            rungs: Rungs::default(),
            rungs_from: 0,
            formats: BTreeMap::new(),
            picture: None,
            sound: None,
            away: None,
        }
    }

    /// Goes on with an event from before this process.
    pub(super) fn restored(shared: &Shared, mut spool: Spool, mut record: Record) -> Result<Self, LiveError> {
        let Record { video, version, timing, ended: is_over, .. } = record;
        let parts = known_parts(&mut spool, &mut record)?;
        let cadence =
            Cadence { target_duration_s: timing.target_duration_s, part_target_ms: timing.part_target_ms };
        let event = Event { video, version, timing, renditions: Vec::new(), revision: 0, ended: false };
        let broadcast = Broadcast::new(event);
        let reader = spool.reader();
        let (mut formats, mut end, mut msn) = (BTreeMap::new(), 0, 0);
        for (name, recorded) in &record.renditions {
            for track in &recorded.tracks {
                let init = reader.init(*name, track.init)?;
                let bandwidth =
                    measured(recorded.segments.iter().map(|(segment, _)| segment), track.timescale);
                broadcast.join(offered(track, bandwidth), init.clone());
                let format = Format {
                    init,
                    codecs: track.codecs.clone(),
                    timescale: track.timescale,
                    kind: track.kind,
                };
                formats.insert(*name, (track.init, format));
            }
            let (segments, bytes) = listed(*name, recorded, &parts, &reader);
            broadcast.restore(*name, segments, bytes);
            if let (Some(last), Some(next)) = (recorded.end(), recorded.next_msn()) {
                (end, msn) = (end.max(time(last, recorded.timescale())), msn.max(next));
            }
        }
        let mut cutter = Cutter::restored(cadence, borders(&record), msn, end);
        for (name, (init, format)) in &formats {
            let next = record.renditions[name].next_msn().unwrap_or(msn);
            cutter.rejoin(*name, format.timescale, *init, next)?;
        }
        let picture = formats.keys().copied().filter(|name| name.is_video()).max();
        let sound = formats.keys().copied().filter(|name| !name.is_video()).max();
        // The monotonic clock began with this process: how long nobody published, the other one says.
        let now = shared.clock.now();
        let gone = stretch(elapsed(now.since(timing.zero)).saturating_sub(end)).min(shared.grace);
        let since = Instant::now().checked_sub(gone).unwrap_or_else(Instant::now);
        let archive = Archive::new(record, reader, Arc::clone(&shared.store), Arc::clone(&shared.seals));
        let on_air = Arc::new(OnAir { broadcast, archive });
        let away = Some(Away { cut: end, began: end, since });
        if is_over {
            on_air.broadcast.end();
        }
        Ok(Self { formats, picture, sound, away, is_over, ..Self::new(cutter, on_air, spool) })
    }

    /// A rendition of the publisher's in a format; whether that is another one than before.
    pub(super) fn enter(&mut self, name: RenditionName, format: &Format) -> Result<bool, LiveError> {
        let first_msn = self.cutter.next_msn();
        let Some(number) = self.record(name, format, first_msn, format.guess())? else { return Ok(false) };
        self.cutter.join(name, format.timescale, number);
        Ok(number > 0)
    }

    /// A rendition that is encoded here, from segment `msn` on.
    pub(super) fn enter_encoded(
        &mut self,
        name: RenditionName,
        format: &Format,
        msn: u32,
        bandwidth: Bandwidth,
    ) -> Result<(), LiveError> {
        self.on_air.broadcast.offer(name);
        let known = self.formats.get(&name).map(|(number, _)| *number);
        let number = self.record(name, format, msn, bandwidth)?.or(known).unwrap_or_default();
        self.cutter.join_encoded(name, format.timescale, number, msn);
        Ok(())
    }

    /// Withdraws the pictures that were encoded here and are not `made` any more. Who has one goes on with
    /// gaps, and players leave that for another.
    pub(super) fn withdraw_all_but(&self, made: &[RenditionName]) {
        let encoded = self.formats.keys().filter(|name| name.is_video() && Some(**name) != self.picture);
        encoded.filter(|name| !made.contains(name)).for_each(|name| self.on_air.broadcast.withdraw(*name));
    }

    /// Writes a format down, if it is another one than before, and shows it. Its number, then.
    fn record(
        &mut self,
        name: RenditionName,
        format: &Format,
        first_msn: u32,
        bandwidth: Bandwidth,
    ) -> Result<Option<u32>, LiveError> {
        let number = match self.formats.get(&name) {
            Some((_, before)) if before.init == format.init => return Ok(None),
            Some((number, _)) => number + 1,
            None => 0,
        };
        let Format { codecs, timescale, kind, init } = format.clone();
        let track = Track { rendition: name, init: number, first_msn, codecs, timescale, kind };
        let line = Line::Track(track.clone());
        if let Some(spool) = &mut self.spool {
            // Once for a format: the moment that it takes is no matter.
            spool.begin(&line, &init)?;
        }
        self.on_air.archive.note([line]);
        self.on_air.broadcast.join(offered(&track, bandwidth), init);
        self.formats.insert(name, (number, format.clone()));
        Ok(Some(number))
    }

    /// Shows what was made; what is closed is written down before.
    pub(super) async fn show(&mut self, mut made: Vec<(RenditionName, Made)>) {
        while !made.is_empty() {
            let [shown, closed, rest] = steps(made);
            made = rest;
            self.note(&shown).await;
            self.on_air.broadcast.show(&shown);
            if !closed.is_empty() {
                self.write_closed(&closed).await;
                self.note(&closed).await;
                self.on_air.broadcast.show(&closed);
            }
        }
    }

    /// Notes the parts that are about to be shown, if there are parts. What a disk does not take of them
    /// would be missed after a crash only; that it takes nothing is told by [`write_closed`](Self::write_closed).
    async fn note(&mut self, shown: &[(RenditionName, Made)]) {
        if !shown.is_empty() && self.is_recorded && self.has_parts {
            let (shown, is_written) = (shown.to_vec(), self.unwritten.is_empty());
            let _ = self.with_spool(move |spool| spool.note(&shown, is_written)).await;
        }
    }

    /// Writes closed segments down. A disk that does not take them now gets them later; meanwhile
    /// the event goes on.
    async fn write_closed(&mut self, closed: &[(RenditionName, Made)]) {
        for (name, made) in closed {
            let Made::Closed(bytes) = made else { continue };
            let size_bytes = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            if let Some(segment) = self.on_air.broadcast.closing(*name, size_bytes) {
                self.on_air.broadcast.measure(*name, &segment);
                self.unwritten.push((*name, segment, bytes.clone()));
            }
        }
        if !self.is_recorded {
            self.unwritten.clear();
            return;
        }
        if let Err(error) = self.write_unwritten().await {
            let bytes: usize = self.unwritten.iter().map(|(.., bytes)| bytes.len()).sum();
            tracing::error!(
                error = &error as &dyn std::error::Error,
                bytes,
                "segments of a live event are not on the disk"
            );
            if bytes > MAX_UNWRITTEN {
                // What is written stays, and is the film.
                tracing::error!("the recording of a live event ends here");
                (self.is_recorded, self.unwritten) = (false, Vec::new());
            }
        }
    }

    /// Writes down what the disk did not take yet.
    async fn write_unwritten(&mut self) -> Result<(), LiveError> {
        let segments = self.unwritten.clone();
        let lines = self.with_spool(move |spool| spool.close(&segments)).await?;
        self.unwritten.clear();
        self.on_air.archive.note(lines.unwrap_or_default());
        Ok(())
    }

    /// Writes the end down, behind all that was shown, and shows it.
    async fn conclude(&mut self) -> Result<(), LiveError> {
        self.write_unwritten().await?;
        self.write(Line::Ended).await?;
        self.is_over = true;
        self.on_air.broadcast.end();
        Ok(())
    }

    /// Looks after the chunk that is on its way to the store, and sends the next.
    pub(super) async fn seal(&mut self, shared: &Shared) -> Result<(), LiveError> {
        if let Some(sealing) = self.sealing.take_if(|sealing| sealing.is_finished())
            && let Some(line) = sealing.await.map_err(LiveError::Task)??
        {
            self.sealed(line).await?;
        }
        let is_idle = self.sealing.is_none() && self.spool.is_some();
        if let Some(name) = self.on_air.archive.is_due(self.sealed_last).filter(|_| is_idle) {
            self.sealed_last = Some(name);
            let on_air = Arc::clone(&self.on_air);
            let seal = async move { on_air.archive.seal(name, false).await };
            self.sealing = Some(shared.tracker.spawn(seal));
        }
        Ok(())
    }

    async fn sealed(&mut self, line: Line) -> Result<(), LiveError> {
        let Line::Sealed { rendition, .. } = &line else { return Ok(()) };
        let rendition = *rendition;
        self.write(line.clone()).await?;
        self.on_air.archive.note([line]);
        self.on_air.archive.discard(rendition).await
    }

    /// Puts the event on the shelf; nothing comes any more. To be tried again where the disk, the store or
    /// the rows are away.
    pub(super) async fn shelve(&mut self, shared: &Shared, video: VideoId) -> Result<(), LiveError> {
        if !self.is_over {
            self.conclude().await?;
        }
        if let Some(sealing) = self.sealing.take()
            && let Some(line) = sealing.await.map_err(LiveError::Task)??
        {
            self.sealed(line).await?;
        }
        let Some((_, event)) = shared.catalog.event(video).await? else {
            return self.remove().await;
        };
        let mut shelf = None;
        if event.policy.record && self.spool.is_some() {
            for name in self.on_air.archive.renditions() {
                while let Some(line) = self.on_air.archive.seal(name, true).await? {
                    self.sealed(line).await?;
                }
            }
            if let Some((index, version)) = self.on_air.archive.finish().await? {
                if let Err(error) = stills::store(shared, &index).await {
                    // The film is worth more than its poster.
                    tracing::warn!(%video, error = &error as &dyn std::error::Error, "a film has no stills");
                }
                shelf = Some(version);
            }
        }
        shared.catalog.event_ended(video, shelf.as_ref(), shared.clock.now()).await?;
        self.remove().await
    }

    async fn remove(&mut self) -> Result<(), LiveError> {
        if let Some(spool) = self.spool.take() {
            tokio::task::spawn_blocking(move || spool.remove()).await.map_err(LiveError::Task)??;
        }
        Ok(())
    }

    pub(super) async fn write(&mut self, line: Line) -> Result<(), LiveError> {
        self.with_spool(move |spool| spool.append(&[line])).await?;
        Ok(())
    }

    /// Works with the spool where waiting for the disk holds up nobody; nothing without one.
    async fn with_spool<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Spool) -> Result<T, SpoolError> + Send + 'static,
    ) -> Result<Option<T>, LiveError> {
        let Some(mut spool) = self.spool.take() else { return Ok(None) };
        let worked = tokio::task::spawn_blocking(move || {
            let done = work(&mut spool);
            (spool, done)
        });
        let (spool, done) = match worked.await {
            Ok(worked) => worked,
            // The spool is gone with it: another task goes on with what is in the folder.
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(error) => return Err(LiveError::Task(error)),
        };
        self.spool = Some(spool);
        Ok(Some(done?))
    }
}

/// What is shown at a time: for each rendition what was made before the first segment that was closed; that
/// one, with the beginning of the next, so that playlists hint at another format in time; and the rest.
fn steps(made: Vec<(RenditionName, Made)>) -> [Vec<(RenditionName, Made)>; 3] {
    let mut steps = [const { Vec::new() }; 3];
    let mut at = BTreeMap::<RenditionName, usize>::new();
    for (name, made) in made {
        let step = at.entry(name).or_default();
        *step = match (*step, &made) {
            (0, Made::Closed(_)) | (1, Made::Begun(_)) => 1,
            (1, _) => 2,
            (step, _) => step,
        };
        steps[*step].push((name, made));
    }
    steps
}

/// The parts of the last segments as they were listed; what was not written down as closed when the
/// process was killed is that now.
fn known_parts(
    spool: &mut Spool,
    record: &mut Record,
) -> Result<BTreeMap<(RenditionName, u32), Vec<Part>>, LiveError> {
    let names: Vec<RenditionName> = record.renditions.keys().copied().collect();
    let shown = spool.shown(names.into_iter());
    let mut parts = BTreeMap::new();
    for (name, shown) in &shown {
        parts.extend(shown.before.iter().map(|one| ((*name, one.begun.msn), one.parts.clone())));
        parts.extend(shown.open.iter().map(|(one, _)| ((*name, one.begun.msn), one.parts.clone())));
    }
    if !record.ended {
        let mended = shown::mend(record, &shown);
        for line in spool.close(&mended)? {
            if let Err(fault) = record.add(line) {
                tracing::error!("a line of a live event is left out: {fault}");
            }
        }
        parts.extend(mended.into_iter().map(|(name, segment, _)| ((name, segment.begun.msn), segment.parts)));
    }
    Ok(parts)
}

/// The segments of a rendition with the parts that are known, and the bytes of those that may be asked for.
fn listed(
    name: RenditionName,
    recorded: &Recorded,
    parts: &BTreeMap<(RenditionName, u32), Vec<Part>>,
    reader: &Reader,
) -> (Vec<Segment>, Vec<(u32, u32, Bytes)>) {
    let (mut segments, mut pieces) = (Vec::with_capacity(recorded.segments.len()), Vec::new());
    for (segment, offset) in &recorded.segments {
        let msn = segment.begun.msn;
        let parts = parts.get(&(name, msn)).cloned().unwrap_or_default();
        let is_whole = parts.iter().map(|part| part.duration).sum::<u32>() == segment.duration;
        let parts = if is_whole { parts } else { Vec::new() };
        let segment = Segment { parts, ..segment.clone() };
        let segment = match bytes_of_parts(name, &segment, *offset, reader) {
            Ok(parts) => {
                let there = (0..).zip(parts).filter(|(_, bytes)| !bytes.is_empty());
                pieces.extend(there.map(|(number, bytes)| (msn, number, bytes)));
                segment
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "segment {msn} of {name} is listed without its parts");
                Segment { parts: Vec::new(), ..segment }
            }
        };
        segments.push(segment);
    }
    (segments, pieces)
}

/// The parts of a segment, if any are known and its bytes are there.
fn bytes_of_parts(
    name: RenditionName,
    segment: &Segment,
    offset: u64,
    reader: &Reader,
) -> Result<Vec<Bytes>, LiveError> {
    if segment.parts.is_empty() || segment.begun.gap {
        return Ok(Vec::new());
    }
    let bytes = reader.segment(name, segment, offset)?;
    Ok(bytes.map(|bytes| shown::cut(segment, &bytes)).transpose()?.unwrap_or_default())
}

/// When those segments begin that some renditions had when the process ended, and others had not.
fn borders(record: &Record) -> Vec<(u32, u64)> {
    let furthest = record.renditions.values().filter_map(|one| {
        let (last, _) = one.segments.last()?;
        Some((last.begun.msn, one))
    });
    let Some((_, leader)) = furthest.max_by_key(|(msn, _)| *msn) else { return Vec::new() };
    let begins = |segment: &Segment| (segment.begun.msn, time(segment.begun.start, leader.timescale()));
    let recent = leader.segments.len().saturating_sub(MAX_BEHIND);
    leader.segments[recent..].iter().map(|(segment, _)| begins(segment)).collect()
}

fn offered(track: &Track, bandwidth: Bandwidth) -> Offered {
    Offered {
        name: track.rendition,
        codecs: track.codecs.clone(),
        timescale: track.timescale,
        kind: track.kind,
        bandwidth,
        first_msn: track.first_msn,
    }
}

fn measured<'a>(segments: impl Iterator<Item = &'a Segment>, timescale: u32) -> Bandwidth {
    let real = segments.filter(|segment| !segment.begun.gap);
    let measured =
        real.map(|segment| cmaf::SegmentRef { size_bytes: segment.size_bytes, duration: segment.duration });
    Bandwidth::measure(timescale, measured)
}

#[cfg(test)]
mod tests {
    use live::Begun;

    use super::*;

    #[test]
    fn the_beginning_of_a_segment_is_shown_with_the_end_of_the_one_before() {
        const SOUND: RenditionName = RenditionName::Audio { kbps: 128 };
        const PICTURE: RenditionName = RenditionName::Video { height: 360 };
        let begun = |msn| Made::Begun(Begun { msn, start: 0, init: msn, discontinuity: false, gap: false });
        let part = |size_bytes| Made::Part(Part { duration: 1, size_bytes, independent: true }, Bytes::new());
        let closed = || Made::Closed(Bytes::new());
        let picture = [part(1), closed(), begun(1), part(2), closed(), begun(2), closed()];
        let made =
            picture.into_iter().map(|made| (PICTURE, made)).chain([(SOUND, part(3)), (SOUND, part(4))]);
        let lengths = |steps: &[Vec<_>; 3]| [0, 1, 2].map(|step| steps[step].len());
        let first = steps(made.collect());
        assert_eq!(lengths(&first), [3, 2, 4]);
        assert!(
            matches!(first[1][..], [(PICTURE, Made::Closed(_)), (PICTURE, Made::Begun(begun))] if begun.msn == 1)
        );
        let [.., rest] = first;
        let second = steps(rest);
        assert_eq!(lengths(&second), [1, 2, 1]);
        // One that begins and ends with nothing in it: a gap.
        let [.., rest] = second;
        assert_eq!(lengths(&steps(rest)), [0, 1, 0]);
    }
}
