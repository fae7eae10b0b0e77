//! The beginning of a version: what the file holds, what is to be made of it, and the
//! initialisation segment of everything that will be.

use bytes::Bytes;
use catalog::Job;
use cmaf::{Announced, GrowingIndex};
use model::cell::{EncodePlan, Probe, Reply, Request, Task};
use model::{FailureReason, ObjectKey, RenditionName, VersionId};

use crate::attempt::Attempt;
use crate::cell::{Cell, Ending, Said};
use crate::halt::Halt;
use crate::scratch::Scratch;
use crate::{faults, plan, verify};

pub(super) async fn carry_out(attempt: Attempt<'_>) -> Result<(), Halt> {
    carry_out_if(attempt, |_| true).await.map(drop)
}

/// The same for a plan that is worth it; whether it is.
pub(super) async fn carry_out_if(
    attempt: Attempt<'_>,
    is_worth: impl Fn(&EncodePlan) -> bool,
) -> Result<bool, Halt> {
    let scratch = attempt.scratch()?;
    let version = match attempt.job.started {
        // An attempt before this one began it: others work on it already.
        Some(version) => version,
        None => match begin(attempt, &scratch, is_worth).await? {
            Some(version) => version,
            None => return Ok(false),
        },
    };
    let growing = attempt.growing(version).await?;
    let inits = make_inits(attempt, &scratch, &growing).await?;
    announce(attempt, &growing, inits).await?;
    let Job { id, attempt: number, .. } = *attempt.job;
    attempt.tell(|now| attempt.catalog.finish_job(id, number, now)).await?;
    Ok(true)
}

/// Probes and plans; from then on all other jobs may begin.
async fn begin(
    attempt: Attempt<'_>,
    scratch: &Scratch,
    is_worth: impl Fn(&EncodePlan) -> bool,
) -> Result<Option<VersionId>, Halt> {
    let probe = probe(attempt, scratch).await?;
    let plan = plan(&probe, &attempt.config.limits)
        .map_err(|reason| Halt::Failed { reason, detail: format!("no plan for {probe:?}") })?;
    if !is_worth(&plan) {
        return Ok(None);
    }
    faults::at(faults::PROBED);
    let version = VersionId::generate(&mut rand::rng());
    let Job { id, attempt: number, .. } = *attempt.job;
    let start = |now| attempt.catalog.start_version(id, number, version, &plan, now);
    attempt.tell(start).await?;
    tracing::info!(version.id = %version, frames = plan.grid.frames, "packaging");
    faults::at(faults::STARTED);
    Ok(Some(version))
}

async fn probe(attempt: Attempt<'_>, scratch: &Scratch) -> Result<Probe, Halt> {
    let media = attempt.media().await?;
    if media.size_bytes() == 0 {
        return Err(Halt::Failed { reason: FailureReason::Empty, detail: "no bytes".to_owned() });
    }
    let mut cell = attempt.start(media, &scratch.cell(), |source| Request::Probe { source }).await?;
    let mut found = None;
    loop {
        match cell.next().await {
            Said::Message { reply: Reply::Probed { probe }, .. } => found = Some(probe),
            Said::Message { reply, .. } => {
                return Err(cell.condemn(format!("answered a probe with {reply:?}")).await.into());
            }
            Said::Ended(ending @ Ending::Finished { .. }) => return found.ok_or_else(|| ending.into()),
            Said::Ended(ending) => return Err(ending.into()),
        }
    }
}

/// Has the initialisation segments of all renditions made.
pub(super) async fn make_inits(
    attempt: Attempt<'_>,
    scratch: &Scratch,
    growing: &GrowingIndex,
) -> Result<Vec<(Announced, Bytes)>, Halt> {
    let plan = growing.plan.clone();
    let request = |source| Request::Work { source, plan, task: Task::Announce };
    let mut cell = attempt.start(attempt.media().await?, &scratch.cell(), request).await?;
    let inits = inits(&mut cell, &growing.plan).await?;
    if let Some(missing) =
        growing.renditions().find(|name| inits.iter().all(|init| init.0.rendition != *name))
    {
        return Err(Halt::Crashed { how: format!("sent no init of {missing}") });
    }
    Ok(inits)
}

/// Stores and announces initialisation segments.
pub(super) async fn announce(
    attempt: Attempt<'_>,
    growing: &GrowingIndex,
    inits: Vec<(Announced, Bytes)>,
) -> Result<(), Halt> {
    // Nobody may see other bytes than those that the rows name.
    let is_other = |init: &Announced| growing.announced(init.rendition).is_some_and(|before| before != init);
    if let Some((other, _)) = inits.iter().find(|(init, _)| is_other(init)) {
        return Err(Halt::Crashed { how: format!("{} was announced with another init", other.rendition) });
    }
    let (video, version) = (growing.video, growing.version);
    let put = inits.iter().map(|(announced, init)| {
        let key = ObjectKey::Init { video, version, rendition: announced.rendition, number: 0 };
        attempt.put(key, init.clone())
    });
    futures::future::try_join_all(put).await?;
    let announced: Vec<Announced> = inits.into_iter().map(|(announced, _)| announced).collect();
    let Job { id, attempt: number, .. } = *attempt.job;
    attempt.tell(|now| attempt.catalog.announce(id, number, version, &announced, now)).await
}

/// Each rendition's init, when the cell is done.
async fn inits(cell: &mut Cell, plan: &EncodePlan) -> Result<Vec<(Announced, Bytes)>, Halt> {
    let mut inits: Vec<(Announced, Bytes)> = Vec::new();
    loop {
        let taken = match cell.next().await {
            Said::Message { reply: Reply::Init { rendition }, payload } => {
                take_init(&mut inits, plan, rendition, payload)
            }
            Said::Message { reply: Reply::Progress { .. }, .. } => Ok(()),
            Said::Message { reply, .. } => Err(verify::Breach::new(format!("said {reply:?}, not an init"))),
            Said::Ended(Ending::Finished { .. }) => return Ok(inits),
            Said::Ended(ending) => return Err(ending.into()),
        };
        if let Err(breach) = taken {
            return Err(cell.condemn(breach.to_string()).await.into());
        }
    }
}

fn take_init(
    inits: &mut Vec<(Announced, Bytes)>,
    plan: &EncodePlan,
    rendition: RenditionName,
    init: Bytes,
) -> Result<(), verify::Breach> {
    if inits.iter().any(|(announced, _)| announced.rendition == rendition) {
        return Err(verify::Breach::new(format!("sent two inits of {rendition}")));
    }
    inits.push((verify::announce(plan, rendition, &init)?, init));
    Ok(())
}
