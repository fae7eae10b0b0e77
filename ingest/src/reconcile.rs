use std::time::Duration;

use catalog::Upload;
use model::{ObjectKey, Timestamp, UploadId};
use storage::{Parts, Unfinished};

use crate::IngestError;
use crate::ingest::{Inner, spool_error};

/// Bytes whose upload no row names are kept this long: it is the row that may be late, or be
/// brought back, and bytes are dear.
const ORPHAN_AGE: Duration = Duration::from_secs(3600);
/// Parts that nobody knows are left alone this long: they may be just beginning.
const STRAY_AGE: Duration = Duration::from_secs(24 * 3600);

impl Inner {
    pub(crate) async fn recover(&self) -> Result<usize, IngestError> {
        let uploads = self.spool.uploads().await.map_err(|source| IngestError::OpenSpool {
            folder: self.spool.folder().display().to_string(),
            source,
        })?;
        let mut finished = 0;
        for id in uploads {
            match self.recover_one(id).await {
                Ok(was_finished) => finished += usize::from(was_finished),
                Err(error) => tracing::warn!(upload.id = %id, error = &error as &dyn std::error::Error,
                    "upload `{id}` could not be recovered; it will be tried again"),
            }
        }
        Ok(finished)
    }

    /// Whether the upload was finished by this.
    async fn recover_one(&self, id: UploadId) -> Result<bool, IngestError> {
        let is_at_work = |upload: &Upload| !upload.finished && upload.offset_bytes < upload.size_bytes;
        if self.catalog.upload(id).await?.as_ref().is_some_and(is_at_work) {
            // Somebody may be sending bytes: taking the turn would interrupt them.
            return Ok(false);
        }
        let _turn = self.turn(id).await?;
        match self.catalog.upload(id).await? {
            Some(upload) if is_at_work(&upload) => Ok(false),
            Some(mut upload) if !upload.finished => self.close(&mut upload).await.map(|()| true),
            Some(_) => self.forget(id).await.map(|()| false),
            None => {
                let last = self.spool.last_written(id).await.map_err(spool_error("look at", id))?;
                if last.is_some_and(|last| self.clock.now().since(last) >= ORPHAN_AGE) {
                    self.forget(id).await?;
                }
                Ok(false)
            }
        }
    }

    pub(crate) async fn expire(&self, now: Timestamp) -> Result<usize, IngestError> {
        let mut ended = 0;
        loop {
            let expired = self.catalog.expired_uploads(now).await?;
            let before = ended;
            for upload in &expired {
                match self.expire_one(upload.id, now).await {
                    Ok(was_ended) => ended += usize::from(was_ended),
                    Err(error) => {
                        tracing::warn!(upload.id = %upload.id, error = &error as &dyn std::error::Error,
                        "upload `{}` could not be ended; it will be tried again", upload.id)
                    }
                }
            }
            // The list is one page; another one follows if this one moved.
            if ended == before {
                break;
            }
        }
        if let Some(store) = self.store.parts() {
            self.abort_strays(store, now).await?;
        }
        Ok(ended)
    }

    /// Makes the store forget parts whose upload is no more, as after the deletion of a video
    /// whose bytes were still coming in, and parts of any object whose writer died.
    async fn abort_strays(&self, store: &dyn Parts, now: Timestamp) -> Result<(), IngestError> {
        for begun in store.unfinished_parts().await? {
            let Ok(key) = begun.name.parse::<ObjectKey>() else { continue };
            if now.since(begun.started) >= STRAY_AGE && !self.is_wanted(&key, &begun).await? {
                store.abort_parts(&key, &begun.token).await?;
                tracing::info!("aborted stray parts of `{key}`");
            }
        }
        Ok(())
    }

    async fn is_wanted(&self, key: &ObjectKey, begun: &Unfinished) -> Result<bool, IngestError> {
        let video = self.catalog.known_video(key.video()).await?;
        let Some(id) = video.and_then(|video| video.upload) else { return Ok(false) };
        let upload = self.catalog.upload(id).await?;
        Ok(upload.is_some_and(|upload| upload.parts_token.as_deref() == Some(begun.token.as_str())))
    }

    /// Whether the upload was ended by this.
    async fn expire_one(&self, id: UploadId, now: Timestamp) -> Result<bool, IngestError> {
        let _turn = self.turn(id).await?;
        let Some(mut upload) = self.catalog.upload(id).await? else { return Ok(false) };
        if upload.expires_at > now {
            // A request has gone on with it since the list was made.
            return Ok(false);
        }
        if !upload.finished && upload.offset_bytes == upload.size_bytes {
            // Every byte was acknowledged: whoever sent it need not come again.
            match self.close(&mut upload).await {
                Err(error) if error.is_lasting() => {
                    tracing::warn!(upload.id = %id, error = &error as &dyn std::error::Error,
                        "upload `{id}` is whole and cannot be closed");
                }
                closed => return closed.map(|()| true),
            }
        }
        if self.abandon(id).await?.is_some_and(|ended| !ended.finished) {
            tracing::info!(upload.id = %id, video.id = %upload.video, "upload `{id}` was given up");
        }
        Ok(true)
    }
}
