//! Chunks of one lane: all its renditions, over the same segments. An encode makes one of them, a
//! copy as many as there are. Of a re-encode these are only the renditions that are encoded anew.

use std::ops::Range;

use model::cell::Task;
use model::{Lane, RenditionName, VersionId};

use super::encode;
use crate::attempt::Attempt;
use crate::halt::Halt;
use crate::rendition::Stretch;

pub(super) async fn carry_out(
    attempt: Attempt<'_>,
    version: VersionId,
    lane: Lane,
    segments: Range<u32>,
) -> Result<(), Halt> {
    let growing = attempt.growing(version).await?;
    let reencode = attempt.tell(|_| attempt.catalog.reencode(version)).await?;
    let is_made = |name| reencode.as_ref().is_none_or(|reencode| reencode.renditions.contains(&name));
    let of_lane = growing.renditions().filter(|name| growing.lane(*name) == Some(lane));
    let renditions: Vec<RenditionName> = of_lane.filter(|name| is_made(*name)).collect();
    let (task, stretches) = match lane {
        Lane::Copied => {
            let stretches = Stretch::each(&growing, &renditions, segments.clone());
            (Task::Copy { segments }, stretches)
        }
        Lane::A | Lane::B => {
            let stretches = vec![Stretch { segments: segments.clone(), is_there: false }];
            let hurry = attempt.job.hurry;
            (Task::Pictures { renditions: renditions.clone(), segments, hurry }, stretches)
        }
    };
    encode::carry_out(attempt, growing, task, &renditions, stretches).await
}
