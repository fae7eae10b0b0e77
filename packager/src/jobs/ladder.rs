//! The renditions that a film lacks which was an event: planned from its own best picture and sound,
//! as a version beside the one that plays.

use catalog::Job;
use model::cell::EncodePlan;

use super::plan;
use super::stored::read_index;
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
    // The cell reads a film as one file in one format, and what it made of another would be in the place
    // of what was sent (docs/design/0015).
    let is_one = match film.version() {
        Some(version) => {
            let index = read_index(attempt, version).await?;
            let best = [index.videos().next_back(), index.audios().next_back()];
            best.into_iter().flatten().all(|best| best.changes.is_empty())
        }
        None => true,
    };
    if !attempt.config.live_ladder || !is_one || !plan::carry_out_if(attempt, adds).await? {
        attempt.tell(|now| attempt.catalog.drop_ladder(id, number, now)).await?;
        tracing::info!("the film stays as it is");
    }
    Ok(())
}
