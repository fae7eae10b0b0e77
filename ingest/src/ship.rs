//! Parts on their way to the store while the bytes still come in, where a store takes parts.

use std::ops::Range;
use std::sync::Arc;

use catalog::{CatalogError, Upload, UploadPart};
use model::{ErrorKind, ObjectKey, UploadId};
use storage::Parts;

use crate::IngestError;
use crate::ingest::{Inner, spool_error};

/// Parts in memory at a time, for all uploads together: enough to fill the link to the store.
pub(crate) const PARTS_AT_A_TIME: usize = 3;
/// What S3 takes at most.
const MOST_PARTS: u64 = 10_000;
const MIB: u64 = 1 << 20;

/// The length of every part but the last one.
fn part_size(least: u64, upload_size: u64) -> u64 {
    upload_size.div_ceil(MOST_PARTS).next_multiple_of(MIB).max(least)
}

/// The part to bring next, given what the store has, what is safe here, and the length of the
/// whole: a full one, or the rest once all of it is here.
fn next_part(shipped: u64, here: u64, upload_size: u64, part_size: u64) -> Option<Range<u64>> {
    let waiting = here.checked_sub(shipped).filter(|waiting| *waiting > 0)?;
    if waiting >= part_size {
        Some(shipped..shipped + part_size)
    } else {
        (here == upload_size).then_some(shipped..here)
    }
}

impl Inner {
    /// Bytes of the upload that the store has.
    pub(crate) async fn shipped(&self, upload: &Upload) -> Result<u64, IngestError> {
        if upload.parts_token.is_none() {
            return Ok(0);
        }
        Ok(self.catalog.upload_parts(upload.id).await?.iter().map(|part| part.size_bytes).sum())
    }

    /// Brings full parts to the store behind the request's back, if it has just completed one
    /// since `before`. A failure costs nothing but time: the next part, or the end, tries again.
    pub(crate) fn ship_soon(self: &Arc<Self>, upload: &Upload, before: u64) {
        let Some(store) = self.store.parts() else { return };
        let size = part_size(store.least_part_size(), upload.size_bytes);
        if before / size == upload.offset_bytes / size {
            return;
        }
        let id = upload.id;
        // Whoever ships already goes on until nothing is left.
        let Some(turn) = self.shipping.try_take(id) else { return };
        let inner = self.clone();
        self.tasks.spawn(async move {
            let shipped = tokio::select! {
                biased;
                () = turn.overtaken() => return,
                () = inner.stopping.cancelled() => return,
                shipped = inner.ship(id) => shipped,
            };
            if let Err(error) = shipped {
                tracing::warn!(upload.id = %id, error = &error as &dyn std::error::Error,
                    "parts of upload `{id}` wait in the spool");
            }
        });
    }

    /// Brings to the store whatever can be. Called with the shipping turn.
    pub(crate) async fn ship(&self, id: UploadId) -> Result<(), IngestError> {
        let Some(store) = self.store.parts() else { return Ok(()) };
        loop {
            // Read anew each time: the request goes on meanwhile.
            let Some(upload) = self.catalog.upload(id).await? else { return Ok(()) };
            let parts = self.catalog.upload_parts(id).await?;
            let shipped = parts.iter().map(|part| part.size_bytes).sum();
            let here = self.spool_len(id).await?.min(upload.offset_bytes);
            let size = part_size(store.least_part_size(), upload.size_bytes);
            let Some(range) = next_part(shipped, here, upload.size_bytes, size) else { return Ok(()) };
            let key = ObjectKey::Original { video: upload.video };
            let token = self.parts_token(store, &key, &upload).await?;
            let _permit = self.parts_at_a_time.acquire().await.expect("it is never closed");
            let size_bytes = range.end - range.start;
            let bytes = self.spool.read(id, range).await.map_err(spool_error("read", id))?;
            let number = parts.len() as u32 + 1;
            let tag = store.put_part(&key, &token, number, bytes).await?;
            self.catalog.add_upload_part(id, UploadPart { number, size_bytes, tag }).await?;
        }
    }

    async fn parts_token(
        &self,
        store: &dyn Parts,
        key: &ObjectKey,
        upload: &Upload,
    ) -> Result<String, IngestError> {
        if let Some(token) = &upload.parts_token {
            return Ok(token.clone());
        }
        let token = store.start_parts(key).await?;
        match self.catalog.start_upload_parts(upload.id, &token).await {
            Ok(()) => Ok(token),
            Err(error) => {
                // The upload was ended meanwhile, or another node was quicker.
                store.abort_parts(key, &token).await?;
                Err(error.into())
            }
        }
    }

    /// Makes the object of its parts. Called with both turns, when all bytes are recorded.
    pub(crate) async fn close_parts(
        &self,
        store: &dyn Parts,
        upload: &Upload,
        token: &str,
    ) -> Result<(), IngestError> {
        self.ship(upload.id).await?;
        let parts = self.catalog.upload_parts(upload.id).await?;
        let found = parts.iter().map(|part| part.size_bytes).sum();
        let damaged = |found| IngestError::Damaged { id: upload.id, found, size_bytes: upload.size_bytes };
        if found != upload.size_bytes {
            return Err(damaged(found));
        }
        let key = ObjectKey::Original { video: upload.video };
        let parts: Vec<_> =
            parts.into_iter().map(|part| storage::Part { number: part.number, tag: part.tag }).collect();
        match store.complete_parts(&key, token, &parts).await {
            // An earlier try arrived, and its answer did not.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            completed => completed?,
        }
        match self.store.size(&key).await? {
            Some(size) if size == upload.size_bytes => Ok(()),
            size => Err(damaged(size.unwrap_or(0))),
        }
    }

    /// Makes the store forget the parts of an upload that is being ended.
    pub(crate) async fn abort_parts(&self, upload: &Upload) -> Result<(), IngestError> {
        if let (Some(store), Some(token)) = (self.store.parts(), &upload.parts_token) {
            store.abort_parts(&ObjectKey::Original { video: upload.video }, token).await?;
        }
        Ok(())
    }
}

/// Whether a part came too late because its upload is no more.
pub(crate) fn is_gone(error: &IngestError) -> bool {
    matches!(error, IngestError::Catalog(CatalogError::Absent { .. }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn full_parts_go_first_and_the_rest_at_the_end() {
        for (shipped, here, size, expected) in [
            (0, 0, 25, None),
            (0, 9, 25, None),
            (0, 10, 25, Some(0..10)),
            (0, 25, 25, Some(0..10)),
            (10, 19, 25, None),
            (20, 24, 25, None),
            (20, 25, 25, Some(20..25)),
            (25, 25, 25, None),
            // Another node has shipped what is not here.
            (20, 12, 25, None),
        ] {
            assert_eq!(next_part(shipped, here, size, 10), expected, "{shipped} {here} {size}");
        }
    }

    proptest! {
        #[test]
        fn parts_are_never_too_many(size in 1..5u64 << 40) {
            let part = part_size(8 * MIB, size);
            prop_assert!(part >= 8 * MIB && size.div_ceil(part) <= MOST_PARTS);
        }
    }
}
