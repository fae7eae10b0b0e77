//! From the last byte to a queued video, in steps that may each be repeated:
//!
//! 1. the spool notes that the object is being closed;
//! 2. the store takes the bytes over, or makes the object of the parts that it has;
//! 3. the catalog finishes the upload and queues the video, in one transaction;
//! 4. the spool forgets.
//!
//! After a crash between 2 and 3 the bytes are no longer in the spool: the note of step 1 is
//! what `recover` finds, and the object itself is the proof that step 2 is done.

use catalog::{CatalogError, Upload};
use model::{ObjectKey, UploadId};

use crate::IngestError;
use crate::ingest::{Inner, spool_error};
use crate::ship::is_gone;

/// Whether an upload that was ended so may leave an object that no video has. Asked of what the
/// ending transaction saw: until then another node may have finished the upload.
const fn has_stray_original(ended: &Upload) -> bool {
    !ended.finished && ended.offset_bytes == ended.size_bytes
}

impl Inner {
    /// Closes the object of an upload whose bytes are all recorded. Called with the turn.
    pub(crate) async fn close(&self, upload: &mut Upload) -> Result<(), IngestError> {
        let id = upload.id;
        let shipping = self.shipping.take(id).await.ok_or(IngestError::Overtaken)?;
        // Only now is it certain whether there are parts.
        let current = self.catalog.upload(id).await?.ok_or(IngestError::Absent(id))?;
        self.spool.mark_closing(id).await.map_err(spool_error("mark", id))?;
        let is_made = match self.store.parts() {
            Some(store) if current.parts_token.is_some() => self.close_parts(store, id).await?,
            _ => false,
        };
        if !is_made {
            self.close_file(&current).await?;
        }
        drop(shipping);
        match self.catalog.complete_upload(id, self.clock.now()).await {
            Err(error @ CatalogError::Absent { .. }) => {
                // The video was deleted meanwhile, and with it what would find this object.
                self.store.delete(&ObjectKey::Original { video: upload.video }).await?;
                self.forget(id).await?;
                return Err(error.into());
            }
            completed => completed?,
        }
        upload.finished = true;
        self.spool.remove(id).await.map_err(spool_error("remove", id))?;
        tracing::info!(upload.id = %id, video.id = %upload.video, size_bytes = upload.size_bytes,
            "upload `{id}` is the original of video `{}`", upload.video);
        Ok(())
    }

    async fn close_file(&self, upload: &Upload) -> Result<(), IngestError> {
        let (id, size_bytes) = (upload.id, upload.size_bytes);
        let key = ObjectKey::Original { video: upload.video };
        let found = self.spool_reach(id, 0).await?;
        if found == size_bytes {
            if size_bytes == 0 {
                // No body has made it.
                self.spool.writer(id, 0).await.map_err(spool_error("open", id))?;
            }
            return Ok(self.store.put_file(&key, &self.spool.path(id)).await?);
        }
        match self.store.size(&key).await? {
            Some(size) if size == size_bytes => Ok(()),
            _ => Err(IngestError::Damaged { id, found, size_bytes }),
        }
    }

    /// Ends an unfinished upload, with everything that there is of it, and returns what it was in
    /// the end. Called with the turn.
    pub(crate) async fn abandon(&self, id: UploadId) -> Result<Option<Upload>, IngestError> {
        let shipping = self.shipping.take(id).await.ok_or(IngestError::Overtaken)?;
        if let Some(upload) = self.catalog.upload(id).await? {
            // Its parts are found by its row, so they go first.
            self.abort_parts(&upload).await?;
        }
        let ended = self.catalog.terminate_upload(id).await?;
        drop(shipping);
        if let Some(upload) = ended.as_ref().filter(|ended| has_stray_original(ended)) {
            self.store.delete(&ObjectKey::Original { video: upload.video }).await?;
        }
        self.forget(id).await?;
        Ok(ended)
    }

    /// Removes what the spool has of an upload that is no more.
    pub(crate) async fn forget(&self, id: UploadId) -> Result<(), IngestError> {
        self.spool.remove(id).await.map_err(spool_error("remove", id))
    }

    /// Cleans up behind a request whose upload was ended by somebody else, with its video.
    pub(crate) async fn clean_up_after(&self, error: &IngestError, upload: &Upload) {
        if is_gone(error) {
            let cleaned = async {
                self.abort_parts(upload).await?;
                self.forget(upload.id).await
            };
            if let Err(error) = cleaned.await {
                tracing::warn!(upload.id = %upload.id, error = &error as &dyn std::error::Error,
                    "bytes of upload `{}` are left behind", upload.id);
            }
        }
    }
}
