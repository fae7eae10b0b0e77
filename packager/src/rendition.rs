//! One rendition while its segments come in: checked, and put together into chunks.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use cmaf::{ChunkRef, ChunkWriter, GrowingIndex, read_segment};
use model::{ChunkHash, RenditionName};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use crate::verify::{self, Breach};

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

/// A run of segments that becomes one object in each rendition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// Numbers of the segments, absolute.
    pub(crate) segments: Range<u32>,
    /// Whether rows name its chunks already: its segments are checked and dropped.
    pub(crate) is_there: bool,
}

impl Stretch {
    /// The chunks of a run of segments of some renditions.
    pub(crate) fn each(
        growing: &GrowingIndex,
        renditions: &[RenditionName],
        segments: Range<u32>,
    ) -> Vec<Self> {
        let stretch = |segments: Range<u32>| {
            let is_there = renditions.iter().all(|name| growing.chunk_of(*name, segments.start).is_some());
            Self { segments, is_there }
        };
        growing.plan.grid.chunks(segments).into_iter().map(stretch).collect()
    }
}

/// A chunk that waits in the scratch folder to be stored.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) rendition: RenditionName,
    /// Its number and hash are part of its key.
    pub(crate) chunk: ChunkRef,
    /// Where its bytes are.
    pub(crate) file: PathBuf,
}

/// A rendition in the making.
#[derive(Debug)]
pub(crate) struct RenditionWriter<'a> {
    growing: &'a GrowingIndex,
    name: RenditionName,
    folder: &'a Path,
    /// What is still to come; the first is being filled.
    stretches: VecDeque<Stretch>,
    has_init: bool,
    /// Number of the next segment.
    next: u32,
    filling: Option<(ChunkWriter, File)>,
    finished: VecDeque<Piece>,
}

impl<'a> RenditionWriter<'a> {
    /// A rendition of a version, of which `stretches` are to come; put together in `folder`.
    pub(crate) fn new(
        growing: &'a GrowingIndex,
        name: RenditionName,
        stretches: &[Stretch],
        folder: &'a Path,
    ) -> Self {
        let end = growing.segment_count(name);
        let cut = |stretch: &Stretch| Stretch {
            segments: stretch.segments.start.min(end)..stretch.segments.end.min(end),
            is_there: stretch.is_there,
        };
        let stretches: VecDeque<Stretch> =
            stretches.iter().map(cut).filter(|stretch| !stretch.segments.is_empty()).collect();
        Self {
            growing,
            name,
            folder,
            has_init: false,
            next: stretches.front().map_or(end, |stretch| stretch.segments.start),
            stretches,
            filling: None,
            finished: VecDeque::new(),
        }
    }

    pub(crate) fn name(&self) -> RenditionName {
        self.name
    }

    /// Number of the segment that is to come next, if there is one.
    pub(crate) fn next(&self) -> Option<u32> {
        (!self.stretches.is_empty()).then_some(self.next)
    }

    /// Whether it has every segment before `segment` that it is to have.
    pub(crate) fn has_reached(&self, segment: u32) -> bool {
        self.next().is_none_or(|next| next >= segment)
    }

    /// Takes the initialisation segment, which is the one that was announced or not ours.
    pub(crate) fn open(&mut self, init: &[u8]) -> Result<(), Breach> {
        let announced = self.growing.announced(self.name).map(|announced| announced.init_hash);
        if announced != Some(ChunkHash::of(init)) {
            return Err(Breach::new(format!("{} has another init than was announced", self.name)));
        }
        if std::mem::replace(&mut self.has_init, true) {
            return Err(Breach::new(format!("{} begins twice", self.name)));
        }
        Ok(())
    }

    /// Takes segment `number`.
    pub(crate) async fn push(&mut self, number: u32, bytes: &[u8]) -> Result<(), Fault> {
        let at = || format!("segment {number} of {}", self.name);
        let Some(stretch) = self.stretches.front() else {
            return Err(Breach::new(format!("{} is one too many", at())).into());
        };
        if !self.has_init || number != self.next {
            return Err(Breach::new(format!("{} before its init, or out of order", at())).into());
        }
        let segment = read_segment(bytes).map_err(|error| Breach::new(format!("{}: {error}", at())))?;
        verify::check_segment(self.growing, self.name, number, &segment, bytes.len())?;
        let is_last = number + 1 == stretch.segments.end;
        if !stretch.is_there {
            let (chunk, file) = match &mut self.filling {
                Some(filling) => filling,
                filling => {
                    let file = File::create(self.folder.join(format!("{}-{number}", self.name))).await?;
                    filling.insert((ChunkWriter::new(number, segment.base_decode_time), file))
                }
            };
            chunk.push(bytes).map_err(|error| Breach::new(format!("{}: {error}", at())))?;
            file.write_all(bytes).await?;
        }
        self.next += 1;
        if is_last {
            self.finish().await?;
        }
        Ok(())
    }

    /// The oldest chunk of those before `segment` that were completed and not yet taken.
    pub(crate) fn take(&mut self, segment: u32) -> Option<Piece> {
        self.finished.pop_front_if(|piece| piece.chunk.number < segment)
    }

    async fn finish(&mut self) -> io::Result<()> {
        self.stretches.pop_front();
        if let Some(stretch) = self.stretches.front() {
            self.next = stretch.segments.start;
        }
        let Some((chunk, mut file)) = self.filling.take() else { return Ok(()) };
        let finished = chunk.finish();
        file.write_all(&finished.tail).await?;
        // The bytes are with the kernel; the store makes them durable.
        file.flush().await?;
        let path = self.folder.join(format!("{}-{}", self.name, finished.chunk.number));
        self.finished.push_back(Piece { rendition: self.name, chunk: finished.chunk, file: path });
        Ok(())
    }
}
