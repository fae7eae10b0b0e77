//! Segments of some renditions: from the cell into chunks, from there into the store and rows.

use std::time::Duration;

use cmaf::{ChunkRef, GrowingIndex};
use model::cell::{Reply, Request, Task};
use model::{RenditionName, VersionId};
use tokio::time::Instant;

use crate::attempt::Attempt;
use crate::cell::{Cell, Ending, Said};
use crate::faults;
use crate::halt::Halt;
use crate::output::{Batch, Output};
use crate::rendition::{Fault, Stretch};
use crate::storing::Storing;

/// Has `task` done and commits chunk by chunk; the last one together with the end of the job.
pub(super) async fn carry_out(
    attempt: Attempt<'_>,
    growing: GrowingIndex,
    task: Task,
    renditions: &[RenditionName],
    stretches: Vec<Stretch>,
) -> Result<(), Halt> {
    let scratch = attempt.scratch()?;
    let (version, plan) = (growing.version, growing.plan);
    let request = |source| Request::Work { source, plan, task };
    let mut cell = attempt.start(attempt.media().await?, &scratch.cell(), request).await?;
    // A film's first chunk is under way while its inits are announced.
    let since = Instant::now();
    let growing = match attempt.announced(version).await {
        Ok(growing) => growing,
        Err(halt) => {
            cell.halt().await;
            return Err(halt);
        }
    };
    cell.forgive(since);
    let mut encoding = Encoding {
        attempt,
        growing: &growing,
        output: Output::new(&growing, renditions, stretches, scratch.folder()),
        storing: Storing::new(attempt.store, &growing),
        last: None,
    };
    let done = encoding.follow(&mut cell).await;
    if done.is_err() {
        cell.halt().await;
    }
    encoding.finish(done?).await
}

struct Encoding<'a> {
    attempt: Attempt<'a>,
    growing: &'a GrowingIndex,
    output: Output<'a>,
    storing: Storing<'a>,
    /// The last batch, once it is stored: committed with the end of the job.
    last: Option<Batch>,
}

impl Encoding<'_> {
    /// Takes, stores and commits what the cell sends until it is done; gives how much of it was
    /// missing, in milliseconds.
    async fn follow(&mut self, cell: &mut Cell) -> Result<u64, Halt> {
        let begin = self.output.position();
        let end = self.output.end();
        let mut position = begin;
        let mut claimed = begin;
        let mut is_first = true;
        let mut gives_way = !self.attempt.job.is_urgent;
        loop {
            if self.storing.is_full() {
                // Nobody listens to the cell meanwhile, and its pipe fills: it waits with us.
                let since = Instant::now();
                self.store_one().await?;
                cell.forgive(since);
                continue;
            }
            let said = tokio::select! {
                biased;
                Some(stored) = self.storing.one() => {
                    let since = Instant::now();
                    self.commit(stored?).await?;
                    cell.forgive(since);
                    // A film's sound is one long job, of which it needs the first chunk to begin.
                    if !std::mem::replace(&mut gives_way, true) {
                        self.attempt.gives_way(cell);
                    }
                    continue;
                }
                said = cell.next() => said,
            };
            let taken = match said {
                // It knows how much is still in its encoders; what it has sent is the least and
                // its whole stretch the most that is believed.
                Said::Message { reply: Reply::Progress { position_ms }, .. } => {
                    claimed = Duration::from_millis(position_ms);
                    self.attempt.has_done(claimed.clamp(position, end.max(position)).saturating_sub(begin));
                    continue;
                }
                Said::Message { reply, payload } => {
                    if is_first && matches!(reply, Reply::Segment { .. }) {
                        is_first = false;
                        faults::at(faults::SEGMENT);
                    }
                    self.output.take(reply, &payload).await
                }
                Said::Ended(Ending::Finished { damaged, missing_ms }) => {
                    if damaged > 0 || missing_ms > 0 {
                        tracing::info!(damaged, missing_ms, "parts of the film cannot be decoded");
                    }
                    self.output.check_whole()?;
                    return Ok(missing_ms);
                }
                Said::Ended(ending) => return Err(ending.into()),
            };
            match taken {
                Ok(batches) => batches.into_iter().for_each(|batch| self.storing.begin(batch)),
                Err(Fault::Breach(breach)) => return Err(cell.condemn(breach.to_string()).await.into()),
                Err(fault) => return Err(fault.into()),
            }
            let reached = self.output.position();
            cell.extend(reached.saturating_sub(position));
            position = reached;
            self.attempt.has_done(claimed.clamp(reached, end.max(reached)).saturating_sub(begin));
        }
    }

    /// Commits what is left, and that the job is done.
    async fn finish(&mut self, missing_ms: u64) -> Result<(), Halt> {
        self.attempt.turn.is_made();
        while !self.storing.is_idle() {
            self.store_one().await?;
        }
        let last = self.last.take();
        write(self.attempt, self.growing.version, last.as_ref(), missing_ms, true).await
    }

    /// Waits until one more batch is stored, and commits it.
    async fn store_one(&mut self) -> Result<(), Halt> {
        tokio::select! {
            biased;
            () = self.attempt.stop.cancelled() => Err(Halt::Stopped),
            Some(stored) = self.storing.one() => self.commit(stored?).await,
            else => Ok(()),
        }
    }

    async fn commit(&mut self, batch: Batch) -> Result<(), Halt> {
        if batch.is_last {
            self.last = Some(batch);
            return Ok(());
        }
        write(self.attempt, self.growing.version, Some(&batch), 0, false).await
    }
}

/// Commits a batch, all of which is stored, or the end of the job, or both.
async fn write(
    attempt: Attempt<'_>,
    version: VersionId,
    batch: Option<&Batch>,
    missing_ms: u64,
    is_done: bool,
) -> Result<(), Halt> {
    let pieces = batch.iter().flat_map(|batch| &batch.pieces);
    let chunks: Vec<(RenditionName, ChunkRef)> =
        pieces.map(|piece| (piece.rendition, piece.chunk.clone())).collect();
    attempt.commit(version, &chunks, missing_ms, is_done).await
}
