//! Parts on their way to the store while the bytes still come in, where a store takes parts.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use catalog::{CatalogError, Upload, UploadPart};
use futures::stream::{FuturesOrdered, StreamExt};
use model::{ErrorKind, ObjectKey, UploadId};
use storage::{Parts, Unfinished};
use tokio::time::{Instant, timeout_at};

use crate::IngestError;
use crate::ingest::{Inner, spool_error};

/// Parts in memory at a time, for all uploads together: enough to fill the link to the store.
pub(crate) const PARTS_AT_A_TIME: usize = 3;
/// How far the store may be behind before an upload pauses, in bytes: some parts more than are on
/// their way.
const BEHIND: u64 = 32 << 20;
/// How long it pauses at most, for some MiB: a store that hangs slows uploads down and ends none.
const PAUSE: Duration = Duration::from_secs(1);
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

/// The parts to bring next, as many as are in memory at a time.
fn next_parts(mut shipped: u64, here: u64, upload_size: u64, part_size: u64) -> Vec<Range<u64>> {
    let next = || {
        let part = next_part(shipped, here, upload_size, part_size)?;
        shipped = part.end;
        Some(part)
    };
    std::iter::from_fn(next).take(PARTS_AT_A_TIME).collect()
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

    /// Lets the store come up with what is here, unless it does not take anything: whose upload ends
    /// then has not to wait for most of it, and the spool stays small.
    pub(crate) async fn keep_pace(&self, upload: &Upload) -> Result<(), IngestError> {
        if self.store.parts().is_none() {
            return Ok(());
        }
        let until = Instant::now() + PAUSE;
        loop {
            let arrived = self.part_arrived.notified();
            // When nobody ships, the store has all parts or is away.
            if !self.shipping.is_taken(upload.id) {
                return Ok(());
            }
            if upload.offset_bytes.saturating_sub(self.shipped(upload.id).await?) <= BEHIND {
                return Ok(());
            }
            if timeout_at(until, arrived).await.is_err() {
                return Ok(());
            }
        }
    }

    /// Brings to the store whatever can be, some parts at once. Called with the shipping turn.
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
            let next = next_parts(shipped, here, upload.size_bytes, size);
            if next.is_empty() {
                return Ok(());
            }
            let key = ObjectKey::Original { video: upload.video };
            let token = self.parts_token(store, &key, &upload).await?;
            let numbered = (parts.len() as u32 + 1..).zip(next);
            match self.put_parts(store, (id, &key, &token), numbered).await {
                Err(IngestError::Storage(error))
                    if error.kind() == ErrorKind::NotFound && !has_begun_anew =>
                {
                    if !self.forget_dropped(store, &upload, &token).await? {
                        return Err(error.into());
                    }
                    has_begun_anew = true;
                }
                put => put?,
            }
        }
    }

    /// Brings parts to the store at once, and records them in order: what arrived behind one that
    /// did not is brought again, under the same number.
    async fn put_parts(
        &self,
        store: &dyn Parts,
        (id, key, token): (UploadId, &ObjectKey, &str),
        parts: impl Iterator<Item = (u32, Range<u64>)>,
    ) -> Result<(), IngestError> {
        let put = parts.map(|(number, range)| self.put_part(store, (id, key, token), number, range));
        let mut put: FuturesOrdered<_> = put.collect();
        while let Some(part) = put.next().await {
            self.catalog.add_upload_part(id, token, part?).await?;
            self.part_arrived.notify_waiters();
        }
        Ok(())
    }

    /// Brings one part to the store.
    async fn put_part(
        &self,
        store: &dyn Parts,
        (id, key, token): (UploadId, &ObjectKey, &str),
        number: u32,
        range: Range<u64>,
    ) -> Result<UploadPart, IngestError> {
        let _permit = self.parts_at_a_time.acquire().await.expect("it is never closed");
        let size_bytes = range.end - range.start;
        let bytes = self.spool.read(id, range).await.map_err(spool_error("read", id))?;
        let tag = store.put_part(key, token, number, bytes).await?;
        Ok(UploadPart { number, size_bytes, tag })
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

    #[test]
    fn some_parts_are_brought_at_once() {
        for (shipped, here, size, expected) in [
            (10, 45, 80, &[10..20, 20..30, 30..40][..]),
            (60, 75, 80, std::slice::from_ref(&(60..70))),
            (60, 75, 75, &[60..70, 70..75]),
            (75, 75, 75, &[]),
        ] {
            assert_eq!(next_parts(shipped, here, size, 10), expected, "{shipped} {here} {size}");
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
