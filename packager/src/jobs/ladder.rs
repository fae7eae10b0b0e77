//! The renditions that a film lacks which was an event: planned from its own best picture and sound,
//! as a version beside the one that plays.

use catalog::Job;
use model::cell::EncodePlan;

use super::plan;
use crate::attempt::Attempt;
use crate::halt::Halt;

pub(super) async fn carry_out(attempt: Attempt<'_>) -> Result<(), Halt> {
    let Job { id, attempt: number, video, .. } = *attempt.job;
    let film = attempt.tell(|_| attempt.catalog.video(video)).await?.ok_or(Halt::Lost)?;
    let adds = |plan: &EncodePlan| {
        let pictures = plan.video.iter().flat_map(|video| video.renditions());
        let sounds = plan.audio.iter().flat_map(|audio| audio.rungs.iter().map(|rung| rung.rendition));
        pictures.chain(sounds).any(|name| film.rendition(name).is_none())
    };
    if !attempt.config.live_ladder || !plan::carry_out_if(attempt, adds).await? {
        attempt.tell(|now| attempt.catalog.drop_ladder(id, number, now)).await?;
        tracing::info!("the film stays as it is");
    }
    Ok(())
}
