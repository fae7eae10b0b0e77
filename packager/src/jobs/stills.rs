//! The poster and the thumbnail.

use bytes::Bytes;
use model::cell::{Picture, Reply, Request, Task};
use model::{ObjectKey, VersionId};

use crate::attempt::Attempt;
use crate::cell::{Cell, Ending, Said};
use crate::halt::Halt;
use crate::verify;

pub(super) async fn carry_out(attempt: Attempt<'_>, version: VersionId) -> Result<(), Halt> {
    let plan = attempt.growing(version).await?.plan;
    let scratch = attempt.scratch()?;
    let request = |source| Request::Work { source, plan, task: Task::Stills };
    let mut cell = attempt.start(attempt.media().await?, &scratch.cell(), request).await?;
    let (poster, thumbnail) = pictures(&mut cell).await?;
    let video = attempt.job.video;
    attempt.put(ObjectKey::Poster { video, version }, poster).await?;
    attempt.put(ObjectKey::Thumbnail { video, version }, thumbnail).await?;
    let job = attempt.job;
    attempt.tell(|now| attempt.catalog.finish_job(job.id, job.attempt, now)).await
}

/// Both pictures, when the cell is done.
pub(crate) async fn pictures(cell: &mut Cell) -> Result<(Bytes, Bytes), Halt> {
    let (mut poster, mut thumbnail) = (None, None);
    loop {
        match cell.next().await {
            Said::Message { reply: Reply::Picture { picture }, payload } => {
                if let Err(breach) = verify::check_picture(&payload) {
                    return Err(cell.condemn(breach.to_string()).await.into());
                }
                match picture {
                    Picture::Poster => poster = Some(payload),
                    Picture::Thumbnail => thumbnail = Some(payload),
                }
            }
            Said::Message { reply: Reply::Progress { .. }, .. } => {}
            Said::Message { reply, .. } => {
                return Err(cell.condemn(format!("said {reply:?} instead of a picture")).await.into());
            }
            Said::Ended(ending @ Ending::Finished { .. }) => {
                return poster.zip(thumbnail).ok_or_else(|| ending.into());
            }
            Said::Ended(ending) => return Err(ending.into()),
        }
    }
}
