use std::ops::Range;

use bytes::Bytes;
use model::cell::Ratio;
use model::{ChunkHash, ObjectKey, RenditionName, VersionId, VideoId};
use serde::{Deserialize, Serialize};

use crate::bandwidth::target_duration_s;
use crate::{Bandwidth, CmafError, sounds_with};

/// What a version consists of: the content of its [`ObjectKey::Index`], as JSON.
///
/// Readers skip what they do not know, so that a later release may say more. What an earlier
/// release could not play needs another `format`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionIndex {
    /// [`VersionIndex::FORMAT`], or [`VersionIndex::FORMAT_OF_SEVERAL`].
    pub format: u32,
    /// The video,
    pub video: VideoId,
    /// and which packaging of it.
    pub version: VersionId,
    /// Length of the film in milliseconds.
    pub duration_ms: u64,
    /// Its tracks: sound first, then picture, the smallest first.
    pub renditions: Vec<RenditionIndex>,
}

/// One track: what playlists say about it, and where its bytes are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenditionIndex {
    /// Its name.
    pub name: RenditionName,
    /// The codec as playlists name it, for example `avc1.64001f`.
    pub codecs: String,
    /// Ticks per second of all durations here.
    pub timescale: u32,
    /// What only a picture or only a sound has.
    #[serde(flatten)]
    pub kind: RenditionKind,
    /// Measured rates of the segments as they are served.
    #[serde(flatten)]
    pub bandwidth: Bandwidth,
    /// Bytes of the initialisation segment,
    pub init_size: u32,
    /// and their hash, for its `ETag`.
    pub init_hash: ChunkHash,
    /// The chunks in order, numbered by their first segments; versions made before films grew
    /// count them from 0.
    pub chunks: Vec<ChunkRef>,
    /// How it goes on behind its first format: not at all, but for what was a live event.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// Segments that players are told do not follow from those before them (`EXT-X-DISCONTINUITY`): in
    /// all renditions those of the same moments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub breaks: Vec<u32>,
}

/// A rendition goes on in another format, of the same timescale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// From this segment on, the first of a chunk.
    pub segment: u32,
    /// The codec as playlists name it.
    pub codecs: String,
    /// What only a picture or only a sound has.
    #[serde(flatten)]
    pub kind: RenditionKind,
    /// Bytes of its initialisation segment,
    pub init_size: u32,
    /// and their hash.
    pub init_hash: ChunkHash,
}

/// What a rendition is from one of its segments on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format<'a> {
    /// Which of the rendition's formats, from 0; its initialisation segment has that number.
    pub number: u32,
    /// Its first segment.
    pub segment: u32,
    /// The codec as playlists name it.
    pub codecs: &'a str,
    /// What only a picture or only a sound has.
    pub kind: RenditionKind,
    /// Bytes of its initialisation segment,
    pub init_size: u32,
    /// and their hash.
    pub init_hash: ChunkHash,
}

/// What only a picture or only a sound has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RenditionKind {
    /// A picture.
    Video {
        /// Width in pixels.
        width: u16,
        /// Height in pixels.
        height: u16,
        /// Frames per second.
        frame_rate: Ratio,
    },
    /// A sound.
    Audio {
        /// Channels.
        channels: u16,
        /// Samples per second.
        sample_rate: u32,
    },
}

/// One stored object of up to 60 s: segments back to back, then an index of their samples.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkRef {
    /// The number of its first segment, from 0.
    pub number: u32,
    /// The hash of its bytes, part of its key.
    pub hash: ChunkHash,
    /// All its bytes.
    pub size_bytes: u64,
    /// Those of them, at its end, that are the index of samples.
    pub index_bytes: u32,
    /// Its segments in order.
    pub segments: Vec<SegmentRef>,
}

/// One segment, `[size, duration]` in JSON: there are thousands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u32, u32)", into = "(u32, u32)")]
pub struct SegmentRef {
    /// Bytes, `moof` and `mdat`.
    pub size_bytes: u32,
    /// Ticks.
    pub duration: u32,
}

impl From<(u32, u32)> for SegmentRef {
    fn from((size_bytes, duration): (u32, u32)) -> Self {
        Self { size_bytes, duration }
    }
}

impl From<SegmentRef> for (u32, u32) {
    fn from(segment: SegmentRef) -> Self {
        (segment.size_bytes, segment.duration)
    }
}

/// Where a segment is, in bytes and in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located<'a> {
    /// The object that holds it,
    pub chunk: &'a ChunkRef,
    /// and its bytes in there.
    pub range: Range<u64>,
    /// Ticks from the start of the track to its first sample.
    pub start: u64,
    /// Ticks that it lasts.
    pub duration: u32,
}

impl VersionIndex {
    /// The layout that every release reads.
    pub const FORMAT: u32 = 1;
    /// The same with renditions that change or break: a release that knew nothing of that would play
    /// them wrong.
    pub const FORMAT_OF_SEVERAL: u32 = 2;

    /// The index of these renditions: the film is as long as the longest of them.
    pub fn new(video: VideoId, version: VersionId, renditions: Vec<RenditionIndex>) -> Self {
        let ms = |one: &RenditionIndex| one.duration() * 1000 / u64::from(one.timescale.max(1));
        let duration_ms = renditions.iter().map(ms).max().unwrap_or_default();
        Self { format: format_for(&renditions), video, version, duration_ms, renditions }
    }

    /// The bytes of the index object.
    pub fn to_json(&self) -> Bytes {
        serde_json::to_vec(self).expect("every field has a JSON form").into()
    }

    /// Reads an index object and checks that its numbers fit each other, so that no later
    /// arithmetic on them can fail.
    ///
    /// # Errors
    /// Another format, or numbers that contradict each other.
    pub fn from_json(bytes: &[u8]) -> Result<Self, CmafError> {
        let index: Self = serde_json::from_slice(bytes)
            .map_err(|source| CmafError::Unreadable { place: "version index", source: source.into() })?;
        if !matches!(index.format, Self::FORMAT | Self::FORMAT_OF_SEVERAL) {
            return Err(CmafError::malformed("version index", "a format that this release cannot read"));
        }
        if index.format != format_for(&index.renditions) {
            return Err(CmafError::malformed("version index", "another format than its renditions need"));
        }
        for (n, rendition) in index.renditions.iter().enumerate() {
            if index.renditions[..n].iter().any(|other| other.name == rendition.name) {
                return Err(CmafError::malformed("version index", "a rendition stands twice"));
            }
            rendition.check()?;
        }
        Ok(index)
    }

    /// The rendition called `name`.
    pub fn rendition(&self, name: RenditionName) -> Option<&RenditionIndex> {
        self.renditions.iter().find(|rendition| rendition.name == name)
    }

    /// The pictures, smallest first.
    pub fn videos(&self) -> impl DoubleEndedIterator<Item = &RenditionIndex> {
        self.sorted().into_iter().filter(|rendition| rendition.name.is_video())
    }

    /// The sounds, smallest first.
    pub fn audios(&self) -> impl DoubleEndedIterator<Item = &RenditionIndex> {
        self.sorted().into_iter().filter(|rendition| !rendition.name.is_video())
    }

    /// The sound that goes with the picture called `video`, if there is any sound.
    pub fn audio_for(&self, video: RenditionName) -> Option<&RenditionIndex> {
        let codecs: Vec<_> = self.renditions.iter().map(RenditionIndex::all_codecs).collect();
        let names = self.renditions.iter().map(|rendition| rendition.name);
        let tracks: Vec<_> = names.zip(codecs.iter().map(String::as_str)).collect();
        self.rendition(*sounds_with(video, &tracks).first()?)
    }

    /// The rates of playing the picture called `video` with the sound that goes with it.
    pub fn variant_bandwidth(&self, video: &RenditionIndex) -> Bandwidth {
        let audio = self.audio_for(video.name).map_or_else(Bandwidth::default, |audio| audio.bandwidth);
        video.bandwidth + audio
    }

    /// The chunk's key.
    pub fn chunk_key(&self, rendition: RenditionName, chunk: &ChunkRef) -> ObjectKey {
        let (video, version) = (self.video, self.version);
        ObjectKey::Chunk { video, version, rendition, number: chunk.number, hash: chunk.hash }
    }

    /// The key of one of a rendition's initialisation segments.
    pub fn init_key(&self, rendition: RenditionName, number: u32) -> ObjectKey {
        let (video, version) = (self.video, self.version);
        ObjectKey::Init { video, version, rendition, number }
    }

    fn sorted(&self) -> Vec<&RenditionIndex> {
        let mut renditions: Vec<_> = self.renditions.iter().collect();
        renditions.sort_by_key(|rendition| rendition.name);
        renditions
    }
}

impl RenditionIndex {
    /// Its formats, one behind the other.
    pub fn formats<'a>(&'a self) -> impl Iterator<Item = Format<'a>> {
        let Self { codecs, kind, init_size, init_hash, .. } = self;
        let (init_size, init_hash, kind) = (*init_size, *init_hash, *kind);
        let first = Format { number: 0, segment: 0, codecs, kind, init_size, init_hash };
        let further = |(number, change): (u32, &'a Change)| Format {
            number,
            segment: change.segment,
            codecs: &change.codecs,
            kind: change.kind,
            init_size: change.init_size,
            init_hash: change.init_hash,
        };
        std::iter::once(first).chain((1..).zip(&self.changes).map(further))
    }

    /// Every codec that it has, once, as playlists list them (RFC 8216 §4.3.4.2).
    pub fn all_codecs(&self) -> String {
        let mut all: Vec<&str> = Vec::new();
        for format in self.formats() {
            if !all.contains(&format.codecs) {
                all.push(format.codecs);
            }
        }
        all.join(",")
    }

    /// What only a picture or only a sound has: of several pictures the greatest.
    pub fn greatest(&self) -> RenditionKind {
        let pixels = |kind: &RenditionKind| match *kind {
            RenditionKind::Video { width, height, .. } => u32::from(width) * u32::from(height),
            RenditionKind::Audio { channels, .. } => channels.into(),
        };
        let further = self.changes.iter().map(|change| change.kind);
        further.fold(self.kind, |most, kind| if pixels(&kind) > pixels(&most) { kind } else { most })
    }

    /// How many segments there are.
    pub fn segment_count(&self) -> u32 {
        self.chunks.iter().map(|chunk| chunk.segments.len() as u32).sum()
    }

    /// The segments in order, with where they are.
    pub fn segments(&self) -> impl Iterator<Item = Located<'_>> {
        let mut start = 0;
        self.chunks
            .iter()
            .flat_map(|chunk| {
                chunk.segments.iter().scan(0, move |at, s| advance(at, s).map(|r| (chunk, r, s)))
            })
            .map(move |(chunk, range, segment)| {
                let located = Located { chunk, range, start, duration: segment.duration };
                start += u64::from(segment.duration);
                located
            })
    }

    /// Segment `n`, from 0; absent behind the last.
    pub fn segment(&self, n: u32) -> Option<Located<'_>> {
        let mut left = usize::try_from(n).ok()?;
        let mut start = 0;
        for chunk in &self.chunks {
            if left < chunk.segments.len() {
                let before = &chunk.segments[..left];
                let segment = chunk.segments[left];
                let at = before.iter().map(|segment| u64::from(segment.size_bytes)).sum::<u64>();
                let range = at..at + u64::from(segment.size_bytes);
                start += ticks(before);
                return Some(Located { chunk, range, start, duration: segment.duration });
            }
            left -= chunk.segments.len();
            start += ticks(&chunk.segments);
        }
        None
    }

    /// Length of the track in ticks.
    pub fn duration(&self) -> u64 {
        self.chunks.iter().map(|chunk| ticks(&chunk.segments)).sum()
    }

    /// `EXT-X-TARGETDURATION` of its playlist, in seconds.
    pub fn target_duration_s(&self) -> u32 {
        let segments: Vec<SegmentRef> = self.chunks.iter().flat_map(|chunk| chunk.segments.clone()).collect();
        target_duration_s(self.timescale, &segments)
    }

    /// Bytes of all its segments and its initialisation segments: what watching it whole costs.
    pub fn size_bytes(&self) -> u64 {
        let inits = self.formats().map(|format| u64::from(format.init_size)).sum::<u64>();
        self.chunks.iter().map(ChunkRef::media_bytes).sum::<u64>() + inits
    }

    fn check(&self) -> Result<(), CmafError> {
        let is_video = |format: Format<'_>| matches!(format.kind, RenditionKind::Video { .. });
        let fault =
            if self.timescale == 0 {
                "a timescale is 0"
            } else if self.formats().any(|format| is_video(format) != self.name.is_video()) {
                "a rendition's name does not fit its kind"
            } else if !self.is_numbered_by_segment() && !self.is_numbered_by_place() {
                "chunk numbers are neither first segments nor places"
            } else if self.chunks.iter().any(|chunk| chunk.segments.is_empty()) {
                "a chunk without segments"
            } else if self.chunks.iter().any(|chunk| {
                chunk.media_bytes().checked_add(chunk.index_bytes.into()) != Some(chunk.size_bytes)
            }) {
                "the sizes of a chunk's segments do not add up to its own"
            } else if !self.changes_between_chunks() {
                "a format that does not begin with a chunk behind the first"
            } else if !self.breaks_between_segments() {
                "a break that is at no segment behind the first"
            } else {
                return Ok(());
            };
        Err(CmafError::malformed("version index", fault))
    }

    fn changes_between_chunks(&self) -> bool {
        // Each is looked for behind the one before it.
        let mut firsts = self.chunks.iter().scan(0, |next, chunk| {
            let first = *next;
            *next += chunk.segments.len() as u64;
            Some(first)
        });
        firsts.next();
        self.changes.iter().all(|change| firsts.any(|first| first == u64::from(change.segment)))
    }

    fn breaks_between_segments(&self) -> bool {
        let count = self.segment_count();
        let mut before = 0;
        self.breaks.iter().all(|at| std::mem::replace(&mut before, *at) < *at && *at < count)
    }

    fn is_numbered_by_segment(&self) -> bool {
        let mut next = 0;
        self.chunks.iter().all(|chunk| {
            let first = next;
            next += chunk.segments.len() as u64;
            u64::from(chunk.number) == first
        })
    }

    fn is_numbered_by_place(&self) -> bool {
        self.chunks.iter().zip(0..).all(|(chunk, place)| chunk.number == place)
    }
}

impl ChunkRef {
    /// Bytes of its segments, without the index behind them.
    pub fn media_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| u64::from(segment.size_bytes)).sum()
    }

    /// Where in the object the index of samples is.
    pub fn index_range(&self) -> Range<u64> {
        self.media_bytes()..self.media_bytes() + u64::from(self.index_bytes)
    }
}

/// The layout that an index of these renditions needs.
fn format_for(renditions: &[RenditionIndex]) -> u32 {
    let is_one = |one: &RenditionIndex| one.changes.is_empty() && one.breaks.is_empty();
    if renditions.iter().all(is_one) { VersionIndex::FORMAT } else { VersionIndex::FORMAT_OF_SEVERAL }
}

fn ticks(segments: &[SegmentRef]) -> u64 {
    segments.iter().map(|segment| u64::from(segment.duration)).sum()
}

fn advance(at: &mut u64, segment: &SegmentRef) -> Option<Range<u64>> {
    let start = *at;
    *at += u64::from(segment.size_bytes);
    Some(start..*at)
}

#[cfg(test)]
mod tests;
