//! One chunk of one lane: all its renditions, over the same segments.

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
    let is_of_lane = |name: &RenditionName| name.is_video() && Lane::of(*name) == lane;
    let renditions: Vec<RenditionName> = growing.renditions().filter(is_of_lane).collect();
    let task = Task::Pictures {
        renditions: renditions.clone(),
        segments: segments.clone(),
        hurry: attempt.job.hurry,
    };
    let stretches = vec![Stretch { segments, is_there: false }];
    encode::carry_out(attempt, growing, task, &renditions, stretches).await
}
