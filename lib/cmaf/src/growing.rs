//! A version whose chunks are still being made: the plan says how it will be, rows say what is
//! there. Its playlists are those of the finished version from the first second.

use std::collections::BTreeMap;

use model::cell::EncodePlan;
use model::{ChunkHash, Lane, ObjectKey, RenditionName, VersionId, VideoId};
use serde::{Deserialize, Serialize};

use crate::bandwidth::target_duration_s;
use crate::planned::{Planned, names};
use crate::{Bandwidth, ChunkRef, CmafError, RenditionIndex, RenditionKind, SegmentRef, VersionIndex};

/// One rendition's initialisation segment, as announced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announced {
    /// Of which rendition.
    pub rendition: RenditionName,
    /// The codec as playlists name it, for example `avc1.64001f`.
    pub codecs: String,
    /// Ticks per second of its segments.
    pub timescale: u32,
    /// Bytes of the initialisation segment,
    pub init_size: u32,
    /// and their hash.
    pub init_hash: ChunkHash,
}

/// What is known of a version in the making.
///
/// A chunk's number is that of its first segment. Chunks of a rendition do not overlap; they may
/// be there in any order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Told")]
pub struct GrowingIndex {
    /// Greater each time something was announced or committed.
    pub revision: u64,
    /// The video,
    pub video: VideoId,
    /// and which packaging of it.
    pub version: VersionId,
    /// What it will be.
    pub plan: EncodePlan,
    announced: Vec<Announced>,
    chunks: BTreeMap<RenditionName, Vec<ChunkRef>>,
}

/// A growing index as somebody tells it: in any order, and perhaps with what is not of the plan.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    revision: u64,
    video: VideoId,
    version: VersionId,
    plan: EncodePlan,
    announced: Vec<Announced>,
    chunks: BTreeMap<RenditionName, Vec<ChunkRef>>,
}

impl From<Told> for GrowingIndex {
    fn from(told: Told) -> Self {
        let Told { revision, video, version, plan, announced, chunks } = told;
        let of = |(name, chunks): (_, Vec<_>)| chunks.into_iter().map(move |chunk| (name, chunk));
        Self::new(revision, video, version, plan, announced, chunks.into_iter().flat_map(of).collect())
    }
}

impl GrowingIndex {
    /// What `plan` will be, with what is `announced` and which `chunks` there are, in any order.
    /// What is not of the plan is left out.
    pub fn new(
        revision: u64,
        video: VideoId,
        version: VersionId,
        plan: EncodePlan,
        announced: Vec<Announced>,
        chunks: Vec<(RenditionName, ChunkRef)>,
    ) -> Self {
        let mut of: BTreeMap<RenditionName, Vec<ChunkRef>> = BTreeMap::new();
        for (name, chunk) in chunks {
            of.entry(name).or_default().push(chunk);
        }
        of.retain(|name, _| Planned::of(&plan, *name).is_some());
        of.values_mut().for_each(|chunks| chunks.sort_by_key(|chunk| chunk.number));
        Self { revision, video, version, plan, announced, chunks: of }
    }

    /// All renditions of the plan: sound first, then picture, the smallest first.
    pub fn renditions(&self) -> impl Iterator<Item = RenditionName> + '_ {
        names(&self.plan)
    }

    /// Whether the plan has a rendition called `name`.
    pub fn has(&self, name: RenditionName) -> bool {
        self.planned(name).is_some()
    }

    /// The initialisation segment of a rendition, once there is one.
    pub fn announced(&self, name: RenditionName) -> Option<&Announced> {
        let announced = self.announced.iter().find(|announced| announced.rendition == name);
        announced.filter(|_| self.has(name))
    }

    /// With which others a picture is made; absent for a sound.
    pub fn lane(&self, name: RenditionName) -> Option<Lane> {
        let video = self.plan.video.as_ref().filter(|_| name.is_video())?;
        Some(video.lane(name))
    }

    /// What only a picture or only a sound has; absent if it is not of the plan.
    pub fn kind(&self, name: RenditionName) -> Option<RenditionKind> {
        self.planned(name)?.kind()
    }

    /// Ticks per second of a rendition: as announced, until then as planned; 0 if it is not of
    /// the plan.
    pub fn timescale(&self, name: RenditionName) -> u32 {
        let announced = self.announced(name).map(|announced| announced.timescale);
        announced.or_else(|| self.planned(name).map(|planned| planned.timescale())).unwrap_or(0)
    }

    /// How many segments a rendition will have; 0 if it is not of the plan.
    pub fn segment_count(&self, name: RenditionName) -> u32 {
        self.planned(name).map_or(0, |planned| planned.segment_count())
    }

    /// How long segment `n` is, in ticks of the rendition's timescale: exact, and 0 behind the
    /// end.
    pub fn segment_ticks(&self, name: RenditionName, n: u32) -> u32 {
        self.planned(name).map_or(0, |planned| planned.ticks(n, self.timescale(name)))
    }

    /// `EXT-X-TARGETDURATION` of a rendition's playlist, in seconds.
    pub fn target_duration_s(&self, name: RenditionName) -> u32 {
        let segment = |n| SegmentRef { size_bytes: 0, duration: self.segment_ticks(name, n) };
        let segments: Vec<_> = (0..self.segment_count(name)).map(segment).collect();
        target_duration_s(self.timescale(name), &segments)
    }

    /// Rates that a rendition will not exceed.
    pub fn bandwidth(&self, name: RenditionName) -> Bandwidth {
        self.planned(name).map(|planned| planned.cap()).unwrap_or_default()
    }

    /// The chunks of a rendition that are there, in order.
    pub fn chunks(&self, name: RenditionName) -> &[ChunkRef] {
        self.chunks.get(&name).map_or(&[], Vec::as_slice)
    }

    /// The chunk that holds a segment, and the segment's place in it; absent while it is made.
    pub fn chunk_of(&self, name: RenditionName, segment: u32) -> Option<(&ChunkRef, usize)> {
        let chunks = self.chunks(name);
        let chunk = &chunks[chunks.partition_point(|chunk| chunk.number <= segment).checked_sub(1)?];
        let place = (segment - chunk.number) as usize;
        (place < chunk.segments.len()).then_some((chunk, place))
    }

    /// The key of a chunk of a rendition.
    pub fn chunk_key(&self, rendition: RenditionName, chunk: &ChunkRef) -> ObjectKey {
        let (video, version) = (self.video, self.version);
        ObjectKey::Chunk { video, version, rendition, number: chunk.number, hash: chunk.hash }
    }

    /// Whether a rendition is announced and has all its segments.
    pub fn is_whole(&self, name: RenditionName) -> bool {
        self.announced(name).is_some() && self.reach(name) == Some(self.segment_count(name))
    }

    /// Whether it plays from the beginning: every sound and every picture of lane A is announced
    /// and has its first segment.
    pub fn is_playable(&self) -> bool {
        self.renditions()
            .filter(|name| !name.is_video() || Lane::of(*name) == Lane::A)
            .all(|name| self.announced(name).is_some() && self.chunk_of(name, 0).is_some())
    }

    /// The finished version's index, with measured rates.
    ///
    /// # Errors
    /// When a rendition is not whole, or a segment is not as long as planned: its playlist has
    /// already been read by somebody.
    pub fn finish(&self) -> Result<VersionIndex, CmafError> {
        self.finish_only(self.renditions())
    }

    /// The same, of some of its renditions: what the finished version's index will say about them.
    ///
    /// # Errors
    /// As with [`GrowingIndex::finish`], for these.
    pub fn finish_only(
        &self,
        names: impl IntoIterator<Item = RenditionName>,
    ) -> Result<VersionIndex, CmafError> {
        let renditions =
            names.into_iter().map(|name| self.finish_rendition(name)).collect::<Result<_, _>>()?;
        // As it was planned: its sound may end a moment later.
        let grid = &self.plan.grid;
        let duration_ms = (grid.seconds(grid.frames) * 1000.0).round() as u64;
        Ok(VersionIndex { duration_ms, ..VersionIndex::new(self.video, self.version, renditions) })
    }

    fn finish_rendition(&self, name: RenditionName) -> Result<RenditionIndex, CmafError> {
        let fault = |fault| CmafError::malformed("growing version", fault);
        let announced = self.announced(name).ok_or(fault("a rendition that is not announced"))?;
        let kind = self.kind(name).ok_or(fault("a picture that no box can hold"))?;
        if self.reach(name) != Some(self.segment_count(name)) {
            return Err(fault("a rendition that is not whole"));
        }
        let chunks = self.chunks(name).to_vec();
        let segments = || chunks.iter().flat_map(|chunk| chunk.segments.iter().copied());
        if segments().zip(0..).any(|(segment, n)| segment.duration != self.segment_ticks(name, n)) {
            return Err(fault("a segment that is not as long as planned"));
        }
        Ok(RenditionIndex {
            name,
            codecs: announced.codecs.clone(),
            timescale: announced.timescale,
            kind,
            bandwidth: Bandwidth::measure(announced.timescale, segments()),
            init_size: announced.init_size,
            init_hash: announced.init_hash,
            chunks,
            changes: Vec::new(),
            breaks: Vec::new(),
        })
    }

    /// The segment behind the last one, if the chunks that are there follow each other from the
    /// beginning.
    fn reach(&self, name: RenditionName) -> Option<u32> {
        self.chunks(name).iter().try_fold(0u32, |at, chunk| {
            let segments = u32::try_from(chunk.segments.len()).ok()?;
            (chunk.number == at).then(|| at.checked_add(segments))?
        })
    }

    fn planned(&self, name: RenditionName) -> Option<Planned<'_>> {
        Planned::of(&self.plan, name)
    }
}

#[cfg(test)]
mod tests;
