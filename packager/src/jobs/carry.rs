//! What a re-encode has from the version that plays: everything but the pictures that are encoded
//! anew. Objects are copied as they are, one after the other and each in small pieces, and their
//! hashes are looked at on the way.

use std::ops::Range;
use std::path::Path;

use bytes::Bytes;
use catalog::Reencode;
use cmaf::{Announced, ChunkRef, GrowingIndex, VersionIndex};
use model::{ChunkHash, ObjectKey, RenditionName, VersionId, VideoId};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::plan;
use super::stored::{read, read_index, read_range};
use crate::attempt::Attempt;
use crate::halt::Halt;
use crate::scratch::Scratch;
use crate::{PackagerError, backoff, faults, storing};

/// How much of an object is in memory at a time, in bytes.
const PIECE: u64 = 4 << 20;

pub(super) async fn carry_out(attempt: Attempt<'_>, version: VersionId) -> Result<(), Halt> {
    let growing = attempt.growing(version).await?;
    let reencode = attempt.tell(|_| attempt.catalog.reencode(version)).await?.ok_or(Halt::Lost)?;
    let old = read_index(attempt, reencode.from).await?;
    let scratch = attempt.scratch()?;
    announce(attempt, &scratch, &growing, &old, &reencode).await?;
    let is_carried = |name: RenditionName| !reencode.renditions.contains(&name);
    for rendition in old.renditions.iter().filter(|rendition| is_carried(rendition.name)) {
        for chunk in &rendition.chunks {
            // An attempt before this one may have carried it.
            if growing.chunk_of(rendition.name, chunk.number).is_none() {
                let from = old.chunk_key(rendition.name, chunk);
                let to = growing.chunk_key(rendition.name, chunk);
                carry_chunk(attempt, &scratch, from, to, chunk).await?;
                attempt.commit(version, &[(rendition.name, chunk.clone())], 0, false).await?;
            }
        }
    }
    if growing.plan.video.is_some() {
        for still in [poster, thumbnail] {
            let video = attempt.job.video;
            let bytes = read(attempt, &still(video, reencode.from)).await?;
            attempt.put(still(video, version), bytes).await?;
        }
    }
    attempt.commit(version, &[], 0, true).await
}

fn poster(video: VideoId, version: VersionId) -> ObjectKey {
    ObjectKey::Poster { video, version }
}

fn thumbnail(video: VideoId, version: VersionId) -> ObjectKey {
    ObjectKey::Thumbnail { video, version }
}

/// Announces the inits of what is encoded anew, as a cell makes them, and those that are kept.
async fn announce(
    attempt: Attempt<'_>,
    scratch: &Scratch,
    growing: &GrowingIndex,
    old: &VersionIndex,
    reencode: &Reencode,
) -> Result<(), Halt> {
    let mut inits = plan::make_inits(attempt, scratch, growing).await?;
    for (announced, bytes) in &mut inits {
        let name = announced.rendition;
        if !reencode.renditions.contains(&name) {
            (*announced, *bytes) = kept_init(attempt, old, name).await?;
        }
    }
    plan::announce(attempt, growing, inits).await
}

/// The init of a rendition of the version that plays.
async fn kept_init(
    attempt: Attempt<'_>,
    old: &VersionIndex,
    name: RenditionName,
) -> Result<(Announced, Bytes), Halt> {
    let key = old.init_key(name, 0);
    let Some(rendition) = old.rendition(name) else { return Err(PackagerError::Missing(key).into()) };
    let bytes = read(attempt, &key).await?;
    if ChunkHash::of(&bytes) != rendition.init_hash {
        return Err(PackagerError::Damaged(key).into());
    }
    let announced = Announced {
        rendition: name,
        codecs: rendition.codecs.clone(),
        timescale: rendition.timescale,
        init_size: rendition.init_size,
        init_hash: rendition.init_hash,
    };
    Ok((announced, bytes))
}

/// Copies one chunk.
async fn carry_chunk(
    attempt: Attempt<'_>,
    scratch: &Scratch,
    from: ObjectKey,
    to: ObjectKey,
    chunk: &ChunkRef,
) -> Result<(), Halt> {
    let file = scratch.folder().join("carried");
    let copied = async {
        let hash = fetch(attempt, &from, chunk.size_bytes, &file).await?;
        if hash != chunk.hash {
            return Err(PackagerError::Damaged(from).into());
        }
        faults::at(faults::BEFORE_PUT);
        let put = || storing::put_file(&**attempt.store, &to, &file, chunk.size_bytes);
        backoff::insist(backoff::WRITE, put).await?;
        faults::at(faults::STORED);
        Ok(())
    };
    tokio::select! {
        biased;
        () = attempt.stop.cancelled() => Err(Halt::Stopped),
        copied = copied => copied,
    }
}

/// Writes an object of `size_bytes` into a file, piece by piece; gives its hash.
async fn fetch(
    attempt: Attempt<'_>,
    key: &ObjectKey,
    size_bytes: u64,
    file: &Path,
) -> Result<ChunkHash, Halt> {
    let mut out = File::create(file).await.map_err(PackagerError::Scratch)?;
    let mut hasher = blake3::Hasher::new();
    for range in pieces(size_bytes) {
        let piece = read_range(attempt, key, range).await?;
        hasher.update(&piece);
        out.write_all(&piece).await.map_err(PackagerError::Scratch)?;
    }
    out.flush().await.map_err(PackagerError::Scratch)?;
    Ok(ChunkHash::from_blake3(hasher.finalize()))
}

fn pieces(size_bytes: u64) -> impl Iterator<Item = Range<u64>> {
    (0..size_bytes.div_ceil(PIECE)).map(move |n| n * PIECE..((n + 1) * PIECE).min(size_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_an_object_once_and_none_is_large() {
        for size in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 5] {
            let mut next = 0;
            for piece in pieces(size) {
                assert_eq!(piece.start, next);
                assert!(!piece.is_empty() && piece.end - piece.start <= PIECE);
                next = piece.end;
            }
            assert_eq!(next, size);
        }
    }
}
