//! One rendition while its segments come in: checked, put together into chunks, indexed.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cmaf::{Bandwidth, ChunkRef, ChunkWriter, RenditionIndex, Track, read_init, read_segment};
use model::{ChunkHash, RenditionName};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use crate::verify::{Breach, Expected, MayFollow, Whole};

/// Lengths of the chunks of a rendition, the last one again and again. Small ones first, so that
/// a player at the start loads no more of an index than it needs; then as large as an edge can
/// still fill from in the time of a seek.
const CHUNKS: [Duration; 4] =
    [Duration::from_secs(8), Duration::from_secs(16), Duration::from_secs(32), Duration::from_secs(60)];

/// How many segments of `segment` chunk `number` holds: the same in every rendition.
pub(crate) fn segments_in(number: u32, segment: Duration) -> usize {
    let place = usize::try_from(number).unwrap_or(usize::MAX).min(CHUNKS.len() - 1);
    let segments = CHUNKS[place].as_secs_f64() / segment.as_secs_f64().max(0.001);
    (segments.round() as usize).max(1)
}

/// Why a segment did not become part of a rendition.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The cell's.
    Breach(Breach),
    /// The disk's.
    Scratch(io::Error),
}

impl From<Breach> for Fault {
    fn from(breach: Breach) -> Self {
        Self::Breach(breach)
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Scratch(error)
    }
}

/// A chunk that waits in the scratch folder to be stored.
#[derive(Debug)]
pub(crate) struct StoredSoon {
    /// Its number and hash are part of its key.
    pub(crate) chunk: ChunkRef,
    /// Where its bytes are.
    pub(crate) file: PathBuf,
}

/// A rendition in the making.
#[derive(Debug)]
pub(crate) struct RenditionWriter {
    expected: Expected,
    segment: Duration,
    folder: PathBuf,
    announced: Option<Announced>,
    /// The chunk that is being filled, and its bytes.
    chunk: ChunkWriter,
    file: Option<File>,
    done: Vec<ChunkRef>,
    /// Number of the next segment.
    next: u32,
    may_follow: MayFollow,
}

#[derive(Debug)]
struct Announced {
    track: Track,
    codecs: String,
    size: u32,
    hash: ChunkHash,
}

impl RenditionWriter {
    /// A rendition whose segments last about `segment`, built up in `folder`.
    pub(crate) fn new(expected: Expected, segment: Duration, folder: &Path) -> Self {
        Self {
            expected,
            segment,
            folder: folder.to_owned(),
            announced: None,
            chunk: ChunkWriter::new(0, 0),
            file: None,
            done: Vec::new(),
            next: 0,
            may_follow: MayFollow::Yes,
        }
    }

    pub(crate) fn name(&self) -> RenditionName {
        self.expected.name()
    }

    /// Takes the initialisation segment. There is one, so parameters are the same in all segments.
    pub(crate) fn announce(&mut self, init: &[u8]) -> Result<(), Breach> {
        if self.announced.is_some() {
            return Err(Breach::new(format!("{} is announced twice", self.name())));
        }
        let track =
            read_init(init).map_err(|error| Breach::new(format!("init of {}: {error}", self.name())))?;
        self.expected.check_track(&track)?;
        let codecs = track.codecs().map_err(|error| Breach::new(error.to_string()))?;
        let size = u32::try_from(init.len()).map_err(|_| Breach::new("an endless init"))?;
        self.announced = Some(Announced { track, codecs, size, hash: ChunkHash::of(init) });
        Ok(())
    }

    /// Takes segment `number`; gives the chunk that it completes.
    pub(crate) async fn push(&mut self, number: u32, bytes: &[u8]) -> Result<Option<StoredSoon>, Fault> {
        let name = self.name();
        let at = || format!("segment {number} of {name}");
        let Some(Announced { track, .. }) = &self.announced else {
            return Err(Breach::new(format!("{} before its init", at())).into());
        };
        if number != self.next || self.may_follow == MayFollow::No {
            return Err(Breach::new(format!("{} out of order", at())).into());
        }
        let segment = read_segment(bytes).map_err(|error| Breach::new(format!("{}: {error}", at())))?;
        self.may_follow = self.expected.check_segment(track, number, &segment, bytes.len())?;
        self.chunk.push(bytes).map_err(|error| Breach::new(format!("{}: {error}", at())))?;
        self.next += 1;
        if self.file.is_none() {
            self.file = Some(File::create(self.path()).await?);
        }
        if let Some(file) = &mut self.file {
            file.write_all(bytes).await?;
        }
        let chunk_number = u32::try_from(self.done.len()).expect("fewer chunks than segments");
        if self.chunk.segment_count() < segments_in(chunk_number, self.segment) {
            return Ok(None);
        }
        Ok(self.finish().await?)
    }

    /// Ends the chunk that is being filled, if it has anything in it.
    pub(crate) async fn finish(&mut self) -> io::Result<Option<StoredSoon>> {
        let Some(mut file) = self.file.take() else { return Ok(None) };
        let path = self.path();
        let number = self.done.len() as u32;
        let chunk = std::mem::replace(&mut self.chunk, ChunkWriter::new(number + 1, 0));
        let finished = chunk.finish();
        self.chunk = ChunkWriter::new(number + 1, finished.end);
        file.write_all(&finished.tail).await?;
        // The bytes are with the kernel; the store makes them durable.
        file.flush().await?;
        self.done.push(finished.chunk.clone());
        Ok(Some(StoredSoon { chunk: finished.chunk, file: path }))
    }

    /// How much media it holds.
    pub(crate) fn position(&self) -> Duration {
        let timescale = self.announced.as_ref().map_or(1, |announced| announced.track.timescale());
        in_time(self.chunk.end(), timescale)
    }

    /// What there is to know about it when all segments are in.
    pub(crate) fn whole(&self) -> Whole {
        let priming = match &self.announced {
            Some(Announced { track: Track::Audio(audio), .. }) => {
                in_time(audio.priming.into(), audio.sample_rate)
            }
            _ => Duration::ZERO,
        };
        Whole { name: self.name(), segments: self.next, duration: self.position().saturating_sub(priming) }
    }

    /// Its entry in the version's index; absent if it was never announced.
    pub(crate) fn index(&self) -> Option<RenditionIndex> {
        let Announced { track, codecs, size, hash } = self.announced.as_ref()?;
        let segments = self.done.iter().flat_map(|chunk| chunk.segments.iter().copied());
        Some(RenditionIndex {
            name: self.name(),
            codecs: codecs.clone(),
            timescale: track.timescale(),
            kind: self.expected.index_kind(),
            bandwidth: Bandwidth::measure(track.timescale(), segments),
            init_size: *size,
            init_hash: *hash,
            chunks: self.done.clone(),
        })
    }

    fn path(&self) -> PathBuf {
        self.folder.join(format!("{}-{}", self.name(), self.done.len()))
    }
}

/// Ticks as time, rounded to the nearest microsecond.
fn in_time(ticks: u64, timescale: u32) -> Duration {
    let micros = (u128::from(ticks) * 1_000_000 + u128::from(timescale) / 2) / u128::from(timescale.max(1));
    Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_grow_to_a_minute() {
        let lengths = |segment_ms| {
            (0..6).map(|n| segments_in(n, Duration::from_millis(segment_ms))).collect::<Vec<_>>()
        };
        assert_eq!(lengths(4000), [2, 4, 8, 15, 15, 15]);
        assert_eq!(lengths(4004), [2, 4, 8, 15, 15, 15]);
        assert_eq!(lengths(2700), [3, 6, 12, 22, 22, 22]);
        assert_eq!(lengths(90_000), [1; 6]);
    }
}
