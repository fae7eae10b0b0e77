//! MP4 boxes, the index of a version, and the virtual MP4: every byte layout that Cocuyo makes or
//! reads, as pure functions. Nothing here does I/O. Whatever is read is treated as a stranger's:
//! each offset is checked against the bytes that are there, and no count that a box states makes
//! us take memory that its bytes could not fill.
//!
//! ```text
//! cell:      Track  → init_segment            Sample… → media_segment
//!            `moov` of an upload → SampleTable
//! packager:  read_init, read_segment → ChunkWriter → chunk = segments + index of samples
//!            plan + chunks that are there → GrowingIndex → VersionIndex (JSON)
//! edge:      VersionIndex or GrowingIndex → (object, range) of a segment
//!            VersionIndex + ChunkIndex… → VirtualMp4 → (object, range)… of a download
//! ```
//!
//! Clauses are those of ISO/IEC 14496-12:2022 (boxes), 14496-14 (`mp4a`), 14496-15 (`avc1`, `hvc1`),
//! 23000-19 (CMAF) and RFC 8216 (playlists).

mod aac;
mod av1;
mod avc;
mod bandwidth;
mod boxes;
mod chunk;
mod cut;
mod error;
mod growing;
mod hevc;
mod index;
mod init;
mod opus;
mod pairing;
mod planned;
mod sample_table;
mod segment;
mod track;
mod virtual_mp4;

#[cfg(test)]
mod readers;
#[cfg(test)]
mod samples;

pub use aac::AacLc;
pub use bandwidth::Bandwidth;
pub use chunk::{ChunkIndex, ChunkWriter, FinishedChunk, SegmentSamples, read_chunk_index};
pub use cut::Cut;
pub use error::CmafError;
pub use growing::{Announced, GrowingIndex};
pub use index::{Change, ChunkRef, Format, Located, RenditionIndex, RenditionKind, SegmentRef, VersionIndex};
pub use init::{init_segment, read_init};
pub use opus::Opus;
pub use pairing::sounds_with;
pub use sample_table::{Configuration, SampleTable, StoredSample};
pub use segment::{ReadSegment, Sample, media_segment, part_head, read_part, read_segment, segment_head};
pub use track::{AudioConfig, AudioTrack, Colour, Track, VideoConfig, VideoTrack};
pub use virtual_mp4::{BUILDER_VERSION, Piece, VirtualMp4, VirtualTrack};
