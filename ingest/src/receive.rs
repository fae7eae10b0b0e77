use std::sync::Arc;
use std::time::Duration;

use catalog::Upload;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::IngestError;
use crate::ingest::{Inner, spool_error};
use crate::spool::Writer;
use crate::turns::Turn;
use crate::tus::{Checksum, Hasher};

/// A long body is recorded whenever it has brought this much,
const CHECKPOINT_BYTES: u64 = 8 << 20;
/// or whenever this time has gone by: what a crash costs a client on a slow link.
const CHECKPOINT_TIME: Duration = Duration::from_secs(5);

/// A request that has to end still takes what has already come, which on a slow link was paid
/// for: it ends when nothing comes for this long,
const QUIET_TIME: Duration = Duration::from_millis(100);
/// and at the latest after this one.
const LAST_CALL: Duration = Duration::from_secs(1);

/// What became of a body.
#[derive(Debug)]
pub(crate) struct Received {
    /// How far the upload is now, whatever went wrong.
    pub(crate) offset: u64,
    /// Whether the whole body is taken in.
    pub(crate) outcome: Result<(), IngestError>,
}

impl Inner {
    /// Takes a body in, from `start` on. Called with the turn.
    pub(crate) async fn receive(
        self: &Arc<Self>,
        upload: &mut Upload,
        start: u64,
        body: &mut Incoming,
        checksum: Option<Checksum>,
        turn: &Turn,
    ) -> Received {
        let mut writer = match self.spool.writer(upload.id, start).await {
            Ok(writer) => writer,
            Err(error) => {
                return Received { offset: start, outcome: Err(spool_error("open", upload.id)(error)) };
            }
        };
        let outcome = match checksum {
            None => self.take_in(upload, &mut writer, body, None, turn).await,
            Some(checksum) => {
                let mut hasher = checksum.hasher();
                let taken = self.take_in(upload, &mut writer, body, Some(&mut hasher), turn).await;
                let matched = taken.and_then(|()| {
                    if hasher.finish() == checksum { Ok(()) } else { Err(IngestError::Checksum) }
                });
                match matched {
                    Ok(()) => Ok(()),
                    Err(error) => match writer.take_back(start).await {
                        Ok(()) => Err(error),
                        Err(source) => Err(spool_error("cut", upload.id)(source)),
                    },
                }
            }
        };
        let recorded = self.record(upload, &mut writer).await;
        Received { offset: writer.end().min(upload.offset_bytes), outcome: outcome.and(recorded) }
    }

    /// Writes the body's bytes until it ends or has to.
    async fn take_in(
        self: &Arc<Self>,
        upload: &mut Upload,
        writer: &mut Writer,
        body: &mut Incoming,
        mut hasher: Option<&mut Hasher>,
        turn: &Turn,
    ) -> Result<(), IngestError> {
        let mut checkpoint = Instant::now();
        let mut room_checked_at = None;
        let mut ending: Option<(IngestError, Instant)> = None;
        loop {
            let frame = match ending {
                None => tokio::select! {
                    biased;
                    () = turn.overtaken() => {
                        ending = Some((IngestError::Overtaken, Instant::now() + LAST_CALL));
                        continue;
                    }
                    () = self.stopping.cancelled() => {
                        ending = Some((IngestError::Stopping, Instant::now() + LAST_CALL));
                        continue;
                    }
                    frame = tokio::time::timeout(self.config.idle_timeout(), body.frame()) => {
                        frame.map_err(|_| IngestError::Stalled)?
                    }
                },
                Some((reason, last)) => {
                    let until = last.min(Instant::now() + QUIET_TIME);
                    match tokio::time::timeout_at(until, body.frame()).await {
                        Ok(frame) if Instant::now() < last => {
                            ending = Some((reason, last));
                            frame
                        }
                        _ => return Err(reason),
                    }
                }
            };
            let Some(frame) = frame else { return Ok(()) };
            // Trailers say nothing that we asked for.
            let Ok(mut bytes) = frame.map_err(IngestError::Broken)?.into_data() else { continue };
            let room = upload.size_bytes - writer.end();
            let is_too_long = bytes.len() as u64 > room;
            if is_too_long {
                bytes.truncate(room as usize);
            }
            // Other uploads fill the disk too, and so does what the objects are made to.
            if room_checked_at.is_none_or(|at| writer.end() - at >= CHECKPOINT_BYTES) {
                self.check_room(0).await?;
                room_checked_at = Some(writer.end());
            }
            if let Some(hasher) = &mut hasher {
                hasher.update(&bytes);
            }
            writer.append(bytes).await.map_err(spool_error("write", upload.id))?;
            if is_too_long {
                return Err(IngestError::TooLong { size_bytes: upload.size_bytes });
            }
            let unrecorded = writer.end().saturating_sub(upload.offset_bytes);
            // A body with a checksum counts whole or not at all.
            if hasher.is_none()
                && (unrecorded >= CHECKPOINT_BYTES
                    || (unrecorded > 0 && checkpoint.elapsed() >= CHECKPOINT_TIME))
            {
                self.record(upload, writer).await?;
                self.keep_pace(upload).await?;
                checkpoint = Instant::now();
            }
        }
    }

    /// Makes what is written safe, and then records it: never the other way round.
    async fn record(self: &Arc<Self>, upload: &mut Upload, writer: &mut Writer) -> Result<(), IngestError> {
        let safe = writer.sync().await.map_err(spool_error("sync", upload.id))?;
        let before = upload.offset_bytes;
        if safe > before {
            let expires_at = self.expires_at();
            self.catalog.advance_upload(upload.id, before, safe, expires_at).await?;
            (upload.offset_bytes, upload.expires_at) = (safe, expires_at);
            self.ship_soon(upload, before);
        }
        Ok(())
    }
}
