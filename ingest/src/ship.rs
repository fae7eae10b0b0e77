//! Parts on their way to the store while the bytes still come in, where a store takes parts.

use std::ops::Range;
use std::sync::Arc;

use catalog::{CatalogError, Upload, UploadPart};
use model::{ErrorKind, ObjectKey, UploadId};
use storage::{Parts, Unfinished};

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
    /// Bytes of the upload that the store has: what it alone has is asked for, because a store
    /// may drop parts that wait for long.
    pub(crate) async fn still_shipped(&self, upload: &Upload) -> Result<u64, IngestError> {
        let id = upload.id;
        let shipped = self.shipped(id).await?;
        let Some(store) = self.store.parts() else { return Ok(0) };
        if self.spool_reach(id, 0).await? >= shipped {
            return Ok(shipped);
        }
        let _shipping = self.shipping.take(id).await.ok_or(IngestError::Overtaken)?;
        let Some(current) = self.catalog.upload(id).await? else { return Err(IngestError::Absent(id)) };
        match &current.parts_token {
            Some(token) if !self.forget_dropped(store, &current, token).await? => self.shipped(id).await,
            _ => Ok(0),
        }
    }

    async fn shipped(&self, id: UploadId) -> Result<u64, IngestError> {
        Ok(self.catalog.upload_parts(id).await?.iter().map(|part| part.size_bytes).sum())
    }

    /// Begins the parts anew if the store has dropped them, as by a rule of the bucket that aborts
    /// what is long unfinished: then the spool alone counts. Returns whether that is so. Called
    /// with the shipping turn.
    async fn forget_dropped(
        &self,
        store: &dyn Parts,
        upload: &Upload,
        token: &str,
    ) -> Result<bool, IngestError> {
        let key = ObjectKey::Original { video: upload.video };
        if self.store.size(&key).await? == Some(upload.size_bytes) {
            // They were completed.
            return Ok(false);
        }
        // Asked for by a list, which fails where there is no bucket: that can be mended.
        let name = key.to_string();
        let is_this = |begun: &Unfinished| begun.token == token && begun.name == name;
        if store.unfinished_parts().await?.iter().any(is_this) {
            return Ok(false);
        }
        self.catalog.forget_upload_parts(upload.id, token).await?;
        tracing::warn!(upload.id = %upload.id,
            "the store has dropped the parts of upload `{}`; it goes on from the spool", upload.id);
        Ok(true)
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
        let mut has_begun_anew = false;
        loop {
            // Read anew each time: the request goes on meanwhile.
            let Some(upload) = self.catalog.upload(id).await? else { return Ok(()) };
            let parts = self.catalog.upload_parts(id).await?;
            let shipped = parts.iter().map(|part| part.size_bytes).sum();
            let here = self.spool_reach(id, shipped).await?.min(upload.offset_bytes);
            let size = part_size(store.least_part_size(), upload.size_bytes);
            let Some(range) = next_part(shipped, here, upload.size_bytes, size) else { return Ok(()) };
            let key = ObjectKey::Original { video: upload.video };
            let token = self.parts_token(store, &key, &upload).await?;
            let _permit = self.parts_at_a_time.acquire().await.expect("it is never closed");
            let size_bytes = range.end - range.start;
            let bytes = self.spool.read(id, range).await.map_err(spool_error("read", id))?;
            let number = parts.len() as u32 + 1;
            let tag = match store.put_part(&key, &token, number, bytes).await {
                Err(error) if error.kind() == ErrorKind::NotFound && !has_begun_anew => {
                    if !self.forget_dropped(store, &upload, &token).await? {
                        return Err(error.into());
                    }
                    has_begun_anew = true;
                    continue;
                }
                tag => tag?,
            };
            self.catalog.add_upload_part(id, &token, UploadPart { number, size_bytes, tag }).await?;
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

    /// Makes the object of its parts, and returns whether it did: the store may have dropped
    /// them. Called with both turns, when all bytes are recorded.
    pub(crate) async fn close_parts(&self, store: &dyn Parts, id: UploadId) -> Result<bool, IngestError> {
        self.ship(id).await?;
        // Read anew: they may have been begun anew.
        let upload = self.catalog.upload(id).await?.ok_or(IngestError::Absent(id))?;
        let Some(token) = &upload.parts_token else { return Ok(false) };
        let parts = self.catalog.upload_parts(id).await?;
        let found = parts.iter().map(|part| part.size_bytes).sum();
        let damaged = |found| IngestError::Damaged { id, found, size_bytes: upload.size_bytes };
        if found != upload.size_bytes {
            return Err(damaged(found));
        }
        let key = ObjectKey::Original { video: upload.video };
        let parts: Vec<_> =
            parts.into_iter().map(|part| storage::Part { number: part.number, tag: part.tag }).collect();
        match store.complete_parts(&key, token, &parts).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if self.forget_dropped(store, &upload, token).await? {
                    return Ok(false);
                }
                // An earlier try arrived, and its answer did not.
            }
            completed => completed?,
        }
        match self.store.size(&key).await? {
            Some(size) if size == upload.size_bytes => Ok(true),
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
