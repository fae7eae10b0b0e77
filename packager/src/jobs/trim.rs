//! A stretch of the version that plays becomes one of its own. No frame is encoded: the same samples
//! stand in segments that count from the new beginning.

use std::ops::Range;

use catalog::NewVersion;
use cmaf::{
    Bandwidth, Change, ChunkRef, ChunkWriter, Format, ReadSegment, RenditionIndex, SegmentRef, Track,
    VersionIndex, init_segment, media_segment, read_init, read_segment,
};
use model::cell::{Request, Task};
use model::{ChunkHash, ObjectKey, VersionId};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::finish::summaries;
use super::stills::pictures;
use super::stored::{read, read_index, read_range};
use crate::attempt::Attempt;
use crate::film;
use crate::halt::Halt;
use crate::scratch::Scratch;
use crate::{PackagerError, backoff, faults, storing};

pub(super) async fn carry_out(attempt: Attempt<'_>, version: VersionId) -> Result<(), Halt> {
    let trim = attempt.tell(|_| attempt.catalog.trim(version)).await?.ok_or(Halt::Lost)?;
    let old = read_index(attempt, trim.from).await?;
    let cut = old.cut(trim.ms.clone()).ok_or(Halt::Lost)?;
    let scratch = attempt.scratch()?;
    let mut renditions = Vec::with_capacity(cut.segments.len());
    for (name, segments) in cut.segments {
        let Some(rendition) = old.rendition(name) else { continue };
        let trimming = Trimming { attempt, old: &old, version, rendition, scratch: &scratch };
        renditions.push(trimming.trim(segments, cut.ms.start).await?);
    }
    let video = attempt.job.video;
    let index = VersionIndex::new(video, version, renditions);
    draw(attempt, &scratch, &old, &index).await?;
    faults::at(faults::BEFORE_INDEX);
    attempt.put(ObjectKey::Index { video, version }, index.to_json()).await?;
    faults::at(faults::INDEXED);
    let new = NewVersion {
        version,
        duration_ms: index.duration_ms,
        renditions: summaries(&index),
        stretches: Some(vec![cut.ms]),
    };
    let job = attempt.job;
    attempt.tell(|now| attempt.catalog.publish(job.id, job.attempt, &new, now)).await?;
    faults::at(faults::PUBLISHED);
    Ok(())
}

/// One rendition of which a stretch is taken.
struct Trimming<'a> {
    attempt: Attempt<'a>,
    old: &'a VersionIndex,
    version: VersionId,
    rendition: &'a RenditionIndex,
    scratch: &'a Scratch,
}

impl Trimming<'_> {
    /// Stores what is left of the rendition, its initialisation segments too.
    async fn trim(&self, segments: Range<u32>, start_ms: u64) -> Result<RenditionIndex, Halt> {
        let mut formats = Vec::new();
        for (number, format) in (0..).zip(self.rendition.formats_in(&segments)) {
            let start = (number == 0 && segments.start > 0).then_some((segments.start, start_ms));
            let (init_size, init_hash) = self.init(format.number, number, start).await?;
            let Format { segment, codecs, kind, .. } = format;
            formats.push(Change { segment, codecs: codecs.to_owned(), kind, init_size, init_hash });
        }
        if formats.is_empty() {
            return Err(Halt::Lost);
        }
        let Change { codecs, kind, init_size, init_hash, .. } = formats.remove(0);
        let breaks = self.rendition.breaks_in(&segments);
        let mut chunks = Vec::new();
        let (mut first, mut end) = (0, 0);
        for chunk in &self.rendition.chunks {
            let all = first..first + chunk.segments.len() as u32;
            first = all.end;
            let left = all.start.max(segments.start)..all.end.min(segments.end);
            if !left.is_empty() {
                let number = left.start - segments.start;
                let places = (left.start - all.start) as usize..(left.end - all.start) as usize;
                chunks.push(self.chunk(chunk, places, number, &mut end).await?);
            }
        }
        let segments: Vec<SegmentRef> = chunks.iter().flat_map(|chunk| chunk.segments.clone()).collect();
        let RenditionIndex { name, timescale, .. } = *self.rendition;
        let bandwidth = Bandwidth::measure(timescale, segments);
        let changes = formats;
        Ok(RenditionIndex {
            name,
            codecs,
            timescale,
            kind,
            bandwidth,
            init_size,
            init_hash,
            chunks,
            changes,
            breaks,
        })
    }

    /// What is left of one chunk, as chunk `number` that begins at `end`.
    async fn chunk(
        &self,
        chunk: &ChunkRef,
        places: Range<usize>,
        number: u32,
        end: &mut u64,
    ) -> Result<ChunkRef, Halt> {
        let from = self.old.chunk_key(self.rendition.name, chunk);
        let path = self.scratch.folder().join("trimmed");
        let mut file = File::create(&path).await.map_err(PackagerError::Scratch)?;
        let mut writer = ChunkWriter::new(number, *end);
        let mut at: u64 = chunk.segments[..places.start].iter().map(|one| u64::from(one.size_bytes)).sum();
        for (sequence, segment) in (number + 1..).zip(&chunk.segments[places]) {
            let range = at..at + u64::from(segment.size_bytes);
            at = range.end;
            let bytes = read_range(self.attempt, &from, range).await?;
            let again = rebased(&bytes, sequence, writer.end()).map_err(|_| PackagerError::Damaged(from))?;
            writer.push(&again).map_err(|_| PackagerError::Damaged(from))?;
            file.write_all(&again).await.map_err(PackagerError::Scratch)?;
        }
        let done = writer.finish();
        file.write_all(&done.tail).await.map_err(PackagerError::Scratch)?;
        file.flush().await.map_err(PackagerError::Scratch)?;
        let (video, version, rendition) = (self.old.video, self.version, self.rendition.name);
        let key = ObjectKey::Chunk { video, version, rendition, number, hash: done.chunk.hash };
        faults::at(faults::BEFORE_PUT);
        let put = || storing::put_file(&**self.attempt.store, &key, &path, done.chunk.size_bytes);
        tokio::select! {
            biased;
            () = self.attempt.stop.cancelled() => return Err(Halt::Stopped),
            stored = backoff::insist(backoff::WRITE, put) => stored?,
        }
        faults::at(faults::STORED);
        *end = done.end;
        Ok(done.chunk)
    }

    /// Stores initialisation segment `from` as `to`: as it was, or of sound that begins elsewhere, with a
    /// segment at a moment in milliseconds, with what of its first frame lies before that.
    async fn init(&self, from: u32, to: u32, start: Option<(u32, u64)>) -> Result<(u32, ChunkHash), Halt> {
        let rendition = self.rendition.name;
        let from = self.old.init_key(rendition, from);
        let mut init = read(self.attempt, &from).await?;
        let track = read_init(&init).map_err(|_| PackagerError::Damaged(from))?;
        if let (Track::Audio(mut audio), Some((first, start_ms))) = (track, start)
            && let Some(segment) = self.rendition.segment(first)
        {
            audio.priming = primed(segment.start, audio.priming, start_ms, self.rendition.timescale);
            init = init_segment(&Track::Audio(audio)).map_err(|_| PackagerError::Damaged(from))?;
        }
        let to = ObjectKey::Init { video: self.old.video, version: self.version, rendition, number: to };
        self.attempt.put(to, init.clone()).await?;
        Ok((u32::try_from(init.len()).unwrap_or(u32::MAX), ChunkHash::of(&init)))
    }
}

/// The same samples in a segment that begins at `base`.
fn rebased(segment: &[u8], sequence: u32, base: u64) -> Result<bytes::Bytes, cmaf::CmafError> {
    let ReadSegment { samples, payload, .. } = read_segment(segment)?;
    media_segment(sequence, base, &samples, &segment[payload])
}

/// How many samples from `start` on are not heard, so that the sound goes with a picture that begins
/// at `start_ms`; of the whole track `priming` are not.
fn primed(start: u64, priming: u32, start_ms: u64, rate: u32) -> u32 {
    let heard_from = start_ms * u64::from(rate) / 1000 + u64::from(priming);
    u32::try_from(heard_from.saturating_sub(start)).unwrap_or(0)
}

/// Stores the stills: of what is left, since the old ones may show what is not.
async fn draw(
    attempt: Attempt<'_>,
    scratch: &Scratch,
    old: &VersionIndex,
    new: &VersionIndex,
) -> Result<(), Halt> {
    let Some(best) = new.videos().next_back() else { return Ok(()) };
    let Some(plan) = film::plan_of_stills(best) else { return Ok(()) };
    let media = film::beginning(&**attempt.store, attempt.clock, new, best).await?;
    let request = |source| Request::Work { source, plan, task: Task::Stills };
    let mut cell = attempt.start(media, &scratch.cell(), request).await?;
    let (video, version) = (new.video, new.version);
    let (poster, thumbnail) = match pictures(&mut cell).await {
        Err(halt @ (Halt::Stopped | Halt::Lost | Halt::Later(_))) => return Err(halt),
        Err(halt) => {
            // The film is worth more than its poster.
            tracing::warn!(?halt, "a trimmed film keeps its stills");
            let earlier = old.version;
            (
                read(attempt, &ObjectKey::Poster { video, version: earlier }).await?,
                read(attempt, &ObjectKey::Thumbnail { video, version: earlier }).await?,
            )
        }
        Ok(drawn) => drawn,
    };
    attempt.put(ObjectKey::Poster { video, version }, poster).await?;
    attempt.put(ObjectKey::Thumbnail { video, version }, thumbnail).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_is_heard_with_the_picture_it_was_heard_with() {
        // 48 kHz: a frame has 1024 samples. The picture begins at 4 s, sample 192,000.
        let cases = [
            ("nothing is primed, and it begins with the picture", 192_000, 0, 0),
            ("its frame began half a frame before the picture", 192_000 + 1024 - 512, 1024, 512),
            ("or a while after it: late by less than a frame", 192_000 + 1024 + 512, 1024, 0),
            ("a copy begins up to a frame earlier", 192_000 + 2047 - 1023, 2047, 1023),
        ];
        for (name, start, priming, expected) in cases {
            assert_eq!(primed(start, priming, 4000, 48_000), expected, "{name}");
        }
    }
}
